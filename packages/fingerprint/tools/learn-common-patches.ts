/**
 * Learns which patch codes are everybody's (ends of strokes, plain edges, dots) and writes them to patch-common.bin: a
 * reference does without codes that have one of these within the radius.
 *
 *   node packages/fingerprint/tools/learn-common-patches.ts CORPUS_FOLDER [--halves]
 *
 * A code is common when pictures that have nothing else to do with its own have it too. Those that most others lie near
 * are taken first, until none is left uncovered or MOST are taken. With --halves, nothing is written: one half of the
 * pictures is learned from, the other shows what it is worth, beside a plain sample of as many codes.
 */
import { writeFile } from 'node:fs/promises';
import { parseArgs } from 'node:util';
import { RADIUS } from '@vigil/contracts';
import { corpusPatches } from './corpus-patches.ts';

const MOST = 9000;
/** Pictures with more codes in common than this show the same things. */
const RELATED = 6;

const { values, positionals } = parseArgs({ allowPositionals: true, options: { halves: { type: 'boolean' } } });

interface Codes {
  words: Uint32Array;
  picture: Uint16Array;
  count: number;
}

const pictures = await corpusPatches(positionals[0]!);

if (values.halves) {
  const [learned, held] = [0, 1].map((half) => together(pictures.filter((_, i) => i % 2 === half))) as [Codes, Codes];
  const near = neighbours(held);
  const sample = cover(learned, neighbours(learned), MOST);
  const plain = Uint32Array.from({ length: MOST }, (_, i) => (i * 7919) % learned.count);
  for (const [name, chosen, radius] of [
    ['learned', sample, RADIUS],
    ['learned, wider', sample, RADIUS + 4],
    ['learned, widest', sample, RADIUS + 8],
    ['plain', plain, RADIUS],
  ] as const) {
    const drop = common(held, pick(learned, chosen), radius);
    const total = near.reduce((n, list) => n + list.length, 0);
    const left = near.reduce((n, list, i) => n + (drop[i] ? 0 : list.filter((j) => !drop[j]).length), 0);
    const oneSided = near.reduce((n, list, i) => n + (drop[i] ? 0 : list.length), 0);
    const dropped = drop.reduce((n, d) => n + d, 0) / held.count;
    const line = { sample: name, codes: chosen.length, of: learned.count, held: held.count, dropped, accidents: total };
    const rates = { left: oneSided / total / (1 - dropped), bothSides: left / total / (1 - dropped) ** 2 };
    process.stdout.write(`${JSON.stringify({ ...line, ...rates, perPair: total / held.count ** 2 })}\n`);
  }
} else {
  const all = together(pictures);
  const chosen = cover(all, neighbours(all), MOST);
  const words = pick(all, chosen);
  await writeFile(new URL('../src/patch-common.bin', import.meta.url), new Uint8Array(words.buffer));
  process.stdout.write(`${JSON.stringify({ pictures: pictures.length, codes: all.count, common: chosen.length })}\n`);
}

function together(sets: readonly Uint32Array[]): Codes {
  const count = sets.reduce((n, set) => n + set.length / 8, 0);
  const out: Codes = { words: new Uint32Array(count * 8), picture: new Uint16Array(count), count };
  let at = 0;
  sets.forEach((set, p) => {
    out.words.set(set, at * 8);
    out.picture.fill(p, at, at + set.length / 8);
    at += set.length / 8;
  });
  return out;
}

function pick({ words }: Codes, chosen: Uint32Array): Uint32Array {
  const out = new Uint32Array(chosen.length * 8);
  chosen.forEach((c, i) => {
    out.set(words.subarray(8 * c, 8 * c + 8), 8 * i);
  });
  return out;
}

function popcount(v: number): number {
  v -= (v >>> 1) & 0x55555555;
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function isNear(a: Uint32Array, i: number, b: Uint32Array, j: number, radius: number = RADIUS): boolean {
  let d = 0;
  for (let w = 0; w < 8; w++) {
    d += popcount(a[i + w]! ^ b[j + w]!);
    if (d > radius) return false;
  }
  return true;
}

/** Of each code, those of unrelated pictures within the radius. */
function neighbours({ words, picture, count }: Codes): number[][] {
  const pairs: [number, number][] = [];
  const shared = new Map<number, number>();
  const pictures = picture.at(-1)! + 1;
  for (let i = 0; i < count; i++) {
    for (let j = i + 1; j < count; j++) {
      if (!isNear(words, 8 * i, words, 8 * j)) continue;
      if (picture[i] === picture[j]) continue;
      pairs.push([i, j]);
      const key = picture[i]! * pictures + picture[j]!;
      shared.set(key, (shared.get(key) ?? 0) + 1);
    }
  }
  const near: number[][] = Array.from({ length: count }, () => []);
  for (const [i, j] of pairs) {
    if (shared.get(picture[i]! * pictures + picture[j]!)! > RELATED) continue;
    near[i]!.push(j);
    near[j]!.push(i);
  }
  return near;
}

/** Those that have most neighbours not yet covered, first. */
function cover({ count }: Codes, near: readonly number[][], most: number): Uint32Array {
  const covered = new Uint8Array(count);
  const gain = Int32Array.from(near, (list) => list.length);
  const order = Array.from({ length: count }, (_, i) => i).filter((i) => gain[i]! > 0);
  const out: number[] = [];
  const levels = gain.reduce((a, b) => Math.max(a, b), 0);
  for (let level = levels; level > 0 && out.length < most; level--) {
    for (const i of order) {
      if (out.length >= most || near[i]!.length < level) continue;
      const news = near[i]!.filter((j) => !covered[j]).length + (covered[i] ? 0 : 1);
      if (news < level) continue;
      out.push(i);
      covered[i] = 1;
      for (const j of near[i]!) covered[j] = 1;
    }
  }
  return Uint32Array.from(out);
}

function common({ words, count }: Codes, sample: Uint32Array, radius: number): Uint8Array {
  return Uint8Array.from({ length: count }, (_, i) => {
    for (let j = 0; j < sample.length; j += 8) if (isNear(words, 8 * i, sample, j, radius)) return 1;
    return 0;
  });
}
