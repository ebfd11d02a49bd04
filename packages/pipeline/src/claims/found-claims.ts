import { createHash } from 'node:crypto';
import { fellWith, isOver } from '@vigil/cases';
import { type Decision, FRAMES_FORMAT, isCanary, type ReferenceKey } from '@vigil/contracts';
import { type ClaimRow, canonical, caseId, claimsOf, saveClaim, type UploadRow } from '@vigil/database';
import type { Queryable } from '@vigil/runtime';
import { picturesWanted } from '../events.ts';
import { picturePairs } from '../picture-pairs.ts';
import { sendOutput } from '../send-output.ts';
import { type Ledger, SYSTEM } from './ledger.ts';
import { slim } from './media-state.ts';

export interface Found {
  decision: Decision;
  work: string;
  holder: string;
}

/**
 * What an upload was found to copy becomes claims, or brings those that are there up to date. What people have decided about a claim
 * is not overruled by a slice that comes again: only one that is open, or taken down and uncontested, still learns, the latter once
 * all was seen (`final`): an hour of film would be told slice by slice. The caller
 * holds the upload's row.
 * @param about.known all claims on the upload
 */
export async function claimFound(
  tx: Queryable,
  about: { ledger: Ledger; row: UploadRow; known: readonly ClaimRow[]; found: readonly Found[]; final: boolean },
): Promise<void> {
  const { ledger, row, known, found, final } = about;
  const account = row.manifest!.event.account ?? null;
  // Chains are locked in order of their ids.
  const inOrder = [...found].sort((a, b) => compare(caseId(row.id, account, a.work), caseId(row.id, account, b.work)));
  for (const { decision, work, holder } of inOrder) {
    const { reference } = decision.evidence;
    const data = { reference, ...summaryOf(decision) };
    let claim = actingClaim(known, reference);
    if (!claim) {
      claim = await ledger.open(tx, {
        upload: row.id,
        account,
        work,
        holder,
        ground: 'rights-holder-rule',
        territories: decision.territories,
        source: { reference: reference.id, version: reference.version, notice: null, decision },
        by: SYSTEM,
        data,
      });
      await wantPictures(tx, row, claim, decision);
    } else if (fellWith('policy', claim)) {
      // Nobody has decided that it asks for nothing: a policy had, and does no more.
      const asked = await ledger.take(tx, claim, { do: 'ask-again' }, SYSTEM);
      if (!asked.ok) continue;
      claim = await renew(tx, ledger, asked.claim, decision, data);
    } else if (claim.state === 'open' || (claim.state === 'taken-down' && final)) {
      claim = await renew(tx, ledger, claim, decision, data);
    } else {
      continue;
    }
    if (decision.action === 'takedown' && claim.state === 'open')
      await ledger.take(tx, claim, { do: 'take-down' }, SYSTEM);
  }
}

/**
 * The claim that a decision by this version is about, of all those on its upload: the newest by the reference. What fell with a version that
 * was disabled says nothing of one that is meant to protect again.
 */
export function actingClaim(claims: readonly ClaimRow[], { id, version }: ReferenceKey): ClaimRow | undefined {
  const newest = claims.filter((c) => c.reference === id).sort((a, b) => b.version! - a.version!)[0];
  return newest && fellWith('reference', newest) && newest.version! < version ? undefined : newest;
}

/** Films that lie in the store as pictures are pictures already. */
async function wantPictures(tx: Queryable, row: UploadRow, claim: ClaimRow, { evidence }: Decision): Promise<void> {
  const { outcome, event } = row.manifest!;
  if (outcome.status !== 'planned' || outcome.probe.format === FRAMES_FORMAT || isCanary(claim.holder)) return;
  const pairs = picturePairs(evidence);
  if (pairs.length === 0) return;
  const { reference } = evidence;
  const wanted = { claim: claim.id, upload: row.id, media: event.media, probe: outcome.probe, reference, pairs };
  await sendOutput(tx, picturesWanted(wanted), claim.openedAt);
}

async function renew(
  tx: Queryable,
  ledger: Ledger,
  claim: ClaimRow,
  decision: Decision,
  data: Record<string, unknown>,
): Promise<ClaimRow> {
  if (claim.decision && digestOf(claim.decision) === digestOf(decision)) return claim;
  // A weaker look does not take the evidence of a takedown away.
  if (claim.state === 'taken-down' && decision.action !== 'takedown') return claim;
  let renewed: ClaimRow = { ...claim, decision, version: decision.evidence.reference.version };
  await saveClaim(tx, renewed);
  await ledger.note(tx, renewed, { kind: 'evidence', data }, SYSTEM);
  if (decision.territories.join() !== claim.territories.join()) {
    const taken = await ledger.take(tx, renewed, { do: 'retarget', territories: decision.territories }, SYSTEM);
    if (taken.ok) renewed = taken.claim;
  }
  return renewed;
}

/** Claims of references that are not live act no more when their media are uploaded again. */
export async function dropDisabled(
  tx: Queryable,
  { ledger, upload, live }: { ledger: Ledger; upload: string; live(reference: string, version: number): boolean },
): Promise<void> {
  for (const claim of await claimsOf(tx, upload)) {
    if (claim.reference === null || isOver(claim) || live(claim.reference, claim.version!)) continue;
    await ledger.take(tx, claim, { do: 'withdraw', cause: 'reference' }, SYSTEM);
  }
}

/** What the chain remembers of a decision: enough to see why, and a digest of all of it. */
function summaryOf(decision: Decision): Record<string, unknown> {
  const { action, rule, manifest, policy, evidence } = decision;
  const { longest, total, share, confidence } = evidence;
  return { action, rule, manifest, policy, longest, total, share, confidence, decision: digestOf(decision) };
}

const digestOf = (decision: Decision): string =>
  createHash('sha256')
    .update(canonical(slim(decision)))
    .digest('hex');

export const compare = (a: string, b: string): number => (a < b ? -1 : a > b ? 1 : 0);
