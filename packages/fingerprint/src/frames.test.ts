import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { type Fingerprint, hamming, type Probe, tableOf } from '@vigil/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { everyFrame } from './decoder-options.ts';
import type { FrameImage } from './fingerprinter.ts';
import { bytesSource } from './media-source.ts';
import { openFingerprinter } from './open-fingerprinter.ts';
import { CORPUS, findBuilds, hasCorpus, make, scratchFolder } from './test-support.ts';

/** Real: everything. The same film once as a video and once as pictures, made of it by ffmpeg. */
const build = (await findBuilds())[0]!;
const folder = await scratchFolder();
const fingerprinter = await openFingerprinter({ threads: 2, ffmpeg: build });
afterAll(async () => {
  await fingerprinter[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const SECONDS = 8;
const RATE = 4;
let n = 0;

/** Pictures of a film's first seconds at its own size: some a second, or those that `dense` takes. */
async function picturesOf(input: readonly string[], extension: string, dense = false): Promise<FrameImage[]> {
  const path = join(folder.path, `set${n++}`);
  const tick = (t: string) => `floor(${t}*2+0.000001)`;
  const choice = dense ? `select='isnan(prev_selected_t)+gt(${tick('t')},${tick('prev_selected_t')})'` : `fps=${RATE}`;
  const args = ['-t', String(SECONDS), '-vf', choice, ...everyFrame(build.version), '-q:v', '3'];
  await make(build, [...input, ...args, `${path}-%04d.${extension}`]).catch((error: NodeJS.ErrnoException) => {
    // The name of the output is a pattern, and no file.
    if (error.code !== 'ENOENT') throw error;
  });
  const names = (await readdir(folder.path)).filter((name) => join(folder.path, name).startsWith(`${path}-`)).sort();
  const rate = dense ? 2 : RATE;
  return Promise.all(names.map(async (name, i) => image(i / rate, await readFile(join(folder.path, name)))));
}

const image = (time: number, bytes: Uint8Array): FrameImage => ({
  time,
  open: async () => ({ status: 'opened', source: bytesSource(bytes) }),
});

function codesByTime({ frames, tables }: Fingerprint): Map<number, Uint8Array> {
  const codes = new Map<number, Uint8Array>();
  const table = tables.find((t) => t.kind === 'picture')!;
  for (let i = table.count - 1; i >= 0; i--) {
    const whole = table.place[4 * i] === 0 && table.place[4 * i + 2] === 65535 && table.place[4 * i + 3] === 65535;
    if (whole && table.turn[i] === 0) {
      codes.set(Math.floor(frames.time[table.frame[i]!]! * 2 + 1e-6), table.bits.subarray(32 * i, 32 * i + 32));
    }
  }
  return codes;
}

async function codesOf(images: readonly FrameImage[], probe: Probe): Promise<Fingerprint> {
  const made = await fingerprinter.fingerprintFrames(images, { probe, span: [0, SECONDS] });
  if (made.status === 'rejected') throw new Error(`${made.reason}: ${made.detail}`);
  return made.fingerprint;
}

/** Distances of the codes of the same frames, made of video and made of pictures. */
async function distances(file: string, extension: string): Promise<number[]> {
  const source = bytesSource(await readFile(file));
  const probed = await fingerprinter.probe(source);
  if (probed.status === 'rejected') throw new Error(probed.detail);
  const { probe } = probed;
  const job = {
    probe: { ...probe, duration: Math.max(probe.duration, SECONDS + 1) },
    span: [0, SECONDS] as [number, number],
  };
  const video = await fingerprinter.fingerprint(source, { ...job, purpose: 'confirm' });
  if (video.status === 'rejected') throw new Error(video.detail);
  const a = codesByTime(video.fingerprint);
  const b = codesByTime(await codesOf(await picturesOf(['-i', file], extension, true), probe));
  return [...a].flatMap(([time, bits]) => (b.has(time) ? [hamming(bits, b.get(time)!)] : []));
}

const FILM = ['-f', 'lavfi', '-i', 'mandelbrot=s=640x360:r=20,hue=s=0'];
const CLIP = { file: join(folder.path, 'film.mp4'), probe: null as Probe | null };
beforeAll(async () => {
  const bytes = await make(build, [...FILM, '-t', String(SECONDS), '-c:v', 'mpeg4', '-q:v', '3', CLIP.file]);
  const probed = await fingerprinter.probe(bytesSource(bytes));
  if (probed.status === 'probed') CLIP.probe = { ...probed.probe, format: 'frames' };
});

describe('a film that comes as pictures', () => {
  test.each(['jpg', 'png'])('has the codes of the video that it was taken from (%s)', async (extension) => {
    const found = await distances(CLIP.file, extension);
    expect(found.length).toBeGreaterThanOrEqual(2 * SECONDS - 2);
    expect(Math.max(...found)).toBeLessThanOrEqual(8);
  });

  test('is read twice a second, however many there are, with mirrored codes, thumbnails and patches', async () => {
    const images = await picturesOf(['-i', CLIP.file], 'jpg');
    let opened = 0;
    const open = (one: FrameImage) => {
      opened++;
      return one.open();
    };
    const counted = images.map((one) => ({ time: one.time, open: () => open(one) }));
    const made = await codesOf(counted, CLIP.probe!);
    expect(images.length).toBe(SECONDS * RATE);
    expect(opened).toBe(SECONDS * 2);
    expect(made.sampling).toBe('dense');
    expect([...made.frames.time]).toEqual(Array.from({ length: SECONDS * 2 }, (_, i) => i / 2));
    expect(new Set(tableOf(made, 'picture').turn).size).toBe(2);
    expect(tableOf(made, 'patch').count).toBeGreaterThan(100);
    expect(made.thumbnails.time.length).toBe(SECONDS * 2);
  });

  test('is brought to one size, whatever the size of each picture', async () => {
    const images = await picturesOf(['-i', CLIP.file], 'png');
    const small = await picturesOf(['-i', CLIP.file, '-s', '480x270'], 'jpg');
    const mixed = images.map((one, i) => (i % 4 === 0 ? one : small[i]!));
    const a = codesByTime(await codesOf(images, CLIP.probe!));
    const b = codesByTime(await codesOf(mixed, CLIP.probe!));
    expect(Math.max(...[...a].map(([time, bits]) => hamming(bits, b.get(time)!)))).toBeLessThanOrEqual(12);
  });

  test('is judged by what decodes, and refused when most of it does not', async () => {
    const images = await picturesOf(['-i', CLIP.file], 'jpg');
    const broken = image(0, new TextEncoder().encode('no picture at all'));
    const without = (bad: (i: number) => boolean) =>
      images.map((one, i) => (bad(i) ? { ...broken, time: one.time } : one));
    const some = await codesOf(
      without((i) => i < 6),
      CLIP.probe!,
    );
    expect(some.frames.time[0]).toBe(1.5);
    const job = { probe: CLIP.probe!, span: [0, SECONDS] as [number, number] };
    expect(
      await fingerprinter.fingerprintFrames(
        without((i) => i < 20),
        job,
      ),
    ).toMatchObject({
      status: 'rejected',
      reason: 'not-media',
    });
    const missing = { status: 'rejected', reason: 'missing', detail: 'b/k' } as const;
    const gone = images.map(({ time }) => ({ time, open: async () => missing }));
    expect(await fingerprinter.fingerprintFrames(gone, job)).toEqual(missing);
  });

  test('has nothing where there is no picture', async () => {
    const made = await codesOf([], CLIP.probe!);
    expect(made.frames.time.length).toBe(0);
    expect(tableOf(made, 'picture').count).toBe(0);
  });

  test('a fault of the store is thrown, also of the picture that is fetched ahead', async () => {
    const images = await picturesOf(['-i', CLIP.file], 'jpg');
    const job = { probe: CLIP.probe!, span: [0, SECONDS] as [number, number] };
    for (const at of [0, 2]) {
      const faulty = images.map((one, i) =>
        i === at ? { ...one, open: () => Promise.reject(new Error('store is down')) } : one,
      );
      await expect(fingerprinter.fingerprintFrames(faulty, job)).rejects.toThrow('store is down');
    }
  });
});

describe.skipIf(!hasCorpus)('real films as pictures [needs corpus]', () => {
  test('have codes well within the radius of those of the video', async () => {
    const names = (await readdir(join(CORPUS, 'videos')))
      .filter((name) => /\.(mp4|webm|mkv|mov)$/.test(name))
      .slice(0, process.env.VIGIL_FULL === '1' ? 6 : 3);
    const all: number[] = [];
    for (const name of names) all.push(...(await distances(join(CORPUS, 'videos', name), 'jpg')));
    expect(all.length).toBeGreaterThan(30);
    expect(Math.max(...all)).toBeLessThanOrEqual(12);
  }, 120_000);
});
