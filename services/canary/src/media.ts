import { spawn } from 'node:child_process';
import { randomBytes, randomInt } from 'node:crypto';
import { readdir, rename, rm, stat } from 'node:fs/promises';
import path from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { CannotRun } from './settings.ts';

/** Films of chance: a few shots a film, each a random picture of few pixels that drifts, laid out smoothly by ffmpeg. */
const [WIDTH, HEIGHT, FPS] = [30, 17, 12];
const SHOT_SECONDS = [1.6, 3.2] as const;
export const REFERENCE_SECONDS = 18;
export const CLIP_SECONDS = 8;
const MAX_SECONDS = 60;

/** A film that nobody has seen before. */
export function makeFilm(ffmpeg: string, file: string, seconds: number): Promise<void> {
  const size = ['-f', 'rawvideo', '-pix_fmt', 'rgb24', '-s', `${WIDTH}x${HEIGHT}`, '-r', `${FPS}`, '-i', 'pipe:0'];
  const look = ['-vf', 'scale=400:224:flags=bicubic,noise=alls=5:allf=t'];
  return encode(ffmpeg, [...size, ...look], file, frames(seconds));
}

function* frames(seconds: number): Generator<Buffer> {
  let shot = makeShot();
  for (let n = 0, left = shot.frames; n < seconds * FPS; n++, left--) {
    if (left <= 0) {
      shot = makeShot();
      left = shot.frames;
    }
    yield paint(shot, shot.frames - left);
  }
}

const between = ([from, to]: readonly [number, number]) => from + (randomInt(1_000_000) / 1_000_000) * (to - from);

function makeShot() {
  const size = 64;
  return {
    size,
    pixels: randomBytes(size * size * 3),
    frames: Math.round(between(SHOT_SECONDS) * FPS),
    dx: between([-0.12, 0.12]),
    dy: between([-0.08, 0.08]),
  };
}

/** The part of the shot's picture that the camera sees at a frame; between pixels what lies between them. */
function paint({ size, pixels, dx, dy }: ReturnType<typeof makeShot>, frame: number): Buffer {
  const out = Buffer.alloc(WIDTH * HEIGHT * 3);
  const at = (x: number, y: number, c: number) => pixels[(((y + size) % size) * size + ((x + size) % size)) * 3 + c]!;
  for (let y = 0, i = 0; y < HEIGHT; y++) {
    for (let x = 0; x < WIDTH; x++) {
      const [u, v] = [x + 20 + dx * frame, y + 20 + dy * frame];
      const [l, t] = [Math.floor(u), Math.floor(v)];
      const [a, b] = [u - l, v - t];
      for (let c = 0; c < 3; c++, i++) {
        const top = at(l, t, c) * (1 - a) + at(l + 1, t, c) * a;
        const bottom = at(l, t + 1, c) * (1 - a) + at(l + 1, t + 1, c) * a;
        out[i] = Math.round(top * (1 - b) + bottom * b);
      }
    }
  }
  return out;
}

export interface Altered {
  /** For people. */
  how: string;
  /** Seconds in the reference where the copy begins. */
  from: number;
}

/** A piece of the reference, altered by chance as people alter films. */
export async function makeCopy(ffmpeg: string, reference: string, file: string): Promise<Altered> {
  const from = between([1, REFERENCE_SECONDS - CLIP_SECONDS - 1]);
  const brighter = between([-0.06, 0.06]);
  const ways = {
    'as it is': 'null',
    mirrored: 'hflip',
    'half its size': 'scale=200:112',
    letterboxed: 'pad=400:300:0:38',
    'mirrored and letterboxed': 'hflip,pad=400:300:0:38',
  };
  const names = Object.keys(ways) as (keyof typeof ways)[];
  const how = names[randomInt(names.length)]!;
  const cut = ['-ss', from.toFixed(3), '-t', `${CLIP_SECONDS}`, '-i', reference];
  const look = ['-vf', `eq=brightness=${brighter.toFixed(3)},${ways[how]}`];
  await encode(ffmpeg, [...cut, ...look], file);
  return { how: `${how}, from ${from.toFixed(1)} s, brightness ${brighter.toFixed(2)}`, from };
}

const HALF = '.half.mkv';

/** Takes away what canaries that were killed left half made in a folder. */
export async function sweepHalves(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    const file = path.join(folder, name);
    if (!name.endsWith(HALF)) continue;
    const found = await stat(file).catch(() => null);
    if (found && Date.now() - found.mtimeMs > 2 * MAX_SECONDS * 1000) await rm(file, { force: true });
  }
}

/** Whole or not at all. @throws CannotRun */
async function encode(ffmpeg: string, input: string[], file: string, feed?: Iterable<Buffer>): Promise<void> {
  // Another canary may have the same folder, if only for the moments in which it ends.
  const half = `${file}.${process.pid}${HALF}`;
  const quality = ['-an', '-c:v', 'libx264', '-preset', 'ultrafast', '-crf', `${randomInt(20, 28)}`, '-g', '24'];
  const args = ['-hide_banner', '-nostdin', '-loglevel', 'error', '-y', ...input, ...quality];
  const child = spawn(ffmpeg, [...args, '-pix_fmt', 'yuv420p', '-threads', '1', half], {
    stdio: [feed ? 'pipe' : 'ignore', 'ignore', 'pipe'],
  });
  // Not as an option of the start: that one would keep us from ending for as long where there is no ffmpeg.
  const timer = setTimeout(() => child.kill('SIGKILL'), MAX_SECONDS * 1000);
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-500);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', (error) => reject(new CannotRun(`ffmpeg (${ffmpeg}) does not start: ${error.message}`)));
    child.on('close', (code, signal) =>
      code === 0 ? resolve() : reject(new CannotRun(`ffmpeg ended with ${code ?? signal}: ${said.trim()}`)),
    );
  });
  // What ffmpeg says of its end tells more than the broken pipe that follows.
  const fed = feed ? pipeline(Readable.from(feed), child.stdin!).catch(() => undefined) : null;
  try {
    await Promise.all([ended, fed]);
    await rename(half, file);
  } catch (error) {
    await rm(half, { force: true });
    throw error;
  } finally {
    clearTimeout(timer);
  }
}
