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
    batchContext?: { producerId: string; inTransaction: boolean; firstOffset: string; lastOffsetDelta: number };
  })[];
  abortedTransactions?: { producerId: string; firstOffset: string }[];
  /** Up to here whoever answered has all there is, and shows it. */
  lastStableOffset?: string;
}
export interface Bounds {
  start: number;
  end: number;
}

/**
 * Fetches without belonging to any group: nobody waits for a join, and nothing is left behind on the broker. It ends where `bounds`
 * said that the log does, or throws: what a broker does not give at this moment is no end.
 */
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
    const removed = async () => {
      at = Math.max(at, (await bounds()).start);
      return at;
    };
    const { messages, abortedTransactions } = await fetchFrom(cluster, { topic, partition }, at, end, bytes, removed);
    // Compaction has left none of the offsets up to the end.
    const last = messages.at(-1);
    if (!last) return;
    for (const message of committed({ messages, ...(abortedTransactions ? { abortedTransactions } : {}) })) {
      const offset = toOffset(message.offset);
      if (offset >= end) return;
      if (offset >= at) yield toRecord(topic, partition, message);
    }
    at = Math.max(at, lastOf(last) + 1);
  }
}

/** Of its batch, which may have lost its last records to compaction, and would be given once more to whoever asks for those. */
const lastOf = ({ offset, batchContext: batch }: Fetched['messages'][number]): number =>
  batch ? toOffset(batch.firstOffset) + batch.lastOffsetDelta : toOffset(offset);

/** Without messages only where there are none below `end` any more. */
async function fetchFrom(
  cluster: Cluster,
  { topic, partition }: { topic: string; partition: number },
  from: number,
  end: number,
  enough: number,
  removed: () => Promise<number>,
): Promise<Fetched> {
  let at = from;
  let bytes = enough;
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
      // A broker that throttles us names no partition at all (KIP-219), a leader that is new may not have heard of the end yet, and
      // what lies in a remote tier may come too late.
      const found = answer.responses[0]?.partitions[0];
      if (found && found.messages.length > 0) return found;
      // What is not given time and again, by a leader that shows all up to the end, is not there.
      if (attempt === ATTEMPTS && found && toOffset(found.lastStableOffset ?? '-1') >= end) return found;
      // Batches of which compaction has left nothing but their frame look the same: with more bytes comes what is behind them.
      bytes = FETCH.bytes;
      const text = `${topic}/${partition} gave nothing from ${at} on, below its end at ${end}`;
      throw new EventLogError(text, { retriable: true });
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
      if (typeOf(error) === 'OFFSET_OUT_OF_RANGE') {
        at = await removed();
        if (at >= end) return { messages: [] };
      } else {
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
