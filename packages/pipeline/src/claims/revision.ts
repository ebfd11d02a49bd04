import { derivedId, referenceKey, type Verdict } from '@vigil/contracts';
import { type ClaimRow, saveVerdict, type UploadRow } from '@vigil/database';
import type { Queryable } from '@vigil/runtime';
import { DEFAULT_MIN_COVERAGE, INCOMPLETE } from '../judgement.ts';
import type { Output } from '../outcome.ts';
import { sendOutput } from '../send-output.ts';

/**
 * What holds of an upload, when the judgement of its evidence and the claims on it are looked at together: what a claim holds back
 * is taken down, whatever a later look says; what was found and released by people is not found again.
 */
export function standing(
  judged: Pick<Verdict, 'verdict' | 'reason' | 'coverage'>,
  blocked: readonly string[],
  claims: readonly Pick<ClaimRow, 'state'>[],
): Pick<Verdict, 'verdict' | 'reason'> {
  if (blocked.length > 0) return { verdict: 'taken-down', reason: null };
  if (judged.verdict === 'rejected') return { verdict: judged.verdict, reason: judged.reason };
  if (claims.some((c) => c.state === 'open')) return { verdict: 'in-review', reason: null };
  if (judged.verdict === 'in-review' && judged.reason !== null) return { verdict: 'in-review', reason: judged.reason };
  if (judged.coverage < DEFAULT_MIN_COVERAGE) {
    return { verdict: 'in-review', reason: `${INCOMPLETE}: too little of it was judged` };
  }
  return { verdict: 'cleared', reason: null };
}

/** Writes a verdict and sends it, in the trace that its upload was planned under. */
export async function publishVerdict(tx: Queryable, verdict: Verdict, trace?: string): Promise<string> {
  await saveVerdict(tx, verdict);
  const id = derivedId('ev', verdict.upload, 'verdict', verdict.revision);
  const output: Output = { to: 'verdicts', key: verdict.upload, id, type: 'vigil.upload.judged', data: verdict, trace };
  await sendOutput(tx, output, verdict.decidedAt);
  return id;
}

/**
 * After claims have changed: another revision if something else holds now. Uploads without a verdict get theirs from `decide`, by
 * the same rule. The caller holds the upload's row.
 * @param about.blocked where its media are held back, and `claims` all on it, as they are now
 */
export async function revise(
  tx: Queryable,
  about: { row: UploadRow; blocked: readonly string[]; claims: readonly ClaimRow[]; cause: Verdict['cause'] },
  now: number,
): Promise<void> {
  const { row, blocked, claims, cause } = about;
  if (!row.verdict || row.deleted) return;
  const before = row.verdict;
  const said = standing(before, blocked, claims);
  if (said.verdict === before.verdict && said.reason === before.reason) return;
  await publishVerdict(
    tx,
    {
      ...before,
      ...said,
      cause,
      revision: row.revision + 1,
      supersedes: row.revision,
      decidedAt: now,
    },
    row.manifest?.trace,
  );
}

/** A revision is written only when something is said differently. */
export function differs(a: Verdict, b: Verdict): boolean {
  const said = (v: Verdict) =>
    JSON.stringify([
      v.verdict,
      v.reason,
      v.decisions.map((d) => `${referenceKey(d.evidence.reference)}=${d.action}`).sort(),
    ]);
  return said(a) !== said(b);
}
