import { blockedBy, isBlocking, statementOf } from '@vigil/cases';
import { actionId, type Decision, ENGINE_VERSION, RADIUS, type TakedownEvent } from '@vigil/contracts';
import { actionsOf, type ClaimRow, setBlocked, type UploadRow } from '@vigil/database';
import type { Queryable } from '@vigil/runtime';
import { FIRST } from '../watching/outgoing.ts';
import type { Actions } from './actions.ts';
import { type Ledger, SYSTEM } from './ledger.ts';

/**
 * Brings the media's state in line with the claims on it: per territory the strictest claim that stands. An action leaves only
 * when that changes, under the next epoch: a takedown says where the media are disabled from now on, a restoration that nothing
 * holds them back any more. Of deleted uploads nothing is said. The caller holds the upload's row.
 * @param about.claims all on the upload, as they are now
 * @returns the territories in which the media are held back from now on
 */
export async function alignMedia(
  tx: Queryable,
  about: { row: UploadRow; claims: readonly ClaimRow[]; actions: Actions; ledger: Ledger; now: number },
): Promise<string[]> {
  const { row, claims, actions, ledger, now } = about;
  if (row.deleted || !row.manifest) return row.blocked;
  const blocked = blockedBy(claims);
  if (blocked.join() === row.blocked.join()) return row.blocked;
  const earlier = await actionsOf(tx, row.id);
  const last = earlier.at(-1) ?? null;
  const epoch = Math.max(row.epoch, last ? last.epoch + 1 : 0);
  const standing = claims.filter(isBlocking).sort(byStrength);
  const event =
    standing.length > 0
      ? takedownOf(row, standing, blocked, epoch, last?.id ?? null, now)
      : restorationOf(last!.event, claims, epoch, now);
  await setBlocked(tx, row.id, blocked, epoch);
  // Of an upload that has no verdict yet, found by us: what the objective for time to takedown is about.
  const first = row.verdict === null && event.action === 'takedown' && event.reference !== null;
  await actions.send(tx, event, { trace: row.manifest.trace, headers: first ? { [FIRST]: 'true' } : {} });
  // Into the chain of the case that it is about: when which media were to be disabled where.
  const claim = standing[0] ?? lastEnded(claims) ?? claims.find((c) => last?.event.claims.includes(c.id));
  const data = { action: event.id, do: event.action, epoch, territories: blocked };
  if (claim) await ledger.note(tx, claim, { kind: event.action, data }, SYSTEM);
  return blocked;
}

/** What is shown of several claims: the manifest and surest copy, then whatever rests on a notice. */
function byStrength(a: ClaimRow, b: ClaimRow): number {
  const of = ({ decision }: ClaimRow) =>
    decision ? [decision.manifest ? 1 : 0, decision.evidence.confidence, decision.evidence.total] : [-1, 0, 0];
  const [x, y] = [of(a), of(b)];
  const n = x.findIndex((value, i) => value !== y[i]);
  return n === -1 ? (a.id < b.id ? -1 : 1) : y[n]! - x[n]!;
}

function takedownOf(
  row: UploadRow,
  standing: readonly ClaimRow[],
  territories: string[],
  epoch: number,
  supersedes: string | null,
  now: number,
): TakedownEvent {
  const { event, outcome } = row.manifest!;
  const claim = standing[0]!;
  const statement = statementOf(claim, claim.decision, territories);
  return {
    id: actionId(row.id, event.media.version, 'takedown', epoch),
    action: 'takedown',
    upload: row.id,
    media: event.media,
    kind: outcome.status === 'planned' ? outcome.probe.kind : null,
    account: event.account ?? null,
    reference: claim.reference === null ? null : { id: claim.reference, version: claim.version! },
    work: claim.work,
    holder: claim.holder,
    case: claim.case,
    claims: standing.slice(0, MOST_CLAIMS).map((c) => c.id),
    territories,
    ...foundOf(claim.decision),
    ground: claim.ground,
    statement,
    why: null,
    automatedDetection: statement.automatedDetection,
    automatedDecision: statement.automatedDecision,
    epoch,
    attempt: 1,
    supersedes,
    engine: ENGINE_VERSION,
    latency: { receivedAt: event.receivedAt, decidedAt: now },
  };
}

const MOST_CLAIMS = 100;

function foundOf(decision: Decision | null) {
  if (!decision) {
    return {
      segments: [],
      longest: 0,
      total: 0,
      share: { upload: 0, reference: 0 },
      altered: {},
      codeKind: null,
      radius: RADIUS,
      confidence: 0,
      manifest: false,
      rule: 'notice',
      policy: null,
    };
  }
  const { evidence, manifest, rule, policy } = slim(decision);
  const { segments, longest, total, share, altered, kind, confidence } = evidence;
  return {
    segments,
    longest,
    total,
    share,
    altered,
    codeKind: kind,
    radius: RADIUS,
    confidence,
    manifest,
    rule,
    policy,
  };
}

/** Without the pictures of each segment, which only joining needs; claims keep them. */
export function slim(decision: Decision): Decision {
  const segments = decision.evidence.segments.map(({ pictures: _, ...segment }) => segment);
  return { ...decision, evidence: { ...decision.evidence, segments } };
}

/** Of those that held media back. */
const lastEnded = (claims: readonly ClaimRow[]): ClaimRow | undefined =>
  claims
    .filter((c) => c.procedure.ended && c.procedure.takenDownAt !== null)
    .sort((a, b) => b.procedure.ended!.at - a.procedure.ended!.at)[0];

/** Ends of claims that nobody decided on. */
const BY_ITSELF = ['silence', 'put-back', 'policy'];

/** The takedown that was, undone. */
function restorationOf(last: TakedownEvent, claims: readonly ClaimRow[], epoch: number, now: number): TakedownEvent {
  const undone = claims.some((c) => c.state === 'open' && last.claims.includes(c.id));
  const why = undone ? 'undone' : (lastEnded(claims)?.procedure.ended?.why ?? null);
  return {
    ...last,
    id: actionId(last.upload, last.media.version, 'restore', epoch),
    action: 'restore',
    epoch,
    attempt: 1,
    statement: null,
    why,
    automatedDecision: why !== null && BY_ITSELF.includes(why),
    supersedes: last.id,
    latency: { ...last.latency, decidedAt: now },
  };
}
