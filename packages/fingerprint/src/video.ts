import type { Span } from '@vigil/contracts';
import { hamming } from '@vigil/contracts/codes';
import { ENGINE_VERSION } from '@vigil/contracts/engine';
import { FRAME_FLAT, FRAME_PAGE, type Sampling } from '@vigil/contracts/fingerprint';
import {
  type DecodedFrame,
  decodeFrames,
  type FrameChoice,
  largerSize,
  type Size,
  type VideoJob,
  workingSize,
} from './decode-frames.ts';
import type { FingerprintOutcome } from './fingerprinter.ts';
import { AS_IS, AS_IS_AND_MIRRORED, assemble, frameCodes, isFlat, type TimedFrame } from './frame-codes.ts';
import {
  CUT_BITS,
  CUT_SECONDS,
  chooseFrames,
  isPatchable,
  MOST_PATCHED,
  PATCH_AGAIN_SECONDS,
  patchesOf,
  REFERENCE_PATCH_SECONDS,
} from './patch-sampling.ts';
import { type PdqTurns, pdqTurns, thumbnailOf } from './pdq.ts';
import type { Region } from './pdq-filter.ts';
import { findBorders } from './trim.ts';

/** A reference's frame is kept when its code differs by more bits than this from the last kept one (MATCHING.md, 1). */
export const PRUNE_BITS = 20;
/**
 * And at the latest after so many seconds. A kept frame stands for those after it; without this a still would tie a copy
 * that begins late in it to a time long past. Costs at most 30 codes a minute, of 260 to 1100.
 */
export const KEEP_SECONDS = 2;

/** Fewer usable keyframes than this in a slice prove too little (MATCHING.md, 5): it is then read densely. */
const ENOUGH_KEYFRAMES = 3;
const USABLE_QUALITY = 50;
/**
 * Seconds: a slice that is no longer is read densely at once. Its few keyframes, each up to a second from a frame of the reference
 * that has patches, are too few to propose what was cropped or filmed from a screen; and it costs little.
 */
const SHORT_SLICE = 16;
const isShort = ([start, end]: Span) => end - start <= SHORT_SLICE;

/**
 * Pictures held while the borders are not known: 46 MB of a reference, at the working size. A slice of an upload has
 * some 250 at the most, of 230 kB.
 */
const HELD_FRAMES = 512;

export type Purpose = 'upload' | 'confirm' | 'reference';

/** Thumbnails of a reference are this far apart; those who look for the one of a time stay within half of it. */
const THUMBNAIL_SECONDS = 0.5;

const SAMPLING: Record<FrameChoice, Sampling> = {
  keyframes: 'keyframes',
  dense: 'dense',
  again: 'dense',
  every: 'every-frame',
};

/**
 * Codes of one slice of video. Runs in a worker thread: the decoder is a process of its own whose frames are hashed as
 * they come. All of it within `limits.sliceSeconds`.
 */
export async function fingerprintVideo(
  job: VideoJob,
  purpose: Purpose,
  signal?: AbortSignal,
): Promise<FingerprintOutcome> {
  const deadline = performance.now() + job.limits.sliceSeconds * 1000;
  const read = (choice: FrameChoice) =>
    readSlice(job, choice, Math.max(0.001, (deadline - performance.now()) / 1000), signal);
  if (purpose === 'reference') return read('every');
  if (purpose === 'confirm') return read('again');
  if (isShort(job.span)) return read('dense');
  const sparse = await read('keyframes');
  if (sparse.status === 'codes' && usable(sparse.fingerprint.frames) >= ENOUGH_KEYFRAMES) return sparse;
  if (sparse.status === 'rejected' && sparse.reason === 'too-slow') return sparse;
  return read('dense');
}

/**
 * Codes of neighbouring slices of an upload, each as `fingerprintVideo` gives it: their keyframes come out of one decoder.
 * Those with too few, the last one where it is short, or all where it fails, are read one by one. All of it within
 * `limits.sliceSeconds` a slice.
 * @param spans next to each other, in order
 */
export async function fingerprintRun(
  job: VideoJob,
  spans: readonly Span[],
  signal?: AbortSignal,
): Promise<FingerprintOutcome[]> {
  const deadline = performance.now() + job.limits.sliceSeconds * spans.length * 1000;
  const seconds = () => Math.max(0.001, Math.min(job.limits.sliceSeconds, (deadline - performance.now()) / 1000));
  const alone = (span: Span) => {
    const limits = { ...job.limits, sliceSeconds: seconds() };
    return fingerprintVideo({ ...job, span, limits }, 'upload', signal);
  };
  const together = isShort(spans.at(-1)!) ? spans.slice(0, -1) : spans;
  const outcomes: FingerprintOutcome[] = [];
  if (together.length > 1 && !together.some(isShort)) {
    const working = workingSize(job.probe.width, job.probe.height);
    const larger = largerSize(job, 'keyframes');
    let slice = createUploadSlice(working, larger, 'keyframes');
    const next = () => {
      outcomes.push(codesOf({ ...job, span: together[outcomes.length]! }, 'keyframes', slice));
      slice = createUploadSlice(working, larger, 'keyframes');
    };
    const add = (frame: DecodedFrame) => {
      while (outcomes.length < together.length - 1 && frame.time >= together[outcomes.length]![1]) next();
      return slice.add(frame);
    };
    const whole: VideoJob = { ...job, span: [together[0]![0], together.at(-1)![1]] };
    const end = await decodeFrames(whole, 'keyframes', seconds(), add, signal);
    if (end.status === 'decoded') while (outcomes.length < together.length) next();
    else outcomes.length = 0;
  }
  for (const [n, span] of spans.entries()) {
    const made = outcomes[n];
    if (made?.status !== 'codes') outcomes[n] = await alone(span);
    else if (usable(made.fingerprint.frames) < ENOUGH_KEYFRAMES)
      outcomes[n] = await readSlice({ ...job, span }, 'dense', seconds(), signal);
  }
  return outcomes;
}

/** Codes of frames that came as pictures, chosen as `dense` ones are. */
export function codeFrames(frames: readonly DecodedFrame[], job: Pick<VideoJob, 'probe' | 'span'>): FingerprintOutcome {
  const { probe, span } = job;
  const working = workingSize(probe.width, probe.height);
  const slice = createUploadSlice(working, largerSize(job, 'dense'), 'dense');
  for (const frame of frames) slice.add(frame);
  const about = { engine: ENGINE_VERSION, mode: 'fast' as const, sampling: 'dense' as const };
  const shape = { span: [span[0], span[1]] as [number, number], width: probe.width, height: probe.height };
  return { status: 'codes', fingerprint: assemble({ ...about, ...shape }, ...slice.finish()) };
}

function usable({ flags, quality }: { flags: Uint8Array; quality: Uint8Array }): number {
  let n = 0;
  flags.forEach((flag, i) => {
    if ((flag & (FRAME_FLAT | FRAME_PAGE)) === 0 && quality[i]! >= USABLE_QUALITY) n++;
  });
  return n;
}

async function readSlice(
  job: VideoJob,
  choice: FrameChoice,
  seconds: number,
  signal: AbortSignal | undefined,
): Promise<FingerprintOutcome> {
  const working = workingSize(job.probe.width, job.probe.height);
  const slice =
    choice === 'every' ? createReferenceSlice(working) : createUploadSlice(working, largerSize(job, choice), choice);
  const end = await decodeFrames(job, choice, seconds, slice.add, signal);
  return end.status === 'rejected' ? end : codesOf(job, choice, slice);
}

function codesOf({ probe, span }: VideoJob, choice: FrameChoice, slice: Slice): FingerprintOutcome {
  const about = { engine: ENGINE_VERSION, mode: 'fast' as const, sampling: SAMPLING[choice] };
  const shape = { span: [span[0], span[1]] as [number, number], width: probe.width, height: probe.height };
  return { status: 'codes', fingerprint: assemble({ ...about, ...shape }, ...slice.finish()) };
}

interface Slice {
  /** True when the frame's luma is kept. */
  add(frame: DecodedFrame): boolean;
  /** What `assemble` puts together. */
  finish(): [frames: TimedFrame[], thumbnails?: Timed[]];
}

interface Timed {
  time: number;
  thumbnail: Uint8Array;
}

/**
 * Few frames, chosen by the decoder: all are held, then coded. Only damaged times make more of them than are held; what
 * follows has no patches.
 */
function createUploadSlice(working: Size, larger: Size | null, choice: 'keyframes' | 'dense' | 'again'): Slice {
  const { width, height } = working;
  const held: DecodedFrame[] = [];
  const frames: TimedFrame[] = [];
  const thumbnails: Timed[] = [];
  let trim: Region | null | undefined;
  const code = ({ time, keyframe, luma }: DecodedFrame) => {
    const options = { turns: AS_IS_AND_MIRRORED, trim: trim ?? null };
    const coded = frameCodes(luma, width, height, options);
    frames.push({ time, keyframe, coded });
    return coded;
  };
  const settle = () => {
    if (trim !== undefined) return;
    const lumas = held.map(({ luma }) => luma);
    trim = findBorders(lumas, width, height);
    const coded = held.map((frame) => ({ time: frame.time, coded: code(frame) }));
    const size = larger ?? working;
    for (const i of chooseFrames(coded, MOST_PATCHED[choice], PATCH_AGAIN_SECONDS[choice])) {
      const picture = held[i]!.larger ?? held[i]!.luma;
      const patches = { kind: 'upload', media: 'video' } as const;
      coded[i]!.coded.patches = patchesOf(picture, size.width, size.height, coded[i]!.coded, patches);
    }
    for (const frame of held) frame.release?.();
    held.length = 0;
  };
  return {
    add(frame) {
      const { time, luma } = frame;
      if (choice !== 'keyframes') thumbnails.push({ time, thumbnail: thumbnailOf(luma, width, height) });
      if (frame.between) return false;
      if (trim !== undefined) {
        code(frame);
        return false;
      }
      held.push(frame);
      if (held.length >= HELD_FRAMES) settle();
      return true;
    },
    finish() {
      settle();
      return [frames, thumbnails];
    },
  };
}

interface HeldFrame extends DecodedFrame {
  /** Codes of the whole picture. */
  whole: PdqTurns;
}

/** Every frame: those that say something new are held until enough of them show where the borders are, then coded. */
function createReferenceSlice({ width, height }: Size): Slice {
  const prune = createPruning(width, height);
  const patchDue = createPatchClock();
  const thumbnailDue = createClock(THUMBNAIL_SECONDS);
  const held: HeldFrame[] = [];
  const frames: TimedFrame[] = [];
  const thumbnails: Timed[] = [];
  let trim: Region | null | undefined;
  const code = ({ time, keyframe, luma, whole }: HeldFrame) => {
    const coded = frameCodes(luma, width, height, { turns: AS_IS, trim: trim ?? null, whole });
    if (isPatchable(coded) && patchDue(time, coded.codes[0]?.bits)) {
      coded.patches = patchesOf(luma, width, height, coded, { kind: 'reference', media: 'video' });
    }
    frames.push({ time, keyframe, coded });
  };
  const settle = () => {
    if (trim !== undefined) return;
    trim = findBorders(
      held.map((frame) => frame.luma),
      width,
      height,
    );
    for (const frame of held) {
      code(frame);
      frame.release?.();
    }
    held.length = 0;
  };
  return {
    add(frame) {
      if (thumbnailDue(frame.time)) {
        thumbnails.push({ time: frame.time, thumbnail: thumbnailOf(frame.luma, width, height) });
      }
      const kept = prune(frame);
      if (kept === null) return false;
      if (trim !== undefined) {
        code({ ...frame, ...kept });
        return false;
      }
      held.push({ ...frame, ...kept });
      if (held.length >= HELD_FRAMES) settle();
      return true;
    },
    finish() {
      settle();
      return [frames, thumbnails];
    },
  };
}

/** True for the first time asked of in each period. */
function createClock(period: number): (time: number) => boolean {
  let last = Number.NEGATIVE_INFINITY;
  return (time) => {
    const tick = Math.floor(time / period + 1e-6);
    if (tick === last) return false;
    last = tick;
    return true;
  };
}

/** Of a reference's kept frames in order: does this one get patches? */
function createPatchClock(): (time: number, bits: Uint8Array | undefined) => boolean {
  const due = createClock(REFERENCE_PATCH_SECONDS);
  let last = Number.NEGATIVE_INFINITY;
  let before: Uint8Array | undefined;
  return (time, bits) => {
    const isCut = bits && before && hamming(bits, before) > CUT_BITS;
    before = bits ?? before;
    if (time - last < CUT_SECONDS) return false;
    if (!due(time) && !isCut) return false;
    last = time;
    return true;
  };
}

/** Null for a frame of a reference that says nothing new; the first of a slice always does. */
function createPruning(width: number, height: number) {
  let last: Uint8Array | null = null;
  let lastTime = Number.NEGATIVE_INFINITY;
  return ({ luma, time }: DecodedFrame): Pick<HeldFrame, 'whole'> | null => {
    const whole = pdqTurns(luma, width, height, AS_IS);
    const bits = isFlat(whole.block.dct) ? null : whole.codes[0]!.bits;
    const same = bits && last ? hamming(bits, last) <= PRUNE_BITS : bits === last;
    if (same && time - lastTime < KEEP_SECONDS) return null;
    last = bits;
    lastTime = time;
    return { whole };
  };
}
