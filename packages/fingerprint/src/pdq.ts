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

export type Luma = Uint8Array | Float32Array;

/** Part of a picture, as fractions of its width and height; right and bottom are exclusive. */
export interface Region {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

export interface PdqBlock {
  /** 16 x 16 coefficients, row by row: rows are vertical frequencies 1..16, columns horizontal ones. */
  dct: Float32Array;
  /** 0..100, how much gradient there is to judge by. */
  quality: number;
  /** The filtered picture, 64 x 64 levels of 0..255, row by row. */
  block64: Float32Array;
}

const SIDE = 64;
const BAND = 16;
const SMALLEST = 5; // Meta refuses to hash less
const CACHED_MATRICES = 64;

/** Row o of the matrix weighs samples start[o] .. start[o] + (at[o + 1] - at[o]) with weight[at[o]...]. */
interface SparseRows {
  start: Int32Array;
  at: Int32Array;
  weight: Float32Array;
}

/** Builds by sizes, kept for those used last. A matrix has about 2 n weights. */
function cached(build: (...sizes: number[]) => SparseRows): (...sizes: number[]) => SparseRows {
  const kept = new Map<string, SparseRows>();
  return (...sizes) => {
    const key = sizes.join();
    const found = kept.get(key) ?? build(...sizes);
    kept.delete(key);
    kept.set(key, found);
    if (kept.size > CACHED_MATRICES) kept.delete(kept.keys().next().value!);
    return found;
  };
}

function sparse(rows: { start: number; weights: number[] }[]): SparseRows {
  const at = new Int32Array(rows.length + 1);
  rows.forEach((row, o) => {
    at[o + 1] = at[o]! + row.weights.length;
  });
  return {
    start: Int32Array.from(rows, (row) => row.start),
    at,
    weight: Float32Array.from(rows.flatMap((row) => row.weights)),
  };
}

/** Meta's box1DFloat twice, then decimateFloat. Its window leans to the right when its size is even. */
const fullTentRows = cached((n = 1) => {
  const size = Math.floor((n + 2 * SIDE - 1) / (2 * SIDE));
  const half = Math.floor((size + 2) / 2);
  const first = (o: number) => Math.max(0, o - (size - half));
  const last = (o: number) => Math.min(n - 1, o + half - 1);
  return sparse(
    Array.from({ length: SIDE }, (_, k) => {
      const o = Math.floor(((k + 0.5) * n) / SIDE);
      const start = first(first(o));
      const weights = new Array<number>(last(last(o)) - start + 1).fill(0);
      const outer = 1 / (last(o) - first(o) + 1);
      for (let m = first(o); m <= last(o); m++) {
        const inner = outer / (last(m) - first(m) + 1);
        for (let x = first(m); x <= last(m); x++) weights[x - start]! += inner;
      }
      return { start, weights };
    }),
  );
});

/**
 * The filter of n samples as it acts on the m that a decoder shrank them to: the same window at the same places, so that
 * the lean of Meta's filter, which depends on the size, is the lean of the full size.
 */
const tentRows = cached((m = 1, n = m) => {
  const full = fullTentRows(n);
  if (n === m) return full;
  return sparse(
    Array.from(full.start, (first, o) => {
      const end = first + full.at[o + 1]! - full.at[o]!;
      const place = (x: number) => Math.min(m - 1, Math.max(0, ((x + 0.5) * m) / n - 0.5));
      const start = Math.floor(place(first));
      const weights = new Array<number>(Math.min(m - 1, Math.floor(place(end - 1)) + 1) - start + 1).fill(0);
      for (let x = first, w = full.at[o]!; x < end; x++, w++) {
        const left = Math.floor(place(x));
        const share = place(x) - left;
        weights[left - start]! += full.weight[w]! * (1 - share);
        if (share > 0) weights[left + 1 - start]! += full.weight[w]! * share;
      }
      return { start, weights };
    }),
  );
});

/** The same for the picture turned about: row o weighs sample m - 1 - x as tentRows weighs x. */
const tentRowsFromTheEnd = cached((m = 1, n = m) => {
  const { start, at, weight } = tentRows(m, n);
  return sparse(
    Array.from(start, (from, o) => {
      const weights = Array.from(weight.subarray(at[o]!, at[o + 1]!)).reverse();
      return { start: m - from - weights.length, weights };
    }),
  );
});

/** Plain averages over 64 equal parts, with fractions of a pixel at their ends. */
const areaRows = cached((n = 1) =>
  sparse(
    Array.from({ length: SIDE }, (_, k) => {
      const from = (k * n) / SIDE;
      const to = ((k + 1) * n) / SIDE;
      const start = Math.floor(from);
      const weights: number[] = [];
      for (let x = start; x < to; x++) weights.push((Math.min(x + 1, to) - Math.max(x, from)) / (to - from));
      return { start, weights };
    }),
  ),
);

/** Pixels that a region covers: never less than one. */
export function pixelsOf(region: Region | null | undefined, width: number, height: number): Part {
  if (!region) return { x: 0, y: 0, width, height };
  const span = (from: number, to: number, n: number) => {
    const start = Math.min(n - 1, Math.max(0, Math.round(from * n)));
    return [start, Math.max(1, Math.min(n, Math.round(to * n)) - start)] as const;
  };
  const [x, w] = span(region.left, region.right, width);
  const [y, h] = span(region.top, region.bottom, height);
  return { x, y, width: w, height: h };
}

interface Part {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Memory that is used again: a frame of film comes every millisecond, and what it leaves is a quarter of its cost. */
const scratch = [new Float32Array(0), new Float32Array(0), new Float32Array(0)];
function scratchOf(slot: number, length: number): Float32Array {
  if (scratch[slot]!.length < length) scratch[slot] = new Float32Array(length);
  return scratch[slot]!;
}

/** Every line of a part as 64 weighted sums, in scratch memory: valid until the next call with this slot. */
function narrow(luma: Luma, stride: number, part: Part, across: SparseRows, slot: 0 | 1 = 0): Float32Array {
  const line = scratchOf(2, part.width);
  const out = scratchOf(slot, part.height * SIDE);
  const { start, at, weight } = across;
  for (let y = 0; y < part.height; y++) {
    const from = (part.y + y) * stride + part.x;
    line.set(luma.subarray(from, from + part.width));
    for (let o = 0; o < SIDE; o++) {
      let sum = 0;
      const end = at[o + 1]!;
      for (let w = at[o]!, x = start[o]!; w < end; w++, x++) sum += line[x]! * weight[w]!;
      out[y * SIDE + o] = sum;
    }
  }
  return out;
}

/** 64 weighted sums of narrowed lines: the 64 x 64 picture. */
function squash(narrowed: Float32Array, down: SparseRows): Float32Array {
  const out = new Float32Array(SIDE * SIDE);
  const sums = new Float64Array(SIDE);
  for (let o = 0; o < SIDE; o++) {
    sums.fill(0);
    let row = down.start[o]! * SIDE;
    for (let w = down.at[o]!; w < down.at[o + 1]!; w++, row += SIDE) {
      const factor = down.weight[w]!;
      for (let j = 0; j < SIDE; j++) sums[j]! += factor * narrowed[row + j]!;
    }
    out.set(sums, o * SIDE);
  }
  return out;
}

const DCT = new Float32Array(BAND * SIDE);
for (let i = 0; i < BAND; i++) {
  for (let j = 0; j < SIDE; j++) {
    DCT[i * SIDE + j] = Math.sqrt(2 / SIDE) * Math.cos((Math.PI / 2 / SIDE) * (i + 1) * (2 * j + 1));
  }
}

function dct16(block: Float32Array): Float32Array {
  const tall = new Float32Array(BAND * SIDE);
  const sums = new Float64Array(SIDE);
  for (let i = 0; i < BAND; i++) {
    sums.fill(0);
    for (let k = 0; k < SIDE; k++) {
      const factor = DCT[i * SIDE + k]!;
      const row = k * SIDE;
      for (let j = 0; j < SIDE; j++) sums[j]! += factor * block[row + j]!;
    }
    tall.set(sums, i * SIDE);
  }
  const out = new Float32Array(BAND * BAND);
  for (let i = 0; i < BAND; i++) {
    for (let j = 0; j < BAND; j++) {
      let sum = 0;
      for (let k = 0; k < SIDE; k++) sum += tall[i * SIDE + k]! * DCT[j * SIDE + k]!;
      out[i * BAND + j] = sum;
    }
  }
  return out;
}

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
  { stride = width, region = null, fullSize = { width, height } }: PdqOptions = {},
): { block: PdqBlock; codes: TurnedCode[] } {
  const part = pixelsOf(region, width, height);
  const full = pixelsOf(region, Math.max(width, fullSize.width), Math.max(height, fullSize.height));
  if (part.width < SMALLEST || part.height < SMALLEST) {
    const block = { dct: new Float32Array(BAND * BAND), quality: 0, block64: new Float32Array(SIDE * SIDE) };
    return { block, codes: turnedCodes(block.dct, turns) };
  }
  const narrowed: Float32Array[] = [];
  const transforms: Float32Array[] = [];
  const squashed = (mirror: 0 | 1, flip: 0 | 1) => {
    narrowed[mirror] ??= narrow(
      luma,
      stride,
      part,
      (mirror ? tentRowsFromTheEnd : tentRows)(part.width, full.width),
      mirror,
    );
    return squash(narrowed[mirror], (flip ? tentRowsFromTheEnd : tentRows)(part.height, full.height));
  };
  const block64 = squashed(0, 0);
  transforms[0] = dct16(block64);
  const codes = turns.map((turn) => {
    // A turn is a mirror, a flip, then a swap of the axes; the swap is exact in the transform.
    const { swap, rows, columns } = ACTS[turn];
    const mirror = (swap ? rows : columns) ? 1 : 0;
    const flip = (swap ? columns : rows) ? 1 : 0;
    transforms[2 * flip + mirror] ??= dct16(squashed(mirror, flip));
    const dct = transforms[2 * flip + mirror]!;
    const bits = swap ? turnedCodes(dct, ['transpose'])[0]!.bits : codeOf(dct);
    return { turn: TURNS.indexOf(turn), bits };
  });
  return { block: { dct: transforms[0], quality: qualityOf(block64), block64 }, codes };
}

/** 64 x 64 luma, each the plain average over its part of the picture. */
export function thumbnailOf(luma: Luma, width: number, height: number, stride: number = width): Uint8Array {
  const averages = squash(narrow(luma, stride, { x: 0, y: 0, width, height }, areaRows(width)), areaRows(height));
  return Uint8Array.from(averages, (v) => Math.max(0, Math.min(255, Math.round(v))));
}

/**
 * Luma as PDQ wants it, from interleaved 8-bit pixels: 0.299 R + 0.587 G + 0.114 B of the first three channels, without
 * rounding; one or two channels are grey (and alpha).
 */
export function lumaOf(pixels: Uint8Array, width: number, height: number, channels: number): Luma {
  if (channels === 1) return pixels;
  const n = width * height;
  const out = new Float32Array(n);
  if (channels === 2) for (let i = 0; i < n; i++) out[i] = pixels[2 * i]!;
  else {
    for (let i = 0, p = 0; i < n; i++, p += channels) {
      out[i] = pixels[p]! * 0.299 + pixels[p + 1]! * 0.587 + pixels[p + 2]! * 0.114;
    }
  }
  return out;
}

const sorted = new Float32Array(BAND * BAND);

/** Bit i is set where coefficient i is above the lower median (Torben's algorithm on an even count gives that one). */
export function codeOf(dct: Float32Array): Uint8Array {
  sorted.set(dct);
  const median = sorted.sort()[BAND * BAND * 0.5 - 1]!;
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
