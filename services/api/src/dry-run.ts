import { type Action, type Decision, type Policy, referenceKey } from '@vigil/contracts';
import type { JudgedUpload } from '@vigil/database';
import { decideJoined, joined } from '@vigil/decision';

/** A reference as the dry run judges by it: as things are, and as they would be. */
export interface Compared {
  duration: number;
  current: Policy;
  candidate: Policy;
}

export interface Difference {
  upload: string;
  reference: { id: string; version: number };
  before: { action: Action; rule: string };
  after: { action: Action; rule: string; why: string };
  longest: number;
  total: number;
}

export interface DryRun {
  /** Something would be done where nothing was; nothing where something was; something else. */
  new: Difference[];
  gone: Difference[];
  changed: Difference[];
  same: number;
}

/** Judges stored evidence by two policies. Pure: what was found is given, only what follows from it differs. */
export function dryRun(uploads: readonly JudgedUpload[], references: ReadonlyMap<string, Compared>): DryRun {
  const found: DryRun = { new: [], gone: [], changed: [], same: 0 };
  for (const { upload, manifest, evidence } of uploads) {
    if (manifest.outcome.status !== 'planned') continue;
    const { probe } = manifest.outcome;
    const duration = probe.kind === 'image' ? 0 : probe.duration;
    const about = { account: manifest.event.account ?? null, kind: probe.kind, duration };
    const mine = (evidence ?? [])
      .flatMap((e) => (e.outcome.status === 'confirmed' ? e.outcome.evidence : []))
      .filter((e) => references.has(referenceKey(e.reference)));
    const of = (key: { id: string; version: number }) => references.get(referenceKey(key))!;
    for (const one of joined(mine, { upload: duration, reference: (key) => of(key).duration })) {
      const { reference } = one.evidence;
      const { current, candidate } = of(reference);
      const before = decideJoined(one, current, about);
      const after = decideJoined(one, candidate, about);
      const list = compare(before, after);
      if (list === 'same') {
        found.same++;
        continue;
      }
      found[list].push({
        upload,
        reference,
        before: { action: before.action, rule: before.rule },
        after: {
          action: after.action,
          rule: after.rule,
          why: after.trials.find((t) => t.rule === after.rule)?.why ?? '',
        },
        longest: after.evidence.longest,
        total: after.evidence.total,
      });
    }
  }
  return found;
}

const acts = ({ action }: Decision): boolean => action === 'takedown' || action === 'review';

function compare(before: Decision, after: Decision): 'new' | 'gone' | 'changed' | 'same' {
  if (before.action === after.action) return 'same';
  if (acts(before) === acts(after)) return 'changed';
  return acts(after) ? 'new' : 'gone';
}
