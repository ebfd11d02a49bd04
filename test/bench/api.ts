import { randomBytes } from 'node:crypto';
import { mkdir, mkdtemp } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { openTemporaryPostgres } from '@vigil/database';
import { startS3 } from '../../infra/s3/start-s3.ts';
import { vigilStore } from '../support/s3.ts';
import { seedsHere } from '../support/seeds.ts';
import { removeData, startVigil, type VigilProcess, WITHOUT_BRAKES } from '../support/vigil-process.ts';
import { machine } from './cpu-time.ts';
import { closedLoop, openLoop, openPlatform } from './latency-load.ts';
import { MOST_ARE_CLEAN, makeImages, randomOf } from './latency-media.ts';
import { SEEDS, wholeNumber } from './whole-number.ts';

const HELP = `npm run bench -- api [--seed 1] [--hashes 100000] [--rate 200] [--seconds 30] [--images 60]
    [--together]
  Starts Vigil with a database of its own, the API as one process and the pipeline as another (--together: all in one), then
  - imports so many PDQ hashes as one CSV, and takes the time until all of them are live
  - asks for works, references, claims, cases and policies in turn at that rate, by an even clock, and takes how long each
    waited: alone, and while images are uploaded at half of the measured capacity
  Prints one JSON line; ends with 1 when an aim is missed.`;

const AIM = { importSeconds: 60, p99Ms: 100 };
const IN_FLIGHT = 16;
const PATIENCE_MS = 60_000;
const say = (line: string) => void process.stderr.write(`${line}\n`);
const READS = ['/v1/works', '/v1/references?limit=20', '/v1/claims', '/v1/cases', '/v1/policies', '/v1/conflicts'];

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string', default: '1' },
      images: { type: 'string', default: '60' },
      hashes: { type: 'string', default: '100000' },
      rate: { type: 'string', default: '200' },
      seconds: { type: 'string', default: '30' },
      together: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  const whole = (name: 'images' | 'hashes' | 'rate' | 'seconds', min: number, max: number) =>
    wholeNumber(name, values[name], [min, max], HELP);
  const seed = wholeNumber('seed', values.seed, SEEDS, HELP);
  const [images, hashes] = [whole('images', 6, 1000), whole('hashes', 1, 10_000_000)];
  const [rate, seconds] = [whole('rate', 1, 10_000), whole('seconds', 1, 3600)];
  const seeds = await seedsHere();
  say('making media ...');
  const samples = await makeImages(seeds, images, seed, MOST_ARE_CLEAN);
  await using stack = new AsyncDisposableStack();
  const data = await mkdtemp(path.join(tmpdir(), 'vigil-bench-api-'));
  stack.defer(() => removeData(data));
  const settings = { ...WITHOUT_BRAKES, VIGIL_LOG_LEVEL: 'warn', VIGIL_REQUESTS_PER_MINUTE: '10000000' };
  const vigil = await startParts(stack, data, { ...process.env, ...settings }, values.together);
  const headers = await vigil.authorization();
  const platform = stack.use(await openPlatform(vigil));
  await platform.protect(seeds.references);

  say('importing ...');
  const csv = Array.from({ length: hashes }, () => randomBytes(32).toString('hex')).join('\n');
  const startedAt = performance.now();
  const sent = await fetch(`${vigil.url}/v1/hash-lists/csv?holder=bench`, {
    method: 'POST',
    headers: { ...headers, 'content-type': 'text/csv' },
    body: csv,
  });
  const imported = (await sent.json()) as { added?: number };
  if (imported.added !== hashes) throw new Error(`not imported: ${JSON.stringify(imported)}`);
  const acceptedSeconds = (performance.now() - startedAt) / 1000;
  const pending = async (state: string) => {
    const found = await fetch(`${vigil.url}/v1/references?limit=1&state=${state}`, { headers });
    return ((await found.json()) as { items: unknown[] }).items.length > 0;
  };
  while ((await pending('received')) || (await pending('fingerprinted'))) await sleep(200);
  const liveSeconds = (performance.now() - startedAt) / 1000;

  say('reads alone ...');
  const alone = await readsAt({ url: vigil.url, headers, rate, seconds });
  say('how many images go ...');
  const ask = (sample: (typeof samples)[number]) => platform.ask(sample, PATIENCE_MS);
  await closedLoop(samples.slice(0, IN_FLIGHT), IN_FLIGHT, ask);
  const capacity = (await closedLoop(samples, IN_FLIGHT, ask)).perSecond;
  say(`reads, beside images at half of ${capacity.toFixed(1)} a second ...`);
  const uploads = Array.from({ length: Math.ceil((capacity / 2) * seconds) }, (_, n) => samples[n % samples.length]!);
  const [beside, load] = await Promise.all([
    readsAt({ url: vigil.url, headers, rate, seconds }),
    openLoop(uploads, capacity / 2, randomOf(seed).next, ask),
  ]);
  const unanswered = load.answers.filter(({ wrong }) => wrong).length;
  const missed = [
    liveSeconds > AIM.importSeconds && 'import',
    alone.p99Ms > AIM.p99Ms && 'reads alone',
    beside.p99Ms > AIM.p99Ms && 'reads beside a pipeline at half load',
    alone.wrong + beside.wrong > 0 && 'answers',
    unanswered > 0 && 'verdicts',
  ].filter((what) => what !== false);
  if (missed.length > 0) process.exitCode = 1;
  const tenth = (s: number) => Math.round(10 * s) / 10;
  const options = { seed, images, hashes, rate, seconds, together: values.together };
  return {
    bench: 'api',
    options,
    seeds: seeds.version,
    machine: machine(),
    aims: AIM,
    import: { acceptedSeconds: tenth(acceptedSeconds), liveSeconds: tenth(liveSeconds) },
    reads: { alone, besideHalfLoad: beside },
    pipeline: {
      capacityPerSecond: tenth(capacity),
      sentPerSecond: tenth(load.perSecond),
      uploads: uploads.length,
      wrong: unanswered,
    },
    missed,
  };
}

/** Whoever answers requests; the pipeline beside it, or in it. */
async function startParts(
  stack: AsyncDisposableStack,
  data: string,
  env: NodeJS.ProcessEnv,
  together: boolean,
): Promise<VigilProcess> {
  if (together) return stack.use(await startVigil(data, env));
  await mkdir(path.join(data, 's3'));
  const s3 = await startS3({ folder: path.join(data, 's3'), log: say });
  if (!s3) throw new Error('two processes need an S3 store to share: see infra/README.md, or use --together');
  stack.use(s3);
  const store = await vigilStore(s3);
  const { url } = stack.use(await openTemporaryPostgres());
  const part = (name: string, roles: string) =>
    startVigil(path.join(data, name), {
      ...env,
      DATABASE_URL: url,
      ...store,
      VIGIL_ROLES: roles,
    });
  stack.use(await part('pipeline', 'plan,fingerprint,match,confirm,decide'));
  const api = stack.use(await part('api', 'api'));
  return { ...api, databaseUrl: async () => url };
}

/** By an even clock, whether or not earlier ones are answered. */
async function readsAt(to: { url: string; headers: Record<string, string>; rate: number; seconds: number }) {
  const { url, headers, rate, seconds } = to;
  const waited: number[] = [];
  let wrong = 0;
  const begun = performance.now();
  const all: Promise<void>[] = [];
  for (let n = 0; n < rate * seconds; n++) {
    const due = begun + (n * 1000) / rate;
    if (performance.now() < due) await sleep(due - performance.now());
    // From when it was due: a server that makes the client late is late itself.
    all.push(
      fetch(url + READS[n % READS.length], { headers }).then(async (answer) => {
        await answer.arrayBuffer();
        waited.push(performance.now() - due);
        if (!answer.ok) wrong++;
      }),
    );
  }
  await Promise.all(all);
  waited.sort((a, b) => a - b);
  const at = (share: number) =>
    Math.round(10 * waited[Math.min(waited.length - 1, Math.floor(share * waited.length))]!) / 10;
  return { asked: waited.length, wrong, p50Ms: at(0.5), p99Ms: at(0.99), maxMs: at(1) };
}
