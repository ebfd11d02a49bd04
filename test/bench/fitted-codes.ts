/**
 * Made codes that are like real ones in what an index and a matcher feel: how unevenly buckets fill, how often a code has a
 * relative in its own film, and how many codes of strangers lie within the radius of a lookup. The model was fitted to the
 * development corpus (TARGETS); `fitOf` measures the same of what was made, and every bench that uses it prints both.
 *
 * Bits are signs of a few common factors, through fixed loadings, plus noise of their own: that makes patch codes of
 * unrelated pictures 2.7 times more scattered in distance than fair coins would, as they are. The loadings of patches are
 * those of real bits (patch-factors.bin, by fingerprint/tools/learn-bit-order.ts), so that an order of the bits is worth
 * to made codes what it is to real ones. Picture codes need hardly any of it, and theirs are drawn. A share of the codes
 * is drawn from an earlier code of the same film instead.
 */
import { readFileSync } from 'node:fs';
import { CODE_BITS, CODE_BYTES, ENGINE_VERSION, emptyTable, type Fingerprint, hamming } from '@vigil/contracts';
import { createIndex } from '@vigil/similarity';
import { CHUNKS } from '../../packages/similarity/src/layout.ts';
import { CODE_WORDS, permuteCode } from '../../packages/similarity/src/permutation.ts';

export type FittedKind = 'picture' | 'patch';

interface Model {
  /** How the factors that all codes share weigh on each bit, whose variance is 1: [bit * factors + factor]. */
  loadings: Float64Array;
  /** A code's factors are normal, each times e to the power of so many deviations: few outweigh the others in some codes. */
  spread: number;
  /** Share of codes that are drawn from the code `back` places earlier. */
  chained: number;
  back: number;
  /** Bits turned over then, at the given shares of such codes: quantiles, linear between. */
  apart: readonly (readonly [share: number, bits: number])[];
}

/** Of reference codes: pictures kept at more than 20 bits; patches every 2 s, common ones dropped. */
const MODELS: Record<FittedKind, Model> = {
  picture: {
    loadings: drawnLoadings(8, 0.16),
    spread: 0,
    chained: 0.85,
    back: 1,
    apart: [
      [0, 20],
      [0.06, 22],
      [0.3, 30],
      [0.58, 44],
      [0.87, 74],
      [1, 104],
    ],
  },
  patch: {
    loadings: Float64Array.from(
      new Int8Array(readFileSync(new URL('patch-factors.bin', import.meta.url))),
      (v) => v / 127,
    ),
    spread: 0.3,
    chained: 0.08,
    back: 60,
    apart: [
      [0, 2],
      [0.6, 14],
      [0.9, 31],
      [1, 44],
    ],
  },
};

export interface Fit {
  /** Distance between codes of different works: mean and standard deviation (fair coins: 128, 8). */
  mean: number;
  deviation: number;
  /** Codes that differ by at most one bit in one of 16 chunks, over what fair coins would give; in the index's bit order. */
  chunkSkew: number;
  /** Share of codes with another of the same work within the radius, and such codes a code. */
  withNeighbour: number;
  neighbours: number;
  /** Codes of other works within so many bits of a lookup, were 1e7 codes searched. */
  accidents: Readonly<Record<20 | 24 | 28 | 31, number>>;
}

/** What the development corpus gives: 14 films; patches of 333 photographs besides, their accidents in brackets. */
export const TARGETS: Readonly<Record<FittedKind, Fit>> = {
  picture: {
    mean: 128.0,
    deviation: 8.16,
    chunkSkew: 1.02,
    withNeighbour: 0.48,
    neighbours: 0.99,
    accidents: { 20: 0, 24: 0, 28: 0, 31: 0 },
  },
  patch: {
    mean: 126.8,
    deviation: 22.4,
    chunkSkew: 1.37,
    withNeighbour: 0.13,
    neighbours: 0.21,
    accidents: { 20: 0.16, 24: 0.66, 28: 1.9, 31: 5.1 },
  },
};

/** Codes of one made film in a row; those of different films are strangers. */
export const FITTED_FILM: Readonly<Record<FittedKind, number>> = { picture: 2000, patch: 2000 };

/** `count` codes, 32 bytes each; the same for the same seed, and the first of many the same as of few. */
export function fittedCodes(kind: FittedKind, count: number, seed: number, model = MODELS[kind]): Uint8Array {
  const random = createRandom(seed ^ (kind === 'patch' ? 0x5eed : 0));
  const chance = chances(model);
  const film = FITTED_FILM[kind];
  const out = new Uint8Array(count * CODE_BYTES);
  for (let i = 0; i < count; i++) {
    const at = i * CODE_BYTES;
    const inFilm = i % film;
    if (inFilm >= model.back && random.share() < model.chained) {
      out.copyWithin(at, at - model.back * CODE_BYTES, at - (model.back - 1) * CODE_BYTES);
      flip(out, at, quantile(model.apart, random.share()), random);
    } else chance(out, at, random);
  }
  return out;
}

/** Loadings in all directions, whose squares add up to `common`. */
function drawnLoadings(factors: number, common: number): Float64Array {
  const random = createRandom(0xf17);
  const loadings = new Float64Array(CODE_BITS * factors);
  for (let b = 0; b < CODE_BITS; b++) {
    const row = Array.from({ length: factors }, () => random.normal());
    loadings.set(
      row.map((v) => (v / Math.hypot(...row)) * Math.sqrt(common)),
      b * factors,
    );
  }
  return loadings;
}

/** Draws one code without relatives. */
function chances({ loadings, spread }: Model) {
  const factors = loadings.length / CODE_BITS;
  const weights = Float32Array.from(loadings, (v, i) => {
    const row = loadings.subarray(i - (i % factors), i - (i % factors) + factors);
    return v / Math.sqrt(1 - row.reduce((sum, w) => sum + w * w, 0));
  });
  const f = new Float32Array(factors);
  return (out: Uint8Array, at: number, random: Random) => {
    for (let j = 0; j < factors; j++) f[j] = random.normal() * (spread === 0 ? 1 : Math.exp(spread * random.normal()));
    for (let b = 0, w = 0; b < CODE_BITS; ) {
      let word = random.word();
      for (const end = b + 2; b < end; b++, word >>>= 16) {
        let sum = 0;
        for (let j = 0; j < factors; j++) sum += weights[w++]! * f[j]!;
        // 65 536 times the normal distribution function of the sum, against sixteen random bits.
        const step = Math.min(NORMAL.length - 1, Math.max(0, Math.round(sum * 256 + NORMAL.length / 2)));
        if ((word & 0xffff) < NORMAL[step]!) out[at + (b >> 3)]! |= 1 << (b & 7);
      }
    }
  };
}

/** The normal distribution function times 65 536, from -8 to 8 in steps of 1/256. */
const NORMAL = (() => {
  const table = new Float32Array(4096);
  let sum = 0;
  for (let i = 0; i < table.length; i++) {
    const x = (i - table.length / 2) / 256;
    sum += (Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI) / 256) * 65536;
    table[i] = sum;
  }
  return table;
})();

function quantile(steps: Model['apart'], share: number): number {
  const i = Math.max(
    1,
    steps.findIndex(([s]) => s >= share),
  );
  const [[s0, b0], [s1, b1]] = [steps[i - 1]!, steps[i]!];
  return Math.round(b0 + ((share - s0) / (s1 - s0)) * (b1 - b0));
}

/** Turns over `bits` different bits of the code at `at`. */
export function flip(codes: Uint8Array, at: number, bits: number, random: Pick<Random, 'below'>): void {
  const seen = new Set<number>();
  while (seen.size < bits) seen.add(random.below(CODE_BITS));
  for (const bit of seen) codes[at + (bit >> 3)]! ^= 1 << (bit & 7);
}

export type Random = ReturnType<typeof createRandom>;

/** xorshift128 */
export function createRandom(seed: number) {
  let [a, b, c, d] = [0x12345678 ^ seed, 0x9abcdef0, 0xdeadbeef, 0x0badf00d];
  const word = () => {
    const t = a ^ (a << 11);
    a = b;
    b = c;
    c = d;
    d = (d ^ (d >>> 19) ^ (t ^ (t >>> 8))) >>> 0;
    return d;
  };
  for (let i = 0; i < 16; i++) word();
  const share = () => word() / 2 ** 32;
  return {
    word,
    share,
    below: (n: number) => word() % n,
    normal: () => Math.sqrt(-2 * Math.log(share() + 2 ** -33)) * Math.cos(2 * Math.PI * share()),
  };
}

/** Films of the fitted kind over which `fitOf` looks for accidents: 1e5 codes and more give them a number. */
const FIT_PAIRS = 200_000;

/** Measures of made codes what TARGETS holds of real ones. */
export function fitOf(kind: FittedKind, codes: Uint8Array): Fit {
  const count = codes.length / CODE_BYTES;
  const film = FITTED_FILM[kind];
  const random = createRandom(0xf1);
  const [left, right] = [new Uint32Array(CODE_WORDS), new Uint32Array(CODE_WORDS)];
  let [pairs, sum, squares, near, chunks] = [0, 0, 0, 0, 0];
  while (pairs < FIT_PAIRS) {
    const [x, y] = [random.below(count), random.below(count)];
    if (Math.floor(x / film) === Math.floor(y / film)) continue;
    const d = hamming(codes, codes, x * CODE_BYTES, y * CODE_BYTES);
    pairs++;
    sum += d;
    squares += d * d;
    if (d <= 80) continue;
    permuteCode(codes, x, left, 0);
    permuteCode(codes, y, right, 0);
    for (let c = 0; c < CHUNKS; c++, chunks++) {
      const chunk = ((left[c >> 1]! ^ right[c >> 1]!) >>> (16 * (c & 1))) & 0xffff;
      if ((chunk & (chunk - 1)) === 0) near++;
    }
  }
  using index = createIndex();
  for (let i = 0; i * film < count; i++) {
    const bits = codes.subarray(i * film * CODE_BYTES, (i + 1) * film * CODE_BYTES);
    // As pictures, which are searched exactly: the fit is of codes, whatever a rule finds of them.
    index.add({ id: String(i), version: 1 }, 0, 'video', sliceOf({ picture: bits }));
  }
  const accidents = { 20: 0, 24: 0, 28: 0, 31: 0 };
  const levels = [20, 24, 28, 31] as const;
  let [relatives, withOne, strangers, asked] = [0, 0, 0, 0];
  const step = 1000;
  for (let from = 0; from < count && asked < 50_000; from += step) {
    const batch = codes.subarray(from * CODE_BYTES, (from + step) * CODE_BYTES);
    const found = new Set<number>();
    for (const { query, distance, origin } of index.search('picture', batch, 4096)) {
      if (Number(origin.reference.id) !== Math.floor((from + query) / film)) {
        for (const level of levels) if (distance <= level) accidents[level]++;
      } else if (distance > 0) {
        relatives++;
        found.add(query);
      }
    }
    withOne += found.size;
    const n = batch.length / CODE_BYTES;
    asked += n;
    strangers += n * (count - film);
  }
  const mean = sum / pairs;
  return {
    mean,
    deviation: Math.sqrt(squares / pairs - mean * mean),
    chunkSkew: near / chunks / (17 / 65536),
    withNeighbour: withOne / asked,
    neighbours: relatives / asked,
    accidents: Object.fromEntries(
      levels.map((level) => [level, (accidents[level] / strangers) * 1e7]),
    ) as Fit['accidents'],
  };
}

/** Frames of a made slice: a picture each, patches spread over those that the reference's clock would choose. */
const PATCHES_A_FRAME = 60;

/**
 * A fingerprint of one slice of a made film out of its codes: one frame for each picture code, over 30 s; 60 patches a
 * frame, all over it, 2 s from one to the next.
 */
export function sliceOf(bits: { picture?: Uint8Array; patch?: Uint8Array }, slice = 0): Fingerprint {
  const pictures = (bits.picture?.length ?? 0) / CODE_BYTES;
  const patches = (bits.patch?.length ?? 0) / CODE_BYTES;
  const patched = Math.ceil(patches / PATCHES_A_FRAME);
  const frames = Math.max(pictures, patched, 1);
  const random = createRandom(slice + 1);
  const table = (kind: FittedKind, count: number, frame: (i: number) => number, place: (i: number) => number[]) => ({
    ...emptyTable(kind),
    count,
    bits: bits[kind] ?? new Uint8Array(0),
    frame: Uint16Array.from({ length: count }, (_, i) => frame(i)),
    place: Uint16Array.from(Array.from({ length: count }, (_, i) => place(i)).flat()),
    turn: new Uint8Array(count),
    quality: new Uint8Array(count).fill(100),
  });
  const spread = (i: number) => Math.floor((Math.floor(i / PATCHES_A_FRAME) * frames) / Math.max(1, patched));
  const anywhere = () => [
    random.below(65536),
    random.below(65536),
    Math.round(2000 * 1.25 ** random.below(8)),
    random.below(65536),
  ];
  return {
    engine: ENGINE_VERSION,
    mode: 'fast',
    sampling: 'every-frame',
    span: [slice * 30, slice * 30 + 30],
    width: 854,
    height: 480,
    frames: {
      time: Float64Array.from({ length: frames }, (_, i) => slice * 30 + (30 * i) / frames),
      quality: new Uint8Array(frames).fill(100),
      flags: new Uint8Array(frames),
    },
    tables: [
      table(
        'picture',
        pictures,
        (i) => i,
        () => [0, 0, 65535, 65535],
      ),
      table('patch', patches, spread, anywhere),
    ],
    thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
  };
}
