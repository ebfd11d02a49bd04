import { createHash } from 'node:crypto';
import { hamming } from '@vigil/contracts';
import { expect, test } from 'vitest';
import { BIT_ORDER, CODE_WORDS, permuteCode } from './permutation.ts';
import { createRandom, joined } from './testing.ts';

const permuted = (code: Uint8Array) => {
  const words = new Uint32Array(CODE_WORDS);
  permuteCode(code, 0, words, 0);
  return new Uint8Array(words.buffer);
};

test('names every bit once', () => {
  expect(new Set(BIT_ORDER).size).toBe(256);
});

test('is frozen: snapshots are written in this order', () => {
  expect(createHash('sha256').update(Uint8Array.from(BIT_ORDER)).digest('hex')).toBe(
    '9c41fba5bfc885c28d454016d5ac179dc055d87387a6ebd1b3417992b2d5257e',
  );
});

test('moves bit BIT_ORDER[to] to bit `to`', () => {
  for (let to = 0; to < 256; to++) {
    const code = new Uint8Array(32);
    code[BIT_ORDER[to]! >> 3] = 1 << (BIT_ORDER[to]! & 7);
    const out = permuted(code);
    expect(out[to >> 3]).toBe(1 << (to & 7));
    expect(out.reduce((sum, byte) => sum + byte, 0)).toBe(1 << (to & 7));
  }
});

test('changes no distance', () => {
  const random = createRandom(1);
  for (let i = 0; i < 200; i++) {
    const [a, b] = [random.code(), random.code()];
    expect(hamming(permuted(a), permuted(b))).toBe(hamming(a, b));
  }
});

test('reads and writes at the places that it is told', () => {
  const random = createRandom(2);
  const codes = [random.code(), random.code(), random.code()];
  const words = new Uint32Array(4 * CODE_WORDS);
  permuteCode(joined(codes), 1, words, 2 * CODE_WORDS);
  expect(new Uint8Array(words.buffer, 64, 32)).toEqual(permuted(codes[1]!));
  expect(words.filter((w) => w !== 0).length).toBeLessThanOrEqual(CODE_WORDS);
});
