/**
 * The pictures in which corners are looked for: one scaled to a given area, then others, each a fifth smaller than the
 * last. Whole numbers throughout, rounded so that the pyramid of a mirrored picture is the mirrored pyramid, to the bit.
 */
import { PADDING, type PatchKernel, type Plane } from './patch-kernel.ts';

const STEP_UP = 5;
const STEP_DOWN = 4;

/** Never enlarged by more than this; a tiny picture has less to say, not more. */
const MOST_ENLARGED = 2;
const MOST_SIDE = 4096;
/** A decoder that scales for us rounds sides to even numbers: not worth scaling again. */
const NEAR_ENOUGH = 0.02;

/** Levels 0..255, and where the same picture lies blurred by a Gaussian of sigma 2. */
export interface Level extends Plane {
  soft: number;
}

export interface Pyramid {
  levels: Level[];
  /** The memory from here on is free. */
  end: number;
}

/** Size of about `area` pixels in the shape of the picture. */
export function patchSize(width: number, height: number, area: number): { width: number; height: number } {
  const wanted = Math.min(MOST_ENLARGED, Math.sqrt(area / (width * height)));
  const factor = Math.abs(wanted - 1) < NEAR_ENOUGH ? 1 : wanted;
  const side = (n: number) => Math.max(1, Math.min(MOST_SIDE, Math.round(n * factor)));
  return { width: side(width), height: side(height) };
}

/** In the kernel's memory, from its base on. */
export function buildPyramid(
  kernel: PatchKernel,
  luma: Uint8Array,
  width: number,
  height: number,
  { area, levels: count }: { area: number; levels: number },
): Pyramid {
  const size = patchSize(width, height, area);
  let at = kernel.base;
  const take = (bytes: number) => {
    const from = at;
    at += Math.ceil((bytes + PADDING) / PADDING) * PADDING;
    return from;
  };
  const levels = Array.from({ length: count }, (_, l): Level => {
    const [w, h] = [shrunk(size.width, l), shrunk(size.height, l)];
    return { width: w, height: h, at: take(w * h), soft: take(w * h) };
  });
  const end = at;
  const source: Plane = { width, height, at: take(Math.min(width * height, 4 * area)) };
  const tall = take(size.width * size.height);
  const taps = take(4 * (size.width + size.height));
  const lines = take(4 * size.width);
  const row = take(width);
  const sums = take(4 * width);
  const bytes = new Uint8Array(kernel.reserve(at));
  const toLevel = (from: Plane, to: Plane) => {
    new Uint16Array(bytes.buffer, taps, 2 * to.width).set(weights(from.width, to.width));
    new Uint16Array(bytes.buffer, taps + 4 * to.width, 2 * to.height).set(weights(from.height, to.height));
    kernel.interpolate(from, to, taps, lines);
  };
  levels.forEach((level, l) => {
    const pixels = bytes.subarray(level.at, level.at + level.width * level.height);
    if (l > 0) toLevel(levels[l - 1]!, level);
    else if (size.width > width || size.height > height) {
      bytes.set(luma, source.at);
      toLevel(source, level);
    } else if (size.width === width && size.height === height) pixels.set(luma.subarray(0, pixels.length));
    else average(kernel, luma, { width, height, at: row }, sums, level);
    kernel.blur(level, level.soft, tall);
  });
  return { levels, end };
}

/** n * (4/5)^level, half up. */
function shrunk(n: number, level: number): number {
  const [up, down] = [STEP_UP ** level, STEP_DOWN ** level];
  return Math.max(1, Math.floor((2 * n * down + up) / (2 * up)));
}

/**
 * Plain averages over equal parts. Overlaps are counted in whole units (1 / size of the smaller picture), so sums are exact.
 * `from.at` has room for one row, `sumsAt` for its sums of 32 bits.
 */
function average(
  kernel: PatchKernel,
  luma: Uint8Array,
  { width, height, at: line }: Plane,
  sumsAt: number,
  to: Plane,
): void {
  const bytes = new Uint8Array(kernel.reserve(0));
  const sums = new Int32Array(bytes.buffer, sumsAt, width);
  const whole = width * height;
  for (let k = 0; k < to.height; k++) {
    sums.fill(0);
    const [top, bottom] = [k * height, (k + 1) * height];
    for (let y = Math.floor(top / to.height); y * to.height < bottom; y++) {
      const weight = Math.min((y + 1) * to.height, bottom) - Math.max(y * to.height, top);
      bytes.set(luma.subarray(y * width, (y + 1) * width), line);
      kernel.gather(line, width, weight, sumsAt);
    }
    kernel.squeeze(sumsAt, width, to.width, whole, to.at + k * to.width);
  }
}

const kept = new Map<string, Uint16Array>();
const MOST_KEPT = 64;

/** For each of `to` samples the first of its two neighbours among `from`, and what the second weighs in 1/256. */
function weights(from: number, to: number): Uint16Array {
  const key = `${from} ${to}`;
  const known = kept.get(key);
  if (known) return known;
  const out = new Uint16Array(2 * to);
  for (let k = 0; k < to; k++) {
    const at = Math.max(0, (2 * k + 1) * from - to);
    const i = Math.min(Math.max(0, from - 2), Math.floor(at / (2 * to)));
    out[2 * k] = i;
    out[2 * k + 1] = from === 1 ? 0 : halfToEven(Math.min(2 * to, at - i * 2 * to) * 256, 2 * to);
  }
  if (kept.size >= MOST_KEPT) kept.clear();
  kept.set(key, out);
  return out;
}

/** Quotient of whole numbers: what is a half is rounded to the even side, which is the same one from either end. */
function halfToEven(a: number, b: number): number {
  const q = Math.floor(a / b);
  const twice = 2 * (a - q * b);
  return twice > b || (twice === b && q % 2 === 1) ? q + 1 : q;
}
