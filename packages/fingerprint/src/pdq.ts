/**
 * PDQ, the 256-bit picture hash that Meta defined ("The TMK+PDQF Video-Hashing Algorithm and the PDQ Image-Hashing
 * Algorithm", 2019, and pdq/cpp in facebook/ThreatExchange): luma -> two passes of a box filter -> 64 x 64 samples ->
 * 16 x 16 of its cosine transform -> one bit a coefficient, set where it is above the lower median.
 *
 * Filter and sampling are linear and separable, so both are folded into one sparse 64 x n matrix a dimension: about one
 * multiply-add a pixel instead of four running sums. The test beside this file has the literal version.
 * Meta's own command line tool resizes to 512 x 512 before it hashes; its library, and pdqhash on PyPI, do not. Nor do we.
 */
import { CODE_BYTES, TURNS, type Turn } from '@vigil/contracts/codes';
import {
  areaRows,
  createPictureFilter,
  type Luma,
  type Part,
  type Pass,
  type PictureFilter,
  pixelsOf,
  type Region,
  tentRows,
  tentRowsFromTheEnd,
} from './pdq-filter.ts';
import { openPictureKernel, PADDING, type PictureKernel } from './picture-kernel.ts';
import { BAND, SIDE } from './picture-typescript-kernel.ts';

export interface PdqBlock {
  /** 16 x 16 coefficients, row by row: rows are vertical frequencies 1..16, columns horizontal ones. */
  dct: Float32Array;
  /** 0..100, how much gradient there is to judge by. */
  quality: number;
  /** The filtered picture, 64 x 64 levels of 0..255, row by row. */
  block64: Float32Array;
}

const SMALLEST = 5; // Meta refuses to hash less

/** Wave i at sample k in row k. */
const WAVES = Float32Array.from({ length: SIDE * BAND }, (_, n) => {
  const [k, i] = [Math.floor(n / BAND), n % BAND];
  return Math.sqrt(2 / SIDE) * Math.cos((Math.PI / 2 / SIDE) * (i + 1) * (2 * k + 1));
});

/** Meta's pdqImageDomainQualityMetric: whole percents of gradient between neighbours, summed, over 90. */
function qualityOf(block: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < SIDE; i++) {
    for (let j = 0; j < SIDE; j++) {
      const here = block[i * SIDE + j]!;
      if (i + 1 < SIDE) sum += Math.abs(Math.trunc(((here - block[(i + 1) * SIDE + j]!) * 100) / 255));
      if (j + 1 < SIDE) sum += Math.abs(Math.trunc(((here - block[i * SIDE + j + 1]!) * 100) / 255));
    }
  }
  return Math.min(100, Math.floor(sum / 90));
}

/**
 * @param luma levels 0..255, row by row, `stride` (default `width`) apart
 * @param region the part to code; the whole picture when left out
 * A part narrower or lower than 5 pixels has quality 0 and a transform of zeros, as Meta has it.
 */
export function pdqBlock(
  luma: Luma,
  width: number,
  height: number,
  stride: number = width,
  region: Region | null = null,
): PdqBlock {
  return pdqTurns(luma, width, height, AS_IT_IS, { stride, region }).block;
}

const AS_IT_IS: readonly Turn[] = ['none'];

export interface PdqOptions {
  /** Samples from one row to the next; `width` when left out. */
  stride?: number;
  /** The part to code; the whole picture when null. */
  region?: Region | null;
  /** Width and height of the picture before a decoder shrank it. Its codes are then nearly those of the full size. */
  fullSize?: { width: number; height: number };
  /** Filled with the nearest whole levels of the part, for those who want both: it costs less than reading it again. */
  levels?: Uint8Array;
  /** A thumbnail of the part as well, for the same reason; none of a part too small to be coded. */
  thumbnail?: boolean;
}

export interface PdqTurns {
  block: PdqBlock;
  codes: TurnedCode[];
  thumbnail?: Uint8Array;
}

/**
 * Codes of the picture in several turns, each as if the picture itself had been turned first; `block` is the picture as
 * it is. `turn` indexes TURNS, codes come in the order of `turns`.
 *
 * Meta derives the eight from one transform by signs (turnedCodes below). But its filter leans and its samples lie off
 * the middle, so those codes are a median of 8 bits and a p90 of 26 away from the codes of really turned photographs, which
 * is most of the radius. Reading the picture from its other end costs one more multiply-add a pixel and leaves 0.
 */
export function pdqTurns(
  luma: Luma,
  width: number,
  height: number,
  turns: readonly Turn[],
  options: PdqOptions = {},
): PdqTurns {
  shared ??= createPdqCoder();
  return shared.turns(luma, width, height, turns, options);
}

/** 64 x 64 luma, each the plain average over its part of the picture. */
export function thumbnailOf(luma: Luma, width: number, height: number, stride: number = width): Uint8Array {
  shared ??= createPdqCoder();
  return shared.thumbnail(luma, width, height, stride);
}

/** Levels of whole numbers: the nearest to the luma of each pixel. */
export function levelsOf(luma: Luma, width: number, height: number): Uint8Array {
  shared ??= createPdqCoder();
  return shared.levels(luma, width * height);
}

let shared: PdqCoder | null = null;

export interface PdqCoder {
  turns: typeof pdqTurns;
  thumbnail: typeof thumbnailOf;
  levels: PictureFilter['levels'];
}

/** One picture at a time; memory is kept between calls. */
export function createPdqCoder(kernel: PictureKernel = openPictureKernel()): PdqCoder {
  const filter = createPictureFilter(kernel);
  const [waves, tall, out] = [filter.end, filter.end + 4 * SIDE * BAND, filter.end + 8 * SIDE * BAND];

  /** Of the 64 x 64 floats there. The memory after the filter's own is used by both, in turn. */
  function cosinesOf(block: number): Float32Array {
    const memory = kernel.reserve(out + 4 * BAND * BAND + PADDING);
    new Float32Array(memory, waves, SIDE * BAND).set(WAVES);
    kernel.cosines(block, waves, tall, out);
    return new Float32Array(memory, out, BAND * BAND).slice();
  }

  const averages = ({ width, height }: Part): Pass => ({ down: areaRows(height), acrosses: [areaRows(width)] });
  const thumbnailAt = (block: number): Uint8Array => {
    const means = new Float32Array(kernel.reserve(0), block, SIDE * SIDE);
    const thumbnail = new Uint8Array(SIDE * SIDE);
    for (let i = 0; i < means.length; i++) thumbnail[i] = Math.max(0, Math.min(255, Math.round(means[i]!)));
    return thumbnail;
  };

  return {
    turns(luma, width, height, turns, options = {}) {
      const { stride = width, region = null, fullSize = { width, height }, levels } = options;
      const part = pixelsOf(region, width, height);
      const full = pixelsOf(region, Math.max(width, fullSize.width), Math.max(height, fullSize.height));
      if (part.width < SMALLEST || part.height < SMALLEST) {
        const block = { dct: new Float32Array(BAND * BAND), quality: 0, block64: new Float32Array(SIDE * SIDE) };
        return { block, codes: turnedCodes(block.dct, turns) };
      }
      const mirrors = new Set<0 | 1>([0]);
      const flips = new Set<0 | 1>([0]);
      for (const turn of turns) {
        mirrors.add(readsOf(turn).mirror);
        flips.add(readsOf(turn).flip);
      }
      const rows = (n: number, of: number, from: ReadonlySet<0 | 1>) =>
        [...from].map((end) => (end ? tentRowsFromTheEnd : tentRows)(n, of));
      const acrosses = rows(part.width, full.width, mirrors);
      const passes: Pass[] = rows(part.height, full.height, flips).map((down) => ({ down, acrosses }));
      if (options.thumbnail) passes.push(averages(part));
      const blocks = filter.blocks(luma, stride, part, passes, levels);
      const thumbnail = options.thumbnail ? thumbnailAt(blocks.at(-1)![0]!) : undefined;
      const transforms = new Map<number, Float32Array>();
      const transformOf = (flip: number, mirror: number) => {
        const at = blocks[[...flips].indexOf(flip as 0 | 1)]![[...mirrors].indexOf(mirror as 0 | 1)]!;
        const known = transforms.get(at) ?? cosinesOf(at);
        transforms.set(at, known);
        return known;
      };
      const block64 = new Float32Array(kernel.reserve(0), blocks[0]![0]!, SIDE * SIDE).slice();
      const block = { dct: transformOf(0, 0), quality: qualityOf(block64), block64 };
      const codes = turns.map((turn) => {
        const { flip, mirror } = readsOf(turn);
        const dct = transformOf(flip, mirror);
        const bits = ACTS[turn].swap ? turnedCodes(dct, ['transpose'])[0]!.bits : codeOf(dct);
        return { turn: TURNS.indexOf(turn), bits };
      });
      return { block, codes, ...(thumbnail && { thumbnail }) };
    },
    thumbnail(luma, width, height, stride = width) {
      const whole = { x: 0, y: 0, width, height };
      const [[at]] = filter.blocks(luma, stride, whole, [averages(whole)]) as [[number]];
      return thumbnailAt(at);
    },
    levels: filter.levels,
  };
}

/** A turn is a mirror, a flip, then a swap of the axes; the swap is exact in the transform. */
function readsOf(turn: Turn): { mirror: 0 | 1; flip: 0 | 1 } {
  const { swap, rows, columns } = ACTS[turn];
  return { mirror: (swap ? rows : columns) ? 1 : 0, flip: (swap ? columns : rows) ? 1 : 0 };
}

const sorted = new Float32Array(BAND * BAND);

/** Of the coefficients; Torben's algorithm on an even count gives that one. */
export function lowerMedian(dct: Float32Array): number {
  sorted.set(dct);
  return sorted.sort()[BAND * BAND * 0.5 - 1]!;
}

/** Bit i is set where coefficient i is above the lower median. */
export function codeOf(dct: Float32Array): Uint8Array {
  const median = lowerMedian(dct);
  const code = new Uint8Array(CODE_BYTES);
  for (let i = 0; i < BAND * BAND; i++) if (dct[i]! > median) code[i >> 3]! |= 1 << (i & 7);
  return code;
}

/** How a turn acts on the transform: swap the axes first, then negate even rows (flip) and even columns (mirror). */
const ACTS: Record<Turn, { swap: boolean; rows: boolean; columns: boolean }> = {
  none: { swap: false, rows: false, columns: false },
  rot90: { swap: true, rows: true, columns: false },
  rot180: { swap: false, rows: true, columns: true },
  rot270: { swap: true, rows: false, columns: true },
  mirror: { swap: false, rows: false, columns: true },
  flip: { swap: false, rows: true, columns: false },
  transpose: { swap: true, rows: false, columns: false },
  antitranspose: { swap: true, rows: true, columns: true },
};

export interface TurnedCode {
  /** Index into TURNS. */
  turn: number;
  bits: Uint8Array;
}

/** Codes of the picture turned, from its transform alone, as Meta's pdqDihedralHash256es derives them. */
export function turnedCodes(dct: Float32Array, turns: readonly Turn[] = TURNS): TurnedCode[] {
  const turned = new Float32Array(BAND * BAND);
  return turns.map((turn) => {
    const { swap, rows, columns } = ACTS[turn];
    for (let r = 0; r < BAND; r++) {
      for (let c = 0; c < BAND; c++) {
        const value = swap ? dct[c * BAND + r]! : dct[r * BAND + c]!;
        const negate = (rows && (r & 1) === 0) !== (columns && (c & 1) === 0);
        turned[r * BAND + c] = negate ? -value : value;
      }
    }
    return { turn: TURNS.indexOf(turn), bits: codeOf(turned) };
  });
}
