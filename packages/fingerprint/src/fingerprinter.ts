import type { Fingerprint, Probe, Rejection, Span } from '@vigil/contracts';
import type { MediaSource } from './media-source.ts';

/** Media in, codes out, or rejected(reason): bad media is an outcome, never a throw. */
export type ProbeOutcome =
  | { status: 'probed'; probe: Probe }
  | { status: 'rejected'; reason: Rejection; detail: string };
export type FingerprintOutcome =
  | { status: 'codes'; fingerprint: Fingerprint }
  | { status: 'rejected'; reason: Rejection; detail: string };

export type PictureOutcome =
  | { status: 'picture'; jpeg: Uint8Array; width: number; height: number }
  | { status: 'rejected'; reason: Rejection; detail: string };

export interface Fingerprinter {
  /** What the bytes say they are; the name is never asked. */
  probe(source: MediaSource, signal?: AbortSignal): Promise<ProbeOutcome>;
  /**
   * Codes of one slice.
   * - purpose `upload`: keyframes, or 2 frames a second (sampling `dense`) where fewer than 3 of them are usable; each
   *   frame whole and, where borders were found, trimmed; images in all eight turns, video as is and mirrored.
   * - purpose `confirm`: always dense, same codes.
   * - purpose `reference`: every frame, kept where it differs from the last kept one by more than PRUNE_BITS; as is only.
   * Patches (as is): of images; of an upload's frames that differ; of a reference's every REFERENCE_PATCH_SECONDS and at
   * cuts. Thumbnails: of images, of each frame read densely and of some between, of a reference every half second.
   */
  fingerprint(
    source: MediaSource,
    job: { probe: Probe; span: Span; purpose: 'upload' | 'confirm' | 'reference' },
    signal?: AbortSignal,
  ): Promise<FingerprintOutcome>;
  /**
   * Codes of neighbouring slices of one upload, each as `fingerprint` gives it, for the start of one decoder.
   * @param job.spans next to each other, in order, at most SLICES_IN_RUN; more than one only of video
   */
  fingerprintRun(
    source: MediaSource,
    job: { probe: Probe; spans: readonly Span[] },
    signal?: AbortSignal,
  ): Promise<FingerprintOutcome[]>;
  /**
   * Codes of one slice of a film that lies in the store as pictures, as though it had been read densely: two a second of them,
   * brought to one size. Those that cannot be decoded are left out; when most of them cannot, that is the outcome.
   * @param images of the slice, in order of time
   */
  fingerprintFrames(
    images: readonly FrameImage[],
    job: { probe: Probe; span: Span },
    signal?: AbortSignal,
  ): Promise<FingerprintOutcome>;
  /**
   * The frames at some times (seconds; of an image each time its only one), as small JPEGs of at most PICTURE_SIDE a side, for people.
   * @returns one for each time, in their order
   */
  pictures(
    source: MediaSource,
    job: { probe: Probe; at: readonly number[] },
    signal?: AbortSignal,
  ): Promise<PictureOutcome[]>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** One picture of a film; opened only when it is wanted. */
export interface FrameImage {
  /** Seconds from the start of the film. */
  time: number;
  open(): Promise<
    { status: 'opened'; source: MediaSource } | { status: 'rejected'; reason: Rejection; detail: string }
  >;
}
