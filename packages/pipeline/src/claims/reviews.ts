import { undoUntil } from '@vigil/cases';
import type { Actor } from '@vigil/contracts';
import {
  type ClaimRow,
  countReviews,
  type Database,
  findClaim,
  keepLock,
  lastCaseEvent,
  locksOf,
  lockUpload,
  type ReviewLock,
  releaseLocks,
  renewLocks,
  savePaper,
  saveSkip,
  takeLock,
  takeLocks,
} from '@vigil/database';
import type { Clock } from '@vigil/runtime';
import type { Cases, StepOutcome } from './cases.ts';
import type { Ledger } from './ledger.ts';

/** A reviewer holds an item for so long, unless there is a sign of life before. */
export const REVIEW_LOCK_MS = 3 * 60_000;
/** So many at once at most. */
export const MAX_HELD = 5;
/** Whoever passed an item on does not get it again for so long. */
const SKIPPED_MS = 24 * 3600_000;
/** How many accounts share a reference is counted over so long. */
export const SPREAD_MS = 7 * 24 * 3600_000;

export const SKIP_REASONS = [
  'unsure',
  'needs-language',
  'needs-holder',
  'needs-senior',
  'media-missing',
  'other',
] as const;
export type SkipReason = (typeof SKIP_REASONS)[number];

export type ReviewDecision =
  | { decision: 'take-down' }
  | { decision: 'dismiss'; statement?: string | undefined }
  | { decision: 'skip'; reason: SkipReason; statement?: string | undefined };

/** `seat` holds items: one session of one person, or one key. `actor` is who decides, as the chain names it. */
export interface Reviewer {
  seat: string;
  actor: Actor;
}

export type ReviewOutcome =
  | { status: 'done'; claim: ClaimRow; undoUntil: number | null }
  /** Nothing has changed. */
  | { status: 'refused'; why: string }
  | { status: 'unknown' };

/** Open claims, handed out so that no two reviewers look at the same one; what they decide are steps of its case. */
export interface Reviews {
  /** What this reviewer holds, filled up to so many. */
  next(who: Reviewer, hold: number): Promise<{ locks: ReviewLock[]; waiting: number; open: number }>;
  /** A sign of life: all that this reviewer holds, for longer. */
  heartbeat(who: Reviewer): Promise<ReviewLock[]>;
  /** Gives back these, or all. */
  release(who: Reviewer, claims: readonly string[] | null): Promise<ReviewLock[]>;
  decide(who: Reviewer, claim: string, wanted: ReviewDecision): Promise<ReviewOutcome>;
  /** Takes the reviewer's own decision back: the claim is open again, and held. */
  undo(who: Reviewer, claim: string): Promise<ReviewOutcome>;
}

export function createReviews(deps: { database: Database; cases: Cases; ledger: Ledger; clock: Clock }): Reviews {
  const { database, cases, ledger, clock } = deps;
  const db = database.postgres;

  const answerOf = (outcome: StepOutcome): ReviewOutcome => {
    if (outcome.status === 'refused') return { status: 'refused', why: outcome.why };
    if (outcome.status === 'unknown') return outcome;
    const claim = outcome.claims[0]!;
    return { status: 'done', claim, undoUntil: undoUntil(claim) };
  };

  /** Somebody else shall see it: said in the case, so that its history tells who has looked. */
  const skip = (
    who: Reviewer,
    id: string,
    { reason, statement }: { reason: SkipReason; statement?: string | undefined },
  ) =>
    database.transaction(async (tx): Promise<ReviewOutcome> => {
      const found = await findClaim(tx, id);
      if (!found) return { status: 'unknown' };
      await lockUpload(tx, found.upload);
      const claim = (await findClaim(tx, id))!;
      if (claim.state !== 'open') return { status: 'refused', why: `the claim is ${claim.state}` };
      const now = clock.now();
      const content = { statement };
      const paper = statement?.trim() ? await savePaper(tx, { subject: claim.case, kind: 'skip', content, now }) : null;
      await ledger.note(tx, claim, { kind: 'skip', data: { reason, ...(paper ? { paper } : {}) } }, who.actor);
      await saveSkip(tx, { claim: id, reviewer: who.actor.id ?? who.seat, reason, at: now });
      return { status: 'done', claim, undoUntil: null };
    });

  return {
    async next(who, hold) {
      for (;;) {
        const now = clock.now();
        const held = await locksOf(db, who.seat, now);
        const count = Math.min(hold, MAX_HELD) - held.length;
        const about = { seat: who.seat, person: who.actor.id ?? who.seat, count, now, until: now + REVIEW_LOCK_MS };
        const { raced } =
          count > 0
            ? await takeLocks(db, { ...about, skippedSince: now - SKIPPED_MS, spreadSince: now - SPREAD_MS })
            : { raced: false };
        // Another one was quicker with some of them: what comes after those may still be had.
        if (raced) continue;
        const { waiting, open } = await countReviews(db, now);
        return { locks: await locksOf(db, who.seat, now), waiting, open };
      }
    },

    async heartbeat(who) {
      const now = clock.now();
      return renewLocks(db, who.seat, now, now + REVIEW_LOCK_MS);
    },

    async release(who, claims) {
      await releaseLocks(db, who.seat, claims);
      return locksOf(db, who.seat, clock.now());
    },

    async decide(who, claim, wanted) {
      const now = clock.now();
      // From here on nobody else gets it while this is under way.
      if (!(await keepLock(db, { claim, reviewer: who.seat, until: now + REVIEW_LOCK_MS }, now))) {
        const known = await findClaim(db, claim);
        if (!known) return { status: 'unknown' };
        return {
          status: 'refused',
          why: known.state === 'open' ? 'you do not hold it (any more)' : `it is ${known.state}`,
        };
      }
      const { decision, ...rest } = wanted;
      const outcome =
        decision === 'skip'
          ? await skip(who, claim, rest as { reason: SkipReason; statement?: string })
          : answerOf(await cases.take({ claim }, { do: decision, ...rest }, who.actor));
      await releaseLocks(db, who.seat, [claim]);
      return outcome;
    },

    async undo(who, id) {
      const claim = await findClaim(db, id);
      if (!claim) return { status: 'unknown' };
      const last = await lastCaseEvent(db, claim.case, id, ['take-down', 'dismiss', 'reopen']);
      if (last?.by.role !== who.actor.role || last.by.id !== who.actor.id)
        return { status: 'refused', why: 'somebody else decided it' };
      const outcome = answerOf(await cases.take({ claim: id }, { do: 'reopen' }, who.actor));
      if (outcome.status !== 'done') return outcome;
      const now = clock.now();
      await takeLock(db, { claim: id, reviewer: who.seat, until: now + REVIEW_LOCK_MS }, now);
      return outcome;
    },
  };
}
