import { mkdir, mkdtemp } from 'node:fs/promises';
import { loadavg, tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type BlobStore, openFileBlobStore, openS3BlobStore } from '@vigil/blob-store';
import { TOPICS } from '@vigil/contracts';
import { type Database, openDatabase, openTemporaryPostgres, planReference, registerReference } from '@vigil/database';
import { type EventLog, openKafkaEventLog, openPostgresEventLog } from '@vigil/event-log';
import { startKafka } from '../../infra/kafka/local-kafka.ts';
import { startS3 } from '../../infra/s3/start-s3.ts';
import { type MadeReference, madeSlice } from '../support/made-library.ts';
import { processTree, pssOf } from '../support/process-tree.ts';
import { vigilStore } from '../support/s3.ts';
import { removeData, startVigil } from '../support/vigil-process.ts';
import { machine } from './cpu-time.ts';
import { SEEDS, wholeNumber } from './whole-number.ts';

const HELP = `npm run bench -- restart [--seed 1] [--codes 1000000] [--per-slice 100] [--slices 5] [--tail 10000]
  [--log postgres,kafka]
  Appends a library of so many codes to the real log, then starts a matcher as a process and takes the time until it is ready:
  - new: nobody has read the library before
  - snapshot: with the snapshot that the first one wrote
  - snapshotAndTail: the same, with so many codes more on the log
  - rebuilt: without the snapshot
  The postgres log goes with blobs in files, Kafka with S3, where both are to be had. Prints one JSON line.`;

const AIM_SECONDS = 20;
const START_LIMIT_MS = 5 * 60_000;
const APPENDED_AT_ONCE = 100;
const MB = 1e6;
/** Of shard 0 of 1. */
const SNAPSHOT = 'index/1/0';

const say = (line: string) => void process.stderr.write(`${line}\n`);

interface Options {
  seed: number;
  codes: number;
  perSlice: number;
  slices: number;
  tail: number;
}

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string', default: '1' },
      codes: { type: 'string', default: '1000000' },
      'per-slice': { type: 'string', default: '100' },
      slices: { type: 'string', default: '5' },
      tail: { type: 'string', default: '10000' },
      log: { type: 'string', default: 'postgres,kafka' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  const options: Options = {
    seed: wholeNumber('seed', values.seed, SEEDS, HELP),
    codes: wholeNumber('codes', values.codes, [1, 20_000_000], HELP),
    perSlice: wholeNumber('per-slice', values['per-slice'], [1, 500], HELP),
    slices: wholeNumber('slices', values.slices, [1, 1000], HELP),
    tail: wholeNumber('tail', values.tail, [0, 1_000_000], HELP),
  };
  const logs = values.log.split(',');
  if (logs.some((log) => log !== 'postgres' && log !== 'kafka')) throw new RangeError(`--log: ${values.log}\n${HELP}`);
  const result: Record<string, unknown> = { bench: 'restart', ...options, aimSeconds: AIM_SECONDS, machine: machine() };
  if (logs.includes('postgres')) result.postgres = await onPostgres(options);
  if (logs.includes('kafka')) result.kafka = await onKafka(options);
  return { ...result, loadAfter: loadavg()[0] };
}

interface Stage {
  log: EventLog;
  blobs: BlobStore;
  database: Database;
  dataFolder: string;
  env: Record<string, string>;
}

async function onPostgres(options: Options) {
  await using stack = new AsyncDisposableStack();
  const { dataFolder, database, env } = await common(stack);
  const log = stack.use(await openPostgresEventLog({ postgres: database.postgres }));
  const blobs = stack.use(await openFileBlobStore({ root: path.join(dataFolder, 'blobs') }));
  return await measure({ log, blobs, database, dataFolder, env }, options);
}

async function onKafka(options: Options) {
  await using stack = new AsyncDisposableStack();
  const { dataFolder, database, env } = await common(stack);
  const kafka = await startKafka({ log: () => undefined });
  if (!kafka) return null;
  stack.use(kafka);
  await mkdir(path.join(dataFolder, 's3'));
  const s3 = await startS3({ folder: path.join(dataFolder, 's3') });
  if (!s3) return null;
  stack.use(s3);
  const { endpoint, region, accessKey, secretKey } = s3;
  const log = stack.use(openKafkaEventLog({ brokers: kafka.brokers, clientId: 'bench', replicas: 1 }));
  const credentials = { accessKeyId: accessKey, secretAccessKey: secretKey };
  const blobs = stack.use(await openS3BlobStore({ endpoint, region, credentials }));
  const more = {
    VIGIL_KAFKA_BROKERS: kafka.brokers.join(','),
    VIGIL_KAFKA_REPLICAS: '1',
    ...(await vigilStore(s3)),
  };
  return await measure({ log, blobs, database, dataFolder, env: { ...env, ...more } }, options);
}

async function common(stack: AsyncDisposableStack) {
  const dataFolder = await mkdtemp(path.join(tmpdir(), 'vigil-bench-'));
  stack.defer(() => removeData(dataFolder));
  const { url } = stack.use(await openTemporaryPostgres());
  const database = stack.use(await openDatabase({ url, max: 16 }));
  return { dataFolder, database, env: { DATABASE_URL: url, VIGIL_ROLES: 'match', VIGIL_LOG_LEVEL: 'info' } };
}

async function measure(stage: Stage, options: Options) {
  await stage.log.ensureTopics(Object.values(TOPICS));
  const appending = performance.now();
  const references = Math.ceil(options.codes / (options.perSlice * options.slices));
  await append(stage, options, 0, references);
  const appendSeconds = seconds(performance.now() - appending);
  const first = references * options.slices * options.perSlice;

  const isNew = await start(stage, first, 'SIGTERM');
  const snapshot = await start(stage, first, 'SIGTERM');
  const more = Math.ceil(options.tail / (options.perSlice * options.slices));
  await append(stage, options, references, more);
  const all = first + more * options.slices * options.perSlice;
  const snapshotAndTail = await start(stage, all, 'SIGKILL');
  await stage.blobs.delete('vigil', SNAPSHOT);
  const rebuilt = await start(stage, all, 'SIGKILL');
  return { references, codes: all, appendSeconds, new: isNew, snapshot, snapshotAndTail, rebuilt };
}

/** References [from, from + many) with all their slices, as the pipeline leaves them: rows, and codes on the log. */
async function append({ log, database }: Stage, { seed, perSlice, slices }: Options, from: number, many: number) {
  let batch: ReturnType<typeof madeSlice>[] = [];
  for (let n = from; n < from + many; n++) {
    const made: MadeReference = { reference: { id: `ref-${n}`, version: 1 }, slices, codes: perSlice, seed };
    const media = { source: 'bench', bucket: 'references', key: made.reference.id, version: '' };
    await registerReference(database.postgres, {
      ...{ reference: made.reference, work: `work-${n}`, title: 'made', holder: 'bench', media, now: 1 },
    });
    await planReference(database.postgres, made.reference, { kind: 'video', duration: 30 * slices, slices });
    for (let slice = 0; slice < slices; slice++) batch.push(madeSlice(made, slice));
    if (batch.length < APPENDED_AT_ONCE && n < from + many - 1) continue;
    await log.append(batch);
    batch = [];
    if (n % 1000 < APPENDED_AT_ONCE / slices) say(`${n + 1 - from} of ${many} references appended`);
  }
}

/** Starts a matcher, waits until it is ready with just so many codes, and ends it. */
async function start({ dataFolder, env, blobs }: Stage, codes: number, end: 'SIGTERM' | 'SIGKILL') {
  const begun = performance.now();
  const vigil = await startVigil(dataFolder, { ...process.env, ...env });
  const health = await ready(vigil.url);
  const readySeconds = seconds(performance.now() - begun);
  const found = health.library.reduce((sum, kind) => sum + kind.codes, 0);
  if (found !== codes) throw new Error(`it is ready with ${found} codes, not ${codes}`);
  const pss = await pssOf(await processTree(vigil.pid));
  // One that has read the whole log writes a snapshot at once.
  for (let tries = 0; end === 'SIGTERM' && tries < 600 && !(await blobs.stat('vigil', SNAPSHOT)); tries++)
    await sleep(100);
  const ending = performance.now();
  vigil.kill(end);
  const { stdout } = await vigil.ended;
  const lines = stdout.split('\n').filter((line) => line.startsWith('{'));
  const heard = (words: string) => {
    const line = lines.find((l) => l.includes(words));
    return line ? (JSON.parse(line) as Record<string, number | boolean>) : null;
  };
  const loaded = heard('the library is loaded');
  const wrote = heard('wrote a snapshot');
  const measured = {
    readySeconds,
    loadSeconds: seconds(Number(loaded?.ms)),
    fromSnapshot: loaded?.snapshot,
    records: loaded?.records,
    pssMB: Math.round(pss / MB),
    ...(end === 'SIGTERM' ? { drainSeconds: seconds(performance.now() - ending) } : {}),
    ...(wrote ? { snapshotMB: Math.round(Number(wrote.bytes) / MB), snapshotSeconds: seconds(Number(wrote.ms)) } : {}),
  };
  say(JSON.stringify(measured));
  return measured;
}

async function ready(url: string): Promise<{ library: { codes: number }[] }> {
  for (const until = Date.now() + START_LIMIT_MS; Date.now() < until; await sleep(50)) {
    const response = await fetch(`${url}/health/ready`).catch(() => null);
    if (response?.ok) return (await response.json()) as { library: { codes: number }[] };
  }
  throw new Error('the matcher does not become ready');
}

const seconds = (ms: number): number => Math.round(ms) / 1000;
