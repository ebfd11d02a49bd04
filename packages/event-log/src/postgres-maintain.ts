import type { Postgres, Queryable } from '@vigil/runtime';
import { positionAt } from './postgres-read.ts';
import type { Topic } from './postgres-topics.ts';

// The statements leave the planner no choice that matters (ARRAY is computed once, LATERAL ... OFFSET 0 once a key): these
// tables change faster than their statistics, and a plan made for an empty table is quadratic on a full one.

/** Rows that one transaction looks at, so that none holds its locks for long. */
const CHUNK = 10_000;

/** Retention and compaction of one topic. Several processes may do it at once: each partition is one's at a time. */
export async function maintainTopic(postgres: Postgres, topic: Topic, now: number, tombstoneMs: number): Promise<void> {
  for (let partition = 0; partition < topic.partitions; partition++) {
    if (topic.cleanup === 'compact') await compact(postgres, topic.id, partition, now - tombstoneMs);
    else if (topic.retentionMs !== null) await expire(postgres, topic.id, partition, now - topic.retentionMs);
  }
}

/** Runs `step` in transactions of its own until it says that it is done, or until another process turns out to be at it. */
async function inSteps(
  postgres: Postgres,
  topic: number,
  partition: number,
  step: (tx: Queryable) => Promise<boolean>,
) {
  for (let done = false; !done; ) {
    done = await postgres.transaction(async (tx) => {
      const [lock] = await tx.query<{ mine: boolean }>(
        `SELECT pg_try_advisory_xact_lock(hashtextextended('vigil_log_maintain', 0) # ($1::bigint << 32 | $2)) AS mine`,
        [topic, partition],
      );
      return lock?.mine ? step(tx) : true;
    });
  }
}

async function expire(postgres: Postgres, topic: number, partition: number, before: number): Promise<void> {
  const [oldest] = await postgres.query<{ time: number; left: boolean }>(
    `SELECT r.time, r.position < p.start_position AS left
     FROM vigil_log_record r JOIN vigil_log_partition p USING (topic, partition)
     WHERE topic = $1 AND partition = $2 ORDER BY r.position LIMIT 1`,
    [topic, partition],
  );
  // `left`: whoever moved the start may have died before he had removed the rows.
  if (!oldest || (oldest.time >= before && !oldest.left)) return;
  const start = await positionAt(postgres, topic, partition, before);
  await postgres.query(
    `UPDATE vigil_log_partition SET start_position = $3 WHERE topic = $1 AND partition = $2 AND start_position < $3`,
    [topic, partition, start],
  );
  await inSteps(postgres, topic, partition, async (tx) => {
    const gone = await tx.query(
      `DELETE FROM vigil_log_record WHERE topic = $1 AND partition = $2 AND position = ANY (ARRAY (
         SELECT position FROM vigil_log_record WHERE topic = $1 AND partition = $2 AND position < $3
         ORDER BY position LIMIT ${CHUNK}))
       RETURNING 1`,
      [topic, partition, start],
    );
    return gone.length < CHUNK;
  });
}

/**
 * Goes over what came since the last time; whatever is older than a newer record of its key goes. A tombstone stays for a
 * grace period, so that those who read along see it. The last record of a partition always stays: the end of what can be
 * read is then the end.
 */
async function compact(postgres: Postgres, topic: number, partition: number, before: number): Promise<void> {
  let removed = 0;
  await inSteps(postgres, topic, partition, async (tx) => {
    const [range] = await tx.query<{ from: number; to: number; last: boolean }>(
      `SELECT compacted_to AS from, least(next_position, compacted_to + ${CHUNK}) AS to,
              next_position <= compacted_to + ${CHUNK} AS last
       FROM vigil_log_partition WHERE topic = $1 AND partition = $2`,
      [topic, partition],
    );
    if (!range || range.from >= range.to) return true;
    const gone = await tx.query(
      `DELETE FROM vigil_log_record WHERE topic = $1 AND partition = $2 AND position = ANY (ARRAY (
         SELECT older.position FROM (
           SELECT key, max(position) AS newest FROM vigil_log_record
           WHERE topic = $1 AND partition = $2 AND position >= $3 AND position < $4 GROUP BY key
         ) d CROSS JOIN LATERAL (
           SELECT position FROM vigil_log_record
           WHERE topic = $1 AND partition = $2 AND keyed AND key = d.key AND position < d.newest
           ORDER BY position OFFSET 0
         ) older))
       RETURNING 1`,
      [topic, partition, range.from, range.to],
    );
    removed += gone.length;
    await tx.query('UPDATE vigil_log_partition SET compacted_to = $3 WHERE topic = $1 AND partition = $2', [
      topic,
      partition,
      range.to,
    ]);
    return range.last;
  });
  await inSteps(postgres, topic, partition, async (tx) => {
    const gone = await tx.query(
      `DELETE FROM vigil_log_record WHERE topic = $1 AND partition = $2 AND position = ANY (ARRAY (
         SELECT r.position FROM vigil_log_record r JOIN vigil_log_partition p USING (topic, partition)
         WHERE topic = $1 AND partition = $2 AND r.keyed AND r.value IS NULL AND r.time < $3
           AND r.position < p.compacted_to AND r.position < p.next_position - 1
         ORDER BY r.position LIMIT ${CHUNK}))
       RETURNING 1`,
      [topic, partition, before],
    );
    removed += gone.length;
    return gone.length < CHUNK;
  });
  if (removed === 0) return;
  await postgres.query(
    `UPDATE vigil_log_partition SET start_position = coalesce(
       (SELECT min(position) FROM vigil_log_record WHERE topic = $1 AND partition = $2), start_position)
     WHERE topic = $1 AND partition = $2`,
    [topic, partition],
  );
}
