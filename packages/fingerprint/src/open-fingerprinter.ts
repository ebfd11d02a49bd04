import type { Rejection } from '@vigil/contracts';
import { openWorkerPool } from '@vigil/runtime';
import { DENSE_RATE, type DecodedFrame, largerSize, type VideoJob, workingSize } from './decode-frames.ts';
import { demuxerOf, type FfmpegTools } from './decoder-options.ts';
import type { Fingerprinter, FingerprintOutcome, FrameImage, PictureOutcome, ProbeOutcome } from './fingerprinter.ts';
import { isAnimatedGif } from './gif-frames.ts';
import type { FrameLumas } from './image.ts';
import { DEFAULT_LIMITS, type MediaLimits, type MediaSource, readRange } from './media-source.ts';
import type { PictureJob } from './picture.ts';
import { probeVideo } from './probe.ts';
import { openRangeServer } from './range-server.ts';
import { type SlowReads, SourceStalled, watchReads } from './slow-reads.ts';
import { SNIFF_BYTES, type Sniffed, sniff } from './sniff.ts';
import { hasTransportPackets } from './transport-packets.ts';
import { createWorkerJobs, TaskOverdue } from './worker-jobs.ts';

export interface FingerprinterOptions {
  /** Worker threads; each decodes one image or one slice at a time. */
  threads: number;
  ffmpeg: FfmpegTools;
  limits?: Partial<MediaLimits>;
  /** Threads of each decoder process. One is cheapest; more shorten the wait while there are idle cores. */
  decoderThreads?: number;
  /** Jobs that may wait for a thread; more are refused with an error. */
  maxQueue?: number;
}

const MAX_QUEUE = 1024;
/** ffprobe processes at a time: two a probe. */
const PROBES = 4;

/**
 * Images go to the worker threads as bytes; video is read by decoder processes of the worker threads, through a server
 * on loopback that hands out ranges of the source while the job runs.
 * Whatever fails because of the media is an outcome. Calls throw when the source cannot be read, when a program cannot be
 * started, when the queue is full, and when the signal aborts.
 */
export async function openFingerprinter(options: FingerprinterOptions): Promise<Fingerprinter> {
  const limits: MediaLimits = { ...DEFAULT_LIMITS, ...options.limits };
  const tools = options.ffmpeg;
  const decoderThreads = options.decoderThreads ?? 1;
  const server = await openRangeServer();
  const pool = openWorkerPool({
    file: new URL('./worker.ts', import.meta.url),
    threads: options.threads,
    maxQueue: options.maxQueue ?? MAX_QUEUE,
  });
  const jobs = createWorkerJobs(pool);
  const turn = createTurns(PROBES);

  /**
   * Runs a job of so many seconds that reads `source` over loopback; a fault of the source, a stall too, outranks whatever the decoder
   * made of it.
   */
  async function shared<T extends Ended | Ended[]>(
    source: MediaSource,
    seconds: number,
    job: (url: string, reads: SlowReads) => Promise<T>,
  ): Promise<T> {
    const reads = watchReads(seconds);
    await using share = server.share(reads.of(source));
    const result = await job(share.url, reads);
    if (share.fault !== undefined) throw share.fault;
    return inTime(result, reads);
  }

  async function readAll(source: MediaSource, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(source.size);
    for (let at = 0; at < source.size; ) {
      const from = at;
      for (const piece of await source.read(from, Math.min(source.size, from + READ_BYTES), signal)) {
        bytes.set(piece, at);
        at += piece.length;
      }
      if (at === from) throw new Error(`the source ended at ${at} of ${source.size} bytes`);
    }
    return bytes;
  }

  async function onThread<T>(
    name: string,
    payload: object,
    options: { seconds: number; transfer?: readonly ArrayBuffer[]; signal: AbortSignal | undefined },
  ): Promise<T | Refusal> {
    try {
      return await jobs.run<T>(name, payload, options);
    } catch (error) {
      if (error instanceof TaskOverdue) return refuse('too-slow', error.message);
      throw error;
    }
  }

  const fingerprinter: Fingerprinter = {
    async probe(source, signal) {
      signal?.throwIfAborted();
      const { sniffed, refusal } = await look(source, limits, signal);
      if (refusal) return refusal;
      const { format } = sniffed;
      const animated = format === 'gif' && (await isAnimatedGif(source, signal));
      if (sniffed.kind === 'video' || animated) {
        return turn(() =>
          shared(source, limits.probeSeconds, (url, reads) =>
            probeVideo({ url, source, reads, format, tools, limits }, signal),
          ),
        );
      }
      const bytes = await readAll(source, signal);
      const options = { seconds: limits.probeSeconds, transfer: [bytes.buffer], signal };
      return onThread<ProbeOutcome>('probeImage', { bytes, limits }, options);
    },
    async fingerprint(source, { probe, span, purpose }, signal) {
      signal?.throwIfAborted();
      const seconds = limits.sliceSeconds;
      if (probe.kind === 'video') {
        return shared(source, seconds, (url) => {
          const job: VideoJob = { url, probe, span, tools, limits, decoderThreads };
          return onThread<FingerprintOutcome>('fingerprintVideo', { job, purpose }, { seconds, signal });
        });
      }
      const { refusal } = await look(source, limits, signal);
      if (refusal) return refusal;
      const bytes = await readAll(source, signal);
      const options = { seconds, transfer: [bytes.buffer], signal };
      return onThread<FingerprintOutcome>('fingerprintImage', { bytes, limits, purpose }, options);
    },
    async fingerprintRun(source, { probe, spans }, signal) {
      if (spans.length === 1)
        return [await fingerprinter.fingerprint(source, { probe, span: spans[0]!, purpose: 'upload' }, signal)];
      signal?.throwIfAborted();
      const seconds = limits.sliceSeconds * spans.length;
      return shared(source, limits.sliceSeconds, async (url) => {
        const job: VideoJob = { url, probe, span: spans[0]!, tools, limits, decoderThreads };
        const made = await onThread<FingerprintOutcome[]>('fingerprintRun', { job, spans }, { seconds, signal });
        return 'status' in made ? spans.map(() => made) : made;
      });
    },
    async fingerprintFrames(images, { probe, span }, signal) {
      signal?.throwIfAborted();
      const sizes = { working: workingSize(probe.width, probe.height), larger: largerSize({ probe }, 'dense') };
      const until = performance.now() + limits.sliceSeconds * 1000;
      const left = () => (until - performance.now()) / 1000;
      const reads = watchReads(limits.sliceSeconds);

      async function read(image: FrameImage): Promise<Uint8Array<ArrayBuffer> | Refusal> {
        const opened = await image.open();
        if (opened.status === 'rejected') return opened;
        const source = reads.of(opened.source);
        const { sniffed, refusal } = await look(source, limits, signal);
        if (refusal) return refusal;
        if (sniffed.kind !== 'image') return refuse('unsupported-format', `${sniffed.format} is no still picture`);
        return readAll(source, signal);
      }

      async function decode(
        image: FrameImage,
        bytes: Uint8Array<ArrayBuffer> | Refusal,
      ): Promise<DecodedFrame | Refusal> {
        if ('status' in bytes) return bytes;
        const options = { seconds: left(), transfer: [bytes.buffer], signal };
        const made = inTime(await onThread<FrameLumas>('decodeFrame', { bytes, limits, ...sizes }, options), reads);
        return made.status === 'decoded' ? { time: image.time, keyframe: false, ...made } : made;
      }

      const chosen = denseOf(images);
      const frames: DecodedFrame[] = [];
      const refused: Refusal[] = [];
      // The next picture is fetched while one is decoded.
      let next = chosen[0] && settled(read(chosen[0]));
      for (const [n, image] of chosen.entries()) {
        if (left() <= 0)
          return inTime(refuse('too-slow', `reading frames took more than ${limits.sliceSeconds} s`), reads);
        const bytes = await next!;
        next = chosen[n + 1] && settled(read(chosen[n + 1]!));
        const frame = await decode(image, await bytes());
        if ('luma' in frame) frames.push(frame);
        else refused.push(frame);
      }
      if (refused.length > frames.length) return refused[0]!;
      const transfer = frames.flatMap(({ luma, larger }) => (larger ? [luma.buffer, larger.buffer] : [luma.buffer]));
      const options = { seconds: Math.max(1, left()), transfer: transfer as ArrayBuffer[], signal };
      return onThread<FingerprintOutcome>('codeFrames', { frames, probe, span }, options);
    },
    async pictures(source, { probe, at }, signal) {
      signal?.throwIfAborted();
      const { refusal } = await look(source, limits, signal);
      if (refusal) return at.map(() => refusal);
      if (probe.kind === 'video') {
        // Once for all of them together, and as much again for each by itself.
        const seconds = 2 * limits.probeSeconds * at.length;
        return shared(source, limits.probeSeconds, async (url) => {
          const job: PictureJob = { url, probe, at, tools, limits };
          const made = await onThread<PictureOutcome[]>('pictureVideo', { job }, { seconds, signal });
          return 'status' in made ? at.map(() => made) : made;
        });
      }
      const bytes = await readAll(source, signal);
      const options = { seconds: limits.probeSeconds, transfer: [bytes.buffer], signal };
      const made = await onThread<PictureOutcome>('pictureImage', { bytes, limits, probe }, options);
      return at.map(() => made);
    },
    async [Symbol.asyncDispose]() {
      await jobs[Symbol.asyncDispose]();
      await pool[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
  return fingerprinter;
}

/** Two a second, as `dense` frames of a video are chosen: the first at or after each half second. */
function denseOf(images: readonly FrameImage[]): FrameImage[] {
  let last = Number.NEGATIVE_INFINITY;
  return images.filter(({ time }) => {
    const tick = Math.floor(time * DENSE_RATE + 1e-6);
    if (tick <= last) return false;
    last = tick;
    return true;
  });
}

/** What came of it, as something that can be waited for later. */
const settled = <T>(work: Promise<T>): Promise<() => Promise<T>> =>
  work.then(
    () => () => work,
    () => () => work,
  );

const READ_BYTES = 4 * 2 ** 20;

interface Refusal {
  status: 'rejected';
  reason: Rejection;
  detail: string;
}

const refuse = (reason: Rejection, detail: string): Refusal => ({ status: 'rejected', reason, detail });

interface Ended {
  status: string;
  reason?: Rejection;
}

/** @throws SourceStalled where the time went by waiting for the source */
function inTime<T extends Ended | Ended[]>(made: T, reads: SlowReads): T {
  const late = [made].flat().some(({ reason }) => reason === 'too-slow');
  if (late && reads.explain()) throw new SourceStalled('the time of the job went by while it waited for the media');
  return made;
}

/** What the first bytes say, and whether that is something to go on with. */
async function look(
  source: MediaSource,
  limits: MediaLimits,
  signal: AbortSignal | undefined,
): Promise<{ sniffed: Sniffed; refusal: Refusal | null }> {
  const of = (sniffed: Sniffed, reason?: Rejection, detail = '') => ({
    sniffed,
    refusal: reason ? refuse(reason, detail) : null,
  });
  if (source.size === 0) return of({ kind: 'unknown', format: 'unknown' }, 'empty', 'no bytes');
  const head = await readRange(source, 0, Math.min(source.size, SNIFF_BYTES), signal);
  let sniffed = sniff(head);
  if (sniffed.format === 'unknown' && hasTransportPackets(head)) sniffed = { kind: 'video', format: 'mpeg-ts' };
  const { kind, format } = sniffed;
  if (kind === 'unknown') {
    const known = UNREAD[format];
    if (known) return of(sniffed, known[0], known[1]);
    return of(sniffed, 'not-media', format === 'unknown' ? 'no known signature' : `the bytes are ${format}`);
  }
  const most = kind === 'image' ? limits.maxImageBytes : limits.maxVideoBytes;
  if (source.size > most) return of(sniffed, 'too-large', `${source.size} bytes`);
  if (kind === 'video' && !demuxerOf(format)) {
    return of(sniffed, 'unsupported-format', `${format} is not among the containers that are read`);
  }
  return of(sniffed);
}

const UNREAD: Record<string, [Rejection, string]> = {
  svg: ['unsupported-format', 'svg may open other files, so it is never drawn'],
  playlist: ['unsupported-format', 'a playlist names other files, which are never opened'],
  wav: ['no-picture', 'it is a sound file'],
  audio: ['no-picture', 'it is a sound file'],
};

/** At most `most` at a time, the others in order. */
function createTurns(most: number) {
  const waiting: (() => void)[] = [];
  let running = 0;
  return async <T>(work: () => Promise<T>): Promise<T> => {
    if (running >= most) await new Promise<void>((resolve) => waiting.push(resolve));
    else running++;
    try {
      return await work();
    } finally {
      const next = waiting.shift();
      if (next) next();
      else running--;
    }
  };
}
