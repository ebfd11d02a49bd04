import { expect, test } from 'vitest';
import { createHome } from './home.ts';
import { CHUNKS } from './layout.ts';
import { EXACT, isHit, RULES, tablesOf, WIDE_KEYS } from './rules.ts';
import { typescriptKernel } from './typescript-kernel.ts';
import { wasmKernel } from './wasm-kernel.ts';

/** Distances of the chunks: `first` from chunk `start` on, going round, and 1 in all others. */
const apart = (start: number, first: readonly number[]): number[] => {
  const chunks = Array<number>(CHUNKS).fill(1);
  for (const [k, d] of first.entries()) chunks[(start + k) % CHUNKS] = d;
  return chunks;
};

test('a patch is found by a chunk that agrees wholly, if it is a start, and the next two hardly differ', () => {
  for (let start = 0; start < CHUNKS; start++) {
    expect(isHit(WIDE_KEYS, apart(start, [0, 2, 2]))).toBe(start % 2 === 0);
    expect(isHit(WIDE_KEYS, apart(start, [0, 1, 3]))).toBe(start % 2 === 0);
    expect(isHit(WIDE_KEYS, apart(start, [0, 2, 3]))).toBe(false);
    expect(isHit(WIDE_KEYS, apart(start, [1, 2, 2]))).toBe(false);
  }
  expect(isHit(WIDE_KEYS, apart(0, [0, 0, 0, 9, 9]))).toBe(true);
  expect(isHit(WIDE_KEYS, apart(0, [0, 0, 0, 12, 12]))).toBe(false);
});

test('a picture is found wherever its differences lie', () => {
  for (let start = 0; start < CHUNKS; start++) {
    expect(isHit(EXACT, apart(start, [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1]))).toBe(true);
    expect(isHit(EXACT, apart(start, [2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2]))).toBe(false);
  }
});

test('a segment has a table for each start', () => {
  expect(Object.entries(RULES).map(([kind, rule]) => [kind, tablesOf(rule)])).toEqual([
    ['picture', 16],
    ['patch', 8],
    ['sound', 16],
  ]);
});

test('no segment is walked by tables that it does not have', () => {
  for (const kernel of [typescriptKernel, wasmKernel()]) {
    if (!kernel) continue;
    for (const tables of [0, 8, 16] as const) {
      const { walker } = createHome(kernel, 8, tables);
      for (const rule of [EXACT, WIDE_KEYS]) {
        const walk = () => walker.beginWalk(new Uint32Array(8), 1, rule);
        if (tables === tablesOf(rule)) expect(walk).not.toThrow();
        else expect(walk).toThrow(RangeError);
      }
    }
  }
});
