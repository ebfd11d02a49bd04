import path from 'node:path';
import { ffmpegHere, run } from '../support/ffmpeg.ts';
import { madeOnce } from '../support/made-once.ts';
import { type Alteration, FILM_ALTERATIONS, FILM_ENCODER, PICTURE_ALTERATIONS } from './accuracy-alterations.ts';
import { type Draw, randomFor, type Work } from './accuracy-works.ts';

/** Seconds of an upload that show a work, and which seconds of it. */
export interface Shown {
  work: Work;
  upload: [number, number];
  reference: [number, number];
}

export interface Sample {
  kind: 'image' | 'video';
  alteration: Alteration;
  /** Names the file among all samples. */
  name: string;
  shown: Shown[];
  make(folder: string): Promise<string>;
}

/** A stretch of film that goes into an upload: of a work that counts, or of anything. */
interface Shot {
  work: Work;
  start: number;
  seconds: number;
  counts: boolean;
}

const MOST_WIDTH = { image: 1024, video: 720 };
const even = (v: number): number => 2 * Math.max(1, Math.round(v / 2));

function sizeOf({ width, height, kind }: Work): { width: number; height: number } {
  const scale = Math.min(1, MOST_WIDTH[kind] / Math.max(width, height));
  return { width: even(width * scale), height: even(height * scale) };
}

/** Each picture under each alteration. */
export function pictureSamples(draw: Draw, seed: number, only: (a: Alteration) => boolean): Sample[] {
  return PICTURE_ALTERATIONS.filter(only).flatMap((alteration) =>
    draw.pictures.map((work): Sample => {
      const random = randomFor(seed, alteration.name, work.name);
      const size = sizeOf(work);
      const others = Array.from({ length: alteration.others ?? 0 }, () => pick(draw.others, random).file);
      const inputs = [work.file, ...others].flatMap((file) => ['-noautorotate', '-i', file]);
      const prepared = `[0:v]scale=${size.width}:${size.height},setsar=1,format=yuv444p[in]`;
      const named = others.map((_, k) => `[${k + 1}:v]format=yuv444p[o${k}]`);
      const graph = [prepared, ...named, alteration.graph({ ...size, random })].join(';');
      const encode = alteration.encode ?? ['-q:v', '3'];
      const args = [...inputs, '-filter_complex', graph, '-map', '[out]', '-frames:v', '1', ...encode];
      return {
        kind: 'image',
        alteration,
        name: `${alteration.name} / ${work.name}`,
        shown: [{ work, upload: [0, 0], reference: [0, 0] }],
        make: (folder) => made(folder, args, alteration.ending ?? 'jpg'),
      };
    }),
  );
}

/** So many pieces under each alteration, of one film after the other, 6 to 30 s from arbitrary instants on. */
export function filmSamples(draw: Draw, seed: number, pieces: number, only: (a: Alteration) => boolean): Sample[] {
  return FILM_ALTERATIONS.filter(only).flatMap((alteration) =>
    Array.from({ length: pieces }, (_, n) => filmSample(draw, alteration, randomFor(seed, alteration.name, n), n)),
  );
}

function filmSample(draw: Draw, alteration: Alteration, random: () => number, n: number): Sample {
  const turn = Math.floor(randomFor(1, alteration.name)() * draw.films.length);
  const work = draw.films[(turn + n) % draw.films.length]!;
  const shots = shotsOf(draw, alteration, work, random);
  const speed = alteration.speed ?? 1;
  const size = sizeOf(shots.find((s) => s.counts)!.work);
  const shown: Shown[] = [];
  let at = 0;
  for (const { work: from, start, seconds, counts } of shots) {
    const end = at + seconds / speed;
    if (counts) shown.push({ work: from, upload: [at, end], reference: [start, start + seconds] });
    at = end;
  }
  const inputs = shots.flatMap((s) => [
    ...(s.counts ? [] : ['-stream_loop', '-1']),
    '-ss',
    s.start.toFixed(3),
    '-t',
    s.seconds.toFixed(3),
    '-i',
    s.work.file,
  ]);
  const others = Array.from({ length: alteration.others ?? 0 }, () => pick(draw.filler, random));
  for (const other of others) inputs.push('-stream_loop', '-1', '-i', other.file);
  const cover = `scale=${size.width}:${size.height}:force_original_aspect_ratio=increase,crop=${size.width}:${size.height},setsar=1`;
  const own = `scale=${size.width}:${size.height},setsar=1`;
  const parts =
    shots.length === 1
      ? // Of one rate with what stands beside it: two rates make one of thousands of pictures a second.
        [`[0:v]${own}${others.length > 0 ? ',fps=25' : ''}[in]`]
      : [
          ...shots.map(
            (s, k) =>
              `[${k}:v]${s.work === shots.find((x) => x.counts)!.work ? own : cover},fps=25,format=yuv420p[s${k}]`,
          ),
          `${shots.map((_, k) => `[s${k}]`).join('')}concat=n=${shots.length}:v=1[in]`,
        ];
  const named = others.map((_, k) => `[${shots.length + k}:v]fps=25[o${k}]`);
  const graph = [...parts, ...named, alteration.graph({ ...size, random })].join(';');
  const evened = graph.replace(/\[out\]$/, '[raw];[raw]scale=trunc(iw/2)*2:trunc(ih/2)*2[out]');
  const encode = alteration.encode ?? FILM_ENCODER;
  const args = [...inputs, '-filter_complex', evened, '-map', '[out]', '-an', '-t', at.toFixed(3), ...encode];
  return {
    kind: 'video',
    alteration,
    name: `${alteration.name} / ${n} / ${shown.map((s) => `${s.work.name} ${s.reference[0].toFixed(1)}-${s.reference[1].toFixed(1)}`).join(', ')}`,
    shown,
    make: (folder) => made(folder, args, alteration.ending ?? 'mp4'),
  };
}

function shotsOf(draw: Draw, { build = 'piece' }: Alteration, work: Work, random: () => number): Shot[] {
  const piece = (of: Work, least: number, most: number): Shot => {
    const seconds = Math.min(least * (most / least) ** random(), of.seconds - 1);
    return { work: of, start: 0.3 + random() * (of.seconds - seconds - 0.6), seconds, counts: true };
  };
  const filler = (seconds: number): Shot => ({
    work: pick(draw.filler, random),
    start: random(),
    seconds,
    counts: false,
  });
  if (build === 'long') {
    const longest = draw.films.reduce((a, b) => (b.seconds > a.seconds ? b : a));
    return [piece(longest, 120, 120)];
  }
  if (build === 'inserted') {
    // The middle of what is inserted lies on the border of two slices.
    const inserted = piece(work, 6, 16);
    return [filler(30 - inserted.seconds / 2), inserted, filler(8)];
  }
  if (build === 'two-works') {
    const other = draw.films[(draw.films.indexOf(work) + 1) % draw.films.length]!;
    return [piece(work, 6, 14), filler(4), piece(other, 6, 14)];
  }
  if (build === 'scattered') {
    return [0, 1, 2, 3].flatMap((k) => [...(k > 0 ? [filler(3 + 2 * random())] : []), piece(work, 3, 5)]);
  }
  return [piece(work, 6, 30)];
}

const pick = <T>(list: readonly T[], random: () => number): T => list[Math.floor(random() * list.length)]!;

/** The name of a file is the digest of what made it. */
async function made(folder: string, args: readonly string[], ending: string): Promise<string> {
  const { ffmpeg, version } = await ffmpegHere();
  const recipe = [version, ...args.map((a) => (path.isAbsolute(a) ? path.basename(a) : a))];
  const make = (file: string) => run(ffmpeg, ['-nostdin', '-y', '-v', 'error', '-threads', '1', ...args, file]);
  return madeOnce(folder, recipe, `.${ending}`, make);
}
