/** What holds for the PostgreSQL log beyond the contract: bounds, trouble with the database, and a real SIGKILL. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import type { TopicSpec } from '@vigil/contracts';
import { openPostgres } from '@vigil/runtime';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { createEmptyDatabase, type TestDatabase } from '../../../test/support/postgres.ts';
import { cuttable } from '../test/cuttable.ts';
import type { ConsumeOptions, LogRecord, NewRecord } from './event-log.ts';
import { openPostgresEventLog, type PostgresEventLogOptions } from './postgres-event-log.ts';

let database: TestDatabase;
beforeAll(async () => {
  database = await createEmptyDatabase();
});
afterAll(() => database?.[Symbol.asyncDispose]());

describe('PostgreSQL event log', () => {
  it('fetches no more than the window, and no more bytes than asked for', async () => {
    await using p = await open({ window: 40, prefetchBytes: 20_000, pollMs: 50 });
    let fetched = 0;
    p.line.onRows = (text, rows) => {
      if (text.includes('LATERAL')) fetched += rows.length;
    };
    const small = await p.topic();
    await p.log.append(Array.from({ length: 500 }, (_, i) => record(small, `${i}`, 'x')));
    const hold = Promise.withResolvers<void>();
    let running = 0;
    const handle = async () => {
      running++;
      await hold.promise;
    };
    const one = p.consume({ topics: [small], concurrency: 3, handle });
    await until(() => running === 3);
    await sleep(200);
    expect([fetched, running]).toEqual([40, 3]);

    fetched = 0;
    const large = await p.topic();
    await p.log.append(Array.from({ length: 50 }, (_, i) => record(large, `${i}`, 'x'.repeat(3000))));
    const two = p.consume({ topics: [large], group: 'two', concurrency: 2, handle });
    await until(() => running === 5);
    await sleep(200);
    // 20,000 bytes are begun by the seventh record and not yet full before it.
    expect([fetched, running]).toEqual([7, 5]);
    hold.resolve();
    await until(async () => (await p.log.committed('two', large))[0]!.offset === 50);
    await until(async () => (await p.log.committed('one', small))[0]!.offset === 500);
    await Promise.all([one.stop(), two.stop()]);
  });

  it('takes a record that is larger than the prefetch', async () => {
    await using p = await open({ prefetchBytes: 10 });
    const topic = await p.topic();
    const seen: LogRecord[] = [];
    const reader = p.consume({ topics: [topic], handle: async (r) => void seen.push(r) });
    await p.log.append([record(topic, 'a', 'x'.repeat(60_000)), record(topic, 'a', 'y'.repeat(60_000))]);
    await until(() => seen.length === 2);
    expect(seen.map((r) => r.value?.length)).toEqual([60_000, 60_000]);
    await reader.stop();
  });

  it('stops with an error when a record hangs, and the next owner counts it as a death', async () => {
    await using p = await open({ stallMs: 300, drainMs: 100 });
    const topic = await p.topic();
    await p.log.append([record(topic, 'a', 'hangs'), record(topic, 'b', 'fine')]);
    const buried: number[] = [];
    let signals = 0;
    let reader: ReturnType<typeof p.consume> | undefined;
    for (let life = 0; life < 4; life++) {
      reader = p.consume({
        topics: [topic],
        async handle(r, signal) {
          if (text(r) !== 'hangs') return;
          signal.addEventListener('abort', () => signals++);
          await new Promise(() => undefined);
        },
        bury: async (_, deaths) => void buried.push(deaths),
      });
      await expect(reader.consumer.done).rejects.toMatchObject({ name: 'EventLogError', retriable: true });
    }
    expect(signals).toBe(4);
    const last = p.consume({ topics: [topic], bury: async (_, deaths) => void buried.push(deaths) });
    await until(async () => (await p.log.committed('one', topic))[0]!.offset === 2);
    await last.stop();
    expect(buried).toEqual([4]);
  });

  it('lets a record wait for its turn, as long as it says that it is alive', async () => {
    await using p = await open({ stallMs: 300 });
    const topic = await p.topic();
    await p.log.append([record(topic, 'a', 'waits')]);
    let ended = false;
    const reader = p.consume({
      topics: [topic],
      async handle(_, __, alive) {
        for (let i = 0; i < 15; i++) {
          await sleep(60);
          alive();
        }
        ended = true;
      },
    });
    await until(() => ended);
    await until(async () => (await p.log.committed('one', topic))[0]!.offset === 1);
    await reader.stop();
  });

  it('takes back what a drain calls off: no error, no death, read again by the next', async () => {
    await using p = await open({});
    const topic = await p.topic();
    await p.log.append([record(topic, 'a', 'done'), record(topic, 'b', 'called off'), record(topic, 'c', 'done')]);
    for (let life = 0; life < 5; life++) {
      const ending = new AbortController();
      const begun = new Set<string>();
      const consumer = p.log.consume({
        group: 'one',
        topics: [topic],
        concurrency: 4,
        signal: ending.signal,
        async handle(r) {
          begun.add(text(r));
          if (text(r) === 'done') return;
          await new Promise((_, reject) => ending.signal.addEventListener('abort', () => reject(ending.signal.reason)));
        },
        bury: () => Promise.reject(new Error('nobody died')),
      });
      await until(() => begun.has('called off'));
      ending.abort(new Error('draining'));
      await consumer.done;
      expect((await p.log.committed('one', topic))[0]!.offset).toBe(1);
    }
  });

  it('finds new records without any notification', async () => {
    await using p = await open({ pollMs: 100 });
    await using q = await open({});
    p.line.deaf = true;
    const topic = await p.topic();
    const seen: string[] = [];
    const reader = p.consume({ topics: [topic], handle: async (r) => void seen.push(text(r)) });
    await until(() => reader.consumer.assignment().length === 1);
    for (const value of ['1', '2']) {
      await q.log.append([record(topic, 'a', value)]);
      await until(() => seen.includes(value));
    }
    await reader.stop();
  });

  it('lives through a time without a database, and loses nothing', async () => {
    await using p = await open({ leaseMs: 600, pollMs: 50, patienceMs: 60_000 });
    await using q = await open({});
    const topic = await p.topic();
    const seen = new Set<string>();
    const reader = p.consume({ topics: [topic], handle: async (r) => void seen.add(text(r)) });
    await q.log.append(Array.from({ length: 20 }, (_, i) => record(topic, `${i}`, `before ${i}`)));
    await until(() => seen.size > 5);
    p.line.away = true;
    await q.log.append(Array.from({ length: 20 }, (_, i) => record(topic, `${i}`, `while ${i}`)));
    await until(() => reader.consumer.assignment().length === 0);
    p.line.away = false;
    await until(() => seen.size === 40);
    await until(async () => (await q.log.committed('one', topic))[0]!.offset === 40);
    // Nobody had died, so nothing is suspected.
    const [owner] = await q.line.query<{ deaths: string }>(
      `SELECT deaths FROM vigil_log_owner JOIN vigil_log_topic t ON t.id = topic WHERE t.name = $1`,
      [topic],
    );
    expect(owner!.deaths).toMatch(/^\d+,0,h,0$/);
    await reader.stop();
  });

  it('does not let a member that stops in the middle of a heartbeat hold up the others', async () => {
    await using p = await open({ leaseMs: 800 });
    await using q = await open({ leaseMs: 800 });
    const topic = await p.topic({ partitions: 4 });
    p.line.freezeAfter = /FROM vigil_log_group .* FOR UPDATE/;
    const stopped = p.consume({ topics: [topic] });
    await sleep(100);
    const other = q.consume({ topics: [topic] });
    await until(() => other.consumer.assignment().length === 4);
    delete p.line.freezeAfter;
    p.line.thaw();
    await until(() => stopped.consumer.assignment().length === 2 && other.consumer.assignment().length === 2);
    await Promise.all([stopped.stop(), other.stop()]);
  });

  it('gives up when the database stays away for too long', async () => {
    await using p = await open({ leaseMs: 300, patienceMs: 500 });
    const topic = await p.topic();
    const reader = p.consume({ topics: [topic] });
    await until(() => reader.consumer.assignment().length === 1);
    p.line.away = true;
    await expect(reader.consumer.done).rejects.toMatchObject({ name: 'EventLogError', retriable: true });
    p.line.away = false;
  });

  it('runs a suspect alone in the whole process, whatever other consumers do', async () => {
    await using p = await open({ drainMs: 200 });
    const [suspicious, busy] = [await p.topic(), await p.topic()];
    await p.log.append(Array.from({ length: 3 }, (_, i) => record(suspicious, `${i}`, `${i}`)));
    for (let life = 0; life < 3; life++) {
      const doomed = p.consume({
        topics: [suspicious],
        handle: async () => {
          throw new Error('dead');
        },
      });
      await expect(doomed.consumer.done).rejects.toThrow('dead');
    }
    let others = 0;
    let ended = 0;
    const ordinary = p.consume({
      topics: [busy],
      group: 'two',
      async handle() {
        others++;
        await sleep(5);
        others--;
        ended++;
      },
    });
    await p.log.append(Array.from({ length: 200 }, (_, i) => record(busy, `${i}`, `${i}`)));
    await until(() => ended > 5);
    const beside: number[] = [];
    const careful = p.consume({
      topics: [suspicious],
      async handle() {
        beside.push(others);
        await sleep(20);
        beside.push(others);
      },
    });
    await until(() => beside.length === 6);
    await until(() => ended === 200);
    await Promise.all([ordinary.stop(), careful.stop()]);
    expect(beside).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('condemns text that cannot be stored, and refuses to join what is no transaction', async () => {
    await using p = await open({});
    const topic = await p.topic();
    const refusal = { name: 'EventLogError', retriable: false };
    for (const key of ['a\0b', '\ud800', 'k'.repeat(1025)])
      await expect(p.log.append([record(topic, key, '')])).rejects.toMatchObject(refusal);
    const odd = { ...record(topic, 'a', ''), headers: { name: 'a\0b' } };
    await expect(p.log.append([odd])).rejects.toMatchObject(refusal);
    await expect(p.log.append([record(topic, 'a', '')], {})).rejects.toMatchObject(refusal);
  });

  it('lets several processes create the tables and do the upkeep at once', async () => {
    await using fresh = await createEmptyDatabase();
    const all = await Promise.all(Array.from({ length: 4 }, () => open({ tombstoneMs: 0 }, fresh.url)));
    const topic = await all[0]!.topic({ cleanup: 'compact', retentionMs: null });
    await all[0]!.log.append(Array.from({ length: 25_000 }, (_, i) => record(topic, `${i % 100}`, `${i}`)));
    await Promise.all(all.map((p) => p.log.maintain()));
    await all[0]!.log.maintain();
    const left: LogRecord[] = [];
    for await (const r of all[0]!.log.read(topic, 0, 0)) left.push(r);
    expect(left.map((r) => r.offset)).toEqual(Array.from({ length: 100 }, (_, i) => 24_900 + i));
    for (const p of all) await p[Symbol.asyncDispose]();
  });

  it('buries what killed real processes, and only that', async () => {
    await using p = await open({ leaseMs: 1000 });
    const topic = await p.topic({ partitions: 2 });
    const names = Array.from({ length: 24 }, (_, i) => (i === 13 ? 'poison' : `${i}`));
    await p.log.append(names.map((name, i) => record(topic, `${i}`, name)));
    const said: string[] = [];
    const exits: (string | null)[] = [];
    const behind = async () => {
      const committed = await p.log.committed('doomed', topic);
      return (await p.log.ends(topic)).some((e) => committed[e.partition]!.offset !== e.end);
    };
    while (await behind()) {
      const child = spawn(process.execPath, [CHILD, database.url, topic], { stdio: ['ignore', 'pipe', 'inherit'] });
      child.stdout.on('data', (chunk: Buffer) => said.push(...chunk.toString().trim().split('\n')));
      const exited = once(child, 'exit') as Promise<[number | null, string | null]>;
      let alive = true;
      void exited.then(() => {
        alive = false;
      });
      await until(async () => !alive || !(await behind()));
      if (alive) child.kill('SIGTERM');
      exits.push((await exited)[1]);
      expect(exits.length).toBeLessThan(10);
    }
    expect(exits).toEqual(['SIGKILL', 'SIGKILL', 'SIGKILL', 'SIGKILL', null]);
    expect(said.filter((line) => line.startsWith('buried'))).toEqual(['buried poison 4']);
    const handled = new Set(said.filter((line) => line.startsWith('handled')).map((line) => line.slice(8)));
    expect(handled).toEqual(new Set(names.filter((name) => name !== 'poison')));
  }, 90_000);
});

const CHILD = new URL('../test/dying-consumer.ts', import.meta.url).pathname;

async function open(options: Partial<PostgresEventLogOptions>, url = database.url) {
  const line = cuttable(openPostgres({ url, max: 4 }));
  const log = await openPostgresEventLog({ postgres: line, ...options });
  return {
    line,
    log,
    async topic(more: Partial<TopicSpec> = {}) {
      const name = `t.${Math.random().toString(36).slice(2)}`;
      const spec: TopicSpec = { ...SPEC, name, ...more };
      await log.ensureTopics([spec]);
      return name;
    },
    consume(more: Partial<ConsumeOptions> & Pick<ConsumeOptions, 'topics'>) {
      const ending = new AbortController();
      const nothing = async () => undefined;
      const base = { group: 'one', concurrency: 4, handle: nothing, bury: nothing, signal: ending.signal };
      const consumer = log.consume({ ...base, ...more });
      return {
        consumer,
        async stop() {
          ending.abort();
          await consumer.done;
        },
      };
    },
    async [Symbol.asyncDispose]() {
      await log[Symbol.asyncDispose]();
      await line[Symbol.asyncDispose]();
    },
  };
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
const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
async function until(ready: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await ready())) await sleep(10);
}
