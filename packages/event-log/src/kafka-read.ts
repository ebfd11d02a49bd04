import { EventLogError, type LogRecord } from './event-log.ts';
import type { Cluster, KafkaMessage } from './kafka-client.ts';
import { typeOf } from './kafka-errors.ts';
import { fromOffset, toOffset, toRecord } from './kafka-records.ts';

const FETCH = { maxWaitTime: 500, minBytes: 1, bytes: 4 * 1024 * 1024, bytesEach: 64 * 1024 };
const READ_COMMITTED = 1;
const ATTEMPTS = 6;

interface Fetched {
  messages: (KafkaMessage & {
    isControlRecord?: boolean;
    batchContext?: { producerId: string; inTransaction: boolean };
  })[];
  abortedTransactions?: { producerId: string; firstOffset: string }[];
}
export interface Bounds {
  start: number;
  end: number;
}

/** Fetches without belonging to any group: nobody waits for a join, and nothing is left behind on the broker. */
export async function* readRange(
  cluster: Cluster,
  { topic, partition }: { topic: string; partition: number },
  from: number,
  to: number,
  bounds: () => Promise<Bounds>,
): AsyncGenerator<LogRecord> {
  const { start, end: now } = await bounds();
  const end = Math.min(to, now);
  for (let at = Math.max(from, start); at < end; ) {
    // Of a few records only so much is asked for; the broker gives one batch at least.
    const bytes = Math.min(FETCH.bytes, (end - at) * FETCH.bytesEach);
    const { messages, abortedTransactions } = await fetchFrom(cluster, { topic, partition }, at, bytes, async () => {
      at = Math.max(at, (await bounds()).start);
      return at;
    });
    // Nothing below the end: what is there belongs to a transaction that is still open.
    const last = messages.at(-1);
    if (!last) return;
    for (const message of committed({ messages, ...(abortedTransactions ? { abortedTransactions } : {}) })) {
      const offset = toOffset(message.offset);
      if (offset >= end) return;
      if (offset >= at) yield toRecord(topic, partition, message);
    }
    at = Math.max(at, toOffset(last.offset) + 1);
  }
}

async function fetchFrom(
  cluster: Cluster,
  { topic, partition }: { topic: string; partition: number },
  from: number,
  bytes: number,
  removed: () => Promise<number>,
): Promise<Fetched> {
  let at = from;
  for (let attempt = 1; ; attempt++) {
    try {
      if (!cluster.isConnected()) await cluster.connect();
      await cluster.addTargetTopic(topic);
      const [nodeId] = Object.keys(cluster.findLeaderForPartitions(topic, [partition]));
      if (nodeId === undefined)
        throw new EventLogError(`${topic}/${partition} has no leader, or is none of its partitions`, {
          retriable: true,
        });
      const broker = await cluster.findBroker({ nodeId });
      const answer = (await broker.fetch({
        isolationLevel: READ_COMMITTED,
        maxWaitTime: FETCH.maxWaitTime,
        minBytes: FETCH.minBytes,
        maxBytes: bytes,
        topics: [{ topic, partitions: [{ partition, fetchOffset: fromOffset(at), maxBytes: bytes }] }],
        rackId: '',
      })) as { responses: { partitions: Fetched[] }[] };
      return answer.responses[0]?.partitions[0] ?? { messages: [] };
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      if (typeOf(error) === 'OFFSET_OUT_OF_RANGE') at = await removed();
      else {
        await new Promise((resolve) => setTimeout(resolve, 50 * 2 ** attempt));
        await cluster.refreshMetadata().catch(() => undefined);
      }
    }
  }
}

/** Without control records and what was aborted, as read_committed asks of a client (Kafka's Fetcher does the same). */
function* committed({ messages, abortedTransactions = [] }: Fetched): Generator<KafkaMessage> {
  const waiting = abortedTransactions
    .map((one) => ({ ...one, at: toOffset(one.firstOffset) }))
    .sort((a, b) => a.at - b.at);
  const aborted = new Set<string>();
  for (const message of messages) {
    const offset = toOffset(message.offset);
    while (waiting[0] && waiting[0].at <= offset) aborted.add(waiting.shift()!.producerId);
    const { producerId, inTransaction } = message.batchContext ?? { producerId: '', inTransaction: false };
    if (message.isControlRecord) aborted.delete(producerId);
    else if (!(inTransaction && aborted.has(producerId))) yield message;
  }
}
