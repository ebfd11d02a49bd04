import type { Fingerprint } from '@vigil/contracts';
import { type Affine, inverse } from './patch-geometry.ts';

const SIDE = 64;
const PIXELS = SIDE * SIDE;
/** Pixels of a thumbnail that both must have in common, counted on the coarser side; more than LOOKED are not looked at. */
const LEAST_SHARED = 64;
const LOOKED = 1400;
/** Standard deviation in levels below which a part of a picture says nothing. */
const LEAST_SPREAD = 4;

/**
 * Bits for what correlations lack of 1, so that the limits made for codes hold for both: .86 is RADIUS, .80 STRONG_MEAN,
 * .69 AGREES. A code of the whole picture says nothing of a crop, so there is no distance to report but this stand-in.
 */
export const BITS_PER_CORRELATION = 225;
export const bitsOf = (correlation: number): number => Math.min(256, BITS_PER_CORRELATION * (1 - correlation));

/** What a thumbnail shows where the two pictures overlap: zero mean, length 1; null where there is hardly anything. */
export type View = Float32Array | null;

/** Reads thumbnails of upload and reference at the same places, as one geometry lays them over each other. */
export interface Views {
  /** Share of the reference's picture that is compared. */
  share: number;
  upload(luma: Uint8Array): View;
  reference(luma: Uint8Array): View;
}

/** @param affine fractions of the upload to fractions of the reference. Null when they share too little to be compared. */
export function viewsOf(affine: Affine): Views | null {
  const back = inverse(affine);
  if (!back) return null;
  // Reference pixels for one pixel of the upload's thumbnail, along a side.
  const scale = Math.sqrt(Math.abs(affine[0] * affine[4] - affine[1] * affine[3]));
  const places: number[] = [];
  const [sx, sy]: number[][] = [[], []];
  for (let i = 0; i < PIXELS; i++) {
    const [u, v] = [((i % SIDE) + 0.5) / SIDE, (Math.floor(i / SIDE) + 0.5) / SIDE];
    const x = (back[0] * u + back[1] * v + back[2]) * SIDE - 0.5;
    const y = (back[3] * u + back[4] * v + back[5]) * SIDE - 0.5;
    // Half a pixel more than the edge: what lies beyond it is another picture or nothing.
    if (x < 0 || y < 0 || x > SIDE - 1 || y > SIDE - 1) continue;
    places.push(i);
    sx!.push(x);
    sy!.push(y);
  }
  const shared = places.length / Math.max(1, scale * scale);
  if (shared < LEAST_SHARED) return null;
  const step = Math.max(1, places.length / LOOKED);
  const chosen = Array.from({ length: Math.floor(places.length / step) }, (_, k) => Math.floor(k * step));
  const blurOf = (ratio: number) => (ratio > 1.2 ? 0.5 * Math.sqrt(ratio * ratio - 1) : 0);
  return {
    share: places.length / PIXELS,
    upload(luma) {
      const soft = blurred(luma, blurOf(1 / scale));
      return normal(chosen.map((k) => bilinear(soft, sx![k]!, sy![k]!)));
    },
    reference(luma) {
      const soft = blurred(luma, blurOf(scale));
      return normal(chosen.map((k) => soft[places[k]!]!));
    },
  };
}

/** Pearson's correlation -1..1 of two views. */
export function agreementOf(a: Float32Array, b: Float32Array): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

function bilinear(p: ArrayLike<number>, x: number, y: number): number {
  const [i, j] = [Math.min(SIDE - 2, Math.floor(x)), Math.min(SIDE - 2, Math.floor(y))];
  const [dx, dy] = [x - i, y - j];
  const at = j * SIDE + i;
  return (p[at]! * (1 - dx) + p[at + 1]! * dx) * (1 - dy) + (p[at + SIDE]! * (1 - dx) + p[at + SIDE + 1]! * dx) * dy;
}

function normal(values: readonly number[]): View {
  const n = values.length;
  const mean = values.reduce((s, v) => s + v, 0) / n;
  const out = Float32Array.from(values, (v) => v - mean);
  const length = Math.sqrt(out.reduce((s, v) => s + v * v, 0));
  if (length < LEAST_SPREAD * Math.sqrt(n)) return null;
  for (let i = 0; i < n; i++) out[i]! /= length;
  return out;
}

/** Gaussian, sigma in pixels, edges repeated: what one side's pixels average, the other's must average too. */
function blurred(luma: Uint8Array, sigma: number): ArrayLike<number> {
  if (sigma === 0) return luma;
  const reach = Math.min(SIDE - 1, Math.ceil(2.5 * sigma));
  const taps = Array.from({ length: 2 * reach + 1 }, (_, k) => Math.exp(-((k - reach) ** 2) / (2 * sigma * sigma)));
  const sum = taps.reduce((s, t) => s + t, 0);
  const pass = (from: ArrayLike<number>, along: number, across: number): Float32Array => {
    const out = new Float32Array(PIXELS);
    for (let row = 0; row < SIDE; row++) {
      for (let k = 0; k < SIDE; k++) {
        let v = 0;
        for (let t = -reach; t <= reach; t++)
          v += taps[t + reach]! * from[row * across + Math.min(SIDE - 1, Math.max(0, k + t)) * along]!;
        out[row * across + k * along] = v / sum;
      }
    }
    return out;
  };
  return pass(pass(luma, 1, SIDE), SIDE, 1);
}

/** Thumbnails of slices in order of time. */
export function thumbnailsOf(slices: readonly Fingerprint[]): { time: number; luma: Uint8Array }[] {
  return slices
    .flatMap(({ thumbnails: { time, luma } }) =>
      Array.from(time, (t, i) => ({ time: t, luma: luma.subarray(i * PIXELS, (i + 1) * PIXELS) })),
    )
    .sort((a, b) => a.time - b.time);
}
