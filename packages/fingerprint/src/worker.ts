/**
 * What runs in the worker threads: one job at a time a thread. Messages in, data out: bad media is a result, and what is
 * thrown is the environment's fault or a bug.
 */
import type { MessagePort } from 'node:worker_threads';
import { type HandedOver, handOver, task } from '@vigil/runtime';
import type { VideoJob } from './decode-frames.ts';
import type { FingerprintOutcome } from './fingerprinter.ts';
import * as image from './image.ts';
import type { MediaLimits } from './media-source.ts';
import * as video from './video.ts';

export interface ImageTask {
  bytes: Uint8Array;
  limits: MediaLimits;
}
export interface FingerprintImageTask extends ImageTask {
  purpose: image.Purpose;
}
export interface FingerprintVideoTask {
  job: VideoJob;
  purpose: video.Purpose;
  /** A message on it aborts the job. The thread lives on, and first sees the decoder process end. */
  abort: MessagePort;
}

export const probeImage = task(({ bytes, limits }: ImageTask) => image.probeImage(bytes, limits));

export const fingerprintImage = task<FingerprintImageTask, FingerprintOutcome>(async ({ bytes, limits, purpose }) =>
  withoutCopy(await image.fingerprintImage(bytes, limits, purpose)),
);

export const fingerprintVideo = task<FingerprintVideoTask, FingerprintOutcome>(async ({ job, purpose, abort }) => {
  const stop = new AbortController();
  abort.once('message', () => stop.abort());
  try {
    return withoutCopy(await video.fingerprintVideo(job, purpose, stop.signal));
  } finally {
    abort.close();
  }
});

function withoutCopy(outcome: FingerprintOutcome): FingerprintOutcome | HandedOver<FingerprintOutcome> {
  if (outcome.status !== 'codes') return outcome;
  const { frames, tables, thumbnails } = outcome.fingerprint;
  const columns = [
    ...[frames.time, frames.quality, frames.flags, thumbnails.time, thumbnails.luma],
    ...tables.flatMap((t) => [t.bits, t.frame, t.place, t.turn, t.quality]),
  ];
  return handOver(outcome, [...new Set(columns.map((column) => column.buffer as ArrayBuffer))]);
}
