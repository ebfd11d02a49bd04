import { type Logger, silentLogger } from '@vigil/runtime';
import { type Consumer, type EventLog, EventLogError } from './event-log.ts';
import { createGate } from './gate.ts';
import { append } from './kafka-append.ts';
import {
  type Admin,
  type ClientNews,
  type Cluster,
  createClient,
  type KafkaConnection,
  type Producer,
} from './kafka-client.ts';
import { type ConsumerSettings, startConsumer } from './kafka-consumer.ts';
import { asked, guarded, typeOf, within } from './kafka-errors.ts';
import { type Bounds, readRange } from './kafka-read.ts';
import { toOffset } from './kafka-records.ts';
import { createTopics } from './kafka-topics.ts';

export interface KafkaEventLogOptions extends KafkaConnection, Partial<ConsumerSettings> {
  /** Names this program to the cluster; consumers add something of their own to it. */
  clientId: string;
  /** Copies of each partition of the topics that it creates. Default: what the cluster does by default. */
  replicas?: number;
  logger?: Logger;
}

/**
 * A killed process is noticed after `sessionMs`; the others hear of it within `heartbeatMs` and have joined again, read
 * where to begin and begun after some hundred milliseconds more: 13 s in all, of the 30 s that a slice may be late.
 */
const DEFAULTS: ConsumerSettings = {
  sessionMs: 10_000,
  heartbeatMs: 2000,
  rebalanceMs: 10_000,
  maxWaitMs: 500,
  commitMs: 1000,
  drainMs: 8000,
  patienceMs: 60_000,
  auditMs: 15_000,
  stallMs: 5 * 60_000,
  window: 256,
  prefetchBytes: 16 * 1024 * 1024,
};

/**
 * The log on Kafka (tried on 4.3.1). Connects when it is first used. Appends of one call are not all or nothing, and join no
 * transaction. Open one log a process: records that are suspected of killing it run alone within one log.
 */
export function openKafkaEventLog(options: KafkaEventLogOptions): EventLog {
  const { clientId, logger = silentLogger } = options;
  const settings = { ...DEFAULTS, ...options };
  const connect = (name: string, news?: ClientNews) => createClient(options, name, logger, news);
  const client = connect(clientId);
  const closing = new AbortController();
  const consumers = new Set<Consumer>();
  const admin = once(async () => connected(client.admin()));
  const producer = once(async () => connected(client.producer()));
  const cluster = once(async () => connected(client.cluster()));
  const topics = createTopics(admin.get, options.replicas ?? -1);
  const gate = createGate();

  /**
   * kafkajs asks for the metadata of every topic that a connection has ever used, all at once: one that was deleted makes
   * all others fail, for ever. So what has met one is not used again.
   */
  const fresh = async <T>(work: () => Promise<T>): Promise<T> => {
    try {
      return await work();
    } catch (error) {
      if (typeOf(error) === 'UNKNOWN_TOPIC_OR_PARTITION') {
        topics.forget();
        for (const one of [producer, admin, cluster]) void close(one.forget());
      }
      throw error;
    }
  };
  const ask = <T>(work: () => Promise<T>): Promise<T> => asked(() => fresh(work));
  const close = (opened: Promise<{ disconnect(): Promise<void> }> | undefined): Promise<unknown> | undefined =>
    opened?.then((one) => within(one.disconnect(), settings.drainMs)).catch(() => undefined);

  const boundsOf = async (topic: string): Promise<({ partition: number } & Bounds)[]> => {
    await topics.get(topic);
    const offsets = await (await admin.get()).fetchTopicOffsets(topic);
    return offsets
      .map(({ partition, low, high }) => ({ partition, start: toOffset(low), end: toOffset(high) }))
      .sort((a, b) => a.partition - b.partition);
  };

  return {
    ensureTopics: (specs) => ask(() => topics.ensure(specs)),

    append: (records, transaction) =>
      guarded(async () => {
        if (transaction !== undefined)
          throw new EventLogError('Kafka cannot join a transaction: write to an outbox, and relay it', {
            retriable: false,
          });
        return records.length === 0 ? [] : fresh(async () => append(records, topics, await producer.get()));
      }),

    consume(consume) {
      const signal = AbortSignal.any([consume.signal, closing.signal]);
      const parts = { clientId, connect, admin: admin.get, fresh, topics, gate, settings, logger };
      const consumer = startConsumer(parts, { ...consume, signal });
      consumers.add(consumer);
      void consumer.done.catch(() => undefined).finally(() => consumers.delete(consumer));
      return consumer;
    },

    read(topic, partition, from, to = Number.MAX_SAFE_INTEGER) {
      const bounds = async () => {
        const found = (await boundsOf(topic)).find((one) => one.partition === partition);
        return found ?? { start: 0, end: 0 };
      };
      // The end is the one of this moment, not of the first record that is asked for.
      const first = ask(bounds);
      first.catch(() => undefined);
      let times = 0;
      const next = () => (times++ === 0 ? first : ask(bounds));
      return (async function* () {
        try {
          yield* readRange(await cluster.get(), { topic, partition }, from, to, next);
        } catch (error) {
          await guarded(() => Promise.reject(error));
        }
      })();
    },

    ends: (topic) =>
      ask(async () => (await boundsOf(topic)).map(({ partition, start, end }) => ({ topic, partition, start, end }))),

    offsetAt: (topic, partition, time) =>
      ask(async () => {
        await topics.get(topic);
        const found = await (await admin.get()).fetchTopicOffsetsByTimestamp(topic, Math.max(0, Math.floor(time)));
        return toOffset(found.find((one) => one.partition === partition)?.offset ?? '0');
      }),

    committed: (group, topic) =>
      ask(async () => {
        await topics.get(topic);
        const [found] = await (await admin.get()).fetchOffsets({ groupId: group, topics: [topic] });
        return (found?.partitions ?? [])
          .map(({ partition, offset }) => ({ partition, offset: Number(offset) < 0 ? null : toOffset(offset) }))
          .sort((a, b) => a.partition - b.partition);
      }),

    maintain: async () => undefined,

    async [Symbol.asyncDispose]() {
      closing.abort();
      await Promise.allSettled([...consumers].map((consumer) => consumer.done));
      await Promise.all([producer, admin, cluster].map((one) => close(one.forget())));
    },
  };
}

interface Lazy<T> {
  get(): Promise<T>;
  /** The next one that is asked for is a new one; returns the old one. */
  forget(): Promise<T> | undefined;
}

/** Opened when first asked for; what failed to open is tried again by the next who asks. */
function once<T extends Admin | Producer | Cluster>(open: () => Promise<T>): Lazy<T> {
  let opening: Promise<T> | undefined;
  return {
    get() {
      opening ??= open().catch((error) => {
        opening = undefined;
        throw error;
      });
      return opening;
    },
    forget() {
      const old = opening;
      opening = undefined;
      return old;
    },
  };
}

async function connected<T extends { connect(): Promise<void> }>(one: T): Promise<T> {
  await one.connect();
  return one;
}
