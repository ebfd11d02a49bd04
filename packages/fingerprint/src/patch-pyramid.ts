/**
 * The pictures in which corners are looked for: one scaled to a given area, then others, each a fifth smaller than the last. Whole
 * numbers throughout, rounded so that the pyramid of a mirrored picture is the mirrored pyramid, to the bit.
 */
import type { Luma } from './pdq.ts';

export const MOST_LEVELS = 9;
const STEP_UP = 5;
const STEP_DOWN = 4;

/** Never enlarged by more than this; a tiny picture has less to say, not more. */
const MOST_ENLARGED = 2;
const MOST_SIDE = 4096;
/** A decoder that scales for us rounds sides to even numbers: not worth scaling again. */
const NEAR_ENOUGH = 0.02;

export interface Level {
  width: number;
  height: number;
  /** Levels 0..255, row by row; may be longer than the picture. */
  grey: Uint8Array;
  /** The same, blurred by a Gaussian of sigma 2. */
  soft: Uint8Array;
}

/** Size of about `area` pixels in the shape of the picture. */
export function patchSize(width: number, height: number, area: number): { width: number; height: number } {
  const wanted = Math.min(MOST_ENLARGED, Math.sqrt(area / (width * height)));
  const factor = Math.abs(wanted - 1) < NEAR_ENOUGH ? 1 : wanted;
  const side = (n: number) => Math.max(1, Math.min(MOST_SIDE, Math.round(n * factor)));
  return { width: side(width), height: side(height) };
}

/** Levels of one picture at a time: the memory is used again by the next `build`. */
export function createPyramid(): {
  build(luma: Luma, width: number, height: number, area: number, count: number): Level[];
} {
  const held: Level[] = Array.from({ length: MOST_LEVELS }, () => ({
    width: 0,
    height: 0,
    grey: new Uint8Array(0),
    soft: new Uint8Array(0),
  }));
  let scratch = new Uint8Array(0);
  return {
    build(luma, width, height, area, count) {
      const size = patchSize(width, height, area);
      const levels: Level[] = [];
      for (let l = 0; l < count; l++) {
        const level = held[l]!;
        level.width = shrunk(size.width, l);
        level.height = shrunk(size.height, l);
        const pixels = level.width * level.height;
        if (level.grey.length < pixels) {
          level.grey = new Uint8Array(pixels);
          level.soft = new Uint8Array(pixels);
        }
        if (l === 0) resize(luma, width, height, level);
        else {
          const from = levels[l - 1]!;
          interpolate(from.grey, from.width, from.height, level);
        }
        if (scratch.length < pixels) scratch = new Uint8Array(pixels);
        blur(level, scratch);
        levels.push(level);
      }
      return levels;
    },
  };
}

/** n * (4/5)^level, half up. */
function shrunk(n: number, level: number): number {
  const [up, down] = [STEP_UP ** level, STEP_DOWN ** level];
  return Math.max(1, Math.floor((2 * n * down + up) / (2 * up)));
}

function resize(luma: Luma, width: number, height: number, to: Level): void {
  if (to.width > width || to.height > height) {
    interpolate(rounded(luma), width, height, to);
  } else if (to.width === width && to.height === height) {
    to.grey.set(rounded(luma).subarray(0, width * height));
  } else average(luma, width, height, to);
}

function rounded(luma: Luma): Uint8Array {
  return luma instanceof Uint8Array ? luma : Uint8Array.from(luma, (v) => (v + 0.5) | 0);
}

/** Plain averages over equal parts. Overlaps are counted in whole units (1 / size of the smaller picture), so sums are exact. */
function average(luma: Luma, width: number, height: number, to: Level): void {
  const sums = new Float64Array(width);
  const whole = width * height;
  const { grey } = to;
  for (let k = 0; k < to.height; k++) {
    sums.fill(0);
    const [top, bottom] = [k * height, (k + 1) * height];
    for (let y = Math.floor(top / to.height); y * to.height < bottom; y++) {
      const weight = Math.min((y + 1) * to.height, bottom) - Math.max(y * to.height, top);
      const row = y * width;
      for (let x = 0; x < width; x++) sums[x]! += weight * ((luma[row + x]! + 0.5) | 0);
    }
    let x = 0;
    for (let j = 0, right = width; j < to.width; j++, right += width) {
      let sum = 0;
      let at = right - width;
      for (; at < right; ) {
        const end = Math.min((x + 1) * to.width, right);
        sum += (end - at) * sums[x]!;
        at = end;
        if (at === (x + 1) * to.width) x++;
      }
      grey[k * to.width + j] = Math.floor((2 * sum + whole) / (2 * whole));
    }
  }
}

/** Weights of the two neighbours of each sample, in 1/256, and where the first one is. */
function taps(from: number, to: number): { first: Uint16Array; second: Uint16Array } {
  const first = new Uint16Array(to);
  const second = new Uint16Array(to);
  for (let k = 0; k < to; k++) {
    const at = Math.max(0, (2 * k + 1) * from - to);
    const i = Math.min(Math.max(0, from - 2), Math.floor(at / (2 * to)));
    first[k] = i;
    second[k] = from === 1 ? 0 : halfToEven(Math.min(2 * to, at - i * 2 * to) * 256, 2 * to);
  }
  return { first, second };
}

/** Quotient of whole numbers: what is a half is rounded to the even side, which is the same one from either end. */
function halfToEven(a: number, b: number): number {
  const q = Math.floor(a / b);
  const twice = 2 * (a - q * b);
  return twice > b || (twice === b && q % 2 === 1) ? q + 1 : q;
}

/** Linear interpolation between the centres of pixels. */
function interpolate(grey: Uint8Array, width: number, height: number, to: Level): void {
  const across = taps(width, to.width);
  const down = taps(height, to.height);
  const { first, second } = across;
  const lines = [new Int32Array(to.width), new Int32Array(to.width)];
  const held = [-1, -1];
  const line = (y: number): Int32Array => {
    const slot = y & 1;
    const out = lines[slot]!;
    if (held[slot] === y) return out;
    held[slot] = y;
    const row = y * width;
    for (let x = 0; x < out.length; x++) {
      const at = row + first[x]!;
      const w = second[x]!;
      out[x] = w === 0 ? grey[at]! << 8 : grey[at]! * (256 - w) + grey[at + 1]! * w;
    }
    return out;
  };
  for (let y = 0; y < to.height; y++) {
    const from = down.first[y]!;
    const w = down.second[y]!;
    const v = 256 - w;
    const a = line(from);
    const b = w === 0 ? a : line(from + 1);
    const row = y * to.width;
    for (let x = 0; x < to.width; x++) to.grey[row + x] = (a[x]! * v + b[x]! * w + 32768) >> 16;
  }
}

/** Gaussian of sigma 2 over 7 samples, in 1/256; down first, rounded to whole levels, then across. Edges are mirrored. */
const G0 = 54;
const G1 = 49;
const G2 = 34;
const G3 = 18;

function blur(level: Level, tall: Uint8Array): void {
  const { width, height, grey, soft } = level;
  const inside = (i: number, n: number) =>
    n === 1 ? 0 : i < 0 ? Math.min(n - 1, -i) : i >= n ? Math.max(0, 2 * n - 2 - i) : i;
  for (let y = 0; y < height; y++) {
    const row = (dy: number) => inside(y + dy, height) * width;
    const [a3, a2, a1, o, b1, b2, b3] = [row(-3), row(-2), row(-1), y * width, row(1), row(2), row(3)];
    for (let x = 0; x < width; x++) {
      tall[o + x] =
        (G3 * (grey[a3 + x]! + grey[b3 + x]!) +
          G2 * (grey[a2 + x]! + grey[b2 + x]!) +
          G1 * (grey[a1 + x]! + grey[b1 + x]!) +
          G0 * grey[o + x]! +
          128) >>
        8;
    }
  }
  for (let y = 0; y < height; y++) {
    const row = y * width;
    const edge = (x: number) => {
      const at = (dx: number) => tall[row + inside(x + dx, width)]!;
      soft[row + x] = (G3 * (at(-3) + at(3)) + G2 * (at(-2) + at(2)) + G1 * (at(-1) + at(1)) + G0 * at(0) + 128) >> 8;
    };
    if (width < 7) {
      for (let x = 0; x < width; x++) edge(x);
      continue;
    }
    for (let x = 0; x < 3; x++) edge(x);
    let p = row;
    let [a, b, c, d, e, f] = [tall[p]!, tall[p + 1]!, tall[p + 2]!, tall[p + 3]!, tall[p + 4]!, tall[p + 5]!];
    const end = row + width - 3;
    for (p = row + 3; p < end; p++) {
      const g = tall[p + 3]!;
      soft[p] = (G3 * (a + g) + G2 * (b + f) + G1 * (c + e) + G0 * d + 128) >> 8;
      a = b;
      b = c;
      c = d;
      d = e;
      e = f;
      f = g;
    }
    for (let x = width - 3; x < width; x++) edge(x);
  }
}
