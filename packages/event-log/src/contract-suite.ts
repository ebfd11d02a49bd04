/** Above 400 lines: it is one list of promises, the same for every adapter, and reads best in one place. */
import { placeOf, type TopicSpec } from '@vigil/contracts';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { ConsumeOptions, Consumer, EventLog, JoinedTransaction, LogRecord, NewRecord } from './event-log.ts';

/** A log as a process of its own has it: nothing is shared with others but the store. */
export interface LogProcess {
  log: EventLog;
  /** Cuts it off, as if the process had been stopped with SIGSTOP: its calls to the store wait until `thaw`. */
  freeze(): void;
  thaw(): void;
  /** Cuts it off for ever and at once, as SIGKILL does: nothing that it would have written afterwards is written. */
  kill(): void;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface ContractHarness {
  /** @param lease long, unless told otherwise: it does not end before a test has timed out. short: others take over within about a second. */
  open(options?: { lease?: 'short' | 'long' }): Promise<LogProcess>;
  /** Present when appends can join a transaction; rolls back when `fn` rejects. */
  transaction?<T>(fn: (tx: JoinedTransaction) => Promise<T>): Promise<T>;
  /** Present when the test rules over time and `maintain` does all that is due at once; else a server does it some time. */
  clock?: { now(): number; advance(ms: number): void };
  /** How long tombstones are kept, where `clock` is present. */
  tombstoneMs?: number;
  /**
   * Present where a reader may end by itself, without a fault of anybody in the test: such an end. Its process would be started
   * again, and so is it. Any other end fails the test at once.
   */
  endsByItself?(error: unknown): boolean;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What every event log promises. Conditions are written where an adapter cannot do a thing. */
export function eventLogContract(name: string, openHarness: () => Promise<ContractHarness>): void {
  describe(`${name}: the contract of an event log`, () => {
    let harness: ContractHarness;
    beforeAll(async () => {
      harness = await openHarness();
    });
    afterAll(() => harness?.[Symbol.asyncDispose]());

    const consume = (p: LogProcess, options: Parameters<typeof reading>[2]) => reading(p, harness, options);
    let count = 0;
    /** A topic of its own for each test. */
    const topic = async (log: EventLog, more: Partial<TopicSpec> = {}): Promise<string> => {
      const spec = { ...SPEC, name: `contract.${Date.now().toString(36)}.${count++}`, ...more };
      await log.ensureTopics([spec]);
      return spec.name;
    };

    describe('append and read', () => {
      it('gives back what was appended, in order, at the partition of its key', async () => {
        await using p = await harness.open();
        const name = await topic(p.log);
        const records = [
          { topic: name, key: 'a', headers: { ce_id: '1', 'content-type': 'x/y; q="1"' }, value: bytes('one') },
          { topic: name, key: 'b', headers: {}, value: null },
          { topic: name, key: 'a', headers: { ü: 'ß "quoted" \\ {},' }, value: new Uint8Array(0) },
          { topic: name, key: '', headers: {}, value: Uint8Array.from({ length: 256 }, (_, i) => i) },
        ];
        const positions = await p.log.append(records);
        expect(positions.map((at) => at.partition)).toEqual(records.map((r) => placeOf(r.key, 2)));
        expect(positions[2]!.offset).toBeGreaterThan(positions[0]!.offset);
        const back = await readAll(p.log, name);
        for (const [i, record] of records.entries()) {
          const at = positions[i]!;
          const found = back.find((r) => r.partition === at.partition && r.offset === at.offset)!;
          expect({ key: found.key, headers: found.headers, value: found.value && [...found.value] }).toEqual({
            key: record.key,
            headers: record.headers,
            value: record.value && [...record.value],
          });
        }
        expect(back).toHaveLength(records.length);
      });

      it('appends nothing when there is nothing', async () => {
        await using p = await harness.open();
        expect(await p.log.append([])).toEqual([]);
      });

      it('reads a range, to the end as it was', async () => {
        await using p = await harness.open();
        const name = await topic(p.log, { partitions: 1 });
        await p.log.append(numbered(name, 10));
        expect(await values(p.log.read(name, 0, 3, 6))).toEqual(['3', '4', '5']);
        expect(await values(p.log.read(name, 0, 8))).toEqual(['8', '9']);
        expect(await values(p.log.read(name, 0, 10))).toEqual([]);
        const reading = p.log.read(name, 0, 7)[Symbol.asyncIterator]();
        await reading.next();
        await p.log.append(numbered(name, 5));
        expect(await values({ [Symbol.asyncIterator]: () => reading })).toEqual(['8', '9']);
      });

      it('appends and reads many records at once', async () => {
        await using p = await harness.open();
        const name = await topic(p.log, { partitions: 1 });
        const positions = await p.log.append(numbered(name, 7000));
        expect(positions.map((at) => at.offset)).toEqual(Array.from({ length: 7000 }, (_, i) => i));
        const read = await values(p.log.read(name, 0, 0, 7000));
        expect(read).toEqual(Array.from({ length: 7000 }, (_, i) => `${i}`));
      });

      it('refuses a record that is too large, for good, and takes none of its batch', async () => {
        await using p = await harness.open();
        const name = await topic(p.log, { partitions: 1, maxBytes: 1000 });
        const batch = [record(name, 'a', 'ok'), { ...record(name, 'a', ''), value: new Uint8Array(1001) }];
        await expect(p.log.append(batch)).rejects.toMatchObject({ name: 'EventLogError', retriable: false });
        expect((await p.log.ends(name))[0]!.end).toBe(0);
        await p.log.append([{ ...record(name, 'a', ''), value: new Uint8Array(1000) }]);
        expect((await p.log.ends(name))[0]!.end).toBe(1);
      });

      it('refuses an unknown topic, for good', async () => {
        await using p = await harness.open();
        const refusal = { name: 'EventLogError', retriable: false };
        await expect(p.log.append([record('contract.none', 'a', '')])).rejects.toMatchObject(refusal);
        await expect(p.log.ends('contract.none')).rejects.toMatchObject(refusal);
        const consumer = p.log.consume({ ...READER, topics: ['contract.none'], signal: new AbortController().signal });
        await expect(consumer.done).rejects.toMatchObject(refusal);
      });

      it('creates topics once, and refuses other settings for the same name', async () => {
        await using p = await harness.open();
        const name = await topic(p.log);
        await p.log.ensureTopics([{ ...SPEC, name }]);
        const other = p.log.ensureTopics([{ ...SPEC, name, partitions: 3 }]);
        await expect(other).rejects.toMatchObject({ name: 'EventLogError', retriable: false });
        await using q = await harness.open();
        await Promise.all([p, q].map((x) => x.log.ensureTopics([{ ...SPEC, name: `${name}.both` }])));
        expect(await q.log.ends(`${name}.both`)).toHaveLength(2);
      });

      it('says where partitions begin and end', async () => {
        await using p = await harness.open();
        const name = await topic(p.log);
        await p.log.append(Array.from({ length: 5 }, () => record(name, 'a', '')));
        const ends = await p.log.ends(name);
        const at = placeOf('a', 2);
        expect(ends.find((e) => e.partition === at)).toEqual({ topic: name, partition: at, start: 0, end: 5 });
        expect(ends.find((e) => e.partition === 1 - at)).toEqual({ topic: name, partition: 1 - at, start: 0, end: 0 });
      });

      it('finds offsets by time', async () => {
        await using p = await harness.open();
        const name = await topic(p.log, { partitions: 1 });
        for (let i = 0; i < 5; i++) {
          await p.log.append([record(name, 'a', `${i}`), record(name, 'a', `${i}`)]);
          await pass(harness, 20);
        }
        const times = (await readAll(p.log, name)).map((r) => r.time);
        expect(times).toEqual(times.toSorted((a, b) => a - b));
        expect(await p.log.offsetAt(name, 0, 0)).toBe(0);
        for (const time of times) expect(await p.log.offsetAt(name, 0, time)).toBe(times.indexOf(time));
        expect(await p.log.offsetAt(name, 0, times[4]! - 1)).toBe(4);
        expect(await p.log.offsetAt(name, 0, times[9]! + 1)).toBe(10);
      });
    });

    describe('nothing is skipped', () => {
      it('by a reader that follows many appenders', async () => {
        await using p = await harness.open();
        await using q = await harness.open();
        const name = await topic(p.log);
        const seen: LogRecord[] = [];
        const reader = consume(q, { topics: [name], concurrency: 1, handle: async (r) => void seen.push(r) });
        const appender = async (who: number) => {
          const { log } = who % 2 ? p : q;
          for (let i = 0; i < 20; i++) {
            const batch = Array.from({ length: 1 + ((who + i) % 5) }, (_, k) => record(name, `${who}.${k}`, `${i}`));
            await log.append(who % 3 ? batch : batch.reverse());
          }
        };
        await Promise.all(Array.from({ length: 8 }, (_, who) => appender(who)));
        const ends = await p.log.ends(name);
        await until(() => seen.length >= ends.reduce((sum, e) => sum + e.end, 0), reader);
        await reader.stop();
        for (const { partition, end } of ends) {
          const offsets = seen.filter((r) => r.partition === partition).map((r) => r.offset);
          expect(offsets).toEqual(Array.from({ length: end }, (_, i) => i));
        }
      });

      it('when the appender that came first commits last (where a log joins transactions)', async (test) => {
        const { transaction } = harness;
        if (!transaction) return test.skip('out of contract: this log cannot join a transaction');
        await using p = await harness.open();
        const name = await topic(p.log);
        const [here, there] = ['a', keyElsewhere('a', 2)] as const;
        const seen: string[] = [];
        const reader = consume(p, { topics: [name], handle: async (r) => void seen.push(text(r)) });
        const slow = Promise.withResolvers<void>();
        const appended = Promise.withResolvers<void>();
        const first = transaction(async (tx) => {
          await p.log.append([record(name, here, 'slow')], tx);
          appended.resolve();
          await slow.promise;
        });
        await appended.promise;
        const second = p.log.append([record(name, here, 'fast')]);
        await p.log.append([record(name, there, 'elsewhere')]);
        await until(() => seen.length > 0, reader);
        expect(seen).toEqual(['elsewhere']);
        slow.resolve();
        await first;
        expect((await second)[0]!.offset).toBe(1);
        await until(() => seen.length === 3, reader);
        expect(seen).toEqual(['elsewhere', 'slow', 'fast']);
        await reader.stop();
      });

      it('and a rolled-back append leaves nothing behind (where a log joins transactions)', async (test) => {
        const { transaction } = harness;
        if (!transaction) return test.skip('out of contract: this log cannot join a transaction');
        await using p = await harness.open();
        const name = await topic(p.log, { partitions: 1 });
        const changed = new Error('changed my mind');
        const going = Array.from({ length: 10 }, (_, i) =>
          transaction(async (tx) => {
            await p.log.append(numbered(name, 3, `${i}.`), tx);
            if (i % 2) throw changed;
          }),
        );
        const results = await Promise.allSettled(going);
        expect(results.filter((r) => r.status === 'rejected').map((r) => r.reason)).toEqual(Array(5).fill(changed));
        const left = await readAll(p.log, name);
        expect(left.map((r) => r.offset)).toEqual(Array.from({ length: 15 }, (_, i) => i));
        expect(new Set(left.map((r) => text(r)[0]))).toEqual(new Set(['0', '2', '4', '6', '8']));
      });
    });

    describe('consume', () => {
      it('keeps the order of each key while it works side by side, never more than asked', async () => {
        await using p = await harness.open();
        const name = await topic(p.log);
        const keys = Array.from({ length: 12 }, (_, i) => `key ${i}`);
        await p.log.append(Array.from({ length: 240 }, (_, i) => record(name, keys[(i * 7) % 12]!, `${i}`)));
        const begun: LogRecord[] = [];
        const running = new Set<string>();
        let most = 0;
        let clashes = 0;
        const reader = consume(p, {
          topics: [name],
          concurrency: 5,
          async handle(r) {
            if (running.has(r.key)) clashes++;
            running.add(r.key);
            most = Math.max(most, running.size);
            begun.push(r);
            await sleep((r.offset * 13) % 7);
            running.delete(r.key);
          },
        });
        await until(() => begun.length === 240, reader);
        await reader.stop();
        expect(clashes).toBe(0);
        expect(most).toBe(5);
        for (const key of keys) {
          const order = begun.filter((r) => r.key === key).map((r) => r.offset);
          expect(order).toHaveLength(20);
          expect(order).toEqual(order.toSorted((a, b) => a - b));
        }
      });

      it('commits in order: a slow early record holds back what is done after it', async () => {
        await using p = await harness.open({ lease: 'short' });
        const name = await topic(p.log, { partitions: 1 });
        await p.log.append(Array.from({ length: 20 }, (_, i) => record(name, `${i}`, `${i}`)));
        await using doomed = await harness.open({ lease: 'short' });
        const done: string[] = [];
        const stuck = consume(doomed, {
          topics: [name],
          group: 'g',
          concurrency: 4,
          async handle(r) {
            if (text(r) === '5') await new Promise(() => undefined);
            done.push(text(r));
          },
        });
        await until(() => done.length === 19, stuck);
        await until(async () => (await p.log.committed('g', name))[0]!.offset === 5, stuck);
        doomed.kill();
        const again: string[] = [];
        const next = consume(p, { topics: [name], group: 'g', handle: async (r) => void again.push(text(r)) });
        await until(() => again.length === 15, next);
        expect(again.toSorted((a, b) => Number(a) - Number(b))[0]).toBe('5');
        await until(async () => (await p.log.committed('g', name))[0]!.offset === 20, next);
        await next.stop();
        stuck.forget();
      });

      it('goes on at the committed offset, each group at its own, and says how far behind it is', async () => {
        await using p = await harness.open();
        const name = await topic(p.log, { partitions: 1 });
        expect(await p.log.committed('one', name)).toEqual([{ partition: 0, offset: null }]);
        await p.log.append(numbered(name, 30));
        const read = async (group: string, enough: number) => {
          const seen: string[] = [];
          const reader = consume(p, { topics: [name], group, handle: async (r) => void seen.push(text(r)) });
          await until(() => seen.length >= enough, reader);
          await reader.stop();
          return seen;
        };
        expect(await read('one', 30)).toHaveLength(30);
        await p.log.append(numbered(name, 3, 'new '));
        const [end] = await p.log.ends(name);
        const [committed] = await p.log.committed('one', name);
        expect(end!.end - committed!.offset!).toBe(3);
        expect(await read('one', 3)).toEqual(['new 0', 'new 1', 'new 2']);
        expect(await read('two', 33)).toHaveLength(33);
      });

      it('hears of new records in other processes', async () => {
        await using p = await harness.open();
        await using q = await harness.open();
        const name = await topic(p.log);
        const seen: string[] = [];
        const reader = consume(p, { topics: [name], handle: async (r) => void seen.push(text(r)) });
        await until(() => reader.assignment().length === 2, reader);
        for (let i = 0; i < 5; i++) {
          await q.log.append([record(name, `${i}`, `${i}`)]);
          await until(() => seen.length === i + 1, reader);
        }
        expect(seen).toEqual(['0', '1', '2', '3', '4']);
        await reader.stop();
      });

      it('follows several topics with one consumer', async () => {
        await using p = await harness.open();
        const names = [await topic(p.log), await topic(p.log)];
        const seen = new Set<string>();
        const reader = consume(p, { topics: names, handle: async (r) => void seen.add(`${r.topic} ${text(r)}`) });
        await p.log.append(names.flatMap((name) => numbered(name, 5)));
        await until(() => seen.size === 10, reader);
        await reader.stop();
      });
    });

    describe('owners', () => {
      it('lets members share, and hands partitions over when one leaves', async () => {
        await using p = await harness.open();
        await using q = await harness.open();
        const name = await topic(p.log, { partitions: 6 });
        const seen: string[] = [];
        const handle = async (r: LogRecord) => void seen.push(text(r));
        const a = consume(p, { topics: [name], handle });
        await until(() => a.assignment().length === 6, a);
        const b = consume(q, { topics: [name], handle });
        await until(() => a.assignment().length === 3 && b.assignment().length === 3, a, b);
        const owned = [...a.assignment(), ...b.assignment()].map((o) => o.partition);
        expect(owned.toSorted()).toEqual([0, 1, 2, 3, 4, 5]);
        await p.log.append(Array.from({ length: 60 }, (_, i) => record(name, `${i}`, `${i}`)));
        await until(() => seen.length === 60, a, b);
        await a.stop();
        await until(() => b.assignment().length === 6, b);
        await p.log.append(Array.from({ length: 60 }, (_, i) => record(name, `${i}`, `after ${i}`)));
        await until(() => seen.length === 120, b);
        await b.stop();
        expect(new Set(seen).size).toBe(120);
      });

      it('takes over what a dead member owned', async () => {
        await using p = await harness.open({ lease: 'short' });
        const name = await topic(p.log);
        const dead = await harness.open({ lease: 'short' });
        const gone = consume(dead, { topics: [name], handle: async () => undefined });
        await until(() => gone.assignment().length === 2, gone);
        dead.kill();
        const seen: string[] = [];
        const reader = consume(p, { topics: [name], handle: async (r) => void seen.push(text(r)) });
        await p.log.append(numbered(name, 4));
        await until(() => seen.length === 4, reader);
        await reader.stop();
        gone.forget();
        await dead[Symbol.asyncDispose]();
      });

      it('does not let a paused former owner commit', async () => {
        await using p = await harness.open({ lease: 'short' });
        await using q = await harness.open({ lease: 'short' });
        const name = await topic(p.log, { partitions: 1 });
        await p.log.append(numbered(name, 10));
        const [hold, holdToo] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
        const begun: string[] = [];
        const former = consume(p, {
          topics: [name],
          concurrency: 1,
          async handle(r) {
            begun.push(text(r));
            if (text(r) === '9') await hold.promise;
          },
        });
        await until(async () => (await q.log.committed(GROUP, name))[0]!.offset === 9, former);
        expect(begun).toContain('9');
        p.freeze();
        const seen: string[] = [];
        const heir = consume(q, {
          topics: [name],
          concurrency: 1,
          async handle(r) {
            seen.push(text(r));
            if (text(r) === 'more 2') await holdToo.promise;
          },
        });
        await q.log.append(numbered(name, 5, 'more '));
        await until(async () => (await q.log.committed(GROUP, name))[0]!.offset === 12, heir);
        // The former owner ends its record: its commit of 10 is on its way when it wakes up.
        hold.resolve();
        await sleep(200);
        p.thaw();
        await until(() => former.assignment().length === 0, former);
        await former.stop();
        expect((await q.log.committed(GROUP, name))[0]!.offset).toBe(12);
        expect(begun).toEqual(numbered(name, 10).map(textOf));
        holdToo.resolve();
        await until(async () => (await q.log.committed(GROUP, name))[0]!.offset === 15, heir);
        await heir.stop();
        expect(seen).toEqual(['9', ...numbered(name, 5, 'more ').map(textOf)]);
      });
    });

    describe('stopping', () => {
      it('drains when aborted: what runs is awaited and committed, nothing is begun, partitions are free at once', async () => {
        await using p = await harness.open();
        await using q = await harness.open();
        const name = await topic(p.log, { partitions: 1 });
        await p.log.append(numbered(name, 50));
        const hold = Promise.withResolvers<void>();
        const begun: string[] = [];
        const ended: string[] = [];
        const reader = consume(p, {
          topics: [name],
          concurrency: 3,
          async handle(r, signal) {
            begun.push(text(r));
            await hold.promise;
            expect(signal.aborted).toBe(false);
            ended.push(text(r));
          },
        });
        await until(() => begun.length === 3, reader);
        const stopped = reader.stop();
        await sleep(100);
        hold.resolve();
        await stopped;
        expect(begun).toHaveLength(3);
        expect(ended).toHaveLength(3);
        expect(await q.log.committed(GROUP, name)).toEqual([{ partition: 0, offset: 3 }]);
        const rest: string[] = [];
        const next = consume(q, { topics: [name], handle: async (r) => void rest.push(text(r)) });
        await until(() => rest.length === 47, next);
        await next.stop();
      });

      it('ends at once when it was aborted before it began', async () => {
        await using p = await harness.open();
        const name = await topic(p.log);
        await p.log.consume({ ...READER, topics: [name], signal: AbortSignal.abort() }).done;
      });

      it("stops with the handler's own error, and the record is read again", async () => {
        await using p = await harness.open();
        const name = await topic(p.log, { partitions: 1 });
        await p.log.append(numbered(name, 10));
        const bug = new TypeError('a bug');
        const seen: string[] = [];
        const handle = async (r: LogRecord) => {
          seen.push(text(r));
          if (text(r) === '4' && !seen.includes('9')) throw bug;
        };
        const first = consume(p, { topics: [name], concurrency: 1, handle });
        await expect(first.done).rejects.toBe(bug);
        expect((await p.log.committed(GROUP, name))[0]!.offset).toBe(4);
        seen.length = 0;
        seen.push('9');
        const second = consume(p, { topics: [name], concurrency: 1, handle });
        await until(() => seen.length === 7, second);
        expect(seen).toEqual(['9', '4', '5', '6', '7', '8', '9']);
        await second.stop();
      });
    });

    describe('a record that kills', () => {
      const murder = async (name: string, partitions: number, die: (p: LogProcess) => Promise<void>) => {
        const handled = new Set<string>();
        const buried: { text: string; deaths: number }[] = [];
        const together = { most: 0, now: 0 };
        let deaths = 0;
        for (;;) {
          const p = await harness.open({ lease: 'short' });
          const dead = Promise.withResolvers<'dead'>();
          const reader = consume(p, {
            topics: [name],
            concurrency: 4,
            async handle(r) {
              together.most = Math.max(together.most, ++together.now);
              if (text(r).startsWith('poison')) {
                deaths++;
                dead.resolve('dead');
                await die(p);
              }
              await sleep(2);
              together.now--;
              handled.add(text(r));
            },
            bury: async (r, n) => void buried.push({ text: text(r), deaths: n }),
          });
          const all = async () => {
            const ends = await p.log.ends(name);
            const committed = await p.log.committed(GROUP, name);
            return ends.every((e) => committed.find((c) => c.partition === e.partition)!.offset === e.end);
          };
          const outcome = await Promise.race([dead.promise, until(all, reader).then(() => 'alive' as const)]);
          if (outcome === 'alive') {
            await reader.stop();
            await p[Symbol.asyncDispose]();
            return { handled, buried, deaths, together, partitions };
          }
          await reader.done.catch(() => undefined);
          together.now = 0;
          await p[Symbol.asyncDispose]();
          if (deaths > 10) throw new Error('nobody stops the murderer');
        }
      };
      const victims = async (poison: string[], partitions: number) => {
        await using p = await harness.open({ lease: 'short' });
        const name = await topic(p.log, { partitions });
        const batch = Array.from({ length: 30 }, (_, i) => record(name, `${i}`, poison[i - 12] ?? `${i}`));
        await p.log.append(batch);
        return {
          name,
          innocent: batch.map((r) => new TextDecoder().decode(r.value!)).filter((v) => !poison.includes(v)),
        };
      };

      it('is found, alone, and buried after its consumer was killed time and again; all others are handled', async () => {
        const { name, innocent } = await victims(['poison'], 2);
        const end = await murder(name, 2, async (p) => {
          p.kill();
          await new Promise(() => undefined);
        });
        expect(end.buried).toEqual([{ text: 'poison', deaths: end.deaths }]);
        expect(end.deaths).toBe(4);
        expect([...end.handled].toSorted()).toEqual(innocent.toSorted());
      }, 60_000);

      it('is buried as well when it throws instead', async () => {
        const { name, innocent } = await victims(['poison', 'poison too'], 1);
        const end = await murder(name, 1, async () => {
          throw new Error('poisoned');
        });
        expect(end.buried.map((b) => b.text)).toEqual(['poison', 'poison too']);
        expect([...end.handled].toSorted()).toEqual(innocent.toSorted());
      }, 60_000);
    });

    describe('owners that die of an idle partition', () => {
      it('make nothing suspicious: what comes afterwards runs side by side', async () => {
        await using p = await harness.open({ lease: 'short' });
        const name = await topic(p.log, { partitions: 1 });
        await p.log.append([record(name, 'a', 'fine')]);
        for (let life = 0; life < 4; life++) {
          await using q = await harness.open({ lease: 'short' });
          const doomed = consume(q, { topics: [name] });
          await until(() => doomed.assignment().length === 1, doomed);
          await until(async () => (await p.log.committed(GROUP, name))[0]!.offset === 1, doomed);
          q.kill();
          await doomed.done.catch(() => undefined);
        }
        const together = { most: 0, now: 0 };
        let handled = 0;
        const reader = consume(p, {
          topics: [name],
          concurrency: 4,
          async handle() {
            together.most = Math.max(together.most, ++together.now);
            await sleep(20);
            together.now--;
            handled++;
          },
        });
        await until(() => reader.assignment().length === 1, reader);
        await p.log.append(numbered(name, 12));
        await until(() => handled === 12, reader);
        await reader.stop();
        expect(together.most).toBe(4);
      }, 60_000);
    });

    describe('upkeep (where the test rules over time)', () => {
      it('removes what is older than the retention time, and nothing younger', async (test) => {
        const { clock } = harness;
        if (!clock) return test.skip('out of contract: the server does this, at times of its own');
        await using p = await harness.open();
        const name = await topic(p.log, { partitions: 1, retentionMs: 10_000 });
        await p.log.append(numbered(name, 5, 'old '));
        clock.advance(8000);
        await p.log.append(numbered(name, 5, 'young '));
        clock.advance(2000);
        await p.log.maintain();
        expect((await p.log.ends(name))[0]).toMatchObject({ start: 0, end: 10 });
        clock.advance(1);
        await p.log.maintain();
        expect((await p.log.ends(name))[0]).toMatchObject({ start: 5, end: 10 });
        expect(await values(p.log.read(name, 0, 0))).toEqual(numbered(name, 5, 'young ').map(textOf));
        const seen: string[] = [];
        const reader = consume(p, { topics: [name], handle: async (r) => void seen.push(text(r)) });
        await until(() => seen.length === 5, reader);
        clock.advance(60_000);
        await p.log.maintain();
        expect((await p.log.ends(name))[0]).toMatchObject({ start: 10, end: 10 });
        expect((await p.log.append([record(name, 'a', 'next')]))[0]!.offset).toBe(10);
        await until(() => seen.includes('next'), reader);
        await reader.stop();
      });

      it('keeps the newest record of each key of a compacted topic, and tombstones for their time', async (test) => {
        const { clock, tombstoneMs } = harness;
        if (!clock || !tombstoneMs) return test.skip('out of contract: the server does this, at times of its own');
        await using p = await harness.open();
        const name = await topic(p.log, { partitions: 1, cleanup: 'compact', retentionMs: null });
        const tombstone = (key: string) => ({ ...record(name, key, ''), value: null });
        const left = async () => (await readAll(p.log, name)).map((r) => `${r.offset} ${r.key}=${r.value && text(r)}`);
        await p.log.append(['1', '2', '3'].map((v) => record(name, 'a', v)));
        await p.log.append([record(name, 'b', '1'), record(name, 'c', '1'), tombstone('b'), record(name, 'c', '2')]);
        await p.log.maintain();
        expect(await left()).toEqual(['2 a=3', '5 b=null', '6 c=2']);
        expect((await p.log.ends(name))[0]).toMatchObject({ start: 2, end: 7 });
        clock.advance(tombstoneMs);
        await p.log.maintain();
        expect(await left()).toEqual(['2 a=3', '5 b=null', '6 c=2']);
        clock.advance(1);
        await p.log.append([record(name, 'a', '4'), tombstone('c')]);
        await p.log.maintain();
        expect(await left()).toEqual(['7 a=4', '8 c=null']);
        // The last record stays whatever it is, so that a reader that is at the end is seen to be at the end.
        clock.advance(tombstoneMs + 1);
        await p.log.maintain();
        expect(await left()).toEqual(['7 a=4', '8 c=null']);
        const seen: string[] = [];
        const reader = consume(p, { topics: [name], handle: async (r) => void seen.push(`${r.offset}`) });
        await until(async () => (await p.log.committed(GROUP, name))[0]!.offset === 9, reader);
        await p.log.append([record(name, 'b', 'back')]);
        await until(() => seen.length === 3, reader);
        await reader.stop();
        expect(seen.toSorted()).toEqual(['7', '8', '9']);
      });
    });
  });
}

const GROUP = 'readers';
const SPEC: TopicSpec = {
  name: '',
  key: 'upload',
  partitions: 2,
  cleanup: 'delete',
  retentionMs: 3600_000,
  maxBytes: 65_536,
};
const READER = {
  group: GROUP,
  concurrency: 4,
  handle: async () => undefined,
  bury: async (r: LogRecord) => {
    throw new Error(`buried ${r.topic}/${r.partition}@${r.offset}`);
  },
};

interface Reader {
  /** Settles when it is over, however often it had to be begun anew. */
  readonly done: Promise<void>;
  assignment(): ReturnType<Consumer['assignment']>;
  stop(): Promise<void>;
  /** Of a process that was killed: nobody waits for it. */
  forget(): void;
}

function reading(
  { log }: LogProcess,
  { endsByItself = () => false }: ContractHarness,
  options: Partial<ConsumeOptions> & Pick<ConsumeOptions, 'topics'>,
): Reader {
  const ending = new AbortController();
  const begin = () => log.consume({ ...READER, signal: ending.signal, ...options });
  let consumer = begin();
  const live = async () => {
    for (;;) {
      try {
        return await consumer.done;
      } catch (error) {
        if (!endsByItself(error)) throw error;
        consumer = begin();
      }
    }
  };
  const done = live();
  // Most tests look at it late, or not at all.
  done.catch(() => undefined);
  return {
    done,
    assignment: () => consumer.assignment(),
    async stop() {
      ending.abort();
      await done;
    },
    forget: () => ending.abort(),
  };
}

const bytes = (s: string) => new TextEncoder().encode(s);
const text = (r: LogRecord) => new TextDecoder().decode(r.value ?? new Uint8Array(0));
const textOf = (r: NewRecord) => new TextDecoder().decode(r.value!);
const record = (topic: string, key: string, value: string): NewRecord => ({
  topic,
  key,
  headers: {},
  value: bytes(value),
});
const numbered = (topic: string, n: number, prefix = '') =>
  Array.from({ length: n }, (_, i) => record(topic, `key ${i % 7}`, `${prefix}${i}`));

function keyElsewhere(key: string, partitions: number): string {
  for (let i = 0; ; i++) if (placeOf(`${key}${i}`, partitions) !== placeOf(key, partitions)) return `${key}${i}`;
}

async function values(records: AsyncIterable<LogRecord>): Promise<string[]> {
  const out: string[] = [];
  for await (const r of records) out.push(text(r));
  return out;
}

async function readAll(log: EventLog, topic: string): Promise<LogRecord[]> {
  const out: LogRecord[] = [];
  for (const { partition, start } of await log.ends(topic))
    for await (const r of log.read(topic, partition, start)) out.push(r);
  return out;
}

const sleep = (ms: number) => new Promise<void>((resolve) => setTimeout(resolve, ms));
const pass = async ({ clock }: ContractHarness, ms: number) => (clock ? clock.advance(ms) : sleep(ms));

/**
 * Waits for something that must come true; that it comes in time is the test runner's business.
 * @throws what ended one of the readers that it waits for
 */
async function until(true_: () => boolean | Promise<boolean>, ...readers: readonly Reader[]): Promise<void> {
  let ended: { error: unknown } | undefined;
  for (const { done } of readers)
    done.then(
      () => {
        ended ??= { error: new Error('a reader ended that nobody had stopped') };
      },
      (error) => {
        ended ??= { error };
      },
    );
  while (!(await true_())) {
    if (ended) throw ended.error;
    await sleep(10);
  }
}
