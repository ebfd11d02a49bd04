/** What holds for the log on Kafka beyond the contract: known faults of kafkajs, brokers and processes that die. */
import { spawn } from 'node:child_process';
import type { TopicSpec } from '@vigil/contracts';
import type { Logger } from '@vigil/runtime';
import { CompressionTypes, Kafka, logLevel } from 'kafkajs';
import { afterAll, expect, it } from 'vitest';
import { openTestKafka } from '../../../test/support/kafka.ts';
import { describeWith } from '../../../test/support/require.ts';
import { type ConsumeOptions, EventLogError, type LogRecord, type NewRecord } from './event-log.ts';
import { type KafkaEventLogOptions, openKafkaEventLog } from './kafka-event-log.ts';
import { decodeHolder } from './kafka-membership.ts';

const kafka = await openTestKafka();
afterAll(() => kafka?.[Symbol.asyncDispose]());

describeWith('kafka', kafka !== null, 'Kafka event log', () => {
  it('refuses to join a transaction, and says everything that is wrong with a topic', async () => {
    await using p = open();
    const topic = await p.topic();
    const refusal = { name: 'EventLogError', retriable: false };
    await expect(p.log.append([record(topic, 'a', '')], {})).rejects.toMatchObject(refusal);
    const other = {
      ...SPEC,
      name: topic,
      partitions: 2,
      cleanup: 'compact' as const,
      retentionMs: null,
      maxBytes: 1000,
    };
    const error = await p.log.ensureTopics([other]).catch((thrown: unknown) => thrown);
    expect(error).toMatchObject(refusal);
    for (const setting of ['partitions=1', 'cleanup.policy=delete', 'retention.ms=3600000', 'max.message.bytes='])
      expect((error as Error).message).toContain(`${topic} has ${setting}`);
  });

  it('appends batches larger than what the broker takes at once, in order', async () => {
    await using p = open();
    const topic = await p.topic();
    const values = Array.from({ length: 40 }, (_, i) => `${i}`.padEnd(60_000, '.'));
    const positions = await p.log.append(values.map((value) => record(topic, 'a', value)));
    expect(positions.map((at) => at.offset)).toEqual(values.map((_, i) => i));
    expect((await all(p.log.read(topic, 0, 0))).map(text)).toEqual(values);
  });

  it('takes many records through a small window, each once and in order', async () => {
    await using p = open({ window: 16, prefetchBytes: 3000 });
    const topic = await p.topic();
    await p.log.append(Array.from({ length: 300 }, (_, i) => record(topic, `${i % 5}`, `${i}`.padEnd(200))));
    const seen: LogRecord[] = [];
    let running = 0;
    let most = 0;
    const reader = p.consume({
      topics: [topic],
      async handle(r) {
        most = Math.max(most, ++running);
        await sleep(r.offset % 2);
        running--;
        seen.push(r);
      },
    });
    await until(async () => (await p.log.committed('one', topic))[0]!.offset === 300);
    await reader.stop();
    expect(most).toBe(4);
    expect(seen.map((r) => r.offset).toSorted((a, b) => a - b)).toEqual(Array.from({ length: 300 }, (_, i) => i));
    for (const key of ['0', '1', '2', '3', '4']) {
      const order = seen.filter((r) => r.key === key).map((r) => r.offset);
      expect(order).toEqual(order.toSorted((a, b) => a - b));
    }
  });

  it('reads what other producers have packed, keyless records and repeated headers as well', async () => {
    await using p = open();
    const topic = await p.topic();
    const producer = client().producer();
    await producer.connect();
    for (const compression of [CompressionTypes.GZIP, CompressionTypes.ZSTD]) {
      const message = { key: null, value: 'x'.repeat(1000), headers: { twice: ['one', 'two'] }, partition: 0 };
      await producer.send({ topic, compression, messages: [message, message] });
    }
    await producer.disconnect();
    const seen: LogRecord[] = [];
    const reader = p.consume({ topics: [topic], handle: async (r) => void seen.push(r) });
    await until(() => seen.length === 4);
    await reader.stop();
    expect(await all(p.log.read(topic, 0, 1))).toEqual(seen.slice(1));
    for (const r of seen) expect([r.key, r.headers, r.value?.length]).toEqual(['', { twice: 'two' }, 1000]);
  });

  it('shows neither aborted transactions nor the marks of any, and waits for no more behind them', async () => {
    await using p = open({ auditMs: 100 });
    const topic = await p.topic();
    const producer = client().producer({ transactionalId: topic, maxInFlightRequests: 1, idempotent: true });
    await producer.connect();
    for (const [i, end] of (['commit', 'abort', 'commit', 'abort'] as const).entries()) {
      const transaction = await producer.transaction();
      await transaction.send({ topic, messages: [{ key: 'a', value: `${end} ${i}`, partition: 0 }] });
      await transaction[end]();
    }
    await producer.disconnect();
    expect((await all(p.log.read(topic, 0, 0))).map(text)).toEqual(['commit 0', 'commit 2']);
    const seen: string[] = [];
    const reader = p.consume({ topics: [topic], handle: async (r) => void seen.push(text(r)) });
    await until(() => seen.length === 2);
    // Several audits: marks at the end are no records that nobody fetches.
    await sleep(500);
    await p.log.append([record(topic, 'a', 'after')]);
    await until(() => seen.length === 3);
    await reader.stop();
    expect(seen).toEqual(['commit 0', 'commit 2', 'after']);
  });

  it('ends before a transaction that is open, which is nothing that it fails to fetch, and goes on when that is done', async () => {
    await using p = open({ auditMs: 100 });
    const topic = await p.topic();
    const producer = client().producer({ transactionalId: topic, maxInFlightRequests: 1, idempotent: true });
    await producer.connect();
    await p.log.append([record(topic, 'a', 'before')]);
    const transaction = await producer.transaction();
    await transaction.send({ topic, messages: [{ key: 'a', value: 'within', partition: 0 }] });
    await p.log.append([record(topic, 'a', 'beside')]);
    expect(await p.log.ends(topic)).toEqual([{ topic, partition: 0, start: 0, end: 1 }]);
    expect((await all(p.log.read(topic, 0, 0))).map(text)).toEqual(['before']);
    const seen: string[] = [];
    const reader = p.consume({ topics: [topic], handle: async (r) => void seen.push(text(r)) });
    await until(() => seen.length === 1);
    // Several audits.
    await Promise.race([sleep(1000), reader.consumer.done]);
    expect(seen).toEqual(['before']);
    await transaction.commit();
    await producer.disconnect();
    await until(() => seen.length === 3);
    await reader.stop();
    expect(seen).toEqual(['before', 'within', 'beside']);
    expect((await all(p.log.read(topic, 0, 0))).map(text)).toEqual(seen);
  });

  it('holds nobody to be dead when partitions move between the living', async () => {
    await using p = open({ drainMs: 200 });
    const topic = await p.topic({ partitions: 2 });
    await p.log.append(Array.from({ length: 12 }, (_, i) => record(topic, `${i}`, `${i}`)));
    const hold = Promise.withResolvers<void>();
    const first = p.consume({ topics: [topic], handle: () => hold.promise });
    await until(() => first.consumer.assignment().length === 2);
    for (let i = 0; i < 4; i++) {
      const other = p.consume({ topics: [topic], handle: () => hold.promise });
      await until(() => first.consumer.assignment().length === 1 && other.consumer.assignment().length === 1);
      const states = await deathsOf(topic);
      expect(states.map((state) => state?.deaths)).toEqual([0, 0]);
      if (i === 3) hold.resolve();
      else other.leave();
      await (i === 3 ? other.stop() : other.consumer.done.catch(() => undefined));
      await until(() => first.consumer.assignment().length === 2);
    }
    await until(async () => (await p.log.committed('one', topic)).reduce((sum, c) => sum + (c.offset ?? 0), 0) === 12);
    await first.stop();
  });

  it('stops when a record hangs; the next owner counts a death, and at last buries it', async () => {
    await using p = open({ stallMs: 200, drainMs: 100 });
    const topic = await p.topic();
    await p.log.append([record(topic, 'a', 'hangs'), record(topic, 'b', 'fine')]);
    const buried: number[] = [];
    const bury = async (_: LogRecord, deaths: number) => void buried.push(deaths);
    for (let life = 0; life < 4; life++) {
      const handle = (r: LogRecord) => (text(r) === 'hangs' ? new Promise<void>(() => undefined) : Promise.resolve());
      const reader = p.consume({ topics: [topic], handle, bury });
      await expect(reader.consumer.done).rejects.toMatchObject({ name: 'EventLogError', retriable: true });
    }
    const last = p.consume({ topics: [topic], bury });
    await until(async () => (await p.log.committed('one', topic))[0]!.offset === 2);
    await last.stop();
    expect(buried).toEqual([4]);
  });

  it('says so when retention has overtaken it, or the log was made anew, and loses nothing that is there', async () => {
    const errors: string[] = [];
    await using p = open({ logger: listening(errors) });
    const topic = await p.topic();
    await p.log.append(Array.from({ length: 20 }, (_, i) => record(topic, 'a', `${i}`)));
    const admin = client().admin();
    await admin.connect();
    await admin.fetchTopicOffsets(topic);
    const read = async (enough: number) => {
      const seen: string[] = [];
      const reader = p.consume({ topics: [topic], handle: async (r) => void seen.push(text(r)) });
      await until(() => seen.length >= enough);
      await reader.stop();
      return seen;
    };
    expect(await read(20)).toHaveLength(20);
    await p.log.append(Array.from({ length: 10 }, (_, i) => record(topic, 'a', `new ${i}`)));
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '25' }] });
    expect(await read(5)).toEqual(['new 5', 'new 6', 'new 7', 'new 8', 'new 9']);
    expect(errors).toEqual(['records were removed by retention before this group had read them']);
    await admin.deleteTopics({ topics: [topic] });
    await until(() =>
      p.log.ensureTopics([{ ...SPEC, name: topic }]).then(
        () => true,
        () => false,
      ),
    );
    await until(() =>
      p.log.append([record(topic, 'a', 'anew')]).then(
        () => true,
        () => false,
      ),
    );
    expect(new Set(await read(1))).toEqual(new Set(['anew']));
    await admin.disconnect();
  });

  it('ends when the log is cut under it, rather than pass over records', async () => {
    await using p = open({ window: 1 });
    const topic = await p.topic();
    await p.log.append(Array.from({ length: 10 }, (_, i) => record(topic, 'a', `${i}`)));
    const hold = Promise.withResolvers<void>();
    const reader = p.consume({ topics: [topic], handle: () => hold.promise });
    await until(() => reader.consumer.assignment().length === 1);
    const admin = client().admin();
    await admin.connect();
    await admin.fetchTopicOffsets(topic);
    await sleep(100);
    await admin.deleteTopicRecords({ topic, partitions: [{ partition: 0, offset: '8' }] });
    await admin.disconnect();
    hold.resolve();
    await expect(reader.consumer.done).rejects.toMatchObject({ name: 'EventLogError', retriable: true });
    const seen: string[] = [];
    const next = p.consume({ topics: [topic], handle: async (r) => void seen.push(text(r)) });
    await until(() => seen.includes('9'));
    await next.stop();
    expect(seen).toEqual(['8', '9']);
  });

  it('takes over from a process that was killed, at exactly what it had committed', async () => {
    await using p = open();
    const topic = await p.topic({ partitions: 2 });
    const names = Array.from({ length: 30 }, (_, i) => (i === 11 ? 'hold' : `${i}`));
    await p.log.append(names.map((name, i) => record(topic, `${i}`, name)));
    const child = spawn(process.execPath, [CHILD, kafka!.brokers[0]!, topic, JSON.stringify(SHORT)], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const said: string[] = [];
    let warned = '';
    child.stderr.on('data', (chunk: Buffer) => {
      warned += chunk.toString();
    });
    child.stdout.on('data', (chunk: Buffer) => said.push(...chunk.toString().trim().split('\n')));
    const behind = async () => (await p.log.committed('one', topic)).map(({ offset }) => offset ?? 0);
    const ends = (await p.log.ends(topic)).map(({ end }) => end);
    const stuck = (await all(p.log.read(topic, 0, 0))).concat(await all(p.log.read(topic, 1, 0)));
    const hold = stuck.find((r) => text(r) === 'hold')!;
    const expected = ends.map((end, partition) => (partition === hold.partition ? hold.offset : end));
    await until(async () => {
      expect(child.exitCode).toBeNull();
      return said.length === 30 && `${await behind()}` === `${expected}`;
    });
    expect(warned).toBe('');
    child.kill('SIGKILL');
    const seen: LogRecord[] = [];
    const heir = p.consume({ topics: [topic], handle: async (r) => void seen.push(r) });
    await until(async () => `${await behind()}` === `${ends}`);
    await heir.stop();
    expect(seen.every((r) => r.partition === hold.partition && r.offset >= hold.offset)).toBe(true);
    expect(seen).toHaveLength(ends[hold.partition]! - hold.offset);
  }, 30_000);

  it('goes on after the broker was stopped, and after it was killed, and nobody counts as dead', async (test) => {
    if (!kafka!.own) return test.skip('this broker is not ours to stop');
    await using p = open({ sessionMs: 3000 });
    const topic = await p.topic();
    const seen = new Set<string>();
    const reader = p.consume({ topics: [topic], handle: async (r) => void seen.add(text(r)) });
    const add = async (what: string) => {
      await p.log.append(Array.from({ length: 20 }, (_, i) => record(topic, `${i}`, `${what} ${i}`)));
    };
    await add('before');
    await until(() => seen.size === 20);
    await kafka!.stop();
    await sleep(500);
    await kafka!.start();
    await add('stopped');
    await until(() => seen.size === 40);
    await kafka!.kill();
    await kafka!.start();
    await add('killed');
    await until(() => seen.size === 60);
    await until(async () => (await p.log.committed('one', topic))[0]!.offset === 60);
    expect((await deathsOf(topic))[0]).toMatchObject({ deaths: 0, held: true });
    await reader.stop();
    expect((await p.log.ends(topic))[0]!.end).toBe(60);
    expect((await deathsOf(topic))[0]).toMatchObject({ deaths: 0, held: false });
  }, 90_000);

  it('gives up when the broker stays away for too long', async (test) => {
    if (!kafka!.own) return test.skip('this broker is not ours to stop');
    await using p = open({ patienceMs: 500, drainMs: 200 });
    const topic = await p.topic();
    const reader = p.consume({ topics: [topic] });
    await until(() => reader.consumer.assignment().length === 1);
    await kafka!.stop();
    await expect(reader.consumer.done).rejects.toMatchObject({ name: 'EventLogError', retriable: true });
    const error = await p.log.append([record(topic, 'a', '')]).catch((thrown: unknown) => thrown);
    expect(error).toBeInstanceOf(EventLogError);
    expect(error).toMatchObject({ retriable: true });
    await kafka!.start();
  }, 60_000);
});

const CHILD = new URL('../test/kafka-process.ts', import.meta.url).pathname;
const SHORT = { sessionMs: 1000, heartbeatMs: 100, rebalanceMs: 2000, maxWaitMs: 50, drainMs: 2000 };

function open(options: Partial<KafkaEventLogOptions> = {}) {
  const log = openKafkaEventLog({ brokers: kafka!.brokers, clientId: 'test', ...SHORT, ...options });
  return {
    log,
    async topic(more: Partial<TopicSpec> = {}) {
      const name = `t.${Math.random().toString(36).slice(2)}`;
      await log.ensureTopics([{ ...SPEC, name, ...more }]);
      return name;
    },
    consume(more: Partial<ConsumeOptions> & Pick<ConsumeOptions, 'topics'>) {
      const ending = new AbortController();
      const nothing = async () => undefined;
      const base = { group: 'one', concurrency: 4, handle: nothing, bury: nothing, signal: ending.signal };
      const consumer = log.consume({ ...base, ...more });
      return {
        consumer,
        leave: () => ending.abort(),
        async stop() {
          ending.abort();
          await consumer.done;
        },
      };
    },
    [Symbol.asyncDispose]: () => log[Symbol.asyncDispose](),
  };
}

const client = () => new Kafka({ clientId: 'beside', brokers: kafka!.brokers, logLevel: logLevel.NOTHING });

async function deathsOf(topic: string) {
  const admin = client().admin();
  await admin.connect();
  const [found] = await admin.fetchOffsets({ groupId: 'one', topics: [topic] });
  await admin.disconnect();
  const partitions = found!.partitions.toSorted((a, b) => a.partition - b.partition);
  return partitions.map(({ metadata }) => decodeHolder(metadata)?.deaths);
}

function listening(errors: string[]): Logger {
  const nothing = () => undefined;
  const logger: Logger = {
    debug: nothing,
    info: nothing,
    warn: nothing,
    error: (_, message) => errors.push(message),
    child: () => logger,
  };
  return logger;
}

const SPEC: TopicSpec = {
  name: '',
  key: 'upload',
  partitions: 1,
  cleanup: 'delete',
  retentionMs: 3600_000,
  maxBytes: 65_536,
};
const text = (r: LogRecord) => new TextDecoder().decode(r.value ?? new Uint8Array(0));
const record = (topic: string, key: string, value: string): NewRecord => ({
  topic,
  key,
  headers: {},
  value: new TextEncoder().encode(value),
});
async function all(records: AsyncIterable<LogRecord>): Promise<LogRecord[]> {
  const out: LogRecord[] = [];
  for await (const r of records) out.push(r);
  return out;
}
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
async function until(ready: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await ready())) await sleep(10);
}
