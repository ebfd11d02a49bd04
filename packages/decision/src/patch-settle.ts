import type { Affine } from './patch-geometry.ts';
import { agreementOf, viewsOf } from './patch-views.ts';

/**
 * Steps, in fractions of the picture, of what is tried for each number of the map; halved ROUNDS - 1 times. Hits are
 * pooled over seconds in which the camera may move, and few of them leave a map some per cent off at the edges.
 */
const STEP = 0.03;
const ROUNDS = 3;
/** Turns over all six numbers with one length of step. */
const TURNS = 3;
/** A map must agree this much better, and at least so much in all, to be preferred. */
const GAIN = 0.01;
const LEAST = 0.3;
/** From here on it is as good as thumbnails tell. */
const GOOD = 0.93;

/** Thumbnails of upload and reference at one instant. */
export type Shown = readonly [upload: Uint8Array, reference: Uint8Array];

/** The affine or projective map near `map` under which the thumbnails agree best; `map` itself where none is clearly better. */
export function settled(map: Affine, shown: readonly Shown[]): Affine {
  const first = viewsOf(map);
  if (!first) return map;
  const soft = shown.map(([u, r]) => [first.soften.upload(u), first.soften.reference(r)] as const);
  const score = (m: Affine): number => {
    const views = viewsOf(m, true);
    if (!views) return -1;
    let sum = 0;
    for (const [upload, reference] of soft) {
      const [a, b] = [views.upload(upload), views.reference(reference)];
      sum += a && b ? agreementOf(a, b) : 0;
    }
    return sum / shown.length;
  };
  const before = shown.length > 0 ? score(map) : -1;
  if (before < LEAST || before >= GOOD) return map;
  let best = { map, score: before };
  for (let round = 0, step = STEP; round < ROUNDS; round++, step /= 2) {
    for (let turn = 0; turn < TURNS; turn++) {
      const start = best.score;
      for (let k = 0; k < 6; k++) {
        for (const by of [step, -step]) {
          const next = nudged(best.map, k, by);
          const s = score(next);
          if (s > best.score) best = { map: next, score: s };
        }
      }
      if (best.score - start < GAIN / 4) break;
    }
  }
  return best.score >= before + GAIN ? best.map : map;
}

/** One number of the map changed as seen from the middle of the upload, so that turning and stretching do not shift it. */
function nudged(map: Affine, k: number, by: number): Affine {
  const next = [...map] as [number, number, number, number, number, number, number?, number?];
  const at = k as 0 | 1 | 2 | 3 | 4 | 5;
  next[at] += by;
  if (k % 3 !== 2) next[k < 3 ? 2 : 5] -= by / 2;
  return next;
}
