/** Pictures and films of given sizes for the benches of the engine: from the corpus where it is here, else from the seeds. */
import { readdir, stat } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { mulberry32 } from '../network/deliver-twice.ts';
import { CORPUS, corpusHere } from '../support/corpus.ts';
import { ffmpegHere, run } from '../support/ffmpeg.ts';
import { madeOnce } from '../support/made-once.ts';
import { seedsHere } from '../support/seeds.ts';

const CACHE = fileURLToPath(new URL('../../.vigil/cache/bench', import.meta.url));
/** Bump when the same recipe makes other media. */
const VERSION = 1;

/** Every film is cut from this one, 120 s from here on; the seeds' own film is shorter and begins again. */
const FILM = 'agent327_480p.mp4';
const FILM_START = 40;
const BASE_SECONDS = 120;

export interface Origin {
  file: string;
  /** Seconds of it that the uploads are made from; those of a film. */
  span?: [number, number];
}

/** As fine as a camera's, or what was enlarged would be decoded for nothing: some 0.2 bytes of JPEG a pixel. */
const GRAIN = 'noise=alls=9';

/** JPEG files of so many megapixels, of pictures drawn by seed. */
export async function makePictures(count: number, megapixels: number, seed: number): Promise<string[]> {
  const sources = await pictures();
  const next = mulberry32(seed);
  const files: string[] = [];
  for (let i = 0; i < Math.min(count, sources.length); i++) {
    const [from] = sources.splice(Math.floor(next() * sources.length), 1);
    const side = `sqrt(${megapixels}e6`;
    const scale = `scale=w='2*round(${side}*iw/ih)/2)':h='2*round(${side}*ih/iw)/2)':flags=lanczos,${GRAIN}`;
    const jpeg = ['-frames:v', '1', '-vf', scale, '-pix_fmt', 'yuvj420p', '-c:v', 'mjpeg', '-q:v', '3'];
    files.push(await made(['-i', from!, ...jpeg], 'jpg'));
  }
  return files;
}

async function pictures(): Promise<string[]> {
  if (!corpusHere) return (await seedsHere()).references.filter((r) => r.kind === 'image').map((r) => r.path);
  const folder = path.join(CORPUS, 'images');
  const names = (await readdir(folder)).filter((name) => /^(photo|kodak|camera)_.*\.(jpe?g|png)$/.test(name));
  return names.sort().map((name) => path.join(folder, name));
}

/** What films are made from, to be learned as the reference of copies. */
export async function filmOrigin(): Promise<Origin> {
  if (corpusHere) {
    return { file: path.join(CORPUS, 'videos', FILM), span: [FILM_START, FILM_START + BASE_SECONDS] };
  }
  const films = (await seedsHere()).references.filter((r) => r.kind === 'video');
  return { file: films.reduce((a, b) => (b.seconds > a.seconds ? b : a)).path };
}

/** Fast presets: how long an encoder took is nobody's business here. Keyframes as each encoder sets them at 250 frames at most. */
const CODECS: Record<string, { encoder: string; options: string[]; ending: string }> = {
  h264: { encoder: 'libx264', options: ['-preset', 'veryfast', '-crf', '24'], ending: 'mp4' },
  hevc: {
    encoder: 'libx265',
    options: ['-preset', 'ultrafast', '-crf', '28', '-x265-params', 'log-level=error'],
    ending: 'mp4',
  },
  vp9: {
    encoder: 'libvpx-vp9',
    options: ['-deadline', 'realtime', '-cpu-used', '8', '-crf', '36', '-b:v', '0', '-g', '250'],
    ending: 'webm',
  },
  av1: { encoder: 'libsvtav1', options: ['-preset', '12', '-crf', '40', '-g', '250'], ending: 'mp4' },
};
export const CODEC_NAMES = Object.keys(CODECS);

export interface FilmFile {
  codec: string;
  height: number;
  seconds: number;
  file: string;
}

/** A film of that size and length, or why this ffmpeg cannot make it. Longer than the base is the base again and again. */
export async function makeFilm(
  codec: string,
  height: number,
  seconds: number,
): Promise<FilmFile | { skipped: string }> {
  const how = Object.hasOwn(CODECS, codec) ? CODECS[codec]! : null;
  if (!how) throw new RangeError(`no such codec: ${codec}; known are ${CODEC_NAMES.join(', ')}`);
  const { file: from, span } = await filmOrigin();
  const at = span ? ['-ss', String(span[0]), '-i', from] : ['-stream_loop', '-1', '-i', from];
  const picture = ['-vf', `scale=-2:${height}:flags=bicubic`, '-pix_fmt', 'yuv420p', '-an', '-c:v', how.encoder];
  try {
    const base = await made([...at, '-t', String(BASE_SECONDS), ...picture, ...how.options], how.ending);
    const cut = seconds < BASE_SECONDS ? ['-i', base] : ['-stream_loop', '-1', '-i', base];
    const file =
      seconds === BASE_SECONDS ? base : await made([...cut, '-t', String(seconds), '-c', 'copy'], how.ending);
    return { codec, height, seconds, file };
  } catch (error) {
    const { message } = error as Error;
    if (!/Unknown encoder/i.test(message)) throw error;
    return { skipped: `${codec} ${height}p: this ffmpeg has no ${how.encoder}` };
  }
}

/** The name of a file is the digest of what made it. */
async function made(args: readonly string[], ending: string): Promise<string> {
  const { ffmpeg, version } = await ffmpegHere();
  const words = await Promise.all(
    args.map(async (a) => (path.isAbsolute(a) ? `${path.basename(a)} ${(await stat(a)).size}` : a)),
  );
  const make = (file: string) => run(ffmpeg, ['-nostdin', '-y', '-v', 'error', ...args, file]);
  return madeOnce(CACHE, [VERSION, version, ...words], `.${ending}`, make);
}
