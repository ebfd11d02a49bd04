import type { Postgres } from '@vigil/runtime';
import type { LogRecord } from './event-log.ts';
import type { Topic } from './postgres-topics.ts';

export interface Want {
  topic: number;
  partition: number;
  from: number;
  records: number;
  bytes: number;
}

interface Row {
  topic: number;
  partition: number;
  position: number;
  time: number;
  key: string;
  headers: string;
  value: Uint8Array | null;
}

/**
 * One round trip for all partitions. Of each: records from `from` on, as many as fit both bounds, but one at least. The
 * running sum reads the narrow column `size` only; values beyond the bound are never fetched from where they lie.
 */
const FETCH = `
  SELECT q.topic, q.partition, r.position, r.time, r.key, r.headers, r.value
  FROM unnest($1::int[], $2::int[], $3::bigint[], $4::int[], $5::bigint[]) AS q (topic, partition, lowest, records, bytes)
  JOIN vigil_log_partition p ON p.topic = q.topic AND p.partition = q.partition
  CROSS JOIN LATERAL (
    SELECT position, time, key, headers, value,
           sum(size) OVER (ORDER BY position ROWS UNBOUNDED PRECEDING) - size AS before
    FROM vigil_log_record
    WHERE topic = q.topic AND partition = q.partition AND position >= greatest(q.lowest, p.start_position)
    ORDER BY position LIMIT q.records
  ) r
  WHERE r.before < q.bytes
  ORDER BY q.topic, q.partition, r.position`;

/** Records in order of offset, by "topic id/partition". */
export async function fetchRecords(
  postgres: Postgres,
  wants: readonly Want[],
  nameOf: (topic: number) => string,
): Promise<Map<string, LogRecord[]>> {
  const rows = await postgres.query<Row>(FETCH, [
    wants.map((w) => w.topic),
    wants.map((w) => w.partition),
    wants.map((w) => w.from),
    wants.map((w) => w.records),
    wants.map((w) => w.bytes),
  ]);
  const found = new Map<string, LogRecord[]>();
  for (const { topic, partition, position, time, key, headers, value } of rows) {
    const place = `${topic}/${partition}`;
    const list = found.get(place) ?? [];
    if (list.length === 0) found.set(place, list);
    list.push({
      topic: nameOf(topic),
      partition,
      offset: position,
      time,
      key,
      headers: JSON.parse(headers),
      value,
    });
  }
  return found;
}

const BATCH = { records: 500, bytes: 4 * 1024 * 1024 };

/** The end is looked up now, the records as they are asked for. */
export function readRange(
  postgres: Postgres,
  topic: () => Promise<Topic>,
  partition: number,
  from: number,
  to: number,
): AsyncIterable<LogRecord> {
  const bounds = topic().then(async (found) => {
    const [row] = await postgres.query<{ end: number }>(
      'SELECT next_position AS end FROM vigil_log_partition WHERE topic = $1 AND partition = $2',
      [found.id, partition],
    );
    return { found, end: Math.min(to, row?.end ?? 0) };
  });
  // Whoever never iterates never hears of it.
  bounds.catch(() => undefined);
  return (async function* () {
    const { found, end } = await bounds;
    for (let at = from; at < end; ) {
      const want = { topic: found.id, partition, from: at, ...BATCH };
      const records = (await fetchRecords(postgres, [want], () => found.name)).get(`${found.id}/${partition}`) ?? [];
      for (const record of records) {
        if (record.offset >= end) return;
        yield record;
        at = record.offset + 1;
      }
      if (records.length === 0) return;
    }
  })();
}

/**
 * First position whose time is `time` or later, `end` when there is none. Times never fall within a partition, so a binary
 * search over the primary key does it: some 20 probes for a million records, and no index that every append would pay for.
 */
export async function positionAt(postgres: Postgres, topic: number, partition: number, time: number): Promise<number> {
  const [row] = await postgres.query<{ start: number; end: number }>(
    `SELECT start_position AS start, next_position AS end FROM vigil_log_partition WHERE topic = $1 AND partition = $2`,
    [topic, partition],
  );
  if (!row) return 0;
  // Everything before `low` is too old; the record at or after `high` (if any) is not.
  let { start: low, end: high } = row;
  while (low < high) {
    const middle = Math.floor((low + high) / 2);
    const [probe] = await postgres.query<{ position: number; time: number }>(
      `SELECT position, time FROM vigil_log_record WHERE topic = $1 AND partition = $2 AND position >= $3
       ORDER BY position LIMIT 1`,
      [topic, partition, middle],
    );
    if (!probe || probe.position >= high || probe.time >= time) high = middle;
    else low = probe.position + 1;
  }
  if (low === row.end) return low;
  const [first] = await postgres.query<{ position: number }>(
    `SELECT position FROM vigil_log_record WHERE topic = $1 AND partition = $2 AND position >= $3
     ORDER BY position LIMIT 1`,
    [topic, partition, low],
  );
  return first?.position ?? row.end;
}
