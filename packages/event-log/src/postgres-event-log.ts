import { type Clock, type Logger, type Postgres, type Queryable, silentLogger } from '@vigil/runtime';
import { type Consumer, type EventLog, EventLogError, type PartitionEnds } from './event-log.ts';
import { createGate } from './gate.ts';
import { prepareAppend } from './postgres-append.ts';
import { type ConsumerSettings, startConsumer } from './postgres-consumer.ts';
import { guarded, guardedIteration } from './postgres-errors.ts';
import { maintainTopic } from './postgres-maintain.ts';
import { positionAt, readRange } from './postgres-read.ts';
import { migrate } from './postgres-schema.ts';
import { createTopics } from './postgres-topics.ts';
import { openWake, RECORDS_FROM_TRANSACTION } from './postgres-wake.ts';

export interface PostgresEventLogOptions extends Partial<ConsumerSettings> {
  /** Not closed with the log. Consumers keep their leases over it, so its pool must not be exhausted by others. */
  postgres: Postgres;
  /** For the times of records, retention and compaction. Default: the server's clock. */
  clock?: Pick<Clock, 'now'>;
  logger?: Logger;
  /** How long a tombstone of a compacted topic can be read. */
  tombstoneMs?: number;
}

const DEFAULTS: ConsumerSettings & { tombstoneMs: number } = {
  leaseMs: 10_000,
  pollMs: 1000,
  commitMs: 50,
  drainMs: 8000,
  patienceMs: 60_000,
  stallMs: 5 * 60_000,
  window: 256,
  prefetchBytes: 16 * 1024 * 1024,
  tombstoneMs: 24 * 3600 * 1000,
};

/**
 * A log in PostgreSQL tables that means what Kafka means. `append` joins a transaction of the caller's: a Queryable of
 * `postgres.transaction`. Open one log a process: records that are suspected of killing it run alone within one log.
 * @throws PostgresError when the database is out of reach or refuses to create the tables
 */
export async function openPostgresEventLog(options: PostgresEventLogOptions): Promise<EventLog> {
  const { postgres, clock, logger = silentLogger } = options;
  const settings = { ...DEFAULTS, ...options };
  await migrate(postgres);
  const wake = await openWake(postgres);
  const topics = createTopics(postgres);
  const gate = createGate();
  const closing = new AbortController();
  const consumers = new Set<Consumer>();

  const now = async (): Promise<number> => {
    if (clock) return clock.now();
    const sql = 'SELECT (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now';
    return (await postgres.query<{ now: number }>(sql))[0]!.now;
  };

  return {
    ensureTopics: (specs) => guarded(() => topics.ensure(specs)),

    append: (records, transaction) =>
      guarded(async () => {
        if (records.length === 0) return [];
        const append = await prepareAppend(records, topics.get);
        const at = clock?.now() ?? null;
        if (transaction !== undefined) {
          const tx = asQueryable(transaction);
          const positions = await append.run(tx, at);
          await tx.query(RECORDS_FROM_TRANSACTION, [append.topics]);
          return positions;
        }
        const positions = append.needsTransaction
          ? await postgres.transaction((tx) => append.run(tx, at))
          : await append.run(postgres, at);
        wake.records(append.topics);
        return positions;
      }),

    consume(consume) {
      const signal = AbortSignal.any([consume.signal, closing.signal]);
      const consumer = startConsumer({ postgres, topics, wake, gate, settings, logger }, { ...consume, signal });
      consumers.add(consumer);
      void consumer.done.catch(() => undefined).finally(() => consumers.delete(consumer));
      return consumer;
    },

    read: (topic, partition, from, to = Number.MAX_SAFE_INTEGER) =>
      guardedIteration(readRange(postgres, () => topics.get(topic), partition, from, to)),

    ends: (name) =>
      guarded(async () => {
        const topic = await topics.get(name);
        return postgres.query<PartitionEnds>(
          `SELECT $2 AS topic, partition, start_position AS start, next_position AS end
           FROM vigil_log_partition WHERE topic = $1 ORDER BY partition`,
          [topic.id, name],
        );
      }),

    offsetAt: (name, partition, time) =>
      guarded(async () => positionAt(postgres, (await topics.get(name)).id, partition, time)),

    committed: (group, name) =>
      guarded(async () => {
        const topic = await topics.get(name);
        return postgres.query<{ partition: number; offset: number | null }>(
          `SELECT p.partition, o.committed AS offset FROM vigil_log_partition p
           LEFT JOIN vigil_log_owner o ON o.group_name = $1 AND o.topic = p.topic AND o.partition = p.partition
           WHERE p.topic = $2 ORDER BY p.partition`,
          [group, topic.id],
        );
      }),

    maintain: () =>
      guarded(async () => {
        const at = await now();
        for (const topic of await topics.all()) await maintainTopic(postgres, topic, at, settings.tombstoneMs);
      }),

    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.allSettled([...consumers].map((consumer) => consumer.done));
      await wake[Symbol.asyncDispose]();
    },
  };
}

function asQueryable(transaction: unknown): Queryable {
  if (typeof (transaction as Partial<Queryable> | null)?.query === 'function') return transaction as Queryable;
  throw new EventLogError('only a transaction of PostgreSQL can be joined', { retriable: false });
}
