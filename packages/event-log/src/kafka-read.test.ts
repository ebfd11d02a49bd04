/** Faked: the broker, which answers as it is told, and time. What a real one gives is in kafka-consumer.test.ts. */
import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import type { Cluster } from './kafka-client.ts';
import { type Bounds, readRange } from './kafka-read.ts';

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Messages by offset, of one batch that reaches as far as it says. */
const batch = (offsets: number[], to = offsets.at(-1)!) =>
  offsets.map((offset) => ({
    ...{ offset: `${offset}`, key: null, value: Buffer.from(`${offset}`), timestamp: '0', headers: {} },
    batchContext: { producerId: '-1', inTransaction: false, firstOffset: '0', lastOffsetDelta: to },
  }));
const partition = (messages: unknown[], lastStableOffset: number) => ({
  responses: [{ partitions: [{ messages, lastStableOffset: `${lastStableOffset}` }] }],
});
const THROTTLED = { responses: [] };

type Asked = { maxBytes: number; at: number };
/** Reads 0 to 10 of a broker that gives these answers one after another, the last one for ever. */
async function read(...answers: (object | ((asked: Asked) => object))[]) {
  const asked: Asked[] = [];
  const fetch = async (request: { maxBytes: number; topics: { partitions: { fetchOffset: string }[] }[] }) => {
    const one = { maxBytes: request.maxBytes, at: Number(request.topics[0]!.partitions[0]!.fetchOffset) };
    asked.push(one);
    const answer = answers[Math.min(asked.length, answers.length) - 1]!;
    return typeof answer === 'function' ? answer(one) : answer;
  };
  const cluster = {
    isConnected: () => true,
    addTargetTopic: async () => undefined,
    findLeaderForPartitions: () => ({ 1: [0] }),
    findBroker: async () => ({ fetch }),
    refreshMetadata: async () => undefined,
  } as unknown as Cluster;
  const bounds = async (): Promise<Bounds> => ({ start: 0, end: 10 });
  const offsets: number[] = [];
  const reading = (async () => {
    for await (const { offset } of readRange(cluster, { topic: 't', partition: 0 }, 0, 10, bounds))
      offsets.push(offset);
    return 'end' as const;
  })();
  const [[settled]] = await Promise.all([Promise.allSettled([reading]), vi.advanceTimersByTimeAsync(60_000)]);
  return { offsets, asked, outcome: settled.status === 'fulfilled' ? settled.value : settled.reason };
}

const ALL = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9];
const half = partition(batch([0, 1, 2, 3, 4]), 10);
const rest = partition(batch([5, 6, 7, 8, 9]), 10);

it.each([
  ['names no partition, because it throttles us', THROTTLED],
  ['leads since now, and has not heard of the end yet', partition([], 5)],
  ['has not yet fetched what lies far away', partition([], 10)],
  ['says nothing of what it shows', { responses: [{ partitions: [{ messages: [] }] }] }],
])('asks again when the broker %s', async (_, nothing) => {
  const { offsets, outcome } = await read(half, nothing, nothing, rest);
  expect([offsets, outcome]).toEqual([ALL, 'end']);
});

it.each([
  ['throttles', THROTTLED],
  ['does not come to the end', partition([], 9)],
])('does not take it for the end when the broker goes on so: it %s', async (_, nothing) => {
  const { offsets, outcome, asked } = await read(half, nothing);
  expect(outcome).toMatchObject({ name: 'EventLogError', retriable: true });
  expect(outcome.message).toBe('t/0 gave nothing from 5 on, below its end at 10');
  expect([offsets, asked.length]).toEqual([[0, 1, 2, 3, 4], 7]);
});

it('ends where compaction has left nothing up to the end', async () => {
  const { offsets, outcome } = await read(half, partition([], 10));
  expect([offsets, outcome]).toEqual([[0, 1, 2, 3, 4], 'end']);
  // The last records of a batch as well: whoever asks for those is given the whole batch again.
  const shortened = await read(partition(batch([0, 1, 2, 3, 4], 9), 10));
  expect([shortened.offsets, shortened.outcome, shortened.asked.length]).toEqual([[0, 1, 2, 3, 4], 'end', 1]);
  const inside = await read(({ at }: Asked) => (at < 8 ? partition(batch([0, 1, 2, 3, 4], 7), 10) : rest));
  expect([inside.offsets, inside.outcome]).toEqual([[0, 1, 2, 3, 4, 8, 9], 'end']);
});

it('sees behind batches of which compaction has left only the frame', async () => {
  const { offsets, outcome } = await read(half, ({ maxBytes }: Asked) => {
    return maxBytes < 1024 * 1024 ? partition([], 10) : rest;
  });
  expect([offsets, outcome]).toEqual([ALL, 'end']);
});
