import type { Decision, Evidence } from '@vigil/contracts';
import type { Judgement } from '@vigil/pipeline';
import type { Sample, Shown } from './accuracy-media.ts';

/** What became of one alteration: of its works, of its uploads, and of the same uploads where the work is not protected. */
export interface Row {
  works: number;
  down: number;
  reviewed: number;
  uploads: number;
  /** Uploads with a reference taken down, or sent to review, that they do not show. */
  wrongDown: number;
  wrongReviewed: number;
  strangers: number;
  falseDown: number;
  falseReviewed: number;
  /** Seconds, of films that were found. */
  ends: number[];
  offsets: number[];
}

/** Evidence by how sure it says it is: true copies and others. */
export interface Bin {
  from: number;
  right: number;
  wrong: number;
}

export const BINS = [0, 0.3, 0.5, 0.7, 0.8, 0.9, 0.95];

export const createRow = (): Row => ({
  works: 0,
  down: 0,
  reviewed: 0,
  uploads: 0,
  wrongDown: 0,
  wrongReviewed: 0,
  strangers: 0,
  falseDown: 0,
  falseReviewed: 0,
  ends: [],
  offsets: [],
});

export const createBins = (): Bin[] => BINS.map((from) => ({ from, right: 0, wrong: 0 }));

const acts = (d: Decision): boolean => d.action === 'takedown' || d.action === 'review';

/** Adds one upload, judged against the whole library. Returns what went wrong, for people to read. */
export function addCopy(
  row: Row,
  bins: Bin[],
  sample: Sample,
  judged: Judgement,
  familyOf: (id: string) => string,
): string[] {
  const said: string[] = [];
  const families = new Set(sample.shown.map((s) => s.work.family));
  const own = judged.decisions.filter((d) => families.has(familyOf(d.evidence.reference.id)));
  const foreign = judged.decisions.filter((d) => !families.has(familyOf(d.evidence.reference.id)));
  for (const family of families) {
    const of = own.filter((d) => familyOf(d.evidence.reference.id) === family);
    row.works++;
    const down = of.some((d) => d.action === 'takedown');
    if (down) row.down++;
    if (of.some(acts)) row.reviewed++;
    if (!down) said.push(`missed: ${describe(of)}`);
  }
  row.uploads++;
  if (foreign.some((d) => d.action === 'takedown')) row.wrongDown++;
  else if (foreign.some(acts)) row.wrongReviewed++;
  if (foreign.some(acts)) said.push(`wrong reference: ${describe(foreign)}`);
  for (const d of own) count(bins, d.evidence, true);
  for (const d of foreign) count(bins, d.evidence, false);
  if (sample.kind === 'image') return said;
  for (const shown of sample.shown) {
    const found = spanOf(
      own.filter((d) => acts(d) && familyOf(d.evidence.reference.id) === shown.work.family),
      shown,
    );
    if (!found) continue;
    row.ends.push(...found.ends);
    row.offsets.push(found.offset);
    if (Math.max(...found.ends) > 1 || found.offset > 0.3)
      said.push(`span: ends ${found.ends.map((e) => e.toFixed(2))} s, offset ${found.offset.toFixed(2)} s`);
  }
  return said;
}

/** Adds an upload that shows nothing that is protected. */
export function addStranger(row: Row, bins: Bin[], judged: Judgement): string[] {
  row.strangers++;
  if (judged.verdict === 'taken-down') row.falseDown++;
  if (judged.verdict === 'in-review') row.falseReviewed++;
  for (const d of judged.decisions) count(bins, d.evidence, false);
  const wrong = judged.verdict === 'taken-down' || judged.verdict === 'in-review';
  return wrong ? [`false ${judged.verdict}: ${judged.reason ?? ''} ${describe(judged.decisions)}`] : [];
}

function count(bins: Bin[], { confidence }: Evidence, right: boolean): void {
  const bin = bins.findLast((b) => b.from <= confidence)!;
  if (right) bin.right++;
  else bin.wrong++;
}

const describe = (decisions: readonly Decision[]): string =>
  decisions
    .map(({ action, rule, evidence: e }) => {
      const s = e.segments[0];
      const places = s?.inliers === undefined ? '' : ` ${s.inliers} places in ${s.cells}`;
      return `${action} ${rule} ${e.reference.id} ${e.total.toFixed(1)} s, ${s?.distance.mean.toFixed(0)} bits, ${s?.distinct} pictures${s?.timed ? '' : ', untimed'}${places}`;
    })
    .join('; ') || 'nothing';

/** How far the found stretches' ends lie from the true ones, and the line from the true line in the middle of the piece. */
function spanOf(decisions: readonly Decision[], { upload: [start, end], reference }: Shown) {
  const within = decisions
    .flatMap((d) => d.evidence.segments)
    .filter((s) => {
      const both = Math.min(end, s.upload[1]) - Math.max(start, s.upload[0]);
      return both > 0 && both >= 0.5 * (s.upload[1] - s.upload[0]);
    });
  if (within.length === 0) return null;
  const longest = within.reduce((a, b) => (b.upload[1] - b.upload[0] > a.upload[1] - a.upload[0] ? b : a));
  const middle = (Math.max(start, longest.upload[0]) + Math.min(end, longest.upload[1])) / 2;
  const speed = (reference[1] - reference[0]) / (end - start);
  const due = reference[0] + speed * (middle - start);
  return {
    ends: [
      Math.abs(Math.min(...within.map((s) => s.upload[0])) - start),
      Math.abs(Math.max(...within.map((s) => s.upload[1])) - end),
    ],
    offset: Math.abs(longest.offset + longest.speed * middle - due),
  };
}

export function median(values: readonly number[]): number | null {
  if (values.length === 0) return null;
  return values.toSorted((a, b) => a - b)[values.length >> 1]!;
}

export function sum(rows: readonly Row[]): Row {
  const all = createRow();
  for (const row of rows) {
    for (const key of Object.keys(all) as (keyof Row)[]) {
      const [to, from] = [all[key], row[key]];
      if (Array.isArray(to)) to.push(...(from as number[]));
      else (all[key] as number) = to + (from as number);
    }
  }
  return all;
}
