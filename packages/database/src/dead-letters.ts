import type { Queryable } from '@vigil/runtime';

export type DeadState = 'open' | 'retried' | 'dropped';

/** An event that could not be handled, as it lies on its dead topic, and what became of it. */
export interface DeadLetter {
  topic: string;
  partition: number;
  offset: number;
  key: string;
  stage: string;
  reason: string;
  cause: string;
  diedAt: number;
  state: DeadState;
  /** The letter (`topic/partition/offset`) that was tried again, and died again as this one. */
  retryOf: string | null;
  settledAt: number | null;
  settledBy: string | null;
  why: string | null;
}

/** Letters that died of the same thing. */
export interface DeadCause {
  cause: string;
  topic: string;
  stage: string;
  /** Of the newest. */
  reason: string;
  open: number;
  retried: number;
  dropped: number;
  first: number;
  last: number;
}

/** Which letters are meant; all that are given must hold. */
export interface DeadWhich {
  cause?: string | undefined;
  topic?: string | undefined;
  /** Some words of the reason. */
  reason?: string | undefined;
  letter?: Pick<DeadLetter, 'topic' | 'partition' | 'offset'> | undefined;
  state?: DeadState | undefined;
}

export async function deadPlaces(db: Queryable): Promise<{ topic: string; partition: number; next: number }[]> {
  return db.query('SELECT topic, partition, next FROM dead_places');
}

/** How many are open of each partition's letters that were read, up to `next`. */
export async function openLetters(
  db: Queryable,
): Promise<{ topic: string; partition: number; next: number; open: number }[]> {
  return db.query(
    `SELECT p.topic, p.partition, p.next, (SELECT count(*) FROM dead_letters d
       WHERE d.topic = p.topic AND d.partition = p.partition AND d.state = 'open') AS open FROM dead_places p`,
  );
}

/** Letters as they were found on one partition, read up to `next`. Saying it again changes nothing. */
export async function addDeadLetters(
  tx: Queryable,
  place: { topic: string; partition: number; next: number },
  letters: readonly Pick<DeadLetter, 'offset' | 'key' | 'stage' | 'reason' | 'cause' | 'diedAt' | 'retryOf'>[],
): Promise<void> {
  await tx.query(
    `INSERT INTO dead_letters (topic, partition, position, key, stage, reason, cause, died_at, retry_of)
     SELECT $1, $2, l.* FROM unnest($3::bigint[], $4::text[], $5::text[], $6::text[], $7::text[], $8::bigint[], $9::text[])
       AS l (position, key, stage, reason, cause, died_at, retry_of) ON CONFLICT DO NOTHING`,
    [
      place.topic,
      place.partition,
      letters.map((l) => l.offset),
      letters.map((l) => l.key),
      letters.map((l) => l.stage),
      letters.map((l) => l.reason.replaceAll('\0', '')),
      letters.map((l) => l.cause),
      letters.map((l) => l.diedAt),
      letters.map((l) => l.retryOf),
    ],
  );
  await tx.query(
    `INSERT INTO dead_places (topic, partition, next) VALUES ($1, $2, $3)
     ON CONFLICT (topic, partition) DO UPDATE SET next = greatest(dead_places.next, $3)`,
    [place.topic, place.partition, place.next],
  );
}

const WHICH = `($1::text IS NULL OR cause = $1) AND ($2::text IS NULL OR topic = $2)
  AND ($3::text IS NULL OR position(lower($3) IN lower(reason)) > 0)
  AND ($4::text IS NULL OR (topic = $4 AND partition = $5 AND position = $6)) AND ($7::text IS NULL OR state = $7)`;
const whichParams = ({ cause, topic, reason, letter, state }: DeadWhich) => [
  cause ?? null,
  topic ?? null,
  reason ?? null,
  letter?.topic ?? null,
  letter?.partition ?? null,
  letter?.offset ?? null,
  state ?? null,
];

/** The cause of the most recent death first. */
export const deadCauses = (db: Queryable, which: DeadWhich = {}): Promise<DeadCause[]> =>
  db.query<DeadCause>(
    `SELECT cause, topic, stage, (array_agg(reason ORDER BY died_at DESC))[1] AS reason,
       count(*) FILTER (WHERE state = 'open') AS open, count(*) FILTER (WHERE state = 'retried') AS retried,
       count(*) FILTER (WHERE state = 'dropped') AS dropped, min(died_at) AS first, max(died_at) AS last
     FROM dead_letters WHERE ${WHICH} GROUP BY cause, topic, stage ORDER BY last DESC, cause`,
    whichParams(which),
  );

/** In the order of their deaths, beginning after a letter. */
export const deadLetters = (
  db: Queryable,
  which: DeadWhich,
  limit = 100,
  after: Pick<DeadLetter, 'diedAt' | 'topic' | 'partition' | 'offset'> | null = null,
): Promise<DeadLetter[]> =>
  db.query<DeadLetter>(
    `SELECT topic, partition, position AS "offset", key, stage, reason, cause, died_at AS "diedAt", state, retry_of AS "retryOf",
       settled_at AS "settledAt", settled_by AS "settledBy", why FROM dead_letters
     WHERE ${WHICH} AND ($8::bigint IS NULL OR (died_at, topic, partition, position) > ($8, $9::text, $10::int, $11::bigint))
     ORDER BY died_at, topic, partition, position LIMIT $12`,
    [
      ...whichParams(which),
      ...(after ? [after.diedAt, after.topic, after.partition, after.offset] : [null, null, null, null]),
      limit,
    ],
  );

/** Only what is open can be settled: false when somebody else was first. */
export async function settleLetter(
  tx: Queryable,
  { topic, partition, offset }: Pick<DeadLetter, 'topic' | 'partition' | 'offset'>,
  how: { state: 'retried' | 'dropped'; by: string; why: string | null; now: number },
): Promise<boolean> {
  const rows = await tx.query(
    `UPDATE dead_letters SET state = $4, settled_at = $5, settled_by = $6, why = $7
     WHERE topic = $1 AND partition = $2 AND position = $3 AND state = 'open' RETURNING 1`,
    [topic, partition, offset, how.state, how.now, how.by, how.why],
  );
  return rows.length > 0;
}

/** Letters whose records are gone from the log by now. */
export async function purgeDeadLetters(db: Queryable, before: number): Promise<void> {
  await db.query('DELETE FROM dead_letters WHERE died_at < $1', [before]);
}
