import type { Fingerprint, Region, Turn } from '@vigil/contracts';
import type { Affine } from './patch-geometry.ts';

/** Pixels of a thumbnail, each way. */
export const SIDE = 64;
/** Compared at this size: what a re-encoding blurs does not count, what a caption says hardly. */
const GRID = 32;

/** Where the pixel at (x, y) of a turned picture comes from, for a square of side `n`. */
const SOURCES: Record<Turn, (x: number, y: number, n: number) => [number, number]> = {
  none: (x, y) => [x, y],
  rot90: (x, y, n) => [n - y, x],
  rot180: (x, y, n) => [n - x, n - y],
  rot270: (x, y, n) => [y, n - x],
  mirror: (x, y, n) => [n - x, y],
  flip: (x, y, n) => [x, n - y],
  transpose: (x, y) => [y, x],
  antitranspose: (x, y, n) => [n - y, n - x],
};

/** Fractions of the reference to fractions of the upload, where the upload's region, turned, shows the reference's. */
export function sourceMap(turn: Turn, upload: Region, reference: Region): Affine {
  const at = (x: number, y: number): [number, number] => {
    const [sx, sy] = SOURCES[turn](
      (x - reference[0]) / (reference[2] - reference[0]),
      (y - reference[1]) / (reference[3] - reference[1]),
      1,
    );
    return [upload[0] + sx * (upload[2] - upload[0]), upload[1] + sy * (upload[3] - upload[1])];
  };
  const [c, f] = at(0, 0);
  const [x, y] = [at(1, 0), at(0, 1)];
  return [x[0] - c, y[0] - c, c, x[1] - f, y[1] - f, f];
}

/** Where each of GRID x GRID levels comes from in a turned square of side 1: x, y, x, y ... */
const GRIDS = new Map<Turn, Float64Array>();
function gridOf(turn: Turn): Float64Array {
  const known = GRIDS.get(turn);
  if (known) return known;
  const grid = new Float64Array(2 * GRID * GRID);
  for (let y = 0; y < GRID; y++)
    for (let x = 0; x < GRID; x++) grid.set(SOURCES[turn]((x + 0.5) / GRID, (y + 0.5) / GRID, 1), 2 * (y * GRID + x));
  GRIDS.set(turn, grid);
  return grid;
}

/** A region of a thumbnail, turned, as GRID x GRID levels. Positions are fractions of the picture. */
function sample(luma: Uint8Array, region: Region, turn: Turn): Float64Array {
  const grid = gridOf(turn);
  const [left, top, right, bottom] = region;
  const out = new Float64Array(GRID * GRID);
  for (let k = 0; k < out.length; k++)
    out[k] = bilinear(
      luma,
      clamped(left + grid[2 * k]! * (right - left)),
      clamped(top + grid[2 * k + 1]! * (bottom - top)),
    );
  return out;
}

/** A fraction of a side in pixels, kept within the picture. */
const clamped = (v: number): number => Math.min(SIDE - 1.001, Math.max(0, v * SIDE - 0.5));

/** The level between pixels of a thumbnail; x and y from 0 to SIDE - 1. */
export function bilinear(luma: ArrayLike<number>, x: number, y: number): number {
  const i = Math.min(SIDE - 2, Math.floor(x));
  const j = Math.min(SIDE - 2, Math.floor(y));
  const dx = x - i;
  const dy = y - j;
  const at = j * SIDE + i;
  const above = luma[at]! * (1 - dx) + luma[at + 1]! * dx;
  return above * (1 - dy) + (luma[at + SIDE]! * (1 - dx) + luma[at + SIDE + 1]! * dx) * dy;
}

export interface View {
  luma: Uint8Array;
  region: Region;
}

/** Pearson's correlation -1..1 of two views, the first turned (and inverted) to look like the second; null when flat. */
export function correlate(a: View, b: View, turn: Turn, inverted: boolean): number | null {
  const x = sample(a.luma, a.region, turn);
  const y = sample(b.luma, b.region, 'none');
  const n = x.length;
  const mx = x.reduce((s, v) => s + v, 0) / n;
  const my = y.reduce((s, v) => s + v, 0) / n;
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let i = 0; i < n; i++) {
    const u = x[i]! - mx;
    const v = y[i]! - my;
    xx += u * u;
    yy += v * v;
    xy += u * v;
  }
  // A standard deviation below one level is no picture.
  if (xx < n || yy < n) return null;
  return (inverted ? -xy : xy) / Math.sqrt(xx * yy);
}

/** The thumbnail nearest to `time`, at most `within` seconds away. */
export function thumbnailNear(fingerprint: Fingerprint, time: number, within: number): Uint8Array | null {
  const { time: times, luma } = fingerprint.thumbnails;
  let best = -1;
  for (let i = 0; i < times.length; i++) {
    const off = Math.abs(times[i]! - time);
    if (off <= within && (best < 0 || off < Math.abs(times[best]! - time))) best = i;
  }
  return best < 0 ? null : luma.subarray(best * SIDE * SIDE, (best + 1) * SIDE * SIDE);
}
