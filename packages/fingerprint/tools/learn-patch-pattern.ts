/**
 * Learns the tests of `patch` codes from photographs and writes patch-pattern.ts. Run once; what it wrote is the format.
 *
 *   node packages/fingerprint/tools/learn-patch-pattern.ts CORPUS_FOLDER [SEED]
 *
 * Tests are drawn in a disc, each with its reflection about the patch's own axis; on patches of photographs those are kept
 * whose bits, and whose reflections' bits, are balanced; of these, most balanced first, 128 that have the least to do
 * with each other and with each other's reflections. An uneven bit makes all codes alike: balance goes first.
 */
import { readdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import sharp from 'sharp';
import { createPatchCoder } from '../src/patch-codes.ts';
import { openPatchKernel } from '../src/patch-kernel.ts';
import { PATTERN_UNIT } from '../src/patch-typescript-kernel.ts';

const DRAWN = 12_000;
const TESTS = 128;
const RADIUS = 15;
const LEAST_LENGTH = 4;
const MOST_BIAS = 0.1;
const PICTURES = 150;
const PATCHES = 40;
const LIKENESS = { from: 0.3, step: 0.02, ownReflection: 0.5 };
const KINDS = /^(photo|coco|kodak|camera|public|art)_/;

const { values, positionals } = parseArgs({ allowPositionals: true, options: { out: { type: 'string' } } });
const corpus = positionals[0]!;
const random = createRandom(Number(positionals[1] ?? 5));

/** Bits of every test, 32 patches a word, one row a test. */
interface Columns {
  patches: number;
  words: number;
  rows: Uint32Array;
}

const drawn = draw();
const half = drawn.length / 4;
const both = withReflections(drawn);
const columns = await observe(both);
const n = columns.patches;
const ones = Array.from({ length: 2 * half }, (_, t) => and(t, t));
const bias = (t: number) => Math.abs(ones[t]! / n - 0.5);
const order = Array.from({ length: half }, (_, t) => t)
  .filter((t) => Math.max(bias(t), bias(t + half)) < MOST_BIAS)
  .sort((a, b) => Math.max(bias(a), bias(a + half)) - Math.max(bias(b), bias(b + half)));
process.stderr.write(`${n} patches, ${half} tests, ${order.length} balanced\n`);
let limit = LIKENESS.from;
let kept: number[] = [];
for (; ; limit += LIKENESS.step) {
  kept = [];
  for (const t of order) {
    if (Math.abs(correlation(t, t + half)) > Math.max(limit, LIKENESS.ownReflection)) continue;
    // The four pairs of two tests and their reflections are two by two alike, but not on a sample.
    if (kept.some((k) => Math.abs(correlation(t, k)) >= limit || Math.abs(correlation(t, k + half)) >= limit)) continue;
    kept.push(t);
    if (kept.length === TESTS) break;
  }
  if (kept.length === TESTS) break;
}
process.stderr.write(`correlation below ${limit.toFixed(2)}\n`);
const file = values.out ?? new URL('../src/patch-pattern.ts', import.meta.url).pathname;
await writeFile(file, source(kept));

function draw(): Int16Array {
  const out: number[] = [];
  const inside = () => {
    for (;;) {
      const [x, y] = [
        Math.round((random() * 2 - 1) * RADIUS * PATTERN_UNIT),
        Math.round((random() * 2 - 1) * RADIUS * PATTERN_UNIT),
      ];
      if (Math.hypot(x, y) < RADIUS * PATTERN_UNIT) return [x, y] as const;
    }
  };
  while (out.length < 4 * DRAWN) {
    const [a, b] = [inside(), inside()];
    if (Math.hypot(a[0] - b[0], a[1] - b[1]) > LEAST_LENGTH * PATTERN_UNIT) out.push(...a, ...b);
  }
  return Int16Array.from(out);
}

function withReflections(tests: Int16Array): Int16Array {
  return Int16Array.from([...tests, ...tests.map((v, i) => (i & 1 ? -v : v))]);
}

async function observe(pattern: Int16Array): Promise<Columns> {
  const tests = pattern.length / 4;
  const all = (await readdir(join(corpus, 'images'))).filter((name) => KINDS.test(name)).sort();
  // The others are left to measure by.
  const names = all.filter((_, i) => i % 2 === 0);
  shuffle(names);
  const coder = createPatchCoder(openPatchKernel(), pattern);
  const patches: Uint8Array[] = [];
  for (const name of names.slice(0, PICTURES)) {
    const image = sharp(join(corpus, 'images', name), { failOn: 'none' })
      .flatten({ background: 'white' })
      .greyscale();
    const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const found = coder.code(data, info.width, info.height, { count: 300, kind: 'reference' });
    const some = shuffle(Array.from({ length: found.count }, (_, i) => i)).slice(0, PATCHES);
    for (const i of some) patches.push(found.bits.slice((i * tests) / 8, ((i + 1) * tests) / 8));
  }
  const words = Math.ceil(patches.length / 32);
  const rows = new Uint32Array(tests * words);
  patches.forEach((bits, p) => {
    for (let t = 0; t < tests; t++) {
      if (bits[t >> 3]! & (1 << (t & 7))) rows[t * words + (p >> 5)]! |= 1 << (p & 31);
    }
  });
  return { patches: patches.length, words, rows };
}

function and(a: number, b: number): number {
  const { words, rows } = columns;
  let sum = 0;
  for (let w = 0; w < words; w++) {
    let v = rows[a * words + w]! & rows[b * words + w]!;
    v -= (v >>> 1) & 0x55555555;
    v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
    sum += Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
  }
  return sum;
}

function correlation(a: number, b: number): number {
  const [p, q] = [ones[a]! / n, ones[b]! / n];
  return (and(a, b) / n - p * q) / Math.sqrt(p * (1 - p) * q * (1 - q));
}

function source(tests: readonly number[]): string {
  const rows = tests.map((t) => `  ${drawn.subarray(4 * t, 4 * t + 4).join(', ')},`);
  return `/**
 * The tests of \`patch\` codes. These numbers are the format: codes of another pattern match nothing. Never change them.
 *
 * Test t (bit t) asks whether the patch is darker at (ax, ay) than at (bx, by), in the patch's own frame, in 1/64 pixel of
 * its level; test 128 + t asks the same with both y negated. Learned by tools/learn-patch-pattern.ts from ${n} patches of
 * ${PICTURES} photographs: ${DRAWN} tests drawn within 15 pixels, ${order.length} of them balanced (mean of the bit and of its reflection
 * within ${MOST_BIAS} of a half), of which these 128 correlate least (below ${limit.toFixed(2)}). Seed ${positionals[1] ?? 5}.
 */
// biome-ignore format: one test a line
const TESTS = [
${rows.join('\n')}
];

/** ax, ay, bx, by of 256 tests: 128 and their reflections. */
export const PATTERN: Int16Array = Int16Array.from([...TESTS, ...TESTS.map((v, i) => (i & 1 ? -v : v))]);
`;
}

/** mulberry32 */
function createRandom(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t ^= t + Math.imul(t ^ (t >>> 7), t | 61);
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

function shuffle<T>(list: T[]): T[] {
  for (let i = list.length - 1; i > 0; i--) {
    const j = Math.floor(random() * (i + 1));
    [list[i], list[j]] = [list[j]!, list[i]!];
  }
  return list;
}
