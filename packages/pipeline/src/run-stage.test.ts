import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type BlobStore, BlobStoreError, openFileBlobStore } from '@vigil/blob-store';
import { deadSpec, deadTopic, MalformedEvent, TOPICS } from '@vigil/contracts';
import {
  type ConsumeOptions,
  checkRecord,
  type EventLog,
  EventLogError,
  type LogRecord,
  type NewRecord,
} from '@vigil/event-log';
import { createFakeClock, createLogger } from '@vigil/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { z } from 'zod';
import { envelopeOf, recordOf, unspilled } from './emit.ts';
import { done, type Outcome, type Output, rejected, retry, skipped } from './outcome.ts';
import { runStage, type Stage } from './run-stage.ts';
import { unwatched } from './testing.ts';

/** Faked: the log (what is appended is kept in a list, by the rules of every log) and time. Real: the blob store. */
const Data = z.object({ n: z.number() });
type Data = z.infer<typeof Data>;
const out = (id: string): Output => ({ to: 'alignments', key: 'k', id, type: 't', data: { id } });
const input = (n: unknown): LogRecord => ({
  ...envelopeOf({ to: 'uploads', key: 'k', id: `ev_${n}`, type: 't', data: { n } }, 0),
  topic: TOPICS.uploads.name,
  partition: 0,
  offset: 0,
  time: 0,
});

describe('run-stage', () => {
  let blobs: BlobStore;
  let root: string;
  let appended: NewRecord[];
  let options: ConsumeOptions;
  const clock = createFakeClock();

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'vigil-stage-'));
    blobs = await openFileBlobStore({ root });
    appended = [];
  });
  afterEach(async () => {
    await blobs[Symbol.asyncDispose]();
    await rm(root, { recursive: true });
  });

  let draining: AbortController;
  let isBroken: () => boolean;
  /** May fail, as a log that is away does. */
  let appendWith: () => Promise<void>;

  function start(
    run: (n: number, signal: AbortSignal, alive?: () => void) => Outcome | Promise<Outcome>,
    giveUp?: Stage<Data>['giveUp'],
    schema: Stage<Data>['schema'] = Data,
  ) {
    draining = new AbortController();
    isBroken = () => false;
    appendWith = async () => undefined;
    const environment = { isBroken: async () => isBroken() };
    const log = {
      append: async (records: readonly NewRecord[]) => {
        await appendWith();
        const specs = Object.values(TOPICS).flatMap((spec) => [spec, deadSpec(spec)]);
        for (const record of records) checkRecord(record, specs.find(({ name }) => name === record.topic)!);
        appended.push(...records);
        return [];
      },
      consume: (o: ConsumeOptions) => {
        options = o;
        return { done: Promise.resolve(), assignment: () => [] };
      },
    } as unknown as EventLog;
    const stage: Stage<Data> = {
      name: 'test',
      group: 'test',
      consumes: ['uploads'],
      concurrency: 1,
      schema,
      run: async ({ event }, signal, alive) => run(event.data.n, signal, alive),
      ...(giveUp ? { giveUp } : {}),
    };
    const logger = createLogger({ level: 'silent' });
    runStage(stage, { log, blobs, clock, logger, environment, ...unwatched() }, draining.signal);
    return (record: LogRecord, alive: () => void = () => undefined, owned = new AbortController().signal) =>
      options.handle(record, owned, alive);
  }
  const topics = () => appended.map((r) => r.topic);

  test('sends the outputs of what is done, nothing for what is skipped', async () => {
    const handle = start((n) => (n === 1 ? done([out('a'), out('b')]) : skipped('known')));
    await handle(input(1));
    expect(appended.map((r) => r.headers.ce_id)).toEqual(['a', 'b']);
    await handle(input(2));
    expect(appended.length).toBe(2);
  });

  test('puts away what is rejected, with the reason, and still sends the results that others wait for', async () => {
    const handle = start(() => rejected('broken', [out('terminal')]));
    await handle(input(1));
    expect(topics()).toEqual(['vigil.uploads.dead', 'vigil.alignments']);
    expect(appended[0]!.headers).toMatchObject({ vigil_reason: 'broken', vigil_stage: 'test', ce_id: 'ev_1' });
  });

  test('puts away what leads to more than the log takes, and goes on', async () => {
    const handle = start((n) => {
      if (n === 1) throw new EventLogError('too large', { retriable: false });
      return done([out('fine')]);
    });
    await handle(input(1));
    await handle(input(2));
    expect(topics()).toEqual(['vigil.uploads.dead', 'vigil.alignments']);
    expect(appended[0]!.headers).toMatchObject({ vigil_reason: 'too large', ce_id: 'ev_1' });
  });

  test('puts away what cannot be understood, and goes on', async () => {
    const handle = start(() => done([out('never')]));
    await handle(input('not a number'));
    await handle({ ...input(1), headers: {} });
    expect(topics()).toEqual(['vigil.uploads.dead', 'vigil.uploads.dead']);
    expect(appended[0]!.headers.vigil_reason).toMatch(/expected number/i);
  });

  test('tries again after a retry, then gives up with a terminal result', async () => {
    let tries = 0;
    const handle = start(
      () => (++tries < 3 ? retry('store is down') : done([out('at last')])),
      () => [out('gave up')],
    );
    const first = handle(input(1));
    await clock.advance(5000);
    await first;
    expect(appended.map((r) => r.headers.ce_id)).toEqual(['at last']);
    tries = -1e9;
    const second = handle(input(1));
    await clock.advance(3_600_000);
    await second;
    expect(topics().slice(1)).toEqual(['vigil.uploads.dead', 'vigil.alignments']);
    expect(appended[2]!.headers.ce_id).toBe('gave up');
  });

  test('gives nothing up for what no store answers, and goes on when they do', async () => {
    let tries = 0;
    let over = false;
    const handle = start(() => {
      tries++;
      return over ? done([out('at last')]) : retry('store is down');
    });
    isBroken = () => !over;
    const handled = handle(input(1));
    await clock.advance(24 * 3_600_000);
    expect([tries > 1000, appended]).toEqual([true, []]);
    over = true;
    await clock.advance(10_000);
    await handled;
    expect(appended.map((r) => r.headers.ce_id)).toEqual(['at last']);
  });

  test('says what it has to say when the log is back, and leaves it to others when the record is theirs', async () => {
    const outage = new BlobStoreError('unavailable', 'gone for now');
    let failures = 3;
    const handle = start(() => done([out('a')]));
    appendWith = async () => {
      if (failures-- > 0) throw outage;
    };
    const handled = handle(input(1));
    await clock.advance(60_000);
    await handled;
    expect(appended.map((r) => r.headers.ce_id)).toEqual(['a']);

    failures = Number.POSITIVE_INFINITY;
    const lost = new AbortController();
    const theirs = handle(input(2), undefined, lost.signal);
    await clock.advance(60_000);
    lost.abort(new Error('lost'));
    await expect(theirs).rejects.toThrow('lost');

    failures = 1;
    appendWith = async () => {
      throw new BlobStoreError('not-allowed', 'refused');
    };
    await expect(handle(input(3))).rejects.toThrow('refused');
    expect(appended.length).toBe(1);
  });

  test('a drain calls off what waits, also between tries, and gives the record back', async () => {
    const reason = new Error('draining');
    const waits = start(
      (_, signal) =>
        new Promise((_, reject) => signal.addEventListener('abort', () => reject(new Error('called off')))),
    )(input(1));
    await new Promise((resolve) => setImmediate(resolve));
    draining.abort(reason);
    await expect(waits).rejects.toBe(reason);
    const again = start(() => retry('store is down'))(input(1));
    await new Promise((resolve) => setImmediate(resolve));
    draining.abort(reason);
    await expect(again).rejects.toBe(reason);
    expect(appended).toEqual([]);
  });

  test('says with every try that it is alive, and lets the stage say so', async () => {
    let said = 0;
    let tries = 0;
    const handle = start((_, __, alive) => {
      alive?.();
      return ++tries < 3 ? retry('store is down') : done([]);
    });
    const handled = handle(input(1), () => void said++);
    await clock.advance(5000);
    await handled;
    expect(said).toBe(6);
  });

  test('a retriable error is a retry, any other ends the consumer', async () => {
    let failures = 0;
    const handle = start((n) => {
      if (n === 2) throw new Error('a bug');
      if (failures++ === 0) throw Object.assign(new Error('no connection'), { retriable: true });
      return done([out('fine')]);
    });
    const first = handle(input(1));
    await clock.advance(1000);
    await first;
    expect(appended.length).toBe(1);
    await expect(handle(input(2))).rejects.toThrow('a bug');
  });

  test('what killed its handler is buried with a terminal result', async () => {
    start(
      () => done(),
      ({ event }, reason) => [out(`${event.data.n}: ${reason}`)],
    );
    await options.bury(input(7), 3);
    expect(topics()).toEqual(['vigil.uploads.dead', 'vigil.alignments']);
    expect(appended[1]!.headers.ce_id).toBe('7: its handler died 3 times');
  });

  test.each<[string, Partial<LogRecord>, string]>([
    ['a key', { key: 'a\0b' }, 'key'],
    ['headers', { headers: { ...input(1).headers, more: 'h'.repeat(16 * 1024) } }, 'headers'],
    [
      'a value',
      { value: new Uint8Array(TOPICS.uploads.maxBytes + 1) },
      `value (of ${TOPICS.uploads.maxBytes + 1} bytes)`,
    ],
  ])('puts away, for both causes, what no log of ours would take: %s', async (_, more, cut) => {
    const handle = start(() => rejected('broken\0'));
    await handle({ ...input(1), ...more });
    await options.bury({ ...input(1), ...more }, 4);
    expect(topics()).toEqual(['vigil.uploads.dead', 'vigil.uploads.dead']);
    expect(appended.map(({ headers }) => headers.vigil_cut)).toEqual([cut, cut]);
    expect(appended[1]!.headers).toMatchObject({ vigil_origin: 'vigil.uploads/0/0', vigil_group: 'test' });
  });

  test('what kills its reader is buried all the same, though nobody hears of it', async () => {
    const schema = () => {
      throw new TypeError('a bug');
    };
    const handle = start(
      () => done(),
      () => [out('never')],
      schema,
    );
    await expect(handle(input(1))).rejects.toThrow('a bug');
    await options.bury(input(1), 4);
    expect(topics()).toEqual(['vigil.uploads.dead']);
  });

  test.each(['no JSON', 'null', '{"sha256":""}'])('puts away what only claims to be spilled: %s', async (text) => {
    const handle = start(() => done());
    const spilled = { ...input(1).headers, 'content-type': 'application/vnd.vigil.spilled' };
    await handle({ ...input(1), headers: spilled, value: new TextEncoder().encode(text) });
    expect(appended[0]!.headers.vigil_reason).toBe('said to be spilled, and names no place');
  });

  test('results say why in words that databases take', async () => {
    const handle = start(
      () => rejected('at \0 \ud800'),
      (_, reason) => [out(reason)],
    );
    await handle(input(1));
    expect(appended[1]!.headers.ce_id).toBe('at \ufffd \ufffd');
  });

  test('an event larger than its topic allows travels through the blob store', async () => {
    const large: Output = { to: 'alignments', key: 'k', id: 'big', type: 't', data: { text: 'x'.repeat(600_000) } };
    const record = await recordOf(large, 0, blobs);
    expect(record.value!.length).toBeLessThan(500);
    const back = await unspilled(record, blobs);
    expect({ ...back, value: new Uint8Array(back.value!) }).toEqual(envelopeOf(large, 0));
  });

  test('puts away what a stage that reads messages itself cannot understand, and goes on', async () => {
    const schema: Stage<Data>['schema'] = ({ value }) => {
      const n = Number(new TextDecoder().decode(value!));
      if (Number.isNaN(n)) throw new MalformedEvent('not a number');
      return { event: { id: '', type: 't', source: 's', subject: 'x', time: 0, data: { n } }, codes: null };
    };
    const handle = start((n) => done([out(`n${n}`)]), undefined, schema);
    const plain = (text: string): LogRecord => ({ ...input(0), headers: {}, value: new TextEncoder().encode(text) });
    await handle(plain('seven'));
    await handle(plain('7'));
    expect(topics()).toEqual([deadTopic(TOPICS.uploads.name), TOPICS.alignments.name]);
    expect(appended[0]!.headers).toMatchObject({ vigil_reason: 'not a number', vigil_stage: 'test' });
    expect(new TextDecoder().decode(appended[0]!.value!)).toBe('seven');
  });
});
