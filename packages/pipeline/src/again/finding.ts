import { type Decision, referenceKey, type Verdict } from '@vigil/contracts';
import { differs } from '../claims/revision.ts';
import type { Rejudged } from '../stages/decide-upload.ts';
import type { Trouble } from './second-look.ts';

/** What became of one upload in a run. Every upload that was chosen ends in exactly one of these. */
export const FINDINGS = [
  /** Something else is said of it: a further revision. */
  'changed',
  /** It had no verdict, and has one now. */
  'first',
  'unchanged',
  /** Not all of its results are there: others are at it still, or they were kept long enough. */
  'incomplete',
  /** The platform has deleted it: nothing is looked for. */
  'deleted',
  /** Nobody has planned it: `--topic uploads` does. */
  'unknown',
  /** What was found could not be confirmed, because the media are not there any more. It stays as it is. */
  'media-gone',
  /** What was found could not be confirmed for another reason. It stays as it is. */
  'failed',
] as const;
export type FindingKind = (typeof FINDINGS)[number];

export interface DecisionChange {
  /** id@version */
  reference: string;
  change: 'new' | 'gone' | 'changed';
  before: Decision['action'] | null;
  after: Decision['action'] | null;
  why: string;
}

export interface Finding {
  upload: string;
  outcome: FindingKind;
  before: Said | null;
  after: Said | null;
  decisions: DecisionChange[];
  detail: string | null;
}

/** Findings that say that something is as it was are counted, not kept. */
export const isQuiet = ({ outcome }: Finding): boolean => outcome === 'unchanged' || outcome === 'deleted';

/** A verdict in short. */
export type Said = Pick<Verdict, 'revision' | 'verdict' | 'reason' | 'decidedAt'>;

const said = (v: Verdict | null): Said | null =>
  v && { revision: v.revision, verdict: v.verdict, reason: v.reason, decidedAt: v.decidedAt };

export function findingOf(upload: string, { before, after, settled }: Rejudged): Finding {
  const found: Finding = {
    upload,
    outcome: 'unchanged',
    before: said(before),
    after: said(after),
    decisions: [],
    detail: null,
  };
  if (settled !== 'judged' || !after) return { ...found, outcome: settled === 'judged' ? 'incomplete' : settled };
  if (!before) return { ...found, outcome: 'first', decisions: changesOf([], after.decisions) };
  if (!differs(before, after)) return found;
  return { ...found, outcome: 'changed', decisions: changesOf(before.decisions, after.decisions) };
}

export const troubled = (upload: string, before: Verdict | null, { kind, detail }: Trouble): Finding => ({
  ...{ upload, outcome: kind, before: said(before), after: said(before), decisions: [], detail },
});

export const leftAlone = (upload: string, before: Verdict | null, outcome: FindingKind): Finding => ({
  ...{ upload, outcome, before: said(before), after: said(before), decisions: [], detail: null },
});

/** Per reference, in the order of what is said now, and then what is said no more. */
export function changesOf(before: readonly Decision[], after: readonly Decision[]): DecisionChange[] {
  const keyOf = (d: Decision) => referenceKey(d.evidence.reference);
  const [old, now] = [new Map(before.map((d) => [keyOf(d), d])), new Map(after.map((d) => [keyOf(d), d]))];
  const changes: DecisionChange[] = [];
  for (const [reference, d] of now) {
    const was = old.get(reference);
    if (was?.action === d.action) continue;
    const why = was ? `${whyOf(d)}; before: ${whyOf(was)}` : whyOf(d);
    changes.push({ reference, change: was ? 'changed' : 'new', before: was?.action ?? null, after: d.action, why });
  }
  for (const [reference, was] of old) {
    if (now.has(reference)) continue;
    changes.push({
      ...{ reference, change: 'gone', before: was.action, after: null },
      why: `not found again, or not live; before: ${whyOf(was)}`,
    });
  }
  return changes;
}

const whyOf = ({ rule, policy, evidence: { longest, share, referenceMedia } }: Decision): string => {
  const much = referenceMedia === 'video' && longest > 0 ? `${longest.toFixed(1)} s, ` : '';
  return `${rule} (${much}${Math.round(share.upload * 100)} % of the upload, policy ${policy.id} version ${policy.version})`;
};
