import { createHash } from 'node:crypto';
import { mkdir, readdir, readFile, rename, rm, stat, writeFile } from 'node:fs/promises';
import { availableParallelism } from 'node:os';
import { extname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { Worker } from 'node:worker_threads';
import { encodersOf, runFfmpeg } from './ffmpeg.ts';
import { alone } from './lock.ts';
import type { PaintJob } from './paint-worker.ts';
import { PAINTED, REFERENCES, type Recipe, type SeedReference, type SeedUpload, uploads } from './plan.ts';

export type { SeedExpectation, SeedVerdict } from './plan.ts';

/** Works to protect and uploads to judge, as files. */
export interface SeedSet {
  /** Changes whenever the generator does. */
  version: string;
  references: (SeedReference & { path: string })[];
  uploads: (Omit<SeedUpload, 'make'> & { path: string })[];
}

export interface SeedOptions {
  /** The program, by path or name. */
  ffmpeg: string;
  /** Called as each file is finished. */
  onProgress?: (progress: { name: string; done: number; total: number }) => void;
}

const MANIFEST = 'seeds.json';
const DRAFT = /\.\d+\.part\.[a-z0-9]+(\.wav)?$/;
const running = new Map<string, Promise<SeedSet>>();

/**
 * Makes the seeds in a folder, about 40 files. Whoever asks again gets the same files at once, until the generator
 * changes. Each file appears whole, and the manifest last.
 */
export function makeSeeds(outFolder: string, options: SeedOptions): Promise<SeedSet> {
  const folder = resolve(outFolder);
  const already = running.get(folder);
  if (already) return already;
  const made = make(folder, options).finally(() => running.delete(folder));
  running.set(folder, made);
  return made;
}

async function make(folder: string, { ffmpeg, onProgress }: SeedOptions): Promise<SeedSet> {
  const version = await versionOfGenerator();
  const kept = () => readManifest(folder, version);
  const found = await kept();
  if (found) return found;
  await mkdir(folder, { recursive: true });
  return alone(join(folder, 'seeds.lock'), kept, () => makeAll(folder, version, ffmpeg, onProgress));
}

async function makeAll(
  folder: string,
  version: string,
  ffmpeg: string,
  onProgress: SeedOptions['onProgress'],
): Promise<SeedSet> {
  await rm(join(folder, MANIFEST), { force: true });
  // Whoever holds the lock is alone: drafts that are there were left by someone who was killed.
  for (const name of await readdir(folder)) if (DRAFT.test(name)) await rm(join(folder, name), { force: true });
  const encoders = await encodersOf(ffmpeg);
  const list = uploads((name) => encoders.has(name));
  const steps = [...paintings(folder, ffmpeg), ...derivations(folder, ffmpeg, list)];
  const total = steps.reduce((sum, step) => sum + step.makes.length, 0);
  let done = 0;
  await runSteps(steps, (name) => onProgress?.({ name, done: ++done, total }));
  const set: SeedSet = {
    version,
    references: REFERENCES.map((r) => ({ ...r, path: join(folder, r.name) })),
    uploads: list.map(({ make: _, ...u }) => ({ ...u, path: join(folder, u.name) })),
  };
  await whole(join(folder, MANIFEST), (path) => writeFile(path, `${JSON.stringify(set, null, 2)}\n`));
  return set;
}

/** Null unless every file that it names is there. Paths follow the folder, which may have been moved. */
async function readManifest(folder: string, version: string): Promise<SeedSet | null> {
  try {
    const set = JSON.parse(await readFile(join(folder, MANIFEST), 'utf8')) as SeedSet;
    if (set.version !== version) return null;
    for (const file of [...set.references, ...set.uploads]) {
      file.path = join(folder, file.name);
      await stat(file.path);
    }
    return set;
  } catch (error) {
    if (error instanceof SyntaxError || (error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}

/** A digest of the generator's own sources. */
export async function versionOfGenerator(): Promise<string> {
  const here = fileURLToPath(new URL('.', import.meta.url));
  const hash = createHash('sha256');
  for (const folder of [here, join(here, 'paint')]) {
    for (const name of (await readdir(folder)).sort()) {
      if (name.endsWith('.ts') && !name.endsWith('.test.ts')) hash.update(await readFile(join(folder, name)));
    }
  }
  return hash.digest('hex').slice(0, 16);
}

interface Step {
  makes: string[];
  needs: string[];
  run(): Promise<void>;
}

/** The long films first, each in a thread of its own; the pictures share one. */
function paintings(folder: string, ffmpeg: string): Step[] {
  const names = Object.keys(PAINTED);
  const groups = [...names.filter((n) => n.endsWith('.mp4')).map((n) => [n]), names.filter((n) => !n.endsWith('.mp4'))];
  return groups.map((group) => ({
    makes: group,
    needs: [],
    run: () =>
      wholes(
        group.map((name) => join(folder, name)),
        (paths) =>
          inThread(group.map((name, i): PaintJob => ({ ffmpeg, film: PAINTED[name]!, name, output: paths[i]! }))),
      ),
  }));
}

function derivations(folder: string, ffmpeg: string, list: readonly SeedUpload[]): Step[] {
  const path = (name: string) => join(folder, name);
  const run = (recipe: Recipe, to: string): Promise<void> => {
    if (recipe.by === 'bytes') return writeFile(to, recipe.bytes);
    if (recipe.by === 'painting') throw new Error('painted already');
    return runFfmpeg(ffmpeg, [...recipe.args(path), '-threads', '1', to]);
  };
  return list
    .filter((u) => u.make.by !== 'painting')
    .map((u) => ({
      makes: [u.name],
      needs: u.make.by === 'ffmpeg' ? u.make.from : [],
      run: () => whole(path(u.name), (to) => run(u.make, to)),
    }));
}

/** Two or more at a time, in order as far as what they need is there. */
async function runSteps(steps: readonly Step[], finished: (name: string) => void): Promise<void> {
  const waiting = [...steps];
  const made = new Set<string>();
  const lanes = Math.min(4, Math.max(2, availableParallelism()));
  const active = new Set<Promise<void>>();
  try {
    while (waiting.length > 0 || active.size > 0) {
      const next = active.size < lanes ? waiting.findIndex((s) => s.needs.every((n) => made.has(n))) : -1;
      if (next < 0) {
        await Promise.race(active);
        continue;
      }
      const [step] = waiting.splice(next, 1) as [Step];
      const work: Promise<void> = step.run().then(() => {
        active.delete(work);
        for (const name of step.makes) {
          made.add(name);
          finished(name);
        }
      });
      active.add(work);
    }
  } catch (error) {
    await Promise.allSettled(active);
    throw error;
  }
}

function inThread(jobs: PaintJob[]): Promise<void> {
  return new Promise((done, fail) => {
    const worker = new Worker(new URL('./paint-worker.ts', import.meta.url), { workerData: jobs, execArgv: [] });
    worker.once('message', () => done());
    worker.once('error', fail);
    worker.once('exit', (code) => fail(new Error(`the painter ended early (${code})`)));
  });
}

const whole = (path: string, write: (path: string) => Promise<void>) => wholes([path], ([to]) => write(to!));

/** Files that are written under another name, with the same ending, and appear when all of them are finished. */
async function wholes(paths: string[], write: (paths: string[]) => Promise<void>): Promise<void> {
  const drafts = paths.map((path) => `${path}.${process.pid}.part${extname(path)}`);
  try {
    await write(drafts);
    for (const [i, draft] of drafts.entries()) await rename(draft, paths[i]!);
  } finally {
    for (const draft of drafts) await rm(draft, { force: true });
  }
}

if (process.argv[1] && resolve(process.argv[1]) === fileURLToPath(import.meta.url)) {
  const [folder, ffmpeg = 'ffmpeg'] = process.argv.slice(2);
  if (!folder) {
    process.stderr.write('usage: node seeds/generate.ts OUT_FOLDER [FFMPEG]\n');
    process.exitCode = 2;
  } else {
    const started = performance.now();
    const set = await makeSeeds(folder, {
      ffmpeg,
      onProgress: ({ name, done, total }) => process.stderr.write(`${done}/${total} ${name}\n`),
    });
    const seconds = ((performance.now() - started) / 1000).toFixed(1);
    process.stdout.write(`${set.references.length} references and ${set.uploads.length} uploads in ${seconds} s\n`);
  }
}
