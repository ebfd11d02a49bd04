import type { Queryable } from '@vigil/runtime';

/** An open claim is held by one reviewer at a time. Times in milliseconds since 1970. */
export interface ReviewLock {
  claim: string;
  reviewer: string;
  until: number;
}

/** What this reviewer holds of claims that are still open, in the order of the queue. */
export const locksOf = (db: Queryable, reviewer: string, now: number): Promise<ReviewLock[]> =>
  db.query<ReviewLock>(
    `SELECT l.claim, l.reviewer, l.until FROM review_locks l JOIN claims c ON c.id = l.claim
     WHERE l.reviewer = $1 AND l.until > $2 AND c.state = 'open' ORDER BY l.taken_at, c.review_at, c.id`,
    [reviewer, now],
  );

/** Holds on to one claim for longer; false when this reviewer does not hold it now. */
export async function keepLock(db: Queryable, lock: ReviewLock, now: number): Promise<boolean> {
  const rows = await db.query(
    'UPDATE review_locks SET until = $3 WHERE claim = $1 AND reviewer = $2 AND until > $4 RETURNING claim',
    [lock.claim, lock.reviewer, lock.until, now],
  );
  return rows.length > 0;
}

/** Of the queue's head so many are looked at for reach. */
const HEAD = 64;
/** Each doubling of the accounts that share a reference moves its claims ahead by as much as this long of waiting. */
const REACH_MS = 2 * 3600_000;

/**
 * Takes the next open claims that nobody holds, and that this reviewer did not pass on since `skippedSince`. Among the first in the
 * queue those go ahead whose reference many accounts have shown since `spreadSince`. Two who ask at once never get the same: of
 * one claim one insert wins; `raced` tells the other that it got less than there was, and may ask again.
 */
export async function takeLocks(
  db: Queryable,
  about: {
    /** Who holds them, and who has passed some on. */
    seat: string;
    person: string;
    count: number;
    now: number;
    until: number;
    skippedSince: number;
    spreadSince: number;
  },
): Promise<{ raced: boolean }> {
  const { seat, person, count, now, until, skippedSince, spreadSince } = about;
  const [row] = await db.query<{ wanted: number; taken: number }>(
    `WITH head AS (
       SELECT c.id, c.review_at, c.reference FROM claims c
       WHERE c.state = 'open'
         AND NOT EXISTS (SELECT FROM review_locks l WHERE l.claim = c.id AND l.until > $3)
         AND NOT EXISTS (SELECT FROM review_skips s WHERE s.claim = c.id AND s.reviewer = $7 AND s.at > $5)
       ORDER BY c.review_at, c.id LIMIT ${HEAD}),
     wanted AS (
       SELECT h.id FROM head h CROSS JOIN LATERAL (
         SELECT count(DISTINCT k.account) AS accounts FROM (
           SELECT o.case_id FROM claims o WHERE o.reference = h.reference AND o.opened_at > $6 LIMIT 256) o
         JOIN cases k ON k.id = o.case_id) spread
       ORDER BY h.review_at - ${REACH_MS} * log(2, (1 + spread.accounts)::numeric), h.id LIMIT $2),
     taken AS (
       INSERT INTO review_locks AS l (claim, reviewer, taken_at, until) SELECT id, $1, $3, $4 FROM wanted ORDER BY id
       ON CONFLICT (claim) DO UPDATE SET reviewer = $1, taken_at = $3, until = $4 WHERE l.until <= $3
       RETURNING claim)
     SELECT (SELECT count(*) FROM wanted) AS wanted, (SELECT count(*) FROM taken) AS taken`,
    [seat, count, now, until, skippedSince, spreadSince, person],
  );
  return { raced: row!.wanted > row!.taken };
}

/** This claim, for this reviewer, whoever held it: after an undo. */
export async function takeLock(tx: Queryable, lock: ReviewLock, now: number): Promise<void> {
  await tx.query(
    `INSERT INTO review_locks (claim, reviewer, taken_at, until) VALUES ($1, $2, $3, $4)
     ON CONFLICT (claim) DO UPDATE SET reviewer = $2, taken_at = $3, until = $4`,
    [lock.claim, lock.reviewer, now, lock.until],
  );
}

/** All that this reviewer holds, for longer. What has run out meanwhile stays lost. */
export async function renewLocks(db: Queryable, reviewer: string, now: number, until: number): Promise<ReviewLock[]> {
  await db.query('UPDATE review_locks SET until = $3 WHERE reviewer = $1 AND until > $2', [reviewer, now, until]);
  return locksOf(db, reviewer, now);
}

/** Gives back some of what this reviewer holds, or all of it. */
export async function releaseLocks(db: Queryable, reviewer: string, claims: readonly string[] | null): Promise<void> {
  await db.query('DELETE FROM review_locks WHERE reviewer = $1 AND ($2::text[] IS NULL OR claim = ANY ($2))', [
    reviewer,
    claims,
  ]);
}

/** Of claims that somebody else decided, or that nobody looks at any more. */
export async function purgeLocks(db: Queryable, before: number): Promise<void> {
  await db.query('DELETE FROM review_locks WHERE until < $1', [before]);
}

export interface ReviewSkip {
  claim: string;
  reviewer: string;
  reason: string;
  at: number;
}

export async function saveSkip(tx: Queryable, { claim, reviewer, reason, at }: ReviewSkip): Promise<void> {
  await tx.query(
    `INSERT INTO review_skips (claim, reviewer, reason, at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (claim, reviewer) DO UPDATE SET reason = $3, at = $4`,
    [claim, reviewer, reason, at],
  );
}

export const skipsOf = (db: Queryable, claim: string): Promise<ReviewSkip[]> =>
  db.query<ReviewSkip>('SELECT claim, reviewer, reason, at FROM review_skips WHERE claim = $1 ORDER BY at', [claim]);

/** Open claims; those that somebody holds; the rest. */
export async function countReviews(
  db: Queryable,
  now: number,
): Promise<{ open: number; held: number; waiting: number }> {
  const [row] = await db.query<{ open: number; held: number }>(
    `SELECT (SELECT count(*) FROM claims WHERE state = 'open') AS open,
       (SELECT count(*) FROM review_locks l JOIN claims c ON c.id = l.claim
        WHERE l.until > $1 AND c.state = 'open') AS held`,
    [now],
  );
  const { open, held } = row!;
  return { open, held, waiting: open - held };
}

/** One line of the queue. `harm` is 0..1. */
export interface QueuedClaim {
  claim: string;
  case: string;
  upload: string;
  account: string | null;
  title: string;
  holder: string;
  openedAt: number;
  reviewAt: number;
  confidence: number | null;
  reviewer: string | null;
  heldUntil: number | null;
}

/** The queue in its order, held or not; `after` is the last one of the page before. */
export const listQueue = (
  db: Queryable,
  about: { now: number; after: [number, string] | null; limit: number },
): Promise<QueuedClaim[]> =>
  db.query<QueuedClaim>(
    `SELECT c.id AS claim, c.case_id AS "case", c.upload, k.account, coalesce(w.title, k.work) AS title, k.holder,
       c.opened_at AS "openedAt", c.review_at AS "reviewAt",
       (c.decision->'evidence'->>'confidence')::double precision AS confidence, l.reviewer, l.until AS "heldUntil"
     FROM claims c JOIN cases k ON k.id = c.case_id LEFT JOIN works w ON w.id = k.work
     LEFT JOIN review_locks l ON l.claim = c.id AND l.until > $1
     WHERE c.state = 'open' AND ($2::bigint IS NULL OR (c.review_at, c.id) > ($2, $3::text))
     ORDER BY c.review_at, c.id LIMIT $4`,
    [about.now, about.after?.[0] ?? null, about.after?.[1] ?? null, about.limit],
  );

/** Where a claim stands in the queue, and how many accounts have shown its reference since a time. */
export async function placeInQueue(
  db: Queryable,
  claim: string,
  since: number,
): Promise<{ reviewAt: number; accounts: number } | null> {
  const rows = await db.query<{ reviewAt: number; accounts: number }>(
    `SELECT c.review_at AS "reviewAt", (SELECT count(DISTINCT k.account) FROM (
         SELECT o.case_id FROM claims o WHERE o.reference = c.reference AND o.opened_at > $2 LIMIT 256) o
       JOIN cases k ON k.id = o.case_id) AS accounts
     FROM claims c WHERE c.id = $1`,
    [claim, since],
  );
  return rows[0] ?? null;
}
