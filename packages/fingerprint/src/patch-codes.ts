/**
 * `patch` codes: 256 comparisons of light inside a disc around a corner, turned to the disc's own direction (Rublee and
 * others, "ORB: an efficient alternative to SIFT or SURF", 2011), over a pattern of tests of our own (patch-pattern.ts).
 * Bits 128..255 are the tests of bits 0..127 reflected, so the code of the mirrored patch is the code with its halves
 * swapped. seeds/vectors/patch defines all of it to the bit; whole numbers, square roots and plain sums only.
 */
import { CODE_BYTES } from '@vigil/contracts/codes';
import { findCorners } from './patch-corners.ts';
import { openPatchKernel, type PatchKernel } from './patch-kernel.ts';
import { PATTERN } from './patch-pattern.ts';
import { buildPyramid } from './patch-pyramid.ts';
import { PATCH_RADIUS } from './patch-typescript-kernel.ts';

export type PatchKind = 'reference' | 'upload';

/**
 * Pixels of the largest level, number of levels, and how far the corners of a level may crowd into its cells.
 * An upload's pyramid begins just one step further up, for smaller copies, and then has the levels of a reference's: at
 * 512 x 288, between steps, a fifth fewer codes of an unchanged picture came again. It is spread the more evenly, so that
 * letters put over it leave room for others.
 */
export const PATCH_SHAPE: Record<PatchKind, { area: number; levels: number; cellShare: number }> = {
  reference: { area: 400 * 225, levels: 8, cellShare: 2 },
  upload: { area: 500 * 281.25, levels: 9, cellShare: 1.5 },
};

const DIAMETER = 2 * PATCH_RADIUS + 1;

/** Codes of one picture as columns, strongest corners first. */
export interface PatchCodes {
  count: number;
  /** 32 bytes a code. */
  bits: Uint8Array;
  /** Of the patch's middle, in 1/65535 of width and height. */
  x: Uint16Array;
  y: Uint16Array;
  /** In 1/65535 of the picture's diagonal. */
  diameter: Uint16Array;
  /** In 1/65536 of a turn, from the x axis (right) towards the y axis (down). */
  angle: Uint16Array;
  /** 255 for the strongest down to 0. */
  rank: Uint8Array;
}

export interface PatchOptions {
  /** At most so many codes. */
  count: number;
  /** And so many more from between them, where the others crowd: on letters that were put over the picture. */
  gaps?: number;
  kind: PatchKind;
}

/** One picture at a time; memory is kept between calls. */
export function createPatchCoder(
  kernel: PatchKernel = openPatchKernel(),
  pattern: Int16Array = PATTERN,
): { code(luma: Uint8Array, width: number, height: number, options: PatchOptions): PatchCodes } {
  const tests = pattern.length / 4;
  const bytes = tests / 8;
  return {
    code(luma, width, height, { count, gaps = 0, kind }) {
      const shape = PATCH_SHAPE[kind];
      const pyramid = buildPyramid(kernel, luma, width, height, shape);
      const found = findCorners(kernel, pyramid, { most: count, cellShare: shape.cellShare, gaps });
      const out = columns(found.count, bytes);
      const [direction, patternAt] = [pyramid.end, pyramid.end + 16];
      const bitsAt = patternAt + 2 * pattern.length;
      const memory = kernel.reserve(bitsAt + bytes);
      new Int16Array(memory, patternAt, pattern.length).set(pattern);
      const [dx, bits] = [new Float64Array(memory, direction, 2), new Uint8Array(memory, bitsAt, bytes)];
      for (let i = 0; i < found.count; i++) {
        const level = pyramid.levels[found.level[i]!]!;
        const [x, y] = [found.x[i]!, found.y[i]!];
        kernel.describe(level, level.soft, y * level.width + x, patternAt, tests, bitsAt, direction);
        out.bits.set(bits, i * bytes);
        out.x[i] = Math.round((65535 * (x + 0.5)) / level.width);
        out.y[i] = Math.round((65535 * (y + 0.5)) / level.height);
        out.diameter[i] = Math.min(65535, Math.round((65535 * DIAMETER) / Math.hypot(level.width, level.height)));
        out.angle[i] = Math.round((Math.atan2(dx[1]!, dx[0]!) / (2 * Math.PI)) * 65536) & 0xffff;
        out.rank[i] = 255 - Math.floor((256 * i) / found.count);
      }
      return out;
    },
  };
}

let shared: ReturnType<typeof createPatchCoder> | null = null;

/**
 * @param luma levels 0..255, row by row
 * At most `count` codes, and `gaps`; none where the picture has no corners, or no room for a patch.
 */
export function patchCodes(luma: Uint8Array, width: number, height: number, options: PatchOptions): PatchCodes {
  shared ??= createPatchCoder();
  return shared.code(luma, width, height, options);
}

function columns(count: number, bytes: number): PatchCodes {
  return {
    count,
    bits: new Uint8Array(count * bytes),
    x: new Uint16Array(count),
    y: new Uint16Array(count),
    diameter: new Uint16Array(count),
    angle: new Uint16Array(count),
    rank: new Uint8Array(count),
  };
}

/** The code of the mirrored patch, written to `out` at `to`. */
export function swapHalves(bits: Uint8Array, i: number, out: Uint8Array, to: number): void {
  const half = CODE_BYTES / 2;
  const from = bits.subarray(i * CODE_BYTES, (i + 1) * CODE_BYTES);
  out.set(from.subarray(half), to * CODE_BYTES);
  out.set(from.subarray(0, half), to * CODE_BYTES + half);
}
