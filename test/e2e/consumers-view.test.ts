import { spawn } from 'node:child_process';
import { mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { jsonEnvelope, readUpload, TOPICS, uploadId } from '@vigil/contracts';
import { SAMPLES } from '@vigil/contracts/event-samples';
import { openKafkaEventLog } from '@vigil/event-log';
import { createLogger } from '@vigil/runtime';
import { afterAll, expect, test } from 'vitest';
import { openTestKafka } from '../support/kafka.ts';
import { describeWith } from '../support/require.ts';
import { PROJECT } from '../support/source-tree.ts';
import { until } from '../support/until.ts';

/** Real: the broker, and the lines of the README in a process of their own. Played by the test: Vigil. */
const kafka = await openTestKafka();
afterAll(() => kafka?.[Symbol.asyncDispose]());

const README = path.join(PROJECT, 'packages/contracts/README.md');

describeWith('kafka', kafka !== null, "the consumer's view in the README of contracts", () => {
  test('produces an upload, and hears of takedown and verdict', async () => {
    const [, code] = /## A consumer's view.*?```js\n(.*?)```/s.exec(await readFile(README, 'utf8'))!;
    expect(code!.split('\n').filter(Boolean).length).toBeLessThanOrEqual(20);
    await using stack = new AsyncDisposableStack();
    const { brokers } = kafka!;
    const logger = createLogger({ level: 'warn' });
    const log = stack.use(await openKafkaEventLog({ brokers, clientId: 'test', logger }));
    const { uploads, takedowns, verdicts } = TOPICS;
    await log.ensureTopics([uploads, takedowns, verdicts]);

    // Below the project, so that it finds kafkajs as any program there does.
    const folder = await mkdtemp(path.join(PROJECT, 'node_modules/.consumers-view-'));
    stack.defer(() => rm(folder, { recursive: true }));
    await writeFile(path.join(folder, 'platform.mjs'), code!);
    const env = { ...process.env, KAFKA_BROKERS: brokers.join(',') };
    const platform = spawn(process.execPath, [path.join(folder, 'platform.mjs')], {
      env,
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    const closed = new Promise((resolve) => platform.on('close', resolve));
    stack.defer(async () => {
      platform.kill('SIGKILL');
      await closed;
    });
    let printed = '';
    let complaints = '';
    platform.stdout.setEncoding('utf8').on('data', (text: string) => {
      printed += text;
    });
    // The client logs to the same place, as JSON.
    const said = () => printed.split('\n').filter((line) => line !== '' && !line.startsWith('{'));
    platform.stderr.setEncoding('utf8').on('data', (text: string) => {
      complaints += text;
    });

    const event = await until('an upload', async () => {
      if (platform.exitCode !== null) throw new Error(`the platform has ended: ${complaints}`);
      for (const { partition, start, end } of await log.ends(uploads.name)) {
        for await (const record of log.read(uploads.name, partition, start, end)) {
          return readUpload(record, { keyPattern: null }).events[0];
        }
      }
      return undefined;
    });
    expect(event).toMatchObject({
      action: 'created',
      account: 'acc-17',
      visibility: 'public',
      media: { version: '3' },
    });

    const upload = uploadId(event.media);
    const tell = (topic: string, type: string, data: object) =>
      log.append([
        {
          topic,
          ...jsonEnvelope(upload, { id: type, type, source: 'vigil', subject: upload, time: Date.now(), data }),
        },
      ]);
    const { takedown, verdict } = SAMPLES;
    await tell(takedowns.name, 'vigil.media.takedown', { ...takedown, upload, media: event.media });
    await tell(verdicts.name, 'vigil.upload.judged', { ...verdict, upload, media: event.media });
    await until('what came back', async () => said().length >= 2);
    expect(said().sort()).toEqual(
      [`takedown uploads acc-17/film.mp4 3 ${takedown.id}`, `${upload} taken-down null`].sort(),
    );
  });
});
