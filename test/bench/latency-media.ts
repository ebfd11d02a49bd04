import path from 'node:path';
import { fileURLToPath } from 'node:url';
import type { SeedSet } from '../../seeds/generate.ts';
import { mulberry32 } from '../network/deliver-twice.ts';
import { ffmpegHere, run } from '../support/ffmpeg.ts';
import { madeOnce } from '../support/made-once.ts';

/** A file that is sent, and the name of the reference that it must be taken down for; null: it must stay. */
export interface Sample {
  file: string;
  copyOf: string | null;
}

export const CACHE = fileURLToPath(new URL('../../.vigil/cache/bench', import.meta.url));
/** Bump when the same recipe makes other media. */
const VERSION = 1;
export const CLIP_SECONDS = 30;
/** Which of the samples are no copies. */
type IsClean = (i: number) => boolean;
/** One of six is clean: speed must not be bought with takedowns of the innocent. */
const MOST_ARE_COPIES: IsClean = (i) => i % 6 === 5;
/** One of six is a copy: rather like what a platform sees. */
export const MOST_ARE_CLEAN: IsClean = (i) => i % 6 !== 5;

const IMAGE_EDITS = ['null', 'hflip', 'negate', 'transpose=clock', 'pad=iw*5/4:ih*7/5:(ow-iw)/2:(oh-ih)/2:0x305068'];
/** Of what is sent: pixels across pictures, seconds of clips, lines of them (null: as many as their source has). */
export interface MediaSize {
  widths: readonly number[];
  clipSeconds: number;
  clipLines: number | null;
}
export const SMALL: MediaSize = { widths: [480, 800, 1280, 1920, 2560], clipSeconds: CLIP_SECONDS, clipLines: null };
/** As telephones make them: twelve megapixels, a minute at 720 lines. */
export const LARGE: MediaSize = { widths: [4032], clipSeconds: 60, clipLines: 720 };
const CLIP_EDITS = ['null', 'hflip', 'scale=-2:240'];
/** Frames between keyframes at 12 frames a second: 2 s, 5 s, and what x264 does when it is not told. */
const CLIP_GOPS = [24, 60, 250];

type Pick = <T>(list: readonly T[]) => T;

/** Altered copies of the seeds' pictures, with clean ones among them; the same for the same seed. */
export async function makeImages(
  seeds: SeedSet,
  count: number,
  seed: number,
  cleanOf = MOST_ARE_COPIES,
  { widths } = SMALL,
): Promise<Sample[]> {
  const works = seeds.references.filter((r) => r.kind === 'image');
  const clean = seeds.uploads.filter((u) => u.kind === 'image' && u.expect.verdict === 'cleared' && !u.expect.or);
  const { pick } = randomOf(seed);
  return inTurn(count, async (i) => {
    const isClean = cleanOf(i);
    const from = isClean ? pick(clean) : pick(works);
    const filter = `scale=${pick(widths)}:-2:flags=bicubic,${pick(IMAGE_EDITS)}`;
    const encode = ['-frames:v', '1', '-c:v', 'mjpeg', '-pix_fmt', 'yuvj420p', '-q:v', String(pick([2, 4, 8]))];
    const file = await cached(seeds, ['-i', from.path, '-vf', filter, ...encode], 'jpg');
    return { file, copyOf: isClean ? null : from.name };
  });
}

/** Pieces of a seeds' film from arbitrary instants on, altered, and clean clips of the same length. */
export async function makeClips(
  seeds: SeedSet,
  count: number,
  seed: number,
  cleanOf = MOST_ARE_COPIES,
  { clipSeconds, clipLines } = SMALL,
): Promise<Sample[]> {
  const film = longestFilm(seeds);
  const clean = seeds.uploads.filter((u) => ['other-valley.mp4', 'glass-works.mp4'].includes(u.name));
  const { pick, next } = randomOf(seed + 1);
  return inTurn(count, async (i) => {
    const isClean = cleanOf(i);
    const start = next() * (film.seconds - clipSeconds);
    const source = isClean ? ['-stream_loop', '-1', '-i', pick(clean).path] : ['-i', film.path];
    const seek = isClean ? next() * 5 : start;
    const encode = ['-c:v', 'libx264', '-preset', 'ultrafast', '-sc_threshold', '40', '-g', String(pick(CLIP_GOPS))];
    const size = clipLines === null ? [] : [`scale=-2:${clipLines}`];
    const video = [
      '-vf',
      [pick(CLIP_EDITS), ...size].join(),
      ...encode,
      '-crf',
      '26',
      '-pix_fmt',
      'yuv420p',
      '-c:a',
      'aac',
    ];
    const at = isClean ? [...source, '-ss', seek.toFixed(3)] : ['-ss', seek.toFixed(3), ...source];
    const file = await cached(seeds, [...at, '-t', String(clipSeconds), ...video], 'mp4');
    return { file, copyOf: isClean ? null : film.name };
  });
}

/** The seeds' film, over and over, at 360p: every slice of it has something to find. */
export async function makeLongFilm(seeds: SeedSet, seconds: number): Promise<Sample> {
  const film = longestFilm(seeds);
  const copy = ['-t', String(seconds), '-c:v', 'libx264', '-preset', 'ultrafast', '-g', '60', '-crf', '28'];
  const video = ['-vf', 'scale=-2:360', '-pix_fmt', 'yuv420p', '-an', ...copy];
  return { file: await cached(seeds, ['-stream_loop', '-1', '-i', film.path, ...video], 'mp4'), copyOf: film.name };
}

const longestFilm = (seeds: SeedSet) =>
  seeds.references.filter((r) => r.kind === 'video').reduce((a, b) => (b.seconds > a.seconds ? b : a));

export function randomOf(seed: number): { next: () => number; pick: Pick } {
  const next = mulberry32(seed);
  return { next, pick: (list) => list[Math.floor(next() * list.length)]! };
}

/** One after another, so that the generator is asked in the same order each time. */
async function inTurn(count: number, make: (i: number) => Promise<Sample>): Promise<Sample[]> {
  const samples: Sample[] = [];
  for (let i = 0; i < count; i++) samples.push(await make(i));
  return samples;
}

/** The name of a file is the digest of what made it. Sources are named without their folder, so that it may move. */
async function cached(seeds: SeedSet, args: readonly string[], ending: string): Promise<string> {
  const { ffmpeg, version } = await ffmpegHere();
  const words = args.map((a) => (path.isAbsolute(a) ? path.basename(a) : a));
  const make = (file: string) => run(ffmpeg, ['-nostdin', '-y', '-v', 'error', ...args, file]);
  return madeOnce(CACHE, [VERSION, seeds.version, version, ...words], `.${ending}`, make);
}
