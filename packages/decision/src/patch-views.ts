import type { Altered, Fingerprint } from '@vigil/contracts';
import { COMMONEST } from './drawn.ts';
import { type Affine, inverse, polar, xOf, yOf } from './patch-geometry.ts';
import { bilinear, SIDE } from './thumbnails.ts';

const PIXELS = SIDE * SIDE;
/** Pixels of a thumbnail that both must have in common, counted on the coarser side; more than LOOKED are not looked at. */
const LEAST_SHARED = 64;
const LOOKED = 1400;
/** Standard deviation in levels below which a part of a picture says nothing. */
const LEAST_SPREAD = 4;
/** Mean change in levels below which a stretch is a still. */
const LEAST_CHANGE = 2;
const BANDS = 3;
/** From here on it does not matter what a band hides. */
const SURE = 0.9;

/**
 * Bits for what correlations lack of 1, so that the limits made for codes hold for both: .845 is RADIUS, .775 STRONG_MEAN,
 * .65 AGREES. A code of the whole picture says nothing of a crop, so there is no distance to report but this stand-in.
 */
export const BITS_PER_CORRELATION = 200;
export const bitsOf = (correlation: number): number => Math.min(256, BITS_PER_CORRELATION * (1 - correlation));

/** What a thumbnail shows where the two pictures overlap, band by band from the top; null where there is hardly anything. */
export type View = { values: Float32Array; ends: readonly number[] } | null;

/** Where a view is put together: every place of a thumbnail at most, and none of it outlives the call. */
const SCRATCH = {
  place: new Uint16Array(PIXELS),
  x: new Float64Array(PIXELS),
  y: new Float64Array(PIXELS),
  value: new Float64Array(PIXELS),
};

/** 64 x 64 levels. */
type Levels = ArrayLike<number>;

/** Reads thumbnails of upload and reference at the same places, as one geometry lays them over each other. */
export interface Views {
  /** Share of the reference's picture that is compared. */
  share: number;
  upload(luma: Levels): View;
  reference(luma: Levels): View;
  /** The thumbnails as they are read: what one side's pixels average, the other's must average too. */
  soften: { upload(luma: Levels): Levels; reference(luma: Levels): Levels };
  /** Share of what is compared of a reference's thumbnail that has one of its 8 commonest levels: high for what was drawn. */
  plain(luma: Uint8Array): number;
}

/**
 * @param map fractions of the upload to fractions of the reference
 * @param sparse for trying many maps: a quarter of the places, thumbnails that were softened before
 * Null when the pictures share too little to be compared.
 */
export function viewsOf(map: Affine, sparse = false): Views | null {
  const back = inverse(map);
  if (!back) return null;
  // Reference pixels for one pixel of the upload's thumbnail, along a side.
  const { scale } = polar(map, 0.5, 0.5);
  const stride = sparse ? 2 : 1;
  let count = 0;
  for (let row = 0; row < SIDE; row += stride) {
    for (let column = 0; column < SIDE; column += stride) {
      const [u, v] = [(column + 0.5) / SIDE, (row + 0.5) / SIDE];
      const x = xOf(back, u, v) * SIDE - 0.5;
      const y = yOf(back, u, v) * SIDE - 0.5;
      // Half a pixel more than the edge: what lies beyond it is another picture or nothing.
      if (x < 0 || y < 0 || x > SIDE - 1 || y > SIDE - 1) continue;
      SCRATCH.place[count] = row * SIDE + column;
      SCRATCH.x[count] = x;
      SCRATCH.y[count] = y;
      count++;
    }
  }
  const shared = (stride * stride * count) / Math.max(1, scale * scale);
  if (shared < LEAST_SHARED) return null;
  const places = SCRATCH.place.slice(0, count);
  const step = Math.max(1, count / LOOKED);
  const looked = Math.floor(count / step);
  const [px, py, chosen] = [new Float64Array(looked), new Float64Array(looked), new Uint16Array(looked)];
  for (let k = 0; k < looked; k++) {
    const at = Math.floor(k * step);
    px[k] = SCRATCH.x[at]!;
    py[k] = SCRATCH.y[at]!;
    chosen[k] = places[at]!;
  }
  const ends = endsOf(chosen);
  const blurOf = (ratio: number) => (ratio > 1.2 ? 0.5 * Math.sqrt(ratio * ratio - 1) : 0);
  const soften = {
    upload: (luma: Levels) => blurred(luma, blurOf(1 / scale)),
    reference: (luma: Levels) => blurred(luma, blurOf(scale)),
  };
  return {
    share: (stride * stride * count) / PIXELS,
    soften,
    upload(luma) {
      const soft = sparse ? luma : soften.upload(luma);
      const values = SCRATCH.value.subarray(0, looked);
      for (let k = 0; k < looked; k++) values[k] = bilinear(soft, px[k]!, py[k]!);
      return viewOf(values, ends);
    },
    reference(luma) {
      const soft = sparse ? luma : soften.reference(luma);
      const values = SCRATCH.value.subarray(0, looked);
      for (let k = 0; k < looked; k++) values[k] = soft[chosen[k]!]!;
      return viewOf(values, ends);
    },
    plain(luma) {
      const levels = new Uint32Array(256);
      for (let k = 0; k < places.length; k++) levels[luma[places[k]!]!]!++;
      const commonest = levels.sort().subarray(256 - COMMONEST);
      return commonest.reduce((n, c) => n + c, 0) / places.length;
    },
  };
}

/**
 * Pearson's correlation -1..1 of two views: of all they share, or of all but one of the BANDS, whichever is most, since a
 * caption says nothing of the picture that it lies on.
 */
export function agreementOf(a: NonNullable<View>, b: NonNullable<View>): number {
  const all = new Float64Array(6);
  const bands = a.ends.map((end, k) => sumsOf(a.values, b.values, k === 0 ? 0 : a.ends[k - 1]!, end));
  for (const band of bands) for (let i = 0; i < 6; i++) all[i]! += band[i]!;
  let best = correlationOf(all);
  if (best >= SURE) return best;
  for (const band of bands) best = Math.max(best, correlationOf(all.map((v, i) => v - band[i]!)));
  return best;
}

type Pairs = readonly (readonly [NonNullable<View>, NonNullable<View>])[];

function meanOf(pairs: Pairs, side: 0 | 1): Float64Array {
  const n = pairs[0]?.[0].values.length ?? 0;
  const sum = new Float64Array(n);
  for (const pair of pairs) for (let i = 0; i < n; i++) sum[i]! += pair[side].values[i]! / pairs.length;
  return sum;
}

/** Correlation -1..1 of two views' differences from what the pairs are on average; -1 where hardly anything differs. */
export function awayFromMean(pairs: Pairs): (a: NonNullable<View>, b: NonNullable<View>) => number {
  const [meanA, meanB] = [meanOf(pairs, 0), meanOf(pairs, 1)];
  const n = meanA.length;
  return (a, b) => {
    let [xx, yy, xy] = [0, 0, 0];
    for (let i = 0; i < n; i++) {
      const [u, v] = [a.values[i]! - meanA[i]!, b.values[i]! - meanB[i]!];
      xx += u * u;
      yy += v * v;
      xy += u * v;
    }
    const least = LEAST_SPREAD ** 2 * n;
    return xx > least && yy > least ? xy / Math.sqrt(xx * yy) : -1;
  };
}

/** Pearson's correlation -1..1 of how views differ from their own mean over time; -1 where hardly anything changes. */
export function changeAgreement(pairs: Pairs): number {
  const n = pairs[0]?.[0].values.length ?? 0;
  const [a, b] = [meanOf(pairs, 0), meanOf(pairs, 1)];
  let [xx, yy, xy] = [0, 0, 0];
  for (const [p, q] of pairs) {
    for (let i = 0; i < n; i++) {
      const [u, v] = [p.values[i]! - a[i]!, q.values[i]! - b[i]!];
      xx += u * u;
      yy += v * v;
      xy += u * v;
    }
  }
  const least = LEAST_CHANGE ** 2 * n * pairs.length;
  return xx > least && yy > least ? xy / Math.sqrt(xx * yy) : -1;
}

/** n, x, y, xx, yy, xy. */
function sumsOf(a: Float32Array, b: Float32Array, from: number, to: number): Float64Array {
  let [x, y, xx, yy, xy] = [0, 0, 0, 0, 0];
  for (let i = from; i < to; i++) {
    const [u, v] = [a[i]!, b[i]!];
    x += u;
    y += v;
    xx += u * u;
    yy += v * v;
    xy += u * v;
  }
  return Float64Array.of(to - from, x, y, xx, yy, xy);
}

function correlationOf(s: Float64Array): number {
  const [n, x, y, xx, yy, xy] = s as unknown as [number, number, number, number, number, number];
  const least = n * LEAST_SPREAD ** 2;
  const [vx, vy] = [xx - (x * x) / n, yy - (y * y) / n];
  return n > 0 && vx >= least && vy >= least ? (xy - (x * y) / n) / Math.sqrt(vx * vy) : -1;
}

/** Places are in order of row, so bands are runs of them: where each of the BANDS ends. */
function endsOf(places: Uint16Array): number[] {
  const rowOf = (place: number) => Math.floor(place / SIDE);
  const top = rowOf(places[0]!);
  const height = rowOf(places.at(-1)!) - top + 1;
  const ends = new Array<number>(BANDS).fill(0);
  for (const place of places)
    for (let band = 0; band < BANDS; band++) if ((rowOf(place) - top) * BANDS < (band + 1) * height) ends[band]!++;
  return ends;
}

/** Null when there is hardly anything to see. */
function viewOf(values: Float64Array, ends: readonly number[]): View {
  const n = values.length;
  let sum = 0;
  for (let i = 0; i < n; i++) sum += values[i]!;
  const mean = sum / n;
  const out = new Float32Array(n);
  let squares = 0;
  for (let i = 0; i < n; i++) {
    out[i] = values[i]! - mean;
    squares += out[i]! * out[i]!;
  }
  return Math.sqrt(squares / n) < LEAST_SPREAD ? null : { values: out, ends };
}

/** Gaussian, sigma in pixels, edges repeated. */
function blurred(luma: Levels, sigma: number): Levels {
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

export interface Thumbnail {
  time: number;
  luma: Uint8Array;
}

/** Thumbnails of slices in order of time. */
export function thumbnailsOf(slices: readonly Fingerprint[]): Thumbnail[] {
  return slices
    .flatMap(({ thumbnails: { time, luma } }) =>
      Array.from(time, (t, i) => ({ time: t, luma: luma.subarray(i * PIXELS, (i + 1) * PIXELS) })),
    )
    .sort((a, b) => a.time - b.time);
}

/** The map that an alignment's pictures are laid over each other by. */
export const mapOf = ({ affine, projective }: Altered): Affine | null =>
  (projective ?? affine ?? null) as Affine | null;
