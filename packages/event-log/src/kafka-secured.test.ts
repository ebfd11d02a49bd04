import type { TopicSpec } from '@vigil/contracts';
import { afterAll, afterEach, expect, test, vi } from 'vitest';
import { startKafka } from '../../../infra/kafka/local-kafka.ts';
import { describeWith } from '../../../test/support/require.ts';
import type { EventLog } from './event-log.ts';
import { openKafkaEventLog } from './kafka-event-log.ts';

/** A real broker that listens with TLS and SASL/PLAIN. */
const kafka = process.env.VIGIL_TEST_KAFKA ? null : await startKafka({ secured: true });
afterAll(() => kafka?.[Symbol.asyncDispose]());
const secured = kafka?.secured;

describeWith('kafka', secured !== undefined, 'Kafka by TLS and SASL', () => {
  const { ca, username, password, brokers } = secured ?? { ca: '', username: '', password: '', brokers: [] };
  const open: EventLog[] = [];
  afterEach(async () => {
    for (const log of open.splice(0)) await log[Symbol.asyncDispose]();
  });
  const openLog = (more: { ca?: string; password?: string; ssl?: false }) => {
    const log = openKafkaEventLog({
      ...{ brokers, clientId: 'secured', replicas: 1, connectionTimeoutMs: 2000 },
      ...(more.ssl === false ? {} : { ssl: more.ca ? { ca: more.ca } : true }),
      sasl: { mechanism: 'plain', username, password: more.password ?? password },
    });
    open.push(log);
    return log;
  };
  const spec: TopicSpec = {
    name: 'secured',
    key: 'upload',
    partitions: 1,
    cleanup: 'delete',
    retentionMs: null,
    maxBytes: 9999,
  };

  test('topics, appends, reads and groups pass through', async () => {
    const log = openLog({ ca });
    await log.ensureTopics([spec]);
    await log.append([{ topic: 'secured', key: 'k', headers: { ce_id: '1' }, value: new Uint8Array([7]) }]);
    const stop = new AbortController();
    const heard = vi.fn();
    const { done } = log.consume({
      ...{ group: 'secured', topics: ['secured'], concurrency: 1, signal: stop.signal },
      handle: async ({ key, value }) => heard(key, [...value!]),
      bury: async () => undefined,
    });
    await expect.poll(() => heard.mock.calls, { timeout: 15_000 }).toEqual([['k', [7]]]);
    stop.abort(new Error('enough'));
    await done;
    const read: number[] = [];
    for await (const { offset } of log.read('secured', 0, 0)) read.push(offset);
    expect(read).toEqual([0]);
  }, 30_000);

  test('a wrong password is for good, and says so', async () => {
    await expect(openLog({ ca, password: 'wrong' }).ends('secured')).rejects.toMatchObject({
      ...{ name: 'EventLogError', retriable: false, message: expect.stringMatching(/authentication/i) },
    });
  });

  test('nobody is trusted whom nobody vouches for, and nothing is said in the clear', async () => {
    await expect(openLog({}).ends('secured')).rejects.toThrow(/self-signed certificate/);
    await expect(openLog({ ssl: false }).ends('secured')).rejects.toMatchObject({ name: 'EventLogError' });
  }, 60_000);
});
