import { hamming } from '@vigil/contracts/codes';
import { ENGINE_VERSION } from '@vigil/contracts/engine';
import { FRAME_FLAT, FRAME_PAGE, type Sampling } from '@vigil/contracts/fingerprint';
import { type DecodedFrame, decodeFrames, type FrameChoice, type VideoJob, workingSize } from './decode-frames.ts';
import type { FingerprintOutcome } from './fingerprinter.ts';
import { AS_IS, AS_IS_AND_MIRRORED, assemble, frameCodes, isFlat, type TimedFrame } from './frame-codes.ts';
import { pdqTurns, type Region } from './pdq.ts';
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

/** Pictures held while the borders are not known: 46 MB at the working size. */
const HELD_FRAMES = 512;

export type Purpose = 'upload' | 'confirm' | 'reference';

const SAMPLING: Record<FrameChoice, Sampling> = { keyframes: 'keyframes', dense: 'dense', every: 'every-frame' };

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
    readSlice(job, purpose, choice, Math.max(0.001, (deadline - performance.now()) / 1000), signal);
  if (purpose === 'reference') return read('every');
  if (purpose === 'confirm') return read('dense');
  const sparse = await read('keyframes');
  if (sparse.status === 'codes' && usable(sparse.fingerprint.frames) >= ENOUGH_KEYFRAMES) return sparse;
  if (sparse.status === 'rejected' && sparse.reason === 'too-slow') return sparse;
  return read('dense');
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
  purpose: Purpose,
  choice: FrameChoice,
  seconds: number,
  signal: AbortSignal | undefined,
): Promise<FingerprintOutcome> {
  const { width, height } = workingSize(job.probe.width, job.probe.height);
  const slice = createSlice(width, height, purpose);
  const pruning = purpose === 'reference' ? createPruning(width, height) : null;
  const onFrame = (frame: DecodedFrame) => {
    const kept = pruning ? pruning(frame) : {};
    return kept !== null && slice.add({ ...frame, ...kept });
  };
  const end = await decodeFrames(job, choice, seconds, onFrame, signal);
  if (end.status === 'rejected') return end;
  const about = { engine: ENGINE_VERSION, mode: 'fast' as const, sampling: SAMPLING[choice] };
  const { probe, span } = job;
  const shape = { span: [span[0], span[1]] as [number, number], width: probe.width, height: probe.height };
  return { status: 'codes', fingerprint: assemble({ ...about, ...shape }, slice.finish()) };
}

interface HeldFrame extends DecodedFrame {
  /** Codes of the whole picture, where they are known already. */
  whole?: ReturnType<typeof pdqTurns>;
}

/** Frames of a slice: held until enough of them show where the borders are, then coded. */
function createSlice(width: number, height: number, purpose: Purpose) {
  const turns = purpose === 'reference' ? AS_IS : AS_IS_AND_MIRRORED;
  const held: HeldFrame[] = [];
  const frames: TimedFrame[] = [];
  let trim: Region | null | undefined;
  const code = ({ time, keyframe, luma, whole }: HeldFrame) => {
    const coded = frameCodes(luma, width, height, { turns, trim: trim ?? null, ...(whole ? { whole } : {}) });
    frames.push({ time, keyframe, coded });
  };
  const settle = () => {
    if (trim !== undefined) return;
    trim = findBorders(
      held.map((frame) => frame.luma),
      width,
      height,
    );
    for (const frame of held) code(frame);
    held.length = 0;
  };
  return {
    /** True when the frame's luma is kept. */
    add(frame: HeldFrame): boolean {
      if (trim !== undefined) {
        code(frame);
        return false;
      }
      held.push(frame);
      if (held.length >= HELD_FRAMES) settle();
      return true;
    },
    finish(): TimedFrame[] {
      settle();
      return frames;
    },
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
