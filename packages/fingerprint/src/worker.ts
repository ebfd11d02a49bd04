/**
 * What runs in the worker threads: one job at a time a thread. Messages in, data out: bad media is a result, and what is
 * thrown is the environment's fault or a bug.
 * What it loads is loaded by every thread: from other packages by the file, so that schemas and loggers stay out.
 */
import { setPriority } from 'node:os';
import type { MessagePort } from 'node:worker_threads';
import type { Fingerprint, Probe, Span } from '@vigil/contracts';
import { type HandedOver, handOver, task } from '@vigil/runtime/worker-pool';
import type { DecodedFrame, Size, VideoJob } from './decode-frames.ts';
import type { FingerprintOutcome, PictureOutcome, ProbeOutcome } from './fingerprinter.ts';
import * as image from './image.ts';
import type { MediaLimits } from './media-source.ts';
import { type PictureJob, pictureSize, videoPictures } from './picture.ts';
import * as video from './video.ts';

/**
 * Whoever answers people, brokers and databases goes first: this thread, and the decoders that it starts, take what is left of the
 * processors: a tenth of the share of others where there is not enough. Only Linux has priorities of threads.
 */
const NICE = 10;
if (process.platform === 'linux') setPriority(NICE);

interface Job {
  /** Says `started` when a thread takes the job up, and hears `abort`. */
  line: MessagePort;
}
export interface ProbeImageJob extends Job {
  bytes: Uint8Array;
  limits: MediaLimits;
}
export interface FingerprintImageJob extends ProbeImageJob {
  purpose: image.Purpose;
}
export interface FingerprintVideoJob extends Job {
  job: VideoJob;
  purpose: video.Purpose;
}

export interface FingerprintRunJob extends Job {
  job: VideoJob;
  spans: Span[];
}

export interface DecodeFrameJob extends ProbeImageJob {
  working: Size;
  larger: Size | null;
}
export interface CodeFramesJob extends Job, Pick<VideoJob, 'probe' | 'span'> {
  frames: DecodedFrame[];
}

/** An abort ends the decoder process first, then the job; the thread lives on. */
function job<J extends Job, T>(work: (job: J, signal: AbortSignal) => Promise<T | HandedOver<T>>) {
  return task<J, T>(async (payload) => {
    const stop = new AbortController();
    payload.line.once('message', () => stop.abort());
    payload.line.postMessage('started');
    try {
      return await work(payload, stop.signal);
    } finally {
      payload.line.close();
    }
  });
}

export const probeImage = job<ProbeImageJob, ProbeOutcome>(({ bytes, limits }) => image.probeImage(bytes, limits));

export const fingerprintImage = job<FingerprintImageJob, FingerprintOutcome>(async ({ bytes, limits, purpose }) =>
  withoutCopy(await image.fingerprintImage(bytes, limits, purpose)),
);

export const fingerprintVideo = job<FingerprintVideoJob, FingerprintOutcome>(async ({ job, purpose }, signal) =>
  withoutCopy(await video.fingerprintVideo(job, purpose, signal)),
);

export const fingerprintRun = job<FingerprintRunJob, FingerprintOutcome[]>(async ({ job, spans }, signal) => {
  const outcomes = await video.fingerprintRun(job, spans, signal);
  return handOver(
    outcomes,
    outcomes.flatMap((outcome) => (outcome.status === 'codes' ? columnsOf(outcome.fingerprint) : [])),
  );
});

export const decodeFrame = job<DecodeFrameJob, image.FrameLumas>(async ({ bytes, limits, working, larger }) => {
  const outcome = await image.decodeFrame(bytes, limits, working, larger);
  if (outcome.status === 'rejected') return outcome;
  return handOver(
    outcome,
    [outcome.luma, outcome.larger].flatMap((luma) => (luma ? [luma.buffer as ArrayBuffer] : [])),
  );
});

export const codeFrames = job<CodeFramesJob, FingerprintOutcome>(async ({ frames, probe, span }) =>
  withoutCopy(video.codeFrames(frames, { probe, span })),
);

export const pictureImage = job<ProbeImageJob & { probe: Probe }, PictureOutcome>(({ bytes, limits, probe }) =>
  image.imagePicture(bytes, limits, pictureSize(probe)),
);

export const pictureVideo = job<Job & { job: PictureJob }, PictureOutcome[]>(({ job }, signal) =>
  videoPictures(job, signal),
);

function withoutCopy(outcome: FingerprintOutcome): FingerprintOutcome | HandedOver<FingerprintOutcome> {
  if (outcome.status !== 'codes') return outcome;
  return handOver(outcome, columnsOf(outcome.fingerprint));
}

function columnsOf({ frames, tables, thumbnails }: Fingerprint): ArrayBuffer[] {
  const columns = [
    ...[frames.time, frames.quality, frames.flags, thumbnails.time, thumbnails.luma],
    ...tables.flatMap((t) => [t.bits, t.frame, t.place, t.turn, t.quality]),
  ];
  return [...new Set(columns.map((column) => column.buffer as ArrayBuffer))];
}
