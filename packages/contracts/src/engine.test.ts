import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { SLICE_SECONDS, sliceCount, sliceSpan, visitOrder } from './engine.ts';

describe('slices', () => {
  test('cover the timeline once, without overlap, none shorter than two seconds but the only one', () => {
    fc.assert(
      fc.property(fc.double({ min: 0.01, max: 20_000, noNaN: true }), (duration) => {
        const count = sliceCount(duration);
        let at = 0;
        for (let n = 0; n < count; n++) {
          const [start, end] = sliceSpan(n, duration);
          expect(start).toBeCloseTo(at, 9);
          if (count > 1) expect(end - start).toBeGreaterThanOrEqual(2 - 1e-9);
          expect(end - start).toBeLessThan(SLICE_SECONDS + 2);
          at = end;
        }
        expect(at).toBeCloseTo(duration, 9);
      }),
    );
  });

  test('are visited coarse to fine, each once', () => {
    expect(visitOrder(5)).toEqual([0, 1, 2, 3, 4]);
    expect(visitOrder(18)).toEqual([0, 1, 2, 3, 16, 17, 8, 9, 10, 11, 4, 5, 6, 7, 12, 13, 14, 15]);
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6000 }), (n) => {
        expect(visitOrder(n).sort((a, b) => a - b)).toEqual(Array.from({ length: n }, (_, i) => i));
      }),
    );
  });
});
