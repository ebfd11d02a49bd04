// Above 400 lines: the tests share media that take a while to make, and the fingerprinters that read them.
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import {
  encodeFingerprint,
  FRAME_KEY,
  hamming,
  type Probe,
  type Span,
  sliceSpan,
  TURNS,
  tableOf,
} from '@vigil/contracts';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Fingerprinter, FingerprintOutcome } from './fingerprinter.ts';
import { bytesSource, type MediaSource } from './media-source.ts';
import { openFingerprinter } from './open-fingerprinter.ts';
import { MOST_PATCHED, PATCH_GAPS, PATCHES, REFERENCE_PATCH_SECONDS } from './patch-sampling.ts';
import { CORPUS, decodersRunning, findBuilds, hasCorpus, make, scratchFolder } from './test-support.ts';
import { KEEP_SECONDS, PRUNE_BITS, type Purpose } from './video.ts';

/** Real: everything. Made up: the media, but for the corpus part. */
const builds = await findBuilds();
const build = builds[0]!;
const folder = await scratchFolder();
const fingerprinter = await openFingerprinter({ threads: 2, ffmpeg: build });
afterAll(async () => {
  await fingerprinter[Symbol.asyncDispose]();
  await folder[Symbol.asyncDispose]();
});

const media = new Map<string, MediaSource>();
const FILM = 'mandelbrot=s=320x180:r=10,hue=s=0';
const MADE: Record<string, string[]> = {
  moving: ['-f', 'lavfi', '-i', FILM, '-t', '20', '-g', '20', '-c:v', 'mpeg4', '-q:v', '3', 'moving.mp4'],
  'moving, one keyframe': ['-f', 'lavfi', '-i', FILM, '-t', '6', '-g', '600', '-c:v', 'mpeg4', 'g.mp4'],
  mirrored: ['-f', 'lavfi', '-i', `${FILM},hflip`, '-t', '20', '-g', '20', '-c:v', 'mpeg4', '-q:v', '3', 'h.mp4'],
  boxed: [
    '-f',
    'lavfi',
    '-i',
    `${FILM},pad=320:240:0:30`,
    '-t',
    '20',
    '-g',
    '20',
    '-c:v',
    'mpeg4',
    '-q:v',
    '3',
    'b.mp4',
  ],
  still: [
    '-f',
    'lavfi',
    '-i',
    'mandelbrot=s=320x180:r=10:start_scale=0.02:end_scale=0.02,hue=s=0',
    '-t',
    '12',
    '-c:v',
    'mpeg4',
    '-q:v',
    '3',
    's.mp4',
  ],
  'fifty seconds': ['-f', 'lavfi', '-i', FILM, '-t', '50', '-g', '20', '-c:v', 'mpeg4', '-q:v', '3', 'f.mp4'],
  'fifty seconds, one keyframe': ['-f', 'lavfi', '-i', FILM, '-t', '50', '-g', '600', '-c:v', 'mpeg4', 'k.mp4'],
  cut: ['-f', 'lavfi', '-i', `${FILM},negate=enable='gte(t,5.25)'`, '-t', '12', '-c:v', 'mpeg4', '-q:v', '3', 'c.mp4'],
  stream: ['-f', 'lavfi', '-i', FILM, '-t', '20', '-c:v', 'mpeg4', '-q:v', '3', '-f', 'mpegts', 't.ts'],
  long: ['-f', 'lavfi', '-i', 'testsrc2=s=960x540:r=60', '-t', '20', '-c:v', 'mpeg4', '-q:v', '5', 'l.mp4'],
};
beforeAll(async () => {
  for (const [name, args] of Object.entries(MADE)) {
    const path = join(folder.path, args.at(-1)!);
    media.set(name, bytesSource(await make(build, [...args.slice(0, -1), path])));
  }
}, 120_000);

async function probeOf(source: MediaSource): Promise<Probe> {
  const outcome = await fingerprinter.probe(source);
  if (outcome.status !== 'probed') throw new Error(JSON.stringify(outcome));
  return outcome.probe;
}

const bytesOf = (outcome: FingerprintOutcome): Buffer => {
  if (outcome.status !== 'codes') throw new Error(JSON.stringify(outcome));
  return Buffer.from(encodeFingerprint(outcome.fingerprint));
};

async function codesOf(source: MediaSource, purpose: Purpose, span?: Span) {
  const probe = await probeOf(source);
  const job = { probe, span: span ?? sliceSpan(0, probe.duration), purpose };
  const outcome = await fingerprinter.fingerprint(source, job);
  if (outcome.status !== 'codes') throw new Error(JSON.stringify(outcome));
  const { fingerprint } = outcome;
  const table = tableOf(fingerprint, 'picture');
  const codes = Array.from({ length: table.count }, (_, i) => ({
    bits: table.bits.subarray(32 * i, 32 * i + 32),
    turn: TURNS[table.turn[i]!],
    time: fingerprint.frames.time[table.frame[i]!]!,
    whole: table.place.subarray(4 * i, 4 * i + 4).join() === '0,0,65535,65535',
  }));
  return { fingerprint, codes };
}

describe('an upload', () => {
  test('is read at its keyframes, as is and mirrored', async () => {
    const { fingerprint, codes } = await codesOf(media.get('moving')!, 'upload');
    expect(fingerprint).toMatchObject({ sampling: 'keyframes', mode: 'fast', width: 320, height: 180 });
    expect(fingerprint.frames.flags.every((flags) => (flags & FRAME_KEY) !== 0)).toBe(true);
    expect(fingerprint.frames.time.length).toBeGreaterThanOrEqual(10);
    const turns = codes.filter((code) => code.whole).map((code) => code.turn);
    expect(turns.filter((turn) => turn === 'mirror')).toHaveLength(turns.length / 2);
  });

  test.each(['fifty seconds', 'fifty seconds, one keyframe'])(
    'slice by slice, or slices together, is the same: %s',
    async (name) => {
      const source = media.get(name)!;
      const probe = await probeOf(source);
      // The last one is short.
      const spans: Span[] = [
        [0, 17],
        [17, 37],
        [37, 50],
      ];
      const together = await fingerprinter.fingerprintRun(source, { probe, spans });
      const sampling = name === 'fifty seconds' ? ['keyframes', 'keyframes', 'dense'] : ['dense', 'dense', 'dense'];
      expect(together.map((t) => t.status === 'codes' && t.fingerprint.sampling)).toEqual(sampling);
      for (const [n, span] of spans.entries()) {
        const alone = await fingerprinter.fingerprint(source, { probe, span, purpose: 'upload' });
        expect(bytesOf(together[n]!).equals(bytesOf(alone))).toBe(true);
      }
    },
  );

  test('that is short is read densely, however many keyframes it has', async () => {
    const { fingerprint } = await codesOf(media.get('still')!, 'upload');
    expect(fingerprint.sampling).toBe('dense');
    expect(fingerprint.frames.time).toHaveLength(24);
  });

  test('with fewer than three of them is read densely', async () => {
    const { fingerprint } = await codesOf(media.get('moving, one keyframe')!, 'upload');
    expect(fingerprint.sampling).toBe('dense');
    expect([...fingerprint.frames.time]).toEqual([0, 0.5, 1, 1.5, 2, 2.5, 3, 3.5, 4, 4.5, 5, 5.5]);
  });

  test('has patches on frames that differ, at most so many a frame, and thumbnails only where it is confirmed', async () => {
    const { fingerprint } = await codesOf(media.get('moving')!, 'upload');
    const table = tableOf(fingerprint, 'patch');
    expect(table.count).toBeGreaterThan(300);
    const counts = new Map<number, number>();
    for (const frame of table.frame) counts.set(frame, (counts.get(frame) ?? 0) + 1);
    expect(Math.max(...counts.values())).toBeLessThanOrEqual(PATCHES.video.upload + PATCH_GAPS.video);
    expect(fingerprint.thumbnails.time).toHaveLength(0);
    // What does not differ, by the clock.
    const still = (await codesOf(media.get('still')!, 'confirm')).fingerprint;
    const patched = [...new Set(tableOf(still, 'patch').frame)].map((frame) => still.frames.time[frame]);
    expect(patched).toEqual([0, 2, 4, 6, 8, 10]);
    const long = (await codesOf(media.get('long')!, 'confirm')).fingerprint;
    expect(new Set(tableOf(long, 'patch').frame).size).toBeLessThanOrEqual(MOST_PATCHED.dense);
    // Frames are two a second; thumbnails are of the first at or after each eighth, at a film of 60 pictures a second.
    expect(long.frames.time).toEqual(Float64Array.from({ length: 40 }, (_, k) => k / 2));
    const eighths = Float64Array.from({ length: 160 }, (_, k) => Math.ceil((60 * k) / 8) / 60);
    expect([...long.thumbnails.time].map((time, k) => Math.abs(time - eighths[k]!) < 1e-3)).toEqual(
      Array(160).fill(true),
    );
    expect(long.thumbnails.luma).toHaveLength(4096 * 160);
    // Read at two sizes at once, frames still say what they are.
    expect([...long.frames.flags].some((flags) => (flags & FRAME_KEY) === 0)).toBe(true);
  }, 60_000);

  test('that is mirrored has, mirrored, the codes of the original', async () => {
    const [original, mirrored] = await Promise.all([
      codesOf(media.get('moving')!, 'confirm'),
      codesOf(media.get('mirrored')!, 'confirm'),
    ]);
    const straight = original.codes.filter((code) => code.whole && code.turn === 'none');
    const turned = mirrored.codes.filter((code) => code.whole && code.turn === 'mirror');
    expect(turned).toHaveLength(straight.length);
    turned.forEach((code, i) => {
      expect(hamming(code.bits, straight[i]!.bits)).toBeLessThanOrEqual(24);
    });
  });

  test('with borders has a second code that is the one of the original', async () => {
    const original = await codesOf(media.get('moving')!, 'confirm');
    const boxed = await codesOf(media.get('boxed')!, 'confirm');
    const trimmed = boxed.codes.filter((code) => !code.whole && code.turn === 'none');
    expect(trimmed.length).toBe(boxed.fingerprint.frames.time.length);
    const straight = original.codes.filter((code) => code.whole && code.turn === 'none');
    const near = trimmed.filter((code, i) => hamming(code.bits, straight[i]!.bits) <= 31);
    expect(near.length / trimmed.length).toBeGreaterThan(0.9);
  });
});

describe('a reference', () => {
  test('is kept where it changes, as is only', async () => {
    const { fingerprint, codes } = await codesOf(media.get('moving')!, 'reference');
    expect(fingerprint.sampling).toBe('every-frame');
    expect(fingerprint.frames.time[0]).toBe(0);
    expect(codes.every((code) => code.turn === 'none')).toBe(true);
    const whole = codes.filter((code) => code.whole);
    for (let i = 1; i < whole.length; i++) {
      const apart = hamming(whole[i]!.bits, whole[i - 1]!.bits);
      if (whole[i]!.time - whole[i - 1]!.time < KEEP_SECONDS) expect(apart).toBeGreaterThan(PRUNE_BITS);
    }
  });

  test('has patches by the clock and thumbnails every half second', async () => {
    const { fingerprint } = await codesOf(media.get('moving')!, 'reference');
    const table = tableOf(fingerprint, 'patch');
    const times = [...new Set(table.frame)].map((frame) => fingerprint.frames.time[frame]!);
    const periods = times.map((time) => Math.floor(time / REFERENCE_PATCH_SECONDS));
    expect(periods).toEqual([...new Set(periods)]);
    expect(periods).toHaveLength(20 / REFERENCE_PATCH_SECONDS);
    expect(table.count).toBeLessThanOrEqual(PATCHES.video.reference * times.length);
    expect(fingerprint.thumbnails.time).toEqual(Float64Array.from({ length: 40 }, (_, k) => k / 2));
    expect(fingerprint.thumbnails.luma).toHaveLength(40 * 4096);
  });

  test('has patches at a cut beside those of the clock', async () => {
    const { fingerprint } = await codesOf(media.get('cut')!, 'reference');
    const times = [...new Set(tableOf(fingerprint, 'patch').frame)].map((frame) => fingerprint.frames.time[frame]!);
    expect(times.map((time) => Math.floor(time / REFERENCE_PATCH_SECONDS))).toEqual([0, 1, 2, 2, 3, 4, 5]);
    expect(times[3]).toBeCloseTo(5.3, 2);
  });

  test('that stands still is kept every two seconds', async () => {
    const { fingerprint } = await codesOf(media.get('still')!, 'reference');
    const { time } = fingerprint.frames;
    expect(time.length).toBeLessThanOrEqual(8);
    for (let i = 1; i < time.length; i++) expect(time[i]! - time[i - 1]!).toBeLessThanOrEqual(KEEP_SECONDS + 0.11);
  });
});

describe('an abort', () => {
  test('of a running slice ends its decoder, and the thread works on', async () => {
    const source = media.get('long')!;
    const probe = await probeOf(source);
    const stop = new AbortController();
    const job = { probe, span: sliceSpan(0, probe.duration), purpose: 'reference' as const };
    const run = fingerprinter.fingerprint(source, job, stop.signal);
    run.catch(() => undefined);
    await expect
      .poll(decodersRunning, { timeout: 15_000, interval: 5 })
      .toContainEqual(expect.stringMatching(/^ffmpeg/));
    stop.abort(new Error('deleted meanwhile'));
    await expect(run).rejects.toThrow('deleted meanwhile');
    expect(await decodersRunning()).toEqual([]);
    expect((await codesOf(media.get('still')!, 'confirm')).codes.length).toBeGreaterThan(0);
  });

  test('of a waiting slice takes it out of the queue', async () => {
    await using narrow = await openFingerprinter({ threads: 1, ffmpeg: build });
    const source = media.get('long')!;
    const probe = await probeOf(source);
    const job = { probe, span: sliceSpan(0, probe.duration), purpose: 'confirm' as const };
    const first = new AbortController();
    const second = new AbortController();
    const running = narrow.fingerprint(source, job, first.signal);
    const waiting = narrow.fingerprint(source, job, second.signal);
    running.catch(() => undefined);
    second.abort(new Error('not wanted'));
    await expect(waiting).rejects.toThrow('not wanted');
    first.abort(new Error('nor this'));
    await expect(running).rejects.toThrow('nor this');
  });

  test('closing ends what runs and leaves nothing behind', async () => {
    const closing = await openFingerprinter({ threads: 1, ffmpeg: build });
    const source = media.get('long')!;
    const probe = await probeOf(source);
    const run = closing.fingerprint(source, { probe, span: sliceSpan(0, probe.duration), purpose: 'reference' });
    const ended = expect(run).rejects.toThrow(/closing/);
    await expect.poll(decodersRunning, { timeout: 15_000, interval: 5 }).not.toEqual([]);
    await closing[Symbol.asyncDispose]();
    await ended;
    expect(await decodersRunning()).toEqual([]);
  });
});

describe('a source that cannot be read', () => {
  const away = (size: number): MediaSource => ({ size, read: () => Promise.reject(new Error('the store is away')) });

  test('is an error, not a verdict on the media', async () => {
    await expect(fingerprinter.probe(away(10))).rejects.toThrow('the store is away');
    const source = media.get('moving')!;
    const probe = await probeOf(source);
    const broken: MediaSource = {
      size: source.size,
      read: (start, end) => (start > 10_000 ? Promise.reject(new Error('the store is away')) : source.read(start, end)),
    };
    await expect(fingerprinter.probe(broken)).rejects.toThrow('the store is away');
    const job = { probe, span: sliceSpan(0, probe.duration), purpose: 'upload' as const };
    await expect(fingerprinter.fingerprint(broken, job)).rejects.toThrow('the store is away');
  });
});

describe('a source that hangs until the time is over', () => {
  /** The reads from the nth on have no answer, which is told by `hung`. */
  const hangs = (of: MediaSource, from: number, hung?: () => void): MediaSource => {
    let n = 0;
    return {
      size: of.size,
      async read(start, end, signal) {
        if (n++ < from) return of.read(start, end);
        hung?.();
        return new Promise((_, reject) => signal?.addEventListener('abort', () => reject(signal.reason)));
      },
    };
  };
  /** Each read takes `ms`, and gives no more than `bytes`. */
  const slow = (of: MediaSource, ms: number, bytes = Number.POSITIVE_INFINITY): MediaSource => ({
    size: of.size,
    async read(start, end) {
      await new Promise((resolve) => setTimeout(resolve, ms));
      return of.read(start, Math.min(end, start + bytes));
    },
  });
  const stalled = { name: 'SourceStalled', retriable: true };

  /**
   * Seconds in which these jobs, side by side, come to the read that hangs, and wait there for more than one: by how long they take to
   * come there now, with room for a machine that becomes busier.
   */
  async function patienceFor(jobs: readonly ((hung: () => void, signal: AbortSignal) => Promise<unknown>)[]) {
    const stop = new AbortController();
    const startedAt = performance.now();
    const runs = jobs.map((job) => {
      const hung = Promise.withResolvers<void>();
      return { hung: hung.promise, end: job(hung.resolve, stop.signal) };
    });
    await Promise.all(runs.map(({ hung, end }) => Promise.race([hung, end])));
    const seconds = (performance.now() - startedAt) / 1000;
    stop.abort();
    await Promise.allSettled(runs.map(({ end }) => end));
    return Math.max(5, 2 + 3 * seconds);
  }

  test('is no verdict on a container, whatever ffprobe had seen of it by then', async () => {
    const seen = [
      ['fifty seconds', 1],
      ['fifty seconds', 4],
      ['stream', 3],
      ['stream', 9],
    ] as const;
    const probeSeconds = await patienceFor(
      seen.map(
        ([name, from]) =>
          (hung, signal) =>
            fingerprinter.probe(hangs(media.get(name)!, from, hung), signal),
      ),
    );
    await using hasty = await openFingerprinter({ threads: 1, ffmpeg: build, limits: { probeSeconds } });
    await Promise.all(
      seen.map(([name, from]) =>
        expect(hasty.probe(hangs(media.get(name)!, from)), `${name}, ${from} reads`).rejects.toMatchObject(stalled),
      ),
    );
    expect(await decodersRunning()).toEqual([]);
  }, 180_000);

  test('is no verdict on a slice, nor on several, nor on a picture', async () => {
    const source = media.get('fifty seconds')!;
    const probe = await probeOf(source);
    const spans = [0, 1].map((n) => sliceSpan(n, probe.duration));
    const one = { probe, span: spans[0]!, purpose: 'reference' as const };
    const jobs = (by: Fingerprinter) => [
      (hung?: () => void, signal?: AbortSignal) => by.fingerprint(hangs(source, 2, hung), one, signal),
      (hung?: () => void, signal?: AbortSignal) => by.fingerprintRun(hangs(source, 2, hung), { probe, spans }, signal),
      (hung?: () => void, signal?: AbortSignal) => by.pictures(hangs(source, 2, hung), { probe, at: [40, 10] }, signal),
    ];
    await using patient = await openFingerprinter({ threads: 3, ffmpeg: build });
    const seconds = await patienceFor(jobs(patient));
    const limits = { sliceSeconds: seconds, probeSeconds: seconds };
    await using hasty = await openFingerprinter({ threads: 3, ffmpeg: build, limits });
    await Promise.all(jobs(hasty).map((job) => expect(job()).rejects.toMatchObject(stalled)));
    expect(await decodersRunning()).toEqual([]);
  }, 180_000);

  test('is no verdict on pictures, where each takes its time', async () => {
    await using hasty = await openFingerprinter({ threads: 1, ffmpeg: build, limits: { sliceSeconds: 2 } });
    const picture = bytesSource(
      await make(build, ['-f', 'lavfi', '-i', FILM, '-frames:v', '1', join(folder.path, 'frame.jpg')]),
    );
    const probe = { ...(await probeOf(picture)), kind: 'video' as const, duration: 15 };
    const frames = (ms: number) =>
      Array.from({ length: 30 }, (_, n) => ({
        time: n / 2,
        open: async () => ({ status: 'opened' as const, source: slow(picture, ms) }),
      }));
    const job = { probe, span: [0, 15] as Span };
    await expect(hasty.fingerprintFrames(frames(1100), job)).rejects.toMatchObject(stalled);
    // Many of them, none of which takes long, are what the upload asks for.
    expect(await hasty.fingerprintFrames(frames(100), job)).toMatchObject({ status: 'rejected', reason: 'too-slow' });
  });

  test('a film that asks for too many small pieces is too slow all the same', async () => {
    const limits = { sliceSeconds: 1 };
    await using hasty = await openFingerprinter({ threads: 1, ffmpeg: build, limits });
    const source = media.get('fifty seconds')!;
    const probe = await probeOf(source);
    const job = { probe, span: sliceSpan(0, probe.duration), purpose: 'reference' as const };
    const far = slow(source, 100, 4096);
    expect(await hasty.fingerprint(far, job)).toMatchObject({ status: 'rejected', reason: 'too-slow' });
  });
});

test('decoding that takes too long is a reason', async () => {
  await using hasty = await openFingerprinter({ threads: 1, ffmpeg: build, limits: { sliceSeconds: 0.2 } });
  const source = media.get('long')!;
  const probe = await probeOf(source);
  const job = { probe, span: sliceSpan(0, probe.duration), purpose: 'reference' as const };
  expect(await hasty.fingerprint(source, job)).toMatchObject({ status: 'rejected', reason: 'too-slow' });
  expect(await decodersRunning()).toEqual([]);
});

describe.skipIf(!hasCorpus)(`corpus${hasCorpus ? '' : ' (SKIPPED: it is not here)'}`, () => {
  test('keyframes and half seconds of a film are found in its reference, at their times', async () => {
    const source = bytesSource(await readFile(join(CORPUS, 'videos/tears_of_steel_battle_clip.webm')));
    const reference = await codesOf(source, 'reference', [0, 30]);
    const whole = reference.codes.filter((code) => code.whole);
    for (const purpose of ['upload', 'confirm'] as const) {
      const { codes } = await codesOf(source, purpose, [0, 30]);
      const asked = codes.filter((code) => code.whole && code.turn === 'none');
      for (const code of asked) {
        const then = whole.filter((kept) => kept.time <= code.time).at(-1)!;
        expect(hamming(code.bits, then.bits), `at ${code.time}`).toBeLessThanOrEqual(PRUNE_BITS);
      }
    }
  });
});
