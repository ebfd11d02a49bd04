import {
  CODE_BYTES,
  type CodeKind,
  type CodeTable,
  ENGINE_VERSION,
  type Fingerprint,
  type ReferenceKey,
} from '@vigil/contracts';
import { BIT_ORDER } from './permutation.ts';

/** xorshift32: the same numbers in every run. `next(n)` is 0 to n - 1. */
export function createRandom(seed: number) {
  let s = seed >>> 0 || 1;
  const next = (n: number) => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return (s >>> 0) % n;
  };
  return {
    next,
    code: () => Uint8Array.from({ length: CODE_BYTES }, () => next(256)),
    /** `count` different numbers below n. */
    some(count: number, n: number): number[] {
      const order = Array.from({ length: n }, (_, i) => i);
      for (let i = 0; i < count; i++) {
        const j = i + next(n - i);
        [order[i], order[j]] = [order[j]!, order[i]!];
      }
      return order.slice(0, count);
    },
  };
}

/** The code with these bits turned over; the bits are numbered in the order of the index, so bits 16i.. are chunk i. */
export function flipOrdered(code: Uint8Array, bits: Iterable<number>): Uint8Array {
  const flipped = code.slice();
  for (const bit of bits) flipped[BIT_ORDER[bit]! >> 3]! ^= 1 << (BIT_ORDER[bit]! & 7);
  return flipped;
}

export function joined(codes: readonly Uint8Array[]): Uint8Array {
  const all = new Uint8Array(codes.length * CODE_BYTES);
  codes.forEach((code, i) => {
    all.set(code, i * CODE_BYTES);
  });
  return all;
}

export interface MadeCode {
  code: Uint8Array;
  kind?: CodeKind;
  flags?: number;
  quality?: number;
  time?: number;
}

/** A fingerprint with one frame a code. */
export function fingerprintOf(codes: readonly MadeCode[]): Fingerprint {
  const table = (kind: CodeKind): CodeTable => {
    const mine = codes.flatMap((c, frame) => ((c.kind ?? 'picture') === kind ? [{ ...c, frame }] : []));
    return {
      kind,
      count: mine.length,
      bits: joined(mine.map((c) => c.code)),
      frame: Uint16Array.from(mine, (c) => c.frame),
      place: Uint16Array.from(mine.flatMap((c) => [c.frame, 1, 65535, 65534])),
      turn: new Uint8Array(mine.length),
      quality: Uint8Array.from(mine, (c) => c.quality ?? 100),
    };
  };
  return {
    engine: ENGINE_VERSION,
    mode: 'exact',
    sampling: 'every-frame',
    span: [0, codes.length],
    width: 640,
    height: 360,
    frames: {
      time: Float64Array.from(codes, (c, i) => c.time ?? i / 2),
      quality: Uint8Array.from(codes, (c) => c.quality ?? 100),
      flags: Uint8Array.from(codes, (c) => c.flags ?? 0),
    },
    tables: [table('picture'), table('patch')],
    thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
  };
}

export const reference = (id: string | number, version = 1): ReferenceKey => ({ id: String(id), version });
