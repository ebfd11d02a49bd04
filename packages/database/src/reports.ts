import { CANARY_HOLDER, type CLAIM_COUNTS, type Ground } from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';
import type { ActionRow } from './actions.ts';

interface Span {
  /** Milliseconds since 1970; `until` itself does not count. */
  from: number;
  until: number;
  /** Of one holder's claims only. */
  holder?: string | undefined;
}

/** None of these counts what canaries do. */

/** What became of the claims that were opened in a span, one row a ground that has any; see `ClaimCounts` of cases. */
export const claimCounts = (db: Queryable, { from, until, holder }: Span) =>
  db.query<{ ground: Ground } & Record<(typeof CLAIM_COUNTS)[number], number>>(
    `WITH own AS (
       SELECT c.*, procedure->'dispute' <> 'null' AS disputed, procedure->'counterNotice' <> 'null' AS countered,
         procedure->'complaint' <> 'null' AS complained,
         c.state IN ('reversed', 'put-back') AS lost,
         c.state IN ('disputed', 'appealed', 'counter-notice', 'waiting', 'court-hold')
           OR (procedure->'complaint' <> 'null' AND procedure->'complaint'->'decided' = 'null'
               AND c.state NOT IN ('reversed', 'put-back', 'withdrawn')) AS pending
       FROM claims c JOIN cases k ON k.id = c.case_id
       WHERE c.opened_at >= $1 AND c.opened_at < $2 AND ($3::text IS NULL OR k.holder = $3) AND k.holder <> $4)
     SELECT ground, count(*) AS claims,
       count(*) FILTER (WHERE procedure->>'takenDownAt' IS NOT NULL) AS takedowns,
       count(*) FILTER (WHERE (procedure->>'automatedDecision')::boolean) AS automated,
       count(*) FILTER (WHERE NOT coalesce((procedure->>'automatedDecision')::boolean, false)) AS reviewed,
       count(*) FILTER (WHERE state = 'dismissed') AS dismissed,
       count(*) FILTER (WHERE state = 'withdrawn') AS withdrawn,
       count(*) FILTER (WHERE disputed) AS disputes,
       count(*) FILTER (WHERE procedure->'appeal' <> 'null') AS appeals,
       count(*) FILTER (WHERE countered) AS "counterNotices",
       count(*) FILTER (WHERE complained) AS complaints,
       count(*) FILTER (WHERE disputed OR countered OR complained) AS contested,
       count(*) FILTER (WHERE (disputed OR countered OR complained) AND NOT pending AND state <> 'withdrawn') AS settled,
       count(*) FILTER (WHERE (disputed OR countered OR complained) AND lost) AS overturned
     FROM own GROUP BY ground ORDER BY ground`,
    [from, until, holder ?? null, CANARY_HOLDER],
  );
/** Milliseconds from arrival to the first takedown of an upload, of those taken down in a span. */
export async function takedownTimes(
  db: Queryable,
  { from, until, holder }: Span,
): Promise<{ median: number | null; p95: number | null }> {
  const [row] = await db.query<{ median: number | null; p95: number | null }>(
    `SELECT round(percentile_cont(0.5) WITHIN GROUP (ORDER BY ms))::bigint AS median,
            round(percentile_cont(0.95) WITHIN GROUP (ORDER BY ms))::bigint AS p95
     FROM (SELECT DISTINCT ON (upload) (event->'latency'->>'decidedAt')::double precision
             - (event->'latency'->>'receivedAt')::double precision AS ms, sent_at, event->>'holder' AS holder
           FROM actions WHERE action = 'takedown' ORDER BY upload, epoch) first
     WHERE sent_at >= $1 AND sent_at < $2 AND ($3::text IS NULL OR holder = $3) AND holder <> $4`,
    [from, until, holder ?? null, CANARY_HOLDER],
  );
  return row!;
}

/**
 * Takedowns in the order in which they were committed, from after one: none comes later that would stand before one of these. For exports
 * that go on where the last one ended. Null: that one is not known.
 */
export async function takedownsAfter(
  db: Queryable,
  after: string | null,
  limit: number,
): Promise<Pick<ActionRow, 'id' | 'event' | 'sentAt'>[] | null> {
  let from: number | null = null;
  if (after !== null) {
    const [known] = await db.query<{ seq: number | null }>('SELECT seq FROM actions WHERE id = $1', [after]);
    if (!known || known.seq === null) return null;
    from = known.seq;
  }
  return db.query(
    `SELECT id, event, sent_at AS "sentAt" FROM actions
     WHERE action = 'takedown' AND seq IS NOT NULL AND ($1::bigint IS NULL OR seq > $1) AND event->>'holder' <> $3
     ORDER BY seq LIMIT $2`,
    [from, limit, CANARY_HOLDER],
  );
}
