/**
 * Codes that are everybody's: ends of strokes, plain edges, dots. A library does without codes that lie near one of those
 * in patch-common.bin (32 bytes a code), which tools/learn-common-patches.ts chose among codes of unrelated pictures.
 * On pictures that it was not learned from, half of the list dropped 5 % of codes and 72 % of the hits between pictures
 * that have nothing to do with each other; a plain sample thirteen times as long, 5 % and 48 %.
 */
import { readFileSync } from 'node:fs';
import { CODE_BYTES, RADIUS } from '@vigil/contracts/codes';
import type { PatchCodes } from './patch-codes.ts';

const WORDS = CODE_BYTES / 4;

/** Wider than a hit: what lies just beyond one hits the same crowd. */
export const COMMON_RADIUS = RADIUS + 4;

let sample: Uint32Array | null = null;

function commonCodes(): Uint32Array {
  if (sample) return sample;
  const bytes = new Uint8Array(readFileSync(new URL('./patch-common.bin', import.meta.url)));
  if (bytes.length === 0 || bytes.length % CODE_BYTES !== 0)
    throw new RangeError('patch-common.bin is not whole codes');
  sample = new Uint32Array(bytes.buffer);
  return sample;
}

/** The first `most` codes that are not within COMMON_RADIUS of one in `common`. */
export function withoutCommon(
  codes: PatchCodes,
  most: number = codes.count,
  common: Uint32Array = commonCodes(),
): PatchCodes {
  const words = new Uint32Array(codes.bits.buffer, codes.bits.byteOffset, codes.count * WORDS);
  const kept: number[] = [];
  for (let i = 0; i < codes.count && kept.length < most; i++) {
    if (!hasNeighbour(words, i * WORDS, common)) kept.push(i);
  }
  if (kept.length === codes.count) return codes;
  const bits = new Uint8Array(kept.length * CODE_BYTES);
  kept.forEach((i, k) => {
    bits.set(codes.bits.subarray(i * CODE_BYTES, (i + 1) * CODE_BYTES), k * CODE_BYTES);
  });
  const some = <T extends Uint8Array | Uint16Array>(column: T, out: T): T => {
    kept.forEach((i, k) => {
      out[k] = column[i]!;
    });
    return out;
  };
  const count = kept.length;
  return {
    count,
    bits,
    x: some(codes.x, new Uint16Array(count)),
    y: some(codes.y, new Uint16Array(count)),
    diameter: some(codes.diameter, new Uint16Array(count)),
    angle: some(codes.angle, new Uint16Array(count)),
    rank: some(codes.rank, new Uint8Array(count)),
  };
}

function hasNeighbour(words: Uint32Array, at: number, common: Uint32Array): boolean {
  for (let j = 0; j < common.length; j += WORDS) {
    let distance = 0;
    // Most are out of reach after three words of eight.
    for (let w = 0; w < WORDS && distance <= COMMON_RADIUS; w++) distance += popcount(words[at + w]! ^ common[j + w]!);
    if (distance <= COMMON_RADIUS) return true;
  }
  return false;
}

function popcount(v: number): number {
  v -= (v >>> 1) & 0x55555555;
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  return Math.imul((v + (v >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}
