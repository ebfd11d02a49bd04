import type { Rejection } from '@vigil/contracts';
import { openWorkerPool } from '@vigil/runtime';
import type { VideoJob } from './decode-frames.ts';
import { demuxerOf, type FfmpegTools } from './decoder-options.ts';
import type { Fingerprinter, FingerprintOutcome, ProbeOutcome } from './fingerprinter.ts';
import { isAnimatedGif } from './gif-frames.ts';
import { DEFAULT_LIMITS, type MediaLimits, type MediaSource } from './media-source.ts';
import { probeVideo } from './probe.ts';
import { openRangeServer, type Share } from './range-server.ts';
import { SNIFF_BYTES, type Sniffed, sniff } from './sniff.ts';
import { hasTransportPackets } from './transport-packets.ts';

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
  const turn = createTurns(PROBES);

  /** Runs a job that reads `source` over loopback; a fault of the source outranks whatever the decoder made of it. */
  async function shared<T>(source: MediaSource, job: (share: Share) => Promise<T>): Promise<T> {
    await using share = server.share(source);
    const result = await job(share);
    if (share.fault !== undefined) throw share.fault;
    return result;
  }

  async function readAll(source: MediaSource, signal: AbortSignal | undefined): Promise<Uint8Array<ArrayBuffer>> {
    const bytes = new Uint8Array(source.size);
    for (let at = 0; at < source.size; ) {
      const part = await source.read(at, Math.min(source.size, at + READ_BYTES), signal);
      if (part.length === 0) throw new Error(`the source ended at ${at} of ${source.size} bytes`);
      bytes.set(part, at);
      at += part.length;
    }
    return bytes;
  }

  async function videoSlice(
    source: MediaSource,
    job: Omit<VideoJob, 'url'>,
    purpose: 'upload' | 'confirm' | 'reference',
    signal: AbortSignal | undefined,
  ): Promise<FingerprintOutcome> {
    return shared(source, async ({ url }) => {
      const { port1, port2 } = new MessageChannel();
      const onAbort = () => port1.postMessage('abort');
      signal?.addEventListener('abort', onAbort, { once: true });
      try {
        const payload = { job: { ...job, url }, purpose, abort: port2 };
        const outcome = await pool.run<FingerprintOutcome>('fingerprintVideo', payload, { transfer: [port2] });
        return outcome;
      } catch (error) {
        signal?.throwIfAborted();
        throw error;
      } finally {
        signal?.removeEventListener('abort', onAbort);
        port1.close();
      }
    });
  }

  return {
    async probe(source, signal) {
      const { sniffed, refusal } = await look(source, limits, signal);
      if (refusal) return refusal;
      const animated = sniffed.format === 'gif' && (await isAnimatedGif(source, signal));
      if (sniffed.kind === 'image' && !animated) {
        const bytes = await readAll(source, signal);
        return pool.run<ProbeOutcome>(
          'probeImage',
          { bytes, limits },
          { transfer: [bytes.buffer], ...(signal ? { signal } : {}) },
        );
      }
      return turn(() =>
        shared(source, ({ url }) => probeVideo({ url, source, format: sniffed.format, tools, limits }, signal)),
      );
    },
    async fingerprint(source, { probe, span, purpose }, signal) {
      signal?.throwIfAborted();
      if (probe.kind === 'video') {
        const job = { probe, span, tools, limits, decoderThreads };
        return videoSlice(source, job, purpose, signal);
      }
      const { refusal } = await look(source, limits, signal);
      if (refusal) return refusal;
      const bytes = await readAll(source, signal);
      return pool.run<FingerprintOutcome>(
        'fingerprintImage',
        { bytes, limits, purpose },
        { transfer: [bytes.buffer], ...(signal ? { signal } : {}) },
      );
    },
    async [Symbol.asyncDispose]() {
      await pool[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

const READ_BYTES = 4 * 2 ** 20;

interface Refusal {
  status: 'rejected';
  reason: Rejection;
  detail: string;
}

/** What the first bytes say, and whether that is something to go on with. */
async function look(
  source: MediaSource,
  limits: MediaLimits,
  signal: AbortSignal | undefined,
): Promise<{ sniffed: Sniffed; refusal: Refusal | null }> {
  const refuse = (sniffed: Sniffed, reason: Rejection, detail: string) => ({
    sniffed,
    refusal: { status: 'rejected' as const, reason, detail },
  });
  const nothing: Sniffed = { kind: 'unknown', format: 'unknown' };
  if (source.size === 0) return refuse(nothing, 'empty', 'no bytes');
  const head = await source.read(0, Math.min(source.size, SNIFF_BYTES), signal);
  let sniffed = sniff(head);
  if (sniffed.format === 'unknown' && hasTransportPackets(head)) sniffed = { kind: 'video', format: 'mpeg-ts' };
  const { kind, format } = sniffed;
  if (kind === 'image' && source.size > limits.maxImageBytes)
    return refuse(sniffed, 'too-large', `${source.size} bytes`);
  if (kind === 'video' && source.size > limits.maxVideoBytes)
    return refuse(sniffed, 'too-large', `${source.size} bytes`);
  if (kind === 'video' && !demuxerOf(format)) {
    return refuse(sniffed, 'unsupported-format', `${format} is not among the containers that are read`);
  }
  if (kind !== 'unknown') return { sniffed, refusal: null };
  const known = UNREAD[format];
  if (known) return refuse(sniffed, known[0], known[1]);
  return refuse(sniffed, 'not-media', format === 'unknown' ? 'no known signature' : `the bytes are ${format}`);
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
