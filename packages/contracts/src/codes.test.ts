import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CODE_BITS, CODE_BYTES, codeFromHex, codeToHex, hamming } from './codes.ts';

const code = fc.uint8Array({ minLength: CODE_BYTES, maxLength: CODE_BYTES });

describe('codes', () => {
  test('hex is written most significant byte first and read back', () => {
    const one = new Uint8Array(CODE_BYTES);
    one[0] = 1;
    expect(codeToHex(one)).toBe(`${'0'.repeat(63)}1`);
    fc.assert(
      fc.property(code, (c) => {
        expect(codeFromHex(codeToHex(c))).toEqual(c);
      }),
    );
  });

  test('anything but 64 hexadecimal digits is refused', () => {
    for (const bad of ['', 'ab', 'g'.repeat(64), 'a'.repeat(63), 'a'.repeat(65)])
      expect(() => codeFromHex(bad)).toThrow(RangeError);
  });

  test('distance counts flipped bits, at any place of a larger array', () => {
    fc.assert(
      fc.property(code, fc.uniqueArray(fc.nat(CODE_BITS - 1)), (c, flips) => {
        const row = new Uint8Array(3 * CODE_BYTES);
        row.set(c, CODE_BYTES);
        for (const bit of flips) row[CODE_BYTES + (bit >> 3)]! ^= 1 << (bit & 7);
        expect(hamming(c, row, 0, CODE_BYTES)).toBe(flips.length);
      }),
    );
  });

  test('of codes that lie further apart than is asked about, no more is said than that', () => {
    fc.assert(
      fc.property(code, code, fc.nat(CODE_BITS), (a, b, most) => {
        const whole = hamming(a, b);
        const found = hamming(a, b, 0, 0, most);
        if (whole <= most) expect(found).toBe(whole);
        else expect(found > most && found <= whole).toBe(true);
      }),
    );
    const [zeros, ones] = [new Uint8Array(CODE_BYTES), new Uint8Array(CODE_BYTES).fill(255)];
    expect(hamming(zeros, ones, 0, 0, 20)).toBeLessThan(CODE_BITS);
  });
});
