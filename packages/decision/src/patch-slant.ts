import { type Affine, apply, inliersOf, type Pair } from './patch-geometry.ts';

/** A slant has two more unknowns: it needs places to rest on, and must explain clearly more of them than without it. */
const LEAST_PAIRS = 10;
const LEAST_GAIN = 1.1;
const ROUNDS = 5;
/** How much nearer or farther one corner may be than another. */
const MOST_DEPTH = 2.2;
/** Pixels: unit of length while solving; pull of g and h towards 0, in equations. */
const UNIT = 200;
const PULL = 0.5;

/**
 * The projective map near an affine one that explains clearly more pairs (a screen filmed from the side, a picture on a
 * table), or the affine map itself. Linear least squares, pairs chosen anew in each round.
 */
export function withSlant<P extends Pair>(pairs: readonly P[], affine: Affine, width: number, height: number): Affine {
  const before = inliersOf(pairs, affine);
  if (before.length < LEAST_PAIRS) return affine;
  let map = affine;
  let own = before;
  for (let round = 0; round < ROUNDS; round++) {
    const next = solve(own, width / 2, height / 2);
    if (!next || !isViewable(next, width, height)) return affine;
    map = next;
    own = inliersOf(pairs, map);
    if (own.length < LEAST_PAIRS) return affine;
  }
  return own.length >= LEAST_GAIN * before.length + 1 ? map : affine;
}

function isViewable(map: Affine, width: number, height: number): boolean {
  const corners = [0, width].flatMap((x) => [0, height].map((y) => 1 + map[6]! * x + map[7]! * y));
  return Math.min(...corners) > 0 && Math.max(...corners) <= MOST_DEPTH * Math.min(...corners);
}

function solve(pairs: readonly Pair[], mx: number, my: number): Affine | null {
  const m = Array.from({ length: 8 }, () => new Float64Array(9));
  const row = new Float64Array(8);
  /** One equation: x, y and 1 from `from` on. */
  const add = (from: number, x: number, y: number, value: number) => {
    row.fill(0);
    row[from] = x;
    row[from + 1] = y;
    row[from + 2] = 1;
    row[6] = -x * value;
    row[7] = -y * value;
    for (let i = 0; i < 8; i++) {
      if (row[i] === 0) continue;
      const line = m[i]!;
      for (let j = 0; j < 8; j++) line[j]! += row[i]! * row[j]!;
      line[8]! += row[i]! * value;
    }
  };
  for (const p of pairs) {
    const x = (p.qx - mx) / UNIT;
    const y = (p.qy - my) / UNIT;
    add(0, x, y, p.rx / UNIT);
    add(3, x, y, p.ry / UNIT);
  }
  m[6]![6]! += PULL;
  m[7]![7]! += PULL;
  const s = eliminate(m);
  if (!s) return null;
  // Back to pixels, from around (mx, my), with a last element of 1.
  const [g, h] = [s[6]! / UNIT, s[7]! / UNIT];
  const w = 1 - g * mx - h * my;
  if (Math.abs(w) < 0.1) return null;
  const line = (a: number, b: number, c: number) => [a / w, b / w, (UNIT * c - a * mx - b * my) / w] as const;
  return [...line(s[0]!, s[1]!, s[2]!), ...line(s[3]!, s[4]!, s[5]!), g / w, h / w];
}

/** Gaussian elimination with pivots; null when the system does not fix all unknowns. */
function eliminate(m: Float64Array[]): number[] | null {
  const n = m.length;
  for (let i = 0; i < n; i++) {
    let pivot = i;
    for (let k = i + 1; k < n; k++) if (Math.abs(m[k]![i]!) > Math.abs(m[pivot]![i]!)) pivot = k;
    if (Math.abs(m[pivot]![i]!) < 1e-9) return null;
    [m[i], m[pivot]] = [m[pivot]!, m[i]!];
    for (let k = 0; k < n; k++) {
      if (k === i) continue;
      const factor = m[k]![i]! / m[i]![i]!;
      for (let j = i; j <= n; j++) m[k]![j]! -= factor * m[i]![j]!;
    }
  }
  return m.map((row, i) => row[n]! / row[i]!);
}

/** The affine map nearest to a projective one in the middle of the picture. */
export function flattened(map: Affine, x: number, y: number): Affine {
  const [g, h] = [map[6] ?? 0, map[7] ?? 0];
  if (g === 0 && h === 0) return map;
  const w = 1 + g * x + h * y;
  const [u, v] = apply(map, x, y);
  const [a, b, d, e] = [(map[0] - u * g) / w, (map[1] - u * h) / w, (map[3] - v * g) / w, (map[4] - v * h) / w];
  return [a, b, u - a * x - b * y, d, e, v - d * x - e * y];
}
