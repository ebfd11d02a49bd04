/**
 * Records that others have written past our rules, on both logs: each is put away, and stops nothing. Faked: the stores that a stage
 * asks beside its log; a process that dies is a consumer that ends.
 */
import { deadSpec, deadTopic, jsonEnvelope, TOPICS } from '@vigil/contracts';
import { type EventLog, type LogRecord, openKafkaEventLog, openPostgresEventLog } from '@vigil/event-log';
import { createLogger, openPostgres, realClock } from '@vigil/runtime';
import kafkajs from 'kafkajs';
import { afterAll, describe, expect, it } from 'vitest';
import { z } from 'zod';
import { done } from '../packages/pipeline/src/outcome.ts';
import { runStage, type Stage } from '../packages/pipeline/src/run-stage.ts';
import { unwatched } from '../packages/pipeline/src/testing.ts';
import { openTestKafka } from './support/kafka.ts';
import { createEmptyDatabase } from './support/postgres.ts';
import { describeWith } from './support/require.ts';

const kafka = await openTestKafka();
afterAll(() => kafka?.[Symbol.asyncDispose]());

const { name, maxBytes } = TOPICS.uploads;
const LARGE = maxBytes + 1_000_000;
const KILLS = 13;
const NEEDED = 'headers ce_id, ce_type and ce_source are required';

const data = (n: number, text = '') =>
  jsonEnvelope('k', { id: `ev_${n}`, type: 't', source: 's', subject: 'k', time: 0, data: { n, text } });
const bytesOf = (headers: Record<string, string>) => Object.entries(headers).flat().join('').length;

/** Runs the stage until all is committed, again after each death. @returns what it has handled, and what lies dead, once each */
async function work(log: EventLog) {
  const handled: number[] = [];
  let deaths = 0;
  const stage: Stage<{ n: number }> = {
    ...{ name: 'test', group: 'foreign', consumes: ['uploads'], concurrency: 4 },
    schema: z.object({ n: z.number() }),
    async run({ event }) {
      if (event.data.n === KILLS) throw new Error('killed');
      handled.push(event.data.n);
      return done();
    },
  };
  const logger = createLogger({ level: 'silent' });
  const deps = { log, logger, clock: realClock, environment: { isBroken: async () => false }, ...unwatched() };
  const isRead = async () => {
    const committed = await log.committed(stage.group, name);
    return (await log.ends(name)).every(
      ({ partition, end }) => end === 0 || committed.find((one) => one.partition === partition)?.offset === end,
    );
  };
  for (let alive = true; alive; ) {
    const stop = new AbortController();
    const { done: ended } = runStage(stage, { ...deps, blobs: null as never }, stop.signal);
    let died = false;
    ended.catch(() => {
      died = true;
    });
    while (!died && !(await isRead())) await realClock.sleep(50);
    alive = died;
    stop.abort();
    await ended.catch(() => deaths++);
    expect(deaths).toBeLessThan(8);
  }
  const dead: LogRecord[] = [];
  for (const { partition, start } of await log.ends(deadTopic(name)))
    for await (const record of log.read(deadTopic(name), partition, start)) dead.push(record);
  return {
    handled,
    deaths,
    dead: [...new Set(dead.map(({ headers }) => `${headers.vigil_cut ?? 'whole'}: ${headers.vigil_reason}`))].sort(),
  };
}

describe('records that our log would not take', () => {
  it('are put away on PostgreSQL: values of a topic that once took more, headers up to the bound', async () => {
    await using database = await createEmptyDatabase();
    await using postgres = openPostgres({ url: database.url, max: 8 });
    await using log = await openPostgresEventLog({ postgres, leaseMs: 600 });
    await log.ensureTopics([{ ...TOPICS.uploads, maxBytes: 2 * LARGE }, deadSpec(TOPICS.uploads)]);
    const full = (record: ReturnType<typeof data>) => {
      const most = 16 * 1024 - bytesOf(record.headers) - 'more'.length;
      return { ...record, topic: name, headers: { ...record.headers, more: 'h'.repeat(most) } };
    };
    await log.append([
      { topic: name, key: 'k'.repeat(1024), headers: {}, value: new Uint8Array(LARGE) },
      full({ ...data(0), value: null }),
      full(data(KILLS)),
      { topic: name, ...data(1) },
    ]);
    expect(await work(log)).toEqual({
      handled: expect.arrayContaining([1]),
      deaths: 4,
      dead: [
        'headers: its handler died 4 times',
        'headers: the event has no data',
        `value (of ${LARGE} bytes): ${NEEDED}`,
      ],
    });
  }, 120_000);

  describeWith('kafka', kafka !== null, 'on Kafka', () => {
    it('are put away: NUL, long keys, many headers, values that were packed', async () => {
      const SHORT = { sessionMs: 1000, heartbeatMs: 100, rebalanceMs: 2000, maxWaitMs: 50, drainMs: 2000 };
      await using log = openKafkaEventLog({ brokers: kafka!.brokers, clientId: 'test', ...SHORT });
      await log.ensureTopics([TOPICS.uploads, deadSpec(TOPICS.uploads)]);
      const { CompressionTypes, Kafka, logLevel } = kafkajs;
      // Idempotent, or what it tries again would lie there twice.
      const producer = new Kafka({
        clientId: 'others',
        brokers: kafka!.brokers,
        logLevel: logLevel.NOTHING,
      }).producer({ idempotent: true, maxInFlightRequests: 1 });
      await producer.connect();
      const good = data(1);
      const kills = data(KILLS);
      const value = (one: typeof good) => Buffer.from(one.value!);
      await producer.send({
        topic: name,
        compression: CompressionTypes.GZIP,
        messages: [
          { key: 'a\0b', value: '{"no": "idea"}' },
          { key: 'k'.repeat(5000), value: '{}', headers: { 'na\0me': 'text', more: 'h'.repeat(20_000) } },
          { key: 'k', value: Buffer.alloc(LARGE), headers: { name: Buffer.from([0xff, 0x00]) } },
          { key: 'j', value: '{"a\0', headers: { ...good.headers } },
          { key: 'kills\0', value: value(kills), headers: { ...kills.headers, more: 'h'.repeat(20_000) } },
          { key: 'k', value: value(good), headers: { ...good.headers } },
        ],
      });
      await producer.disconnect();
      expect(await work(log)).toEqual({
        handled: expect.arrayContaining([1]),
        deaths: 4,
        dead: [
          `headers, value (of ${LARGE} bytes): ${NEEDED}`,
          `key, headers: ${NEEDED}`,
          'key, headers: its handler died 4 times',
          `key: ${NEEDED}`,
          expect.stringMatching(/^whole: t: .*JSON/),
        ],
      });
    }, 120_000);
  });
});
