import { describe, expect, test } from 'vitest';
import { fitAffine, inliersOf, type Pair } from './patch-geometry.ts';
import { seeded } from './synthetic.ts';

/** `agreeing` pairs under one similarity, and `moved` ones that miss it by some dozen pixels, most to one side, as those of other frames do. */
function pairsOf({ agreeing, moved, seed }: { agreeing: number; moved: number; seed: number }): Pair[] {
  const random = seeded(seed);
  const between = (from: number, to: number) => from + (to - from) * random();
  const [scale, turn] = [0.88, -0.03];
  const [c, s] = [scale * Math.cos(turn), scale * Math.sin(turn)];
  return Array.from({ length: agreeing + moved }, (_, i) => {
    const [qx, qy, angle] = [between(0, 740), between(0, 310), between(0, 6)];
    const [from, to] = i < agreeing ? [-2, 2] : [-5, 85];
    return {
      ...{ qx, qy, qd: 60, qa: angle },
      rx: c * qx - s * qy + 30 + between(from, to),
      ry: s * qx + c * qy + 9 + between(from, to),
      rd: 60 * scale * between(0.85, 1.15),
      ra: angle + turn + between(-0.25, 0.25),
    };
  });
}

describe('a map is fitted', () => {
  test('to what agrees exactly, among twice as much that agrees roughly', () => {
    let found = 0;
    for (let seed = 1; seed <= 60; seed++) {
      const pairs = pairsOf({ agreeing: 9, moved: 16, seed });
      const map = fitAffine(pairs);
      const own = map ? inliersOf(pairs, map) : [];
      if (pairs.slice(0, 9).filter((p) => own.includes(p)).length >= 8) found++;
    }
    expect(found).toBeGreaterThanOrEqual(57);
  });

  test('to nothing where fewer than are asked for agree', () => {
    expect(fitAffine(pairsOf({ agreeing: 3, moved: 0, seed: 1 }))).toBeNull();
    expect(fitAffine([])).toBeNull();
  });
});
