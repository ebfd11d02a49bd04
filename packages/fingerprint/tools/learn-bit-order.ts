/**
 * Learns how the bits of patch codes go together, from the pictures of the corpus, and prints the order in which the index
 * takes them, for similarity/src/permutation.ts. Run once; what it printed is the format.
 *
 *   node packages/fingerprint/tools/learn-bit-order.ts CORPUS_FOLDER [--factors FILE]
 *
 * Bits that go together make the values of a chunk uneven, and a lookup then meets more strangers. Bits are dealt to chunks
 * so that those of one correlate least (the sum of squared correlations; swaps until none helps), and chunks are put on the
 * ring so that neighbours do: one chooses the bucket, the next two sift it.
 *
 * With --factors, it writes what made codes are drawn from instead (test/bench/fitted-codes.ts): the loadings of each bit on
 * FACTORS common Gaussian factors, i8 in 1/127, bit by bit.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { CODE_BITS } from '@vigil/contracts';
import { corpusPatches } from './corpus-patches.ts';

const CHUNKS = 16;
const CHUNK_BITS = CODE_BITS / CHUNKS;
const FACTORS = 18;
const ROUNDS = 30;
/** Subspace iterations a round: the factors have separated long before. */
const STEPS = 20;
/** The largest share of a bit's variance that may be common: each has noise of its own. */
const MOST_COMMON = 0.985;

const { values, positionals } = parseArgs({ allowPositionals: true, options: { factors: { type: 'string' } } });
const [corpus] = positionals;
if (!corpus) throw new Error('usage: learn-bit-order.ts CORPUS_FOLDER [--factors FILE]');
const correlation = correlations(await corpusPatches(corpus));
if (values.factors)
  await writeFile(
    values.factors,
    Int8Array.from(factorsOf(correlation), (v) => Math.round(127 * v)),
  );
else process.stdout.write(`${Buffer.from(ringOf(dealt(correlation), correlation).flat()).toString('hex')}\n`);

type Matrix = Float64Array[];

function correlations(pictures: readonly Uint32Array[]): Matrix {
  const together: Matrix = Array.from({ length: CODE_BITS }, () => new Float64Array(CODE_BITS));
  let count = 0;
  for (const words of pictures) {
    for (let c = 0; c < words.length; c += 8, count++) {
      const set: number[] = [];
      for (let b = 0; b < CODE_BITS; b++) if (words[c + (b >> 5)]! & (1 << (b & 31))) set.push(b);
      for (const a of set) for (const b of set) together[a]![b]!++;
    }
  }
  const mean = together.map((row, b) => row[b]! / count);
  const deviation = mean.map((m) => Math.sqrt(m * (1 - m)));
  return together.map((row, a) =>
    row.map((n, b) => (n / count - mean[a]! * mean[b]!) / (deviation[a]! * deviation[b]!)),
  );
}

/** Which bits make each chunk. */
function dealt(correlation: Matrix): number[][] {
  const cost = correlation.map((row, a) => row.map((r, b) => (a === b ? 0 : r * r)));
  const chunkOf = Array.from({ length: CODE_BITS }, (_, b) => Math.floor(b / CHUNK_BITS));
  /** What bit b has in common with the bits of chunk k. */
  const shared = cost.map((row) => {
    const sums = new Float64Array(CHUNKS);
    row.forEach((r, b) => {
      sums[chunkOf[b]!]! += r;
    });
    return sums;
  });
  for (let improved = true; improved; ) {
    improved = false;
    for (let a = 0; a < CODE_BITS; a++) {
      let [best, gain] = [-1, -1e-9];
      const from = chunkOf[a]!;
      for (let b = 0; b < CODE_BITS; b++) {
        const to = chunkOf[b]!;
        if (to === from) continue;
        const [before, after] = [shared[a]![from]! + shared[b]![to]!, shared[a]![to]! + shared[b]![from]!];
        const change = after - before - 2 * cost[a]![b]!;
        if (change < gain) [best, gain] = [b, change];
      }
      if (best < 0) continue;
      const to = chunkOf[best]!;
      shared.forEach((sums, b) => {
        const moved = cost[b]![best]! - cost[b]![a]!;
        sums[from]! += moved;
        sums[to]! -= moved;
      });
      [chunkOf[a], chunkOf[best]] = [to, from];
      improved = true;
    }
  }
  return Array.from({ length: CHUNKS }, (_, k) => chunkOf.flatMap((chunk, b) => (chunk === k ? [b] : [])));
}

/** The chunks, in an order in which each has little in common with the next, and less weight on the one after it. */
function ringOf(chunks: readonly number[][], correlation: Matrix): number[][] {
  const between = chunks.map((mine) =>
    chunks.map((theirs) => mine.reduce((sum, a) => theirs.reduce((s, b) => s + correlation[a]![b]! ** 2, sum), 0)),
  );
  const at = (order: readonly number[], i: number, step: number) => between[order[i]!]![order[(i + step) % CHUNKS]!]!;
  const costOf = (order: readonly number[]) =>
    order.reduce((sum, _, i) => sum + 2 * at(order, i, 1) + at(order, i, 2), 0);
  let order = chunks.map((_, k) => k);
  for (let improved = true; improved; ) {
    improved = false;
    for (let i = 0; i < CHUNKS; i++) {
      for (let j = 0; j < i; j++) {
        const other = order.with(i, order[j]!).with(j, order[i]!);
        if (costOf(other) > costOf(order) - 1e-9) continue;
        order = other;
        improved = true;
      }
    }
  }
  return order.map((k) => chunks[k]!);
}

/** Principal axis factoring of what correlates below the signs: [bit * FACTORS + factor]. */
function factorsOf(correlation: Matrix): Float64Array {
  const latent = correlation.map((row) => row.map((r) => Math.sin((Math.PI / 2) * r)));
  const common = new Float64Array(CODE_BITS).fill(0.9);
  let axes = Array.from({ length: FACTORS }, (_, f) =>
    Float64Array.from({ length: CODE_BITS }, (_, b) => Math.cos((f + 1) * b)),
  );
  const loadings = new Float64Array(CODE_BITS * FACTORS);
  for (let round = 0; round < ROUNDS; round++) {
    latent.forEach((row, b) => {
      row[b] = common[b]!;
    });
    let lengths: number[] = [];
    for (let step = 0; step < STEPS; step++) {
      axes = axes.map((axis) => Float64Array.from(latent, (row) => dot(row, axis)));
      lengths = orthonormalise(axes);
    }
    for (let b = 0; b < CODE_BITS; b++) {
      const row = axes.map((axis, f) => axis[b]! * Math.sqrt(lengths[f]!));
      const share = dot(row, row);
      common[b] = Math.min(share, MOST_COMMON);
      row.forEach((v, f) => {
        loadings[b * FACTORS + f] = v * Math.sqrt(common[b]! / share);
      });
    }
  }
  return loadings;
}

function dot(a: ArrayLike<number>, b: ArrayLike<number>): number {
  let sum = 0;
  for (let i = 0; i < a.length; i++) sum += a[i]! * b[i]!;
  return sum;
}

/** Gram-Schmidt, in place. @returns how long each was when the ones before it were taken out */
function orthonormalise(axes: readonly Float64Array[]): number[] {
  return axes.map((axis, f) => {
    for (const before of axes.slice(0, f)) {
      const along = dot(axis, before);
      before.forEach((v, b) => {
        axis[b]! -= along * v;
      });
    }
    const length = Math.sqrt(dot(axis, axis));
    axis.forEach((v, b) => {
      axis[b] = v / length;
    });
    return length;
  });
}
