/**
 * `patch` codes: 256 comparisons of light inside a disc around a corner, turned to the disc's own direction (Rublee and
 * others, "ORB: an efficient alternative to SIFT or SURF", 2011), over a pattern of tests of our own (patch-pattern.ts).
 * Bits 128..255 are the tests of bits 0..127 reflected, so the code of the mirrored patch is the code with its halves
 * swapped. seeds/vectors/patch defines all of it to the bit; whole numbers, square roots and plain sums only.
 */
import { CODE_BYTES } from '@vigil/contracts';
import { createCorners, PATCH_RADIUS } from './patch-corners.ts';
import { PATTERN, PATTERN_UNIT } from './patch-pattern.ts';
import { createPyramid, type Level } from './patch-pyramid.ts';
import type { Luma } from './pdq.ts';

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
  kind: PatchKind;
}

/** Horizontal reach of each row of the disc over which light is weighed: points (x, y) with x*x + y*y <= 15.5^2. */
const REACH = Int32Array.from({ length: PATCH_RADIUS + 1 }, (_, y) => Math.floor(Math.sqrt(15.5 ** 2 - y * y)));

/** One picture at a time; memory is kept between calls. */
export function createPatchCoder(pattern: Int16Array = PATTERN) {
  const pyramid = createPyramid();
  const corners = createCorners();
  return {
    code(luma: Luma, width: number, height: number, { count, kind }: PatchOptions): PatchCodes {
      const { area, levels: steps, cellShare } = PATCH_SHAPE[kind];
      const levels = pyramid.build(luma, width, height, area, steps);
      const found = corners.find(levels, { most: count, cellShare });
      const out = columns(found.count, pattern.length / 4);
      const diagonal = Math.hypot(width, height);
      for (let i = 0; i < found.count; i++) {
        const level = levels[found.level[i]!]!;
        const [x, y] = [found.x[i]!, found.y[i]!];
        const [dx, dy] = direction(level, x, y);
        describe(level, x, y, dx, dy, pattern, out.bits, i);
        out.x[i] = Math.round((65535 * (x + 0.5)) / level.width);
        out.y[i] = Math.round((65535 * (y + 0.5)) / level.height);
        const scale = Math.hypot(width, height) / Math.hypot(level.width, level.height);
        out.diameter[i] = Math.min(65535, Math.round((65535 * DIAMETER * scale) / diagonal));
        out.angle[i] = Math.round((Math.atan2(dy, dx) / (2 * Math.PI)) * 65536) & 0xffff;
        out.rank[i] = 255 - Math.floor((256 * i) / found.count);
      }
      return out;
    },
  };
}

let shared: ReturnType<typeof createPatchCoder> | null = null;

/**
 * @param luma levels 0..255, row by row
 * At most `count` codes; none where the picture has no corners, or no room for a patch.
 */
export function patchCodes(luma: Luma, width: number, height: number, options: PatchOptions): PatchCodes {
  shared ??= createPatchCoder();
  return shared.code(luma, width, height, options);
}

function columns(count: number, tests: number): PatchCodes {
  return {
    count,
    bits: new Uint8Array((count * tests) / 8),
    x: new Uint16Array(count),
    y: new Uint16Array(count),
    diameter: new Uint16Array(count),
    angle: new Uint16Array(count),
    rank: new Uint8Array(count),
  };
}

/** Unit vector from the middle of the disc to where its light lies (Rosin, "Measuring corner properties", 1999). */
export function direction({ grey, width }: Level, x: number, y: number): [number, number] {
  let mx = 0;
  let my = 0;
  const p = y * width + x;
  for (let u = -PATCH_RADIUS; u <= PATCH_RADIUS; u++) mx += u * grey[p + u]!;
  for (let v = 1; v <= PATCH_RADIUS; v++) {
    const reach = REACH[v]!;
    const above = p - v * width;
    const below = p + v * width;
    let sum = 0;
    for (let u = -reach; u <= reach; u++) {
      const [a, b] = [grey[above + u]!, grey[below + u]!];
      mx += u * (a + b);
      sum += b - a;
    }
    my += v * sum;
  }
  const length = Math.sqrt(mx * mx + my * my);
  return length === 0 ? [1, 0] : [mx / length, my / length];
}

/** Sets the bits of code `i`. Bit t: it is darker at the first end of test t than at the second. */
export function describe(
  { soft, width }: Level,
  x: number,
  y: number,
  dx: number,
  dy: number,
  pattern: Int16Array,
  bits: Uint8Array,
  i: number,
): void {
  const middle = y * width + x;
  const c = dx / PATTERN_UNIT;
  const s = dy / PATTERN_UNIT;
  let at = (i * pattern.length) / 32;
  for (let k = 0; k < pattern.length; at++) {
    let byte = 0;
    for (let bit = 1; bit < 256; bit <<= 1, k += 4) {
      const ax = pattern[k]!;
      const ay = pattern[k + 1]!;
      const bx = pattern[k + 2]!;
      const by = pattern[k + 3]!;
      const a = middle + nearest(c * ax - s * ay) + width * nearest(s * ax + c * ay);
      const b = middle + nearest(c * bx - s * by) + width * nearest(s * bx + c * by);
      if (soft[a]! < soft[b]!) byte |= bit;
    }
    bits[at] = byte;
  }
}

/** The nearest whole number; a half goes away from zero, so that what is reflected stays reflected. */
function nearest(v: number): number {
  return (v < 0 ? v - 0.5 : v + 0.5) | 0;
}

/** The code of the mirrored patch, written to `out` at `to`. */
export function swapHalves(bits: Uint8Array, i: number, out: Uint8Array, to: number): void {
  const half = CODE_BYTES / 2;
  const from = bits.subarray(i * CODE_BYTES, (i + 1) * CODE_BYTES);
  out.set(from.subarray(half), to * CODE_BYTES);
  out.set(from.subarray(0, half), to * CODE_BYTES + half);
}
