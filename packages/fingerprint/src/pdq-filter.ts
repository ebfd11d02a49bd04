/**
 * Pictures of any size down to 64 x 64 weighted sums. Filters and samplings that are linear and separable are one sparse
 * 64 x n matrix a dimension; lines are added up where they lie, then across, by the picture kernel.
 */
import { aligned, FLOAT, PADDING, type PictureKernel } from './picture-kernel.ts';
import { SIDE } from './picture-typescript-kernel.ts';

/** 8-bit pixels, interleaved, 3 a pixel. */
export interface Rgb {
  rgb: Uint8Array;
}

/** Levels 0..255 row by row, or the colours that they are made of: 0.299 R + 0.587 G + 0.114 B. */
export type Luma = Uint8Array | Float32Array | Rgb;

/** What interleaved 8-bit pixels are coded by; of one or two channels the first, of three or four the first three. */
export function lumaOf(pixels: Uint8Array, width: number, height: number, channels: number): Luma {
  if (channels === 1) return pixels;
  if (channels === 3) return { rgb: pixels };
  const colours = channels - 1;
  const out = new Uint8Array(width * height * colours);
  for (let p = 0, q = 0; q < out.length; p += channels) for (let c = 0; c < colours; c++) out[q++] = pixels[p + c]!;
  return lumaOf(out, width, height, colours);
}

/** Part of a picture, as fractions of its width and height; right and bottom are exclusive. */
export interface Region {
  left: number;
  top: number;
  right: number;
  bottom: number;
}

/** Weights that the cache of one kind of matrix keeps, 4 bytes each; the many sizes of a day are smaller than this by a hundred times. */
const CACHED_WEIGHTS = 1 << 20;

/** Row o of the matrix weighs samples start[o] .. start[o] + (at[o + 1] - at[o]) with weight[at[o]...]. */
export interface SparseRows {
  start: Int32Array;
  at: Int32Array;
  weight: Float32Array;
}

/** Builds by sizes, kept for those used last. A matrix has about 2 n weights; one that has more than are kept is built anew. */
function cached(build: (...sizes: number[]) => SparseRows): (...sizes: number[]) => SparseRows {
  const kept = new Map<string, SparseRows>();
  let held = 0;
  return (...sizes) => {
    const key = sizes.join();
    const known = kept.get(key);
    const found = known ?? build(...sizes);
    kept.delete(key);
    kept.set(key, found);
    if (!known) held += found.weight.length;
    for (const [oldest, { weight }] of kept) {
      if (held <= CACHED_WEIGHTS) break;
      kept.delete(oldest);
      held -= weight.length;
    }
    return found;
  };
}

function sparse(rows: { start: number; weights: ArrayLike<number> }[]): SparseRows {
  const at = new Int32Array(rows.length + 1);
  rows.forEach((row, o) => {
    at[o + 1] = at[o]! + row.weights.length;
  });
  const weight = new Float32Array(at[rows.length]!);
  rows.forEach((row, o) => {
    weight.set(row.weights, at[o]!);
  });
  return { start: Int32Array.from(rows, (row) => row.start), at, weight };
}

/**
 * Meta's box1DFloat twice, then decimateFloat. Its window leans to the right when its size is even. How many windows of the first
 * pass lie over a sample says what it weighs: all of them weigh alike, but for the very last of a picture, which may lack a sample.
 */
const fullTentRows = cached((n = 1) => {
  const size = Math.floor((n + 2 * SIDE - 1) / (2 * SIDE));
  const half = Math.floor((size + 2) / 2);
  const outer = 1 / size;
  // Added up one by one as the definition does it, since the last bits of a product are others.
  const sums = new Float64Array(size + 1);
  for (let k = 1; k <= size; k++) sums[k] = sums[k - 1]! + outer / size;
  return sparse(
    Array.from({ length: SIDE }, (_, k) => {
      const o = Math.floor(((k + 0.5) * n) / SIDE);
      const first = o - (size - half);
      const last = o + half - 1;
      const isCut = last + half > n;
      const start = first - (size - half);
      const weights = new Float64Array(Math.min(n, last + half) - start);
      for (let i = 0; i < weights.length; i++) {
        const x = start + i;
        const from = Math.max(first, x - half + 1);
        const to = Math.min(last, x + size - half);
        weights[i] = isCut && to === last ? sums[to - from]! + outer / (size - 1) : sums[to - from + 1]!;
      }
      return { start, weights };
    }),
  );
});

/**
 * The filter of n samples as it acts on the m that a decoder shrank them to: the same window at the same places, so that
 * the lean of Meta's filter, which depends on the size, is the lean of the full size.
 */
export const tentRows = cached((m = 1, n = m) => {
  const full = fullTentRows(n);
  if (n === m) return full;
  return sparse(
    Array.from(full.start, (first, o) => {
      const end = first + full.at[o + 1]! - full.at[o]!;
      const place = (x: number) => Math.min(m - 1, Math.max(0, ((x + 0.5) * m) / n - 0.5));
      const start = Math.floor(place(first));
      const weights = new Float64Array(Math.min(m - 1, Math.floor(place(end - 1)) + 1) - start + 1);
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
export const tentRowsFromTheEnd = cached((m = 1, n = m) => {
  const { start, at, weight } = tentRows(m, n);
  return sparse(
    Array.from(start, (from, o) => {
      const weights = weight.subarray(at[o]!, at[o + 1]!).toReversed();
      return { start: m - from - weights.length, weights };
    }),
  );
});

/** Plain averages over 64 equal parts, with fractions of a pixel at their ends. */
export const areaRows = cached((n = 1) =>
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

export interface Part {
  x: number;
  y: number;
  width: number;
  height: number;
}

/** Numbers before the weights of a matrix, as the kernel reads it. */
const TABLE = 2 * SIDE + 2;

export interface Pass {
  down: SparseRows;
  acrosses: readonly SparseRows[];
}

/** Both ways down by both ways across, and a thumbnail. */
const MOST_BLOCKS = 5;

export interface PictureFilter {
  /**
   * Sums of a part by the `down` of each pass and each of its `acrosses`: SIDE x SIDE floats each, in the kernel's memory at
   * `blocks[pass][across]`, until the next call. At most MOST_BLOCKS of them; the part is read once.
   */
  blocks(
    luma: Luma,
    stride: number,
    part: Part,
    passes: readonly Pass[],
    /** Filled with the rounded levels of the part, as its pixels are read anyhow. */
    levels?: Uint8Array,
  ): number[][];
  /** Rounded levels of a whole picture. */
  levels(luma: Luma, pixels: number): Uint8Array;
}

/** One picture at a time; memory is kept between calls, and beyond `end` it is the caller's. */
export function createPictureFilter(kernel: PictureKernel): PictureFilter & { end: number } {
  const blocksAt = aligned(kernel.base);
  const blockBytes = FLOAT * SIDE * SIDE;
  const end = blocksAt + MOST_BLOCKS * blockBytes + PADDING;

  /** Writes matrices where the kernel reads them; `free` is where the memory after them begins. */
  function place(matrices: readonly SparseRows[], from: number): { at: number[]; free: number } {
    let free = from;
    const at = matrices.map(({ weight }) => {
      const here = free;
      free = aligned(here + FLOAT * (TABLE + weight.length) + PADDING);
      return here;
    });
    const memory = kernel.reserve(free);
    matrices.forEach(({ start, at: places, weight }, i) => {
      const table = new Int32Array(memory, at[i]!, TABLE);
      for (let o = 0; o < SIDE; o++) {
        table[2 * o] = start[o]!;
        table[2 * o + 1] = places[o]!;
      }
      table[TABLE - 1] = places[SIDE]!;
      new Float32Array(memory, at[i]! + FLOAT * TABLE, weight.length).set(weight);
    });
    return { at, free };
  }

  /** Reads rows of samples as floats, some at a time: `rows` of them, `stride` apart, from `from` on, `count` of each. */
  function reader(luma: Luma, from: number, stride: number, count: number, rows: number, free: number) {
    const line = free;
    const after = aligned(line + FLOAT * count + PADDING);
    if (luma instanceof Float32Array) {
      const read = (memory: ArrayBuffer, y: number) => {
        const at = from + y * stride;
        new Float32Array(memory, line, count).set(luma.subarray(at, at + count));
      };
      return { line, free: after, read };
    }
    const [data, channels] = luma instanceof Uint8Array ? ([luma, 1] as const) : ([luma.rgb, 3] as const);
    const pitch = stride * channels;
    const held = Math.min(rows, Math.max(1, Math.floor(HELD_BYTES / pitch)));
    const read = (memory: ArrayBuffer, y: number) => {
      if (y % held === 0) {
        const most = (Math.min(held, rows - y) - 1) * pitch + count * channels;
        const at = from * channels + y * pitch;
        new Uint8Array(memory, after, most).set(data.subarray(at, at + most));
      }
      kernel.luma(after + (y % held) * pitch, channels, count, line);
    };
    return { line, free: aligned(after + held * pitch + PADDING), read };
  }

  return {
    end,
    blocks(luma, stride, part, passes, levels) {
      const matrices = [...new Set(passes.flatMap(({ acrosses }) => acrosses))];
      const placed = place(matrices, end);
      let blocks = 0;
      const from = part.y * stride + part.x;
      const samples = reader(luma, from, stride, part.width, part.height, placed.free);
      const { line } = samples;
      const bytes = samples.free;
      const lineBytes = aligned(FLOAT * part.width + PADDING);
      let free = bytes + lineBytes;
      // Sums of rows that are not complete yet lie in turn in as many lines as there are of them at once.
      const sweeps = passes.map(({ down: rows, acrosses }) => {
        const order = orderOf(rows);
        const held = overlapOf(rows, order);
        const sums = free;
        free += held * lineBytes;
        const across = acrosses.map((matrix) => ({
          matrix: placed.at[matrices.indexOf(matrix)]!,
          out: blocksAt + blocks++ * blockBytes,
        }));
        return { rows, order, held, sums, across, first: 0, next: 0 };
      });
      const memory = kernel.reserve(free + PADDING);
      const rounded = new Uint8Array(memory, bytes, part.width);
      for (let y = 0; y < part.height; y++) {
        samples.read(memory, y);
        if (levels) {
          kernel.round(line, part.width, bytes);
          levels.set(rounded, y * part.width);
        }
        for (const sweep of sweeps) {
          const { start, at, weight } = sweep.rows;
          const { order } = sweep;
          while (sweep.next < SIDE && start[order[sweep.next]!]! <= y) sweep.next++;
          for (let n = sweep.first; n < sweep.next; n++) {
            const o = order[n]!;
            const k = y - start[o]!;
            const sums = sweep.sums + (n % sweep.held) * lineBytes;
            kernel.add(line, part.width, weight[at[o]! + k]!, sums, k === 0);
            if (at[o]! + k + 1 < at[o + 1]!) continue;
            for (const { matrix, out } of sweep.across) kernel.weigh(sums, matrix, out + o * SIDE * FLOAT);
            sweep.first = n + 1;
          }
        }
      }
      return sweeps.map(({ across }) => across.map(({ out }) => out));
    },
    levels(luma, pixels) {
      if (luma instanceof Uint8Array) return luma.subarray(0, pixels);
      const out = new Uint8Array(pixels);
      const rows = Math.ceil(pixels / CHUNK);
      const samples = reader(luma, 0, CHUNK, CHUNK, rows, end);
      const memory = kernel.reserve(samples.free + CHUNK + PADDING);
      const levels = new Uint8Array(memory, samples.free, CHUNK);
      for (let y = 0; y < rows; y++) {
        samples.read(memory, y);
        kernel.round(samples.line, CHUNK, samples.free);
        out.set(levels.subarray(0, pixels - y * CHUNK), y * CHUNK);
      }
      return out;
    },
  };
}

const CHUNK = 4096;
/** Bytes that are copied at once to where the kernel reads them. */
const HELD_BYTES = 1 << 16;

const FORTH = Uint8Array.from({ length: SIDE }, (_, o) => o);
const BACK = FORTH.toReversed();

/** In which order the rows of a matrix come along: matrices from the end begin with their last. */
const orderOf = ({ start }: SparseRows): Uint8Array => (start[0]! > start[SIDE - 1]! ? BACK : FORTH);

/** The most rows that have begun and not ended at any sample. */
function overlapOf({ start, at }: SparseRows, order: Uint8Array): number {
  const endOf = (o: number) => start[o]! + at[o + 1]! - at[o]!;
  let most = 1;
  for (let n = 0, first = 0; n < SIDE; n++) {
    while (endOf(order[first]!) <= start[order[n]!]!) first++;
    most = Math.max(most, n - first + 1);
  }
  return most;
}
