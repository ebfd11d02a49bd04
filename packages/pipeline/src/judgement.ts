import {
  ACTIONS,
  type Decision,
  type Evidence,
  isLeft,
  type Manifest,
  type Policy,
  type ReferenceKey,
  referenceKey,
  type SliceAlignments,
  type SliceEvidence,
  sliceSpan,
  type Verdict,
} from '@vigil/contracts';
import { decideAll, verdictOf } from '@vigil/decision';

/** What is known of a reference when an upload is judged. Only live ones act. */
export interface ReferenceFacts {
  live: boolean;
  duration: number;
  policy: Policy;
}

export interface Known {
  manifest: Manifest;
  /** The newest result of each slice and shard of each layout, and of each proposal, in any order. */
  alignments: readonly SliceAlignments[];
  evidence: readonly SliceEvidence[];
  references(key: ReferenceKey): ReferenceFacts | null;
}

export interface Judgement {
  /** Every slice, shard and proposal has its terminal result; what is left of slices after that may come later. */
  complete: boolean;
  verdict: Verdict['verdict'];
  reason: string | null;
  /** Per reference, strictest first. */
  decisions: Decision[];
  /** Decisions to take down that hold however the rest turns out. */
  certain: Decision[];
  coverage: number;
  failures: Verdict['failures'];
  checkpoints: number[];
}

/** Pure: the same results in any order give the same judgement. */
export function judge({ manifest, alignments: results, evidence, references }: Known): Judgement {
  const { outcome, event } = manifest;
  if (outcome.status === 'rejected') return rejection(outcome.reason);
  const { probe, slices } = outcome;
  const duration = probe.kind === 'image' ? 0 : probe.duration;
  const upload = { account: event.account ?? null, kind: probe.kind, duration };

  const proposals = new Map(evidence.map((e) => [e.proposal, e]));
  const isAnswered = ({ outcome: o }: SliceAlignments) =>
    o.status !== 'alignments' || o.proposal === null || proposals.has(o.proposal);
  const whole = results.filter((a) => isAnswered(a) && !isLeft(a.slice, slices));
  const shards = layoutOf(outcome.shards, slices, whole);
  const searched = results.filter((a) => a.shards === shards);
  // What was left of a slice may add to what is found, and is not waited for.
  const alignments = searched.filter((a) => !isLeft(a.slice, slices));
  const failures: Verdict['failures'] = [];
  const failedSlices = new Set<number>();
  const found: Evidence[] = [];
  const answered = alignments.filter(isAnswered).length;
  const fail = (at: { slice: number; shard: number }, reason: string) => {
    failures.push({ slice: at.slice % slices, shard: at.shard, reason });
    // All of the slice had been searched before.
    if (!isLeft(at.slice, slices)) failedSlices.add(at.slice);
  };
  for (const result of searched) {
    if (result.outcome.status === 'failed') fail(result, result.outcome.reason);
    if (result.outcome.status !== 'alignments' || result.outcome.proposal === null) continue;
    // What is left of a slice may be searched anew, and what was found there stands until that is confirmed.
    const before = isLeft(result.slice, slices) ? evidence.find((e) => isOfSame(e, result)) : undefined;
    const confirmed = proposals.get(result.outcome.proposal) ?? before;
    if (!confirmed) continue;
    if (confirmed.outcome.status === 'failed') fail(result, confirmed.outcome.reason);
    if (confirmed.outcome.status === 'confirmed') found.push(...confirmed.outcome.evidence);
  }

  const policyOf = (key: ReferenceKey) => references(key)!.policy;
  const decided = decideAll(
    found.filter((e) => references(e.reference)?.live),
    { upload: duration, reference: (key) => references(key)?.duration ?? 0 },
    policyOf,
    upload,
  );
  decided.sort((a, b) => byStrictness(a.decision, b.decision));
  const decisions = decided.map((d) => d.decision);
  const certain = decided.filter((d) => d.certain && d.decision.action === 'takedown').map((d) => d.decision);

  const complete = answered === slices * shards;
  const answers = new Map<number, number>();
  for (const a of alignments) if (isAnswered(a)) answers.set(a.slice, (answers.get(a.slice) ?? 0) + 1);
  const seen = new Set([...answers].filter(([, n]) => n === shards).map(([slice]) => slice));
  const coverage = coverageOf(duration, slices, seen, failedSlices);
  const checkpoints = Array.from({ length: shards }, (_, shard) =>
    Math.min(...alignments.filter((a) => a.shard === shard).map((a) => a.checkpoint), Number.MAX_SAFE_INTEGER),
  ).map((c) => (c === Number.MAX_SAFE_INTEGER ? 0 : c));
  failures.sort((a, b) => a.slice - b.slice || a.shard - b.shard);
  const shared = { complete, decisions, certain, coverage, failures, checkpoints };

  if (decisions.length === 0 && complete) {
    if (failedSlices.size === slices) return { ...shared, verdict: 'rejected', reason: failures[0]!.reason };
    const usable = alignments.reduce((n, a) => n + a.frames.usable, 0);
    if (usable === 0) return { ...shared, verdict: 'rejected', reason: 'too-little' };
  }
  const minCoverage = Math.max(
    DEFAULT_MIN_COVERAGE,
    ...decisions.map((d) => policyOf(d.evidence.reference).minCoverage),
  );
  const said = verdictOf(decisions, coverage, minCoverage, failures);
  if (!complete && said.verdict === 'cleared') {
    return { ...shared, verdict: 'in-review', reason: `${INCOMPLETE}: not every result came in time` };
  }
  return { ...shared, verdict: said.verdict, reason: said.reason };
}

/**
 * In how many shards the library was searched: the layout whose results count. It is the one that was planned for, unless another
 * has answered more of what it has to (an upload may be planned twice, before and after a change of layout). Results of two are
 * never mixed: each has searched the whole library, and half of one beside half of another may not have.
 */
function layoutOf(planned: number, slices: number, answered: readonly SliceAlignments[]): number {
  const share = (shards: number) => answered.filter((a) => a.shards === shards).length / (slices * shards);
  const layouts = [planned, ...new Set(answered.map((a) => a.shards).sort((a, b) => b - a))];
  return layouts.reduce((best, shards) => (share(shards) > share(best) ? shards : best));
}

const isOfSame = (a: SliceEvidence, b: SliceAlignments): boolean =>
  a.shards === b.shards && a.shard === b.shard && a.slice === b.slice;

/** What the reason of a verdict begins with when not all was seen. */
export const INCOMPLETE = 'incomplete';

/** Below this share of the upload judged nothing is cleared, whatever a policy says. */
export const DEFAULT_MIN_COVERAGE = 0.9;

const rejection = (reason: string): Judgement => ({
  complete: true,
  verdict: 'rejected',
  reason,
  decisions: [],
  certain: [],
  coverage: 0,
  failures: [],
  checkpoints: [],
});

function byStrictness(a: Decision, b: Decision): number {
  return (
    ACTIONS.indexOf(a.action) - ACTIONS.indexOf(b.action) ||
    b.evidence.confidence - a.evidence.confidence ||
    b.evidence.total - a.evidence.total ||
    (referenceKey(a.evidence.reference) < referenceKey(b.evidence.reference) ? -1 : 1)
  );
}

/** Seconds judged over all seconds; an image is one slice of weight one. */
function coverageOf(duration: number, slices: number, seen: ReadonlySet<number>, failed: ReadonlySet<number>): number {
  let judged = 0;
  let all = 0;
  for (let n = 0; n < slices; n++) {
    const [start, end] = sliceSpan(n, duration);
    const weight = duration > 0 ? end - start : 1;
    all += weight;
    if (seen.has(n) && !failed.has(n)) judged += weight;
  }
  return all > 0 ? judged / all : 0;
}
