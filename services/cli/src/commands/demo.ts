import { once } from 'node:events';
import { createReadStream } from 'node:fs';
import { mkdir, rm } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openEnvelope, TakedownEvent, TOPICS, Verdict } from '@vigil/contracts';
import { FolderInUse, findRunningPostgres, lockDataFolder } from '@vigil/database';
import { alteredText } from '@vigil/decision';
import { findFfmpeg, type Instance, listFiles, type NamedFile, openInstance } from '@vigil/pipeline';
import { type Config, createLogger, type Logger, readConfig } from '@vigil/runtime';
import { openDoor } from '@vigil/worker';
import { makeSeeds } from '../../../../seeds/generate.ts';
import { openSite } from '../open-site.ts';
import { bold, dim, green, note, red, say, spanText, UsageError, yellow } from '../output.ts';
import { progress } from '../progress.ts';
import { verdictText } from '../words.ts';

interface Expectation {
  /** Any of these is right. */
  verdicts: readonly Verdict['verdict'][];
  /** Name of the reference, and where in it the upload's start lies, in seconds. */
  reference?: string;
  offset?: number;
}

interface Case extends NamedFile {
  what?: string;
  expect?: Expectation;
}

const HOLDER = 'demo-studio';
const IN_FLIGHT = 3;
const OFFSET_TOLERANCE = 1;

/** `vigil demo`: the whole pipeline on a folder of its own, its main job, and a look at whether each verdict is right. */
export async function demo(options: { references?: string; uploads?: string; page?: boolean }): Promise<void> {
  if (!options.references !== !options.uploads)
    throw new UsageError('give both --references and --uploads, or neither');
  const home = path.resolve('.vigil');
  const dataFolder = path.join(home, 'demo');
  await mkdir(home, { recursive: true });
  await using claimed = new AsyncDisposableStack();
  claimed.use(await claim(dataFolder));
  const config = readConfig({ ...process.env, VIGIL_DATA: dataFolder });
  const ffmpeg = await findFfmpeg({ ...config.ffmpeg, allowOld: true });
  const own = options.references && options.uploads ? await ownFiles(options.references, options.uploads) : null;
  const { references, uploads } = own ?? (await seedFiles(path.join(home, 'seeds'), ffmpeg.ffmpeg));

  const startedAt = performance.now();
  const logger = createLogger({ level: 'warn', file: path.join(home, 'demo.log') });
  await claimed.disposeAsync();
  await rm(dataFolder, { recursive: true, force: true });
  const instance = await openInstance({ config, logger, ffmpeg });
  try {
    const stores = `${config.kafka ? 'Kafka' : 'PostgreSQL'} and ${config.s3 ? 'S3' : path.relative('.', dataFolder)}`;
    say(dim(`the pipeline runs on ${stores} (${seconds(startedAt)})`));
    const names = await register(instance, references);
    const right = await judgeAll(instance, uploads, names);
    say();
    const wrong = uploads.length - right;
    const checked = own ? `${uploads.length} verdicts` : `${right} of ${uploads.length} verdicts are the right ones`;
    say(`${checked}, in ${seconds(startedAt)}.`);
    if (wrong > 0 && !own) process.exitCode = 1;
    if (config.roles.includes('console'))
      await showPage(instance, { config, logger, old: ffmpeg.old, stay: options.page ?? process.stdin.isTTY });
  } finally {
    await instance[Symbol.asyncDispose]();
  }
}

/**
 * Keeps others out of what an earlier demo left, until it is removed.
 * @throws UsageError while somebody works on it: that demo, its page, or `npm start` on its data
 */
async function claim(dataFolder: string): Promise<AsyncDisposable> {
  const inUse = (by: string) =>
    new UsageError(`${dataFolder} is in use by ${by}, and a demo begins by removing it: stop that one first`);
  const lock = await lockDataFolder(dataFolder).catch((error: unknown) => {
    if (!(error instanceof FolderInUse)) throw error;
    throw inUse(error.holder ? `process ${error.holder.pid}` : 'another process');
  });
  if ((await findRunningPostgres(dataFolder)) === null) return lock;
  await lock[Symbol.asyncDispose]();
  throw inUse('a PostgreSQL');
}

/** What was done, to be looked at: here until Ctrl-C, or later by `npm start` on the same data, which takes no `old` ffmpeg. */
async function showPage(
  instance: Instance,
  { config, logger, old, stay }: { config: Config; logger: Logger; old: boolean; stay: boolean },
): Promise<void> {
  await using stack = new AsyncDisposableStack();
  const mounted = stack.use(await openSite(instance, { config, logger }));
  say();
  if (!stay) {
    const folder = path.relative('.', config.dataFolder);
    const later = `npm start -- --data ${folder}${old ? ', once there is ffmpeg 5 or newer' : ''}`;
    say(`See it in the page: ${later}. Or npm run demo -- --page: it does all this again, and stays.`);
    for (const line of await mounted.greet(`http://127.0.0.1:${config.port}`)) say(line);
    return;
  }
  const at = { host: config.host, logger, mounted };
  const door = stack.use(
    await openDoor(instance, { ...at, port: config.port }).catch((error: NodeJS.ErrnoException) => {
      if (error.code !== 'EADDRINUSE') throw error;
      return openDoor(instance, { ...at, port: 0 });
    }),
  );
  for (const line of await mounted.greet(door.url)) say(line);
  say(dim('Ctrl-C ends it.'));
  const asked = new AbortController();
  const told = ['SIGINT', 'SIGTERM'].map((name) => once(process, name, { signal: asked.signal }));
  await Promise.race([...told, instance.failed]).finally(() => asked.abort());
}

const seconds = (since: number) => `${((performance.now() - since) / 1000).toFixed(1)} s`;

async function ownFiles(references: string, uploads: string): Promise<{ references: Case[]; uploads: Case[] }> {
  const files = async (folder: string) => {
    const found = await listFiles([folder]).catch(() => []);
    if (found.length === 0) throw new UsageError(`there is no file below ${folder}`);
    return found;
  };
  return { references: await files(references), uploads: await files(uploads) };
}

async function seedFiles(folder: string, ffmpeg: string): Promise<{ references: Case[]; uploads: Case[] }> {
  const bar = progress('making the seeds (a short film, pictures, copies of them, clean media)');
  const seeds = await makeSeeds(folder, { ffmpeg, onProgress: ({ done, total }) => bar.at(done / total) });
  bar.end();
  return {
    references: seeds.references.map((r) => ({ name: r.name, file: r.path })),
    uploads: seeds.uploads.map((u) => {
      const { verdict, or = [], reference, uploadSpan, referenceSpan } = u.expect;
      const offset = uploadSpan && referenceSpan ? referenceSpan[0] - uploadSpan[0] : undefined;
      const expect = {
        verdicts: [verdict, ...or],
        ...(reference ? { reference } : {}),
        ...(offset === undefined ? {} : { offset }),
      };
      return { name: u.name, file: u.path, expect };
    }),
  };
}

/** Registers the works and waits until each is live or refused. Returns names by reference id. */
async function register(instance: Instance, references: readonly Case[]): Promise<Map<string, string>> {
  const startedAt = performance.now();
  const names = new Map<string, string>();
  for (const { name, file } of references) {
    const { reference } = await instance.intake.reference(name, createReadStream(file), {
      title: name,
      holder: HOLDER,
    });
    names.set(reference.id, name);
  }
  const bar = progress('learning the reference works');
  for (;;) {
    const views = (await instance.inspect.references()).filter((r) => names.has(r.id));
    const settled = views.filter((r) => r.state === 'live' || r.state === 'rejected');
    bar.at(settled.length / names.size);
    if (settled.length === names.size) {
      bar.end();
      for (const r of settled)
        if (r.state === 'rejected') say(yellow(`  ${names.get(r.id)} protects nothing: ${r.reason}`));
      break;
    }
    await Promise.race([sleep(50), instance.failed]);
  }
  say(dim(`${names.size} reference works are live (${seconds(startedAt)})`));
  return names;
}

/** Sends the uploads as a platform would, listens for what comes out, and prints one line a verdict. */
async function judgeAll(instance: Instance, uploads: readonly Case[], names: Map<string, string>): Promise<number> {
  const byUpload = new Map<string, Case>();
  /** When the takedown event stood in the log. */
  const takedowns = new Map<string, number>();
  const _verdicts = new Map<string, { verdict: Verdict; resolve(): void }>();
  const waiting = new Map<string, () => void>();
  const early = new Map<string, Verdict>();
  let right = 0;
  let _shown = 0;

  const show = (verdict: Verdict) => {
    const sent = byUpload.get(verdict.upload)!;
    const ok = sent.expect ? isRight(verdict, sent.expect, names) : null;
    if (ok) right++;
    _shown++;
    const mark = ok === null ? ' ' : ok ? green('✓') : red('✗');
    const takedown = takedowns.get(verdict.upload);
    say(`${mark} ${lineOf(sent, verdict, takedown, names)}`);
    if (ok === false) say(red(`    expected ${sent.expect!.verdicts.join(' or ')} ${sent.expect!.reference ?? ''}`));
    waiting.get(verdict.upload)?.();
  };

  const stop = new AbortController();
  const consumer = instance.log.consume({
    group: 'demo',
    topics: [TOPICS.takedowns.name, TOPICS.verdicts.name],
    concurrency: 1,
    signal: stop.signal,
    async handle(record) {
      if (record.topic === TOPICS.takedowns.name) {
        const takedown = openEnvelope(TakedownEvent, record).event.data;
        takedowns.set(takedown.upload, record.time);
        return;
      }
      const verdict = openEnvelope(Verdict, record).event.data;
      if (byUpload.has(verdict.upload)) show(verdict);
      else early.set(verdict.upload, verdict);
    },
    bury: async (record) => note(`${record.topic}/${record.offset} cannot be read`),
  });

  let next = 0;
  const lane = async () => {
    while (next < uploads.length) {
      const sent = uploads[next++]!;
      const { promise, resolve } = Promise.withResolvers<void>();
      const { upload } = await instance.intake.upload(sent.name, createReadStream(sent.file), { account: 'demo' });
      waiting.set(upload, resolve);
      byUpload.set(upload, sent);
      const known = early.get(upload);
      if (known) show(known);
      await Promise.race([promise, instance.failed, consumer.done]);
    }
  };
  say();
  await Promise.all(Array.from({ length: IN_FLIGHT }, lane));
  stop.abort();
  await consumer.done;
  return right;
}

function isRight(verdict: Verdict, expect: Expectation, names: Map<string, string>): boolean {
  if (!expect.verdicts.includes(verdict.verdict)) return false;
  if (!expect.reference) return true;
  const best = verdict.decisions[0]?.evidence;
  if (!best || names.get(best.reference.id) !== expect.reference) return false;
  if (expect.offset === undefined || best.segments.length === 0) return true;
  const { upload, reference } = best.segments[0]!;
  return Math.abs(reference[0] - upload[0] - expect.offset) <= OFFSET_TOLERANCE;
}

function lineOf(sent: Case, verdict: Verdict, takenDownAt: number | undefined, names: Map<string, string>): string {
  const paint = verdict.verdict === 'taken-down' ? red : verdict.verdict === 'cleared' ? green : yellow;
  const best = verdict.decisions[0]?.evidence;
  const segment = best?.segments[0];
  const where = best
    ? `${segment ? `${spanText(segment.upload)} is ${spanText(segment.reference)} of ` : ''}${names.get(best.reference.id)}, ${alteredText(best.altered)}`
    : '';
  const after = takenDownAt
    ? `taken down after ${((takenDownAt - verdict.receivedAt) / 1000).toFixed(2)} s`
    : dim(`judged after ${((verdict.decidedAt - verdict.receivedAt) / 1000).toFixed(2)} s`);
  return `${bold(sent.name.padEnd(28))} ${paint(verdictText(verdict).padEnd(12))} ${after}${where ? `  ${where}` : ''}`;
}
