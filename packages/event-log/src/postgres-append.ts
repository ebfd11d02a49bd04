import { placeOf } from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';
import { checkRecord } from './check-records.ts';
import type { NewRecord, Position } from './event-log.ts';
import type { Topic } from './postgres-topics.ts';

/** One statement carries no more than this; larger appends are several statements of one transaction. */
const STATEMENT_RECORDS = 5000;
const STATEMENT_BYTES = 8 * 1024 * 1024;

interface Placed {
  record: NewRecord;
  topic: Topic;
  partition: number;
}

export interface PreparedAppend {
  topics: readonly string[];
  /** True when more than one statement is needed, so that only a transaction makes it all or nothing. */
  needsTransaction: boolean;
  run(on: Queryable, now: number | null): Promise<Position[]>;
}

/** @throws EventLogError, not retriable, when one of the records is condemned; nothing is appended then. */
export async function prepareAppend(
  records: readonly NewRecord[],
  topicOf: (name: string) => Promise<Topic>,
): Promise<PreparedAppend> {
  const placed: Placed[] = [];
  for (const record of records) {
    const topic = await topicOf(record.topic);
    checkRecord(record, topic);
    placed.push({ record, topic, partition: placeOf(record.key, topic.partitions) });
  }
  const chunks = split(placed);
  return {
    topics: [...new Set(records.map((r) => r.topic))],
    needsTransaction: chunks.length > 1,
    async run(on, now) {
      // The first of several statements would lock only its own partitions, out of order with those of the next.
      if (chunks.length > 1) await lock(on, placed);
      const positions: Position[] = [];
      for (const chunk of chunks) positions.push(...(await insert(on, chunk, now)));
      return positions;
    },
  };
}

function split(placed: readonly Placed[]): Placed[][] {
  const chunks: Placed[][] = [];
  let bytes = Number.POSITIVE_INFINITY;
  for (const item of placed) {
    const size = item.record.value?.length ?? 0;
    const last = chunks.at(-1);
    if (last && last.length < STATEMENT_RECORDS && bytes + size <= STATEMENT_BYTES) {
      last.push(item);
      bytes += size;
    } else {
      chunks.push([item]);
      bytes = size;
    }
  }
  return chunks;
}

async function lock(on: Queryable, placed: readonly Placed[]): Promise<void> {
  // Leaves alone what the caller's transaction has set: whoever stops in here must not hold the locks for ever.
  await on.query(
    `SELECT set_config('idle_in_transaction_session_timeout', '30s', true)
     WHERE current_setting('idle_in_transaction_session_timeout') = '0'`,
  );
  await on.query(
    `SELECT 1 FROM vigil_log_partition p
     WHERE (topic, partition) IN (SELECT * FROM unnest($1::int[], $2::int[]))
     ORDER BY topic, partition FOR NO KEY UPDATE`,
    [placed.map((p) => p.topic.id), placed.map((p) => p.partition)],
  );
}

/**
 * Takes the locks in sorted order (appenders cannot deadlock within one append), offsets from the locked rows, and times
 * that never fall within a partition. The values travel as one binary parameter and are cut up by the server: an array of
 * bytea would be sent as text of twice the size.
 */
const INSERT = `
  WITH input AS MATERIALIZED (
    SELECT i.*, row_number() OVER (PARTITION BY topic, partition ORDER BY nth) - 1 AS rank
    FROM unnest($1::int[], $2::int[], $3::text[], $4::text[], $5::int[], $6::int[], $7::boolean[])
      WITH ORDINALITY AS i (topic, partition, key, headers, at, length, keyed, nth)
  ), counted AS (
    SELECT topic, partition, count(*) AS n FROM input GROUP BY topic, partition
  ), locked AS MATERIALIZED (
    SELECT p.topic, p.partition, c.n FROM vigil_log_partition p JOIN counted c USING (topic, partition)
    ORDER BY p.topic, p.partition FOR NO KEY UPDATE OF p
  ), taken AS (
    UPDATE vigil_log_partition p
    SET next_position = p.next_position + l.n,
        last_time = greatest(p.last_time, coalesce($9::bigint, extract(epoch FROM clock_timestamp()) * 1000)::bigint)
    FROM locked l WHERE p.topic = l.topic AND p.partition = l.partition
    RETURNING p.topic, p.partition, p.next_position - l.n AS base, p.last_time AS time
  ), stored AS (
    INSERT INTO vigil_log_record (topic, partition, position, time, size, keyed, key, headers, value)
    SELECT i.topic, i.partition, t.base + i.rank, t.time, greatest(i.length, 0), i.keyed, i.key, i.headers,
           CASE WHEN i.length >= 0 THEN substring($8::bytea FROM i.at FOR i.length) END
    FROM input i JOIN taken t USING (topic, partition)
  )
  SELECT t.base + i.rank AS position FROM input i JOIN taken t USING (topic, partition) ORDER BY i.nth`;

async function insert(on: Queryable, chunk: readonly Placed[], now: number | null): Promise<Position[]> {
  const values: Uint8Array[] = [];
  const at: number[] = [];
  const lengths: number[] = [];
  let end = 1;
  for (const { record } of chunk) {
    at.push(end);
    lengths.push(record.value?.length ?? -1);
    if (record.value) values.push(record.value);
    end += record.value?.length ?? 0;
  }
  const rows = await on.query<{ position: number }>(INSERT, [
    chunk.map((p) => p.topic.id),
    chunk.map((p) => p.partition),
    chunk.map((p) => p.record.key),
    chunk.map((p) => JSON.stringify(p.record.headers)),
    at,
    lengths,
    chunk.map((p) => p.topic.cleanup === 'compact'),
    Buffer.concat(values),
    now,
  ]);
  return chunk.map(({ topic, partition }, i) => ({ topic: topic.name, partition, offset: rows[i]!.position }));
}
