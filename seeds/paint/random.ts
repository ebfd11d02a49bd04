/** Numbers from a seed, in [0, 1): the same on every machine. (mulberry32, Tommy Ettinger, public domain) */
export function random(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}

/** A number in [0, 1) for each pair of whole numbers. */
export function hash2(x: number, y: number): number {
  let h = Math.imul(x | 0, 0x27d4eb2d) ^ Math.imul(y | 0, 0x165667b1);
  h = Math.imul(h ^ (h >>> 15), 0x85ebca6b);
  h = Math.imul(h ^ (h >>> 13), 0xc2b2ae35);
  return ((h ^ (h >>> 16)) >>> 0) / 4294967296;
}

export interface Texture {
  /** Value in 0..1 at (x, y), which repeats every 1 in both directions. */
  at(x: number, y: number): number;
}

const SIZE = 256;

/** Cloudy noise: octaves of smoothly interpolated random values, stretched to 0..1. */
export function cloud(seed: number, octaves = 5, firstCells = 4): Texture {
  const next = random(seed);
  const data = new Float32Array(SIZE * SIZE);
  for (let o = 0, cells = firstCells, weight = 1; o < octaves && cells <= SIZE; o++, cells *= 2, weight *= 0.55) {
    const lattice = Float32Array.from({ length: cells * cells }, next);
    const step = cells / SIZE;
    for (let y = 0; y < SIZE; y++) {
      const fy = y * step;
      const y0 = Math.floor(fy);
      const wy = smooth(fy - y0);
      const rowA = y0 * cells;
      const rowB = ((y0 + 1) % cells) * cells;
      for (let x = 0; x < SIZE; x++) {
        const fx = x * step;
        const x0 = Math.floor(fx);
        const x1 = (x0 + 1) % cells;
        const wx = smooth(fx - x0);
        const top = lattice[rowA + x0]! * (1 - wx) + lattice[rowA + x1]! * wx;
        const bottom = lattice[rowB + x0]! * (1 - wx) + lattice[rowB + x1]! * wx;
        data[y * SIZE + x]! += weight * (top * (1 - wy) + bottom * wy);
      }
    }
  }
  let [least, most] = [Infinity, -Infinity];
  for (const v of data) {
    if (v < least) least = v;
    if (v > most) most = v;
  }
  for (let i = 0; i < data.length; i++) data[i] = (data[i]! - least) / (most - least);
  const mask = SIZE - 1;
  return {
    at(x, y) {
      const fx = x * SIZE;
      const fy = y * SIZE;
      const ix = Math.floor(fx);
      const iy = Math.floor(fy);
      const wx = fx - ix;
      const wy = fy - iy;
      const x0 = ix & mask;
      const x1 = (ix + 1) & mask;
      const a = (iy & mask) * SIZE;
      const b = ((iy + 1) & mask) * SIZE;
      const top = data[a + x0]! + (data[a + x1]! - data[a + x0]!) * wx;
      const bottom = data[b + x0]! + (data[b + x1]! - data[b + x0]!) * wx;
      return top + (bottom - top) * wy;
    },
  };
}

export const smooth = (t: number): number => t * t * (3 - 2 * t);
export const clamp = (v: number, low = 0, high = 1): number => (v < low ? low : v > high ? high : v);
/** 0 below a, 1 above b, smooth between. */
export const step = (a: number, b: number, v: number): number => smooth(clamp((v - a) / (b - a)));
