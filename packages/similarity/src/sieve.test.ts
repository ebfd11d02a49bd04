import { CODE_BYTES, hamming, RADIUS } from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { createSieve, MAX_SIEVE_RADIUS, MOST_SIEVE_CODES } from './sieve.ts';

/** xorshift32 */
function randomOf(seed: number) {
  let s = seed;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return s >>> 0;
  };
}
const codesOf = (count: number, next: () => number) =>
  new Uint8Array(Uint32Array.from({ length: count * 8 }, next).buffer);

function flip(code: Uint8Array, bits: number, next: () => number): Uint8Array {
  const out = code.slice();
  const places = new Set<number>();
  while (places.size < bits) places.add(next() % 256);
  for (const p of places) out[p >> 3]! ^= 1 << (p & 7);
  return out;
}

describe('the sieve', () => {
  test.each([RADIUS, MAX_SIEVE_RADIUS, 0, 16])(
    'at radius %i says near of exactly what a comparison finds',
    async (radius) => {
      const next = randomOf(20260101 + radius);
      const held = codesOf(300, next);
      const sieve = await createSieve(held, radius);
      const asked: Uint8Array[] = [];
      for (let i = 0; i < 400; i++) {
        const one = held.subarray((i % 300) * CODE_BYTES, ((i % 300) + 1) * CODE_BYTES);
        // At exactly the radius, one below and one above, and far away.
        const near = flip(one, Math.max(0, Math.min(256, radius + (i % 4) - 1)), next);
        asked.push(i % 2 === 0 ? near : near.map((b) => b ^ 255));
      }
      asked.push(codesOf(200, next));
      const stream = new Uint8Array(Buffer.concat(asked));
      const count = stream.length / CODE_BYTES;
      const near = new Uint8Array(count);
      const found = sieve.sift(stream, near);
      const complement = stream.map((b) => b ^ 255);
      const expected = Array.from({ length: count }, (_, q) =>
        Array.from({ length: 300 }).some((_, i) =>
          [stream, complement].some((s) => hamming(s, held, q * CODE_BYTES, i * CODE_BYTES) <= radius),
        ),
      );
      expect([...near].map(Boolean)).toEqual(expected);
      expect(found).toBe(expected.filter(Boolean).length);
      expect(found).toBeGreaterThan(100);
      expect(found).toBeLessThan(count - 200);
    },
  );

  test('takes a stream that begins at any byte, and one that is empty', async () => {
    const held = codesOf(3, randomOf(7));
    const sieve = await createSieve(held);
    const bytes = new Uint8Array(1 + held.length);
    bytes.set(held, 1);
    expect(sieve.sift(bytes.subarray(1), new Uint8Array(3))).toBe(3);
    expect(sieve.sift(new Uint8Array(0), new Uint8Array(0))).toBe(0);
    expect((await createSieve(new Uint8Array(0))).sift(held, new Uint8Array(3))).toBe(0);
  });

  test('refuses what it cannot hold or answer', async () => {
    await expect(createSieve(new Uint8Array(33))).rejects.toThrow(RangeError);
    await expect(createSieve(new Uint8Array((MOST_SIEVE_CODES + 1) * CODE_BYTES))).rejects.toThrow(RangeError);
    await expect(createSieve(new Uint8Array(32), MAX_SIEVE_RADIUS + 1)).rejects.toThrow(RangeError);
    const sieve = await createSieve(new Uint8Array(32));
    expect(() => sieve.sift(new Uint8Array(64), new Uint8Array(1))).toThrow(RangeError);
  });
});
