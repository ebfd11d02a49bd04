import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { rm, stat, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { mulberry32 } from '../network/deliver-twice.ts';
import { ffmpegHere, run } from '../support/ffmpeg.ts';
import { madeOnce } from '../support/made-once.ts';
import { type FleetPlatform, sumOf } from './fleet-load.ts';
import { CACHE, type Sample } from './latency-media.ts';

export interface TwoFilms {
  reference: { name: string; path: string };
  /** As long as the reference; its last quarter is the reference's, all before is another film. */
  upload: Sample;
  seconds: number;
}

const RATE = 5;
const SCENE_SECONDS = 4;
/** Share of the film that is not the reference's: of two hours the first 90 minutes. */
const OWN_PART = 0.75;
/** Bump when the same recipe makes other media. */
const VERSION = 1;

/**
 * A reference and an upload that share only their last quarter, so that whoever reads an upload from its start meets the copy
 * last of all. No two scenes of them are alike.
 */
export async function makeTwoFilms(seconds: number, seed: number): Promise<TwoFilms> {
  const own = Math.round((seconds * OWN_PART) / SCENE_SECONDS) * SCENE_SECONDS;
  const scenes = (part: number, length: number) => makeScenes(length, seed * 16 + part);
  const [first, shared, other] = [await scenes(1, own), await scenes(2, seconds - own), await scenes(3, own)];
  const reference = await joined([first, shared]);
  const upload = await joined([other, shared]);
  const name = path.basename(reference);
  return { reference: { name, path: reference }, upload: { file: upload, copyOf: name }, seconds };
}

const BLOCKS = [8, 32, 128] as const;
const WIDTH = 128;
const HEIGHT = 72;

/** A scene is a picture of noise at three scales, which the camera moves over; each is another. */
async function makeScenes(seconds: number, seed: number): Promise<string> {
  const { ffmpeg, version } = await ffmpegHere();
  return kept(['scenes', version, seconds, seed], async (file) => {
    const raw = ['-f', 'rawvideo', '-pix_fmt', 'gray', '-s', `${WIDTH}x${HEIGHT}`, '-framerate', `1/${SCENE_SECONDS}`];
    const move = "crop=426:240:x='27+27*sin(t/2)':y='15+15*cos(t/3)'";
    const video = [
      '-vf',
      `fps=${RATE},scale=480:270:flags=bicubic,${move}`,
      '-t',
      String(seconds),
      '-pix_fmt',
      'yuv420p',
    ];
    const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-crf', '30', '-g', String(RATE * SCENE_SECONDS)];
    const args = ['-nostdin', '-y', '-v', 'error', ...raw, '-i', 'pipe:0', ...video, ...encode, file];
    const child = spawn(ffmpeg, args, { stdio: ['pipe', 'ignore', 'inherit'] });
    const ended = once(child, 'exit');
    child.stdin.on('error', () => undefined);
    const random = mulberry32(seed);
    for (let at = 0; at < seconds; at += SCENE_SECONDS) {
      if (!child.stdin.write(picture(random))) await Promise.race([once(child.stdin, 'drain'), ended]);
    }
    child.stdin.end();
    const [code] = await ended;
    if (code !== 0) throw new Error(`ffmpeg ended with ${code}`);
  });
}

function picture(random: () => number): Uint8Array {
  const levels = new Float64Array(WIDTH * HEIGHT);
  for (const blocks of BLOCKS) {
    const size = WIDTH / blocks;
    const rows = Math.ceil(HEIGHT / size) + 1;
    const grid = Float64Array.from({ length: (blocks + 1) * rows }, () => random() - 0.5);
    const weight = blocks === BLOCKS[0] ? 260 : blocks === BLOCKS[1] ? 120 : 50;
    for (let y = 0; y < HEIGHT; y++) {
      for (let x = 0; x < WIDTH; x++) {
        const [column, row] = [Math.floor(x / size), Math.floor(y / size)];
        const [u, v] = [x / size - column, y / size - row];
        const at = row * (blocks + 1) + column;
        const above = grid[at]! * (1 - u) + grid[at + 1]! * u;
        const below = grid[at + blocks + 1]! * (1 - u) + grid[at + blocks + 2]! * u;
        levels[y * WIDTH + x]! += weight * (above * (1 - v) + below * v);
      }
    }
  }
  return Uint8Array.from(levels, (level) => Math.max(0, Math.min(255, Math.round(128 + level))));
}

/** One after another, by copying what is encoded. */
async function joined(parts: readonly string[]): Promise<string> {
  const { ffmpeg } = await ffmpegHere();
  return kept(['joined', ...parts.map((part) => path.basename(part))], async (file) => {
    const list = `${file}.txt`;
    await writeFile(list, parts.map((part) => `file '${part}'\n`).join(''));
    await run(ffmpeg, ['-nostdin', '-y', '-v', 'error', '-f', 'concat', '-safe', '0', '-i', list, '-c', 'copy', file]);
    await rm(list);
  });
}

const kept = (recipe: readonly unknown[], make: (file: string) => Promise<void>): Promise<string> =>
  madeOnce(CACHE, [VERSION, ...recipe], '.mp4', make);

const SAMPLE_MS = 1000;
const PATIENCE_MS = 30 * 60_000;

/** How soon the takedown of the upload comes, in parts of the time that all of it takes, and what happens to memory meanwhile. */
export async function measureFilm(
  platform: FleetPlatform,
  { reference, upload, seconds }: TwoFilms,
  aims: { takedownAfterPartOfAll: number; memoryGrowth: number },
  say: (line: string) => void,
) {
  const mb = async (file: string) => Math.round((await stat(file)).size / 1e6);
  say(`learning a film of ${seconds / 60} minutes ...`);
  const learning = performance.now();
  await platform.protect([reference]);
  const learnt = (performance.now() - learning) / 1000;

  say('the film of which the last quarter is a copy ...');
  const [stored] = await platform.store([upload]);
  const done = new AbortController();
  const samples: Record<string, number>[] = [];
  const watching = (async () => {
    while (!done.signal.aborted) {
      samples.push(await platform.memory());
      await sleep(SAMPLE_MS, undefined, { signal: done.signal }).catch(() => undefined);
    }
  })();
  const answer = await platform.ask(stored!, PATIENCE_MS).finally(() => done.abort());
  await watching;

  const { verdict, latency, wrong } = answer;
  const all = verdict ? verdict.decidedAt - verdict.receivedAt : null;
  const part = all !== null && latency !== null ? latency / all : null;
  const memory = samples.map(sumOf);
  // The first quarter fills caches and heaps; from then on nothing may rise with the length of the film.
  const [, second, , last] = mediansOfQuarters(memory);
  const growth = last! / second! - 1;
  const missed: string[] = [];
  if (part === null || part >= aims.takedownAfterPartOfAll) missed.push('film: takedown after a tenth of the time');
  if (!(growth <= aims.memoryGrowth)) missed.push('film: memory grows');
  if (wrong) missed.push(`film: ${wrong}`);
  const found = verdict?.decisions[0]?.evidence;
  return {
    minutes: seconds / 60,
    megabytes: { reference: await mb(reference.path), upload: await mb(upload.file) },
    learnedInSeconds: round(learnt),
    copiedFromSecond: seconds * OWN_PART,
    takedownAfterSeconds: latency === null ? null : latency / 1000,
    allInSeconds: all === null ? null : all / 1000,
    takedownAfterPartOfAll: part === null ? null : round(part),
    verdict: verdict && {
      verdict: verdict.verdict,
      coverage: verdict.coverage,
      matchedSeconds: round(found?.total ?? 0),
      longest: found?.longest,
    },
    memoryMB: {
      samples: memory.length,
      min: megabytes(Math.min(...memory)),
      max: megabytes(Math.max(...memory)),
      medianOfQuarters: mediansOfQuarters(memory).map(megabytes),
      medianOfQuartersOf: Object.fromEntries(
        Object.keys(samples[0] ?? {}).map((name) => [
          name,
          mediansOfQuarters(samples.map((sample) => sample[name]!)).map(megabytes),
        ]),
      ),
      growthFromSecondToLastQuarter: round(growth),
    },
    missed,
  };
}

function mediansOfQuarters(list: readonly number[]): number[] {
  const at = (n: number) => Math.floor((n * list.length) / 4);
  return [0, 1, 2, 3].map((n) => median(list.slice(at(n), at(n + 1))));
}

const round = (x: number): number => Math.round(x * 1000) / 1000;
const megabytes = (bytes: number): number => Math.round(bytes / 1e6);
const median = (list: readonly number[]): number =>
  list.toSorted((a, b) => a - b)[Math.floor(list.length / 2)] ?? Number.NaN;
