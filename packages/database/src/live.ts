import { CANARY_HOLDER } from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';

/** Notified with "<case>/<seq>" by each link of a chain, and with "<reference>/<version>" when a reference changes its state. */
export const CASES_CHANNEL = 'vigil_cases';
export const REFERENCES_CHANNEL = 'vigil_references';

/**
 * What just happened, as the live view counts it. Of all but the canary's holder, whose takedowns are nobody's; or of one holder, who
 * is not told of uploads and verdicts.
 */
export interface LiveFigures {
  /** In the last minute. */
  uploads: number | null;
  verdicts: number | null;
  takedowns: number;
  /** Milliseconds from an upload's event to its first takedown, of those that rules decided in the last quarter of an hour. */
  takedown: { p50: number | null; p95: number | null; count: number };
  cases: { open: number; contested: number };
  unacknowledged: number | null;
}

/** Whose it is, where $2 is the holder that is asked for, if any, and $3 the canary's. */
const ofHolder = (holder: string) => `CASE WHEN $2::text IS NULL THEN ${holder} <> $3 ELSE ${holder} = $2 END`;

const MINUTE_MS = 60_000;
const QUARTER_MS = 15 * MINUTE_MS;

export async function liveFigures(
  db: Queryable,
  { now, holder }: { now: number; holder: string | null },
): Promise<LiveFigures> {
  const [row] = await db.query<{
    uploads: number | null;
    verdicts: number | null;
    takedowns: number;
    p50: number | null;
    p95: number | null;
    count: number;
    open: number;
    contested: number;
    unacknowledged: number | null;
  }>(
    `WITH taken AS (SELECT sent_at, epoch, event FROM actions
       WHERE action = 'takedown' AND sent_at > $1::bigint - ${QUARTER_MS} AND ${ofHolder("event->>'holder'")}),
     times AS (SELECT (event->'latency'->>'decidedAt')::double precision
         - (event->'latency'->>'receivedAt')::double precision AS ms
       FROM taken WHERE epoch = 0 AND (event->>'automatedDecision')::boolean)
     SELECT
       CASE WHEN $2::text IS NULL THEN (SELECT count(*) FROM uploads WHERE received_at > $1::bigint - ${MINUTE_MS}) END AS uploads,
       CASE WHEN $2::text IS NULL THEN (SELECT count(*) FROM verdicts WHERE decided_at > $1::bigint - ${MINUTE_MS}) END AS verdicts,
       (SELECT count(*) FROM taken WHERE sent_at > $1::bigint - ${MINUTE_MS}) AS takedowns,
       (SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms))::bigint FROM times) AS p50,
       (SELECT round(percentile_cont(0.95) WITHIN GROUP (ORDER BY ms))::bigint FROM times) AS p95,
       (SELECT count(*) FROM times) AS count,
       (SELECT count(*) FROM cases WHERE state = 'open' AND ${ofHolder('holder')}) AS open,
       (SELECT count(*) FROM cases WHERE state = 'contested' AND ${ofHolder('holder')}) AS contested,
       CASE WHEN $2::text IS NULL THEN (SELECT count(*) FROM actions WHERE closed_at IS NULL) END AS unacknowledged`,
    [now, holder, CANARY_HOLDER],
  );
  const { uploads, verdicts, takedowns, p50, p95, count, open, contested, unacknowledged } = row!;
  return {
    ...{ uploads, verdicts, takedowns, unacknowledged },
    takedown: { p50, p95, count },
    cases: { open, contested },
  };
}

/** How many there were in each of so many whole minutes from a time on, oldest first. */
export async function liveMinutes(
  db: Queryable,
  { from, minutes, holder }: { from: number; minutes: number; holder: string | null },
): Promise<{ uploads: number[]; verdicts: number[]; takedowns: number[] }> {
  const rows = await db.query<{ what: 'uploads' | 'verdicts' | 'takedowns'; minute: number; count: number }>(
    `SELECT what, ((at - $1::bigint) / ${MINUTE_MS})::int AS minute, count(*) FROM (
       SELECT 'uploads' AS what, received_at AS at FROM uploads
         WHERE $2::text IS NULL AND received_at >= $1 AND received_at < $4
       UNION ALL SELECT 'verdicts', decided_at FROM verdicts
         WHERE $2::text IS NULL AND decided_at >= $1 AND decided_at < $4
       UNION ALL SELECT 'takedowns', sent_at FROM actions
         WHERE action = 'takedown' AND sent_at >= $1 AND sent_at < $4 AND ${ofHolder("event->>'holder'")}) x
     GROUP BY 1, 2`,
    [from, holder, CANARY_HOLDER, from + minutes * MINUTE_MS],
  );
  const empty = () => new Array<number>(minutes).fill(0);
  const counts = { uploads: empty(), verdicts: empty(), takedowns: empty() };
  for (const { what, minute, count } of rows) counts[what][minute] = count;
  return counts;
}

export interface HappenedInCase {
  case: string;
  seq: number;
  at: number;
  kind: string;
  claim: string | null;
  holder: string;
}

/** Links of chains by their names, "<case>/<seq>". */
export const happenedInCases = (db: Queryable, names: readonly string[]): Promise<HappenedInCase[]> =>
  db.query<HappenedInCase>(
    `SELECT e.case_id AS "case", e.seq, e.at, e.kind, e.claim, k.holder
     FROM unnest($1::text[], $2::int[]) AS n (case_id, seq)
     JOIN case_events e USING (case_id, seq) JOIN cases k ON k.id = e.case_id ORDER BY e.at, e.case_id, e.seq`,
    [names.map((n) => n.slice(0, n.lastIndexOf('/'))), names.map((n) => Number(n.slice(n.lastIndexOf('/') + 1)))],
  );

/** Where the outbox ends now, and what of these topics came after a place, in order. */
export async function outboxEnd(db: Queryable): Promise<number> {
  const [row] = await db.query<{ seq: number }>('SELECT seq FROM outbox_head');
  return row!.seq;
}
export const outboxAfter = (
  db: Queryable,
  after: number,
  limit: number,
): Promise<{ seq: number; topic: string; value: Uint8Array | null; createdAt: number }[]> =>
  db.query('SELECT seq, topic, value, created_at AS "createdAt" FROM outbox WHERE seq > $1 ORDER BY seq LIMIT $2', [
    after,
    limit,
  ]);
