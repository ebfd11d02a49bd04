/** Codes of one frame, what can be said against them, and their place in a Fingerprint. */
import { CODE_BYTES, TURNS, type Turn } from '@vigil/contracts/codes';
import {
  type CodeMode,
  emptyTable,
  type Fingerprint,
  FRAME_FLAT,
  FRAME_KEY,
  FRAME_PAGE,
  type Sampling,
} from '@vigil/contracts/fingerprint';
import type { PatchCodes } from './patch-codes.ts';
import { patchTable } from './patch-sampling.ts';
import { levelsOf, lowerMedian, type PdqTurns, pdqTurns } from './pdq.ts';
import { type Luma, pixelsOf, type Region } from './pdq-filter.ts';

export const AS_IS: readonly Turn[] = ['none'];
export const AS_IS_AND_MIRRORED: readonly Turn[] = ['none', 'mirror'];
export const ALL_TURNS: readonly Turn[] = TURNS;

/**
 * A bit says which side of the median its coefficient lies on. When a quarter of the coefficients lie nearer to it than
 * this, the code says how the file was rounded. Measured: plain flags and gradients 0 to 1.02, a picture faded to 5 % of
 * its contrast 1.2, everything else from 2.0 up (charts, receipts), dark video from 3.8.
 */
const FLAT_DISTANCE = 1.2;
const FLAT_QUARTER = 64;
/**
 * A page: more than this share of pixels within so many levels of the commonest one, and most of them on it, or else lettering in it.
 * Measured: within GROUND_LEVELS .73 to 1 of receipts, charts, terminals and credits; .28 to .57 of an empty road in the dark, .34 of a
 * bird against the sky, which are even enough for the first rule. Steps from one pixel to the next of LETTER_STEP: .004 to .11 of pages
 * (those with less have an even ground), .001 of that bird, .0002 of that road (the most: .004).
 */
const PAGE_SHARE = 0.8;
const PAGE_LEVELS = 8;
const GROUND_SHARE = 0.65;
const GROUND_LEVELS = 2;
const LETTER_STEP = 48;
const LETTER_SHARE = 0.006;
const PAGE_SAMPLES = 1 << 17;

const WHOLE: Place = [0, 0, 65535, 65535];
export type Place = [number, number, number, number];

export interface FrameCode {
  bits: Uint8Array;
  /** Index into TURNS. */
  turn: number;
  /** Left, top, right, bottom in 1/65535 of the frame. */
  place: Place;
  /** PDQ quality of the coded part. */
  quality: number;
}

export interface CodedFrame {
  /** Whole picture first, in the order of the turns, then the trimmed one. Empty when the frame is flat. */
  codes: FrameCode[];
  /** FRAME_FLAT, FRAME_PAGE; of the whole picture. */
  flags: number;
  quality: number;
  /** 64 x 64 luma, when it was asked for. */
  thumbnail?: Uint8Array;
  /** Where they were taken. */
  patches?: PatchCodes | null;
}

/** @param levels the same as whole numbers, where `luma` is not that */
export function frameCodes(
  luma: Luma,
  width: number,
  height: number,
  options: {
    turns: readonly Turn[];
    trim: Region | null;
    levels?: Uint8Array;
    thumbnail?: boolean;
    fullSize?: { width: number; height: number };
    /** What pdqTurns says of the whole picture and these turns, where that is known already. */
    whole?: PdqTurns;
  },
): CodedFrame {
  const { turns, trim, fullSize = { width, height }, levels = levelsOf(luma, width, height) } = options;
  const codes: FrameCode[] = [];
  const take = ({ block, codes: turned }: PdqTurns, place: Place) => {
    if (!isFlat(block.dct)) for (const one of turned) codes.push({ ...one, place, quality: block.quality });
  };
  const whole =
    options.whole ?? pdqTurns(luma, width, height, turns, { fullSize, thumbnail: options.thumbnail ?? false });
  take(whole, WHOLE);
  if (trim) {
    const place = [trim.left, trim.top, trim.right, trim.bottom].map((v) => Math.round(65535 * v)) as Place;
    take(pdqTurns(luma, width, height, turns, { fullSize, region: trim }), place);
  }
  const { quality } = whole.block;
  const flags = (codes.length === 0 ? FRAME_FLAT : 0) | (isPage(levels, width, height, trim) ? FRAME_PAGE : 0);
  const coded: CodedFrame = { codes, flags, quality };
  if (whole.thumbnail) coded.thumbnail = whole.thumbnail;
  return coded;
}

/**
 * Nothing to judge: black, one colour, fades, and anything that varies along one axis only (gradients, stripes), whose
 * transform PDQ leaves out: its 256 coefficients all vary along both.
 */
export function isFlat(dct: Float32Array): boolean {
  const median = lowerMedian(dct);
  let near = 0;
  for (let i = 0; i < dct.length; i++) if (Math.abs(dct[i]! - median) < FLAT_DISTANCE) near++;
  return near > FLAT_QUARTER;
}

function isPage(luma: Uint8Array, width: number, height: number, trim: Region | null): boolean {
  const part = pixelsOf(trim, width, height);
  const step = Math.max(1, Math.ceil(Math.sqrt((part.width * part.height) / PAGE_SAMPLES)));
  const eachRow = (visit: (from: number, end: number) => void) => {
    for (let y = 0; y < part.height; y += step) {
      const start = (part.y + y) * width + part.x;
      // Rows start at different columns, so that no regular pattern of columns is all that is seen.
      visit(start + ((y * 7) % step), start + part.width);
    }
  };
  const levels = new Uint32Array(256);
  let samples = 0;
  eachRow((from, end) => {
    for (let p = from; p < end; p += step, samples++) levels[luma[p]!]!++;
  });
  let commonest = 0;
  for (let v = 1; v < 256; v++) if (levels[v]! > levels[commonest]!) commonest = v;
  const within = (reach: number) =>
    levels.subarray(Math.max(0, commonest - reach), commonest + reach + 1).reduce((near, n) => near + n, 0);
  if (within(PAGE_LEVELS) <= PAGE_SHARE * samples) return false;
  if (within(GROUND_LEVELS) > GROUND_SHARE * samples) return true;
  let letters = 0;
  eachRow((from, end) => {
    for (let p = from; p + 1 < end; p += step) if (Math.abs(luma[p + 1]! - luma[p]!) > LETTER_STEP) letters++;
  });
  return letters > LETTER_SHARE * samples;
}

export interface TimedFrame {
  /** Seconds from the start of the media. */
  time: number;
  keyframe: boolean;
  coded: CodedFrame;
}

/** Columns of a Fingerprint from its frames, in order of time. At most 65 535 frames. */
export function assemble(
  about: {
    engine: string;
    mode: CodeMode;
    sampling: Sampling;
    span: [number, number];
    width: number;
    height: number;
  },
  frames: readonly TimedFrame[],
  /** Thumbnails at times of their own, instead of the frames'. */
  timed?: readonly { time: number; thumbnail: Uint8Array }[],
): Fingerprint {
  if (frames.length > 65535) throw new RangeError(`a slice has at most 65535 frames, not ${frames.length}`);
  const count = frames.reduce((n, frame) => n + frame.coded.codes.length, 0);
  const table = {
    ...emptyTable('picture'),
    count,
    bits: new Uint8Array(count * CODE_BYTES),
    frame: new Uint16Array(count),
    place: new Uint16Array(count * 4),
    turn: new Uint8Array(count),
    quality: new Uint8Array(count),
  };
  let row = 0;
  frames.forEach(({ coded }, n) => {
    for (const code of coded.codes) {
      table.bits.set(code.bits, row * CODE_BYTES);
      table.frame[row] = n;
      table.place.set(code.place, row * 4);
      table.turn[row] = code.turn;
      table.quality[row] = code.quality;
      row++;
    }
  });
  const pictured =
    timed ?? frames.flatMap(({ time, coded: { thumbnail } }) => (thumbnail ? [{ time, thumbnail }] : []));
  const luma = new Uint8Array(pictured.length * 4096);
  pictured.forEach(({ thumbnail }, n) => {
    luma.set(thumbnail, n * 4096);
  });
  const patches = patchTable(frames);
  return {
    ...about,
    frames: {
      time: Float64Array.from(frames, (frame) => frame.time),
      quality: Uint8Array.from(frames, (frame) => frame.coded.quality),
      flags: Uint8Array.from(frames, (frame) => frame.coded.flags | (frame.keyframe ? FRAME_KEY : 0)),
    },
    tables: patches ? [table, patches] : [table],
    thumbnails: { time: Float64Array.from(pictured, ({ time }) => time), luma },
  };
}
