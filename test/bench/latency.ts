import { mkdtemp } from 'node:fs/promises';
import { freemem, loadavg, tmpdir, totalmem } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import type { SeedSet } from '../../seeds/generate.ts';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { byProgram, processTree, pssOf } from '../support/process-tree.ts';
import { seedsHere } from '../support/seeds.ts';
import { removeData, startVigil, WITHOUT_BRAKES } from '../support/vigil-process.ts';
import type { Answer } from './answers.ts';
import { machine } from './cpu-time.ts';
import { closedLoop, DATABASE_CONNECTIONS, oneAtATime, openLoop, openPlatform, type Platform } from './latency-load.ts';
import { CLIP_SECONDS, makeClips, makeImages, makeLongFilm, randomOf, type Sample } from './latency-media.ts';
import { SEEDS, wholeNumber } from './whole-number.ts';

const HELP = `npm run bench -- latency [--seed 1] [--images 60] [--clips 24] [--films 10] [--film-seconds 600]
  [--only images,clips,beside-films] [--quick]
  From upload event to takedown event: images and 30 s clips, one at a time and at half of the measured capacity, and
  images while long films are queued; with the peak memory of the whole process tree. Prints one JSON line.`;

/** The aims of the product, beside which the figures are printed. */
const AIMS = { imageP50Ms: 1000, clipP50Ms: 3000, peakPssMB: 800 };
const PATIENCE_MS = { image: 60_000, clip: 180_000 };
const IN_FLIGHT = { image: 16, clip: 8 };
const WARM_UP = 4;
const PARTS = ['images', 'clips', 'beside-films'];
const SAMPLE_MS = 500;
const MB = 1e6;

const say = (line: string) => void process.stderr.write(`${line}\n`);

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: {
      seed: { type: 'string', default: '1' },
      images: { type: 'string' },
      clips: { type: 'string' },
      films: { type: 'string' },
      'film-seconds': { type: 'string', default: '600' },
      only: { type: 'string', default: 'images,clips,beside-films' },
      quick: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  const { quick } = values;
  const seed = wholeNumber('seed', values.seed, SEEDS, HELP);
  const images = wholeNumber('images', values.images ?? (quick ? '12' : '60'), [6, 1000], HELP);
  const clips = wholeNumber('clips', values.clips ?? (quick ? '6' : '24'), [6, 200], HELP);
  const films = wholeNumber('films', values.films ?? '10', [0, 50], HELP);
  const filmSeconds = wholeNumber('film-seconds', values['film-seconds'], [60, 7200], HELP);

  const only = values.only.split(',');
  const odd = only.find((part) => !PARTS.includes(part));
  if (odd !== undefined) throw new RangeError(`--only: there is no ${odd}\n${HELP}`);

  const seeds = await seedsHere();
  say('making media ...');
  const media = {
    images: await makeImages(seeds, images, seed),
    clips: await makeClips(seeds, clips, seed),
    film: films > 0 && only.includes('beside-films') ? await makeLongFilm(seeds, filmSeconds) : null,
  };
  const host = await hostNow();
  const dataFolder = await mkdtemp(path.join(tmpdir(), 'vigil-bench-'));
  try {
    const measured = await measure(dataFolder, seeds, media, films, seed, only);
    const options = {
      seed,
      images,
      clips,
      films,
      filmSeconds,
      only,
      quick,
      clipSeconds: CLIP_SECONDS,
      inFlight: IN_FLIGHT,
    };
    return { bench: 'latency', options, seeds: seeds.version, machine: host, aims: AIMS, ...measured };
  } finally {
    await removeData(dataFolder);
  }
}

async function hostNow() {
  const { version } = await ffmpegHere();
  return {
    ...machine(),
    memoryMB: Math.round(totalmem() / MB),
    freeMB: Math.round(freemem() / MB),
    ffmpeg: version,
  };
}

interface Media {
  images: Sample[];
  clips: Sample[];
  film: Sample | null;
}

async function measure(dataFolder: string, seeds: SeedSet, media: Media, films: number, seed: number, only: string[]) {
  await using vigil = await startVigil(dataFolder, { ...process.env, ...WITHOUT_BRAKES, VIGIL_LOG_LEVEL: 'warn' });
  using memory = watchMemory(vigil.pid);
  const all: Answer[] = [];
  const result: Record<string, unknown> = {};
  {
    await using platform = await openPlatform(vigil);
    await platform.protect(seeds.references);
    const idle = memory.now();
    const { next } = randomOf(seed + 2);
    for (const kind of ['image', 'clip'] as const) {
      const samples = kind === 'image' ? media.images : media.clips;
      if (!only.includes(`${kind}s`)) continue;
      const ask = (sample: Sample) => platform.ask(sample, PATIENCE_MS[kind]);
      await closedLoop(samples.slice(0, WARM_UP), WARM_UP, ask);
      say(`${kind}s, one at a time ...`);
      const alone = await oneAtATime(samples, ask);
      say(`${kind}s, as many as go ...`);
      const full = await closedLoop(samples, IN_FLIGHT[kind], ask);
      say(`${kind}s, at half of ${full.perSecond.toFixed(2)} a second ...`);
      const half = await openLoop(samples, full.perSecond / 2, next, ask);
      all.push(...alone, ...full.answers, ...half.answers);
      result[`${kind}s`] = {
        oneAtATime: { ...summary(alone), steps: await stepsOf(platform, alone) },
        capacityPerSecond: round(full.perSecond),
        atCapacity: summary(full.answers),
        atHalf: { ...summary(half.answers), sentPerSecond: round(half.perSecond) },
      };
    }
    if (media.film) {
      say(`images, while ${films} long films are queued ...`);
      const beside = await besideFilms(platform, media.film, films, media.images);
      all.push(...beside.answers);
      result.imagesBesideFilms = beside.said;
    }
    const cpu = process.cpuUsage();
    result.memory = {
      peakPssMB: megabytes(memory.peak()),
      idlePssMB: megabytes(idle),
      atPeak: memory.atPeak(),
      // The bench sends and listens from outside of the tree; what it adds is not in the peak but for its connections' servers.
      bench: {
        pssMB: megabytes(await pssOf([process.pid])),
        cpuSeconds: round((cpu.user + cpu.system) / 1e6),
        databaseConnections: DATABASE_CONNECTIONS,
      },
    };
  }
  vigil.kill('SIGTERM');
  const end = await vigil.ended;
  const wrong = all.filter((a) => a.wrong);
  return {
    ...result,
    right: { asked: all.length, wrong: wrong.length, what: tally(wrong.map((a) => a.wrong!)) },
    ended: end.code ?? end.signal,
    loadAfter: loadavg().map(round),
  };
}

/** Images one at a time, from when the first film was planned on; the films are still not done when the last image is. */
async function besideFilms(platform: Platform, film: Sample, films: number, images: readonly Sample[]) {
  const sent: string[] = [];
  for (let i = 0; i < films; i++) sent.push(await platform.send(film));
  const answers: Answer[] = [];
  for (const image of images.slice(0, 30)) {
    if (platform.verdicts(sent) === sent.length) break;
    answers.push(await platform.ask(image, PATIENCE_MS.image));
  }
  const unfinished = sent.length - platform.verdicts(sent);
  const slowest = answers.toSorted((a, b) => (b.latency ?? 0) - (a.latency ?? 0)).slice(0, 1);
  const steps = await stepsOf(platform, answers);
  const stepsOfSlowest = await stepsOf(platform, slowest);
  const said = { ...summary(answers), films, filmsUnfinishedAtTheEnd: unfinished, steps, stepsOfSlowest };
  return { answers, said };
}

function summary(answers: readonly Answer[]) {
  const times = answers.flatMap((a) => (a.latency === null ? [] : [a.latency])).sort((a, b) => a - b);
  const copies = answers.filter((a) => a.sample.copyOf !== null);
  return {
    uploads: answers.length,
    takedowns: times.length,
    p50Ms: quantile(times, 0.5),
    p99Ms: quantile(times, 0.99),
    maxMs: times.at(-1) ?? null,
    recall: copies.length === 0 ? null : round(copies.filter((a) => a.wrong === null).length / copies.length),
    wrong: tally(answers.flatMap((a) => a.wrong ?? [])),
  };
}

/** Nearest rank: the smallest of the times that at least so large a part of them does not exceed. */
function quantile(sorted: readonly number[], part: number): number | null {
  return sorted[Math.max(0, Math.ceil(part * sorted.length) - 1)] ?? null;
}

/** Median milliseconds after the upload event at which each stage begins and ends, over the copies. */
async function stepsOf(platform: Platform, answers: readonly Answer[]) {
  const begins = new Map<string, number[]>();
  const ends = new Map<string, number[]>();
  for (const { upload } of answers.filter((a) => a.latency !== null)) {
    const trace = await platform.trace(upload);
    for (const { stage, startedAt, endedAt } of trace?.steps ?? []) {
      begins.set(stage, [...(begins.get(stage) ?? []), startedAt - trace!.receivedAt]);
      ends.set(stage, [...(ends.get(stage) ?? []), endedAt - trace!.receivedAt]);
    }
  }
  const median = (list: number[]) =>
    quantile(
      list.sort((a, b) => a - b),
      0.5,
    );
  return Object.fromEntries([...begins].map(([stage, list]) => [stage, [median(list), median(ends.get(stage)!)]]));
}

const tally = (words: readonly string[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const word of words) counts[word] = (counts[word] ?? 0) + 1;
  return counts;
};
const round = (x: number): number => Math.round(x * 100) / 100;
const megabytes = (bytes: number): number => Math.round(bytes / MB);

/** Looks at the tree twice a second. */
function watchMemory(root: number) {
  let [latest, peak, looking] = [0, 0, false];
  let atPeak: Record<string, string> = {};
  let failure: unknown;
  const timer = setInterval(async () => {
    if (looking) return;
    looking = true;
    try {
      const shares = await Promise.all(
        [...(await byProgram(await processTree(root)))].map(
          async ([name, pids]) => [name, pids.length, await pssOf(pids)] as const,
        ),
      );
      latest = shares.reduce((sum, [, , bytes]) => sum + bytes, 0);
      if (latest > peak) {
        peak = latest;
        atPeak = Object.fromEntries(shares.map(([name, n, bytes]) => [name, `${megabytes(bytes)} MB in ${n}`]));
      }
    } catch (error) {
      failure ??= error;
    }
    looking = false;
  }, SAMPLE_MS);
  return {
    now: () => latest,
    peak() {
      if (failure) throw new Error('the memory of the process tree cannot be read', { cause: failure });
      return peak;
    },
    atPeak: () => atPeak,
    [Symbol.dispose]: () => clearInterval(timer),
  };
}
