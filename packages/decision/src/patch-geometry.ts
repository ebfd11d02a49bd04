/**
 * One affine map between two pictures from pairs of keypoints. Every pair proposes a similarity by its own scale and
 * angle; the one with most consent is refined by least squares. No sampling at random, so the same pairs always give the
 * same map. All in pixels of pictures scaled to one AREA, so that nothing depends on the size or shape of the media.
 */

/** Pixels of a picture; a picture of 16:9 is 640 wide. */
export const AREA = 640 * 360;
/** Pixels by which a pair may miss the map, in the reference; as much as half more where a small inset is enlarged. */
export const TOLERANCE = 9;
const MOST_ENLARGED = 1.5;
/** What a proposal may miss by: pixels, and share of the distance to the pair that proposes (its angle and scale are rough). */
const ROUGH = 12;
const ROUGH_SHARE = 0.15;
/** How far a pair's own scale (natural log) and angle (radians) may lie from the map's. */
const SCALE_SLACK = 0.6;
const ANGLE_SLACK = 0.6;
/** Of each of the two: a similarity first, since few or crowded pairs leave the rest open, then an affine map. */
const ROUNDS = 3;
/** Pairs from which on an affine map is believed as it is; before, it must explain clearly more than a similarity. */
const ENOUGH = 16;
const AFFINE_GAIN = 1.2;
const MAX_PROPOSALS = 100;
/** Proposals that are made exact by a second pair, second pairs tried, and pixels that they are apart. */
const PIVOTS = 3;
const PARTNERS = 24;
const FAR = 60;
/** So many times the tolerance while the map is still being fitted. */
const NEARLY = 1.5;
/** The map must not squeeze one way more than twice as much as the other, nor change sizes beyond these. */
const MAX_ANISOTROPY = 2;
const LEAST_SCALE = 0.12;
const MOST_SCALE = 8;
/** Pixels: pairs less spread than this hardly change what the map was before. */
const PRIOR_SPREAD = 30;

export const MIN_INLIERS = 4;
/** Of two stills, whose patches are all compared afterwards (patch-guided.ts), at no cost of decoding. */
export const MIN_STILL_INLIERS = 3;

/** Keypoints of the upload (q) and the reference (r): place and diameter in pixels, angle in radians, y downwards. */
export interface Pair {
  qx: number;
  qy: number;
  qd: number;
  qa: number;
  rx: number;
  ry: number;
  rd: number;
  ra: number;
}

/** x' = (a x + b y + c) / w, y' = (d x + e y + f) / w, w = 1 + g x + h y; without g and h an affine map. */
export type Affine = readonly [
  a: number,
  b: number,
  c: number,
  d: number,
  e: number,
  f: number,
  g?: number,
  h?: number,
];

export const sizeOf = (aspect: number): { width: number; height: number } => ({
  width: Math.sqrt(AREA * aspect),
  height: Math.sqrt(AREA / aspect),
});

/**
 * What is asked of pairs again and again, a number a pair: `growth` is the natural log of how much larger the reference shows the
 * patch, `turn` how far it is turned there. Hundreds of maps are tried on hundreds of pairs, and an object or a logarithm for each
 * costs more than the question.
 */
interface Columns {
  count: number;
  qx: Float64Array;
  qy: Float64Array;
  rx: Float64Array;
  ry: Float64Array;
  growth: Float64Array;
  turn: Float64Array;
}

function columnsOf(pairs: readonly Pair[]): Columns {
  const count = pairs.length;
  const column = () => new Float64Array(count);
  const out = { count, qx: column(), qy: column(), rx: column(), ry: column(), growth: column(), turn: column() };
  for (let i = 0; i < count; i++) {
    const p = pairs[i]!;
    out.qx[i] = p.qx;
    out.qy[i] = p.qy;
    out.rx[i] = p.rx;
    out.ry[i] = p.ry;
    out.growth[i] = Math.log(p.rd / p.qd);
    out.turn[i] = p.ra - p.qa;
  }
  return out;
}

/** A map, and which pairs lie near it. */
interface Fitted {
  map: Affine;
  own: readonly number[];
}

/** The map that most pairs consent to, or null when there is none that `least` of them do. */
export function fitAffine(pairs: readonly Pair[], least = MIN_INLIERS): Affine | null {
  if (pairs.length < least) return null;
  const columns = columnsOf(pairs);
  const step = Math.max(1, pairs.length / MAX_PROPOSALS);
  const proposals: { pivot: number; map: Affine; count: number }[] = [];
  for (let k = 0; k < pairs.length; k += step) {
    const pivot = Math.floor(k);
    const map = similarityOf(pairs[pivot]!);
    proposals.push({ pivot, map, count: consenting(columns, map, pivot) });
  }
  proposals.sort((a, b) => b.count - a.count);
  if (!proposals[0] || proposals[0].count < least) return null;
  const likely = proposals.slice(0, PIVOTS).map(({ pivot, map }) => {
    const own: number[] = [];
    consenting(columns, map, pivot, own);
    return { pivot, map, own };
  });
  const starts: Fitted[] = [likely[0]!];
  const exact = bestOfTwo(pairs, columns, likely);
  if (exact && exact.own.length >= least) starts.push(exact);
  let best: Fitted | null = null;
  for (const { map, own } of starts) {
    const found = fittedFrom(columns, own, map, least);
    if (found && (!best || found.own.length > best.own.length)) best = found;
  }
  return best?.map ?? null;
}

/**
 * Of the similarities through two pairs, the proposing one and another that consents to it, the one that most pairs lie near. Among
 * rough consent there may be so much of other frames, which have moved, that the mean of all of it fits none.
 */
function bestOfTwo(
  pairs: readonly Pair[],
  columns: Columns,
  proposals: readonly { pivot: number; own: readonly number[] }[],
): Fitted | null {
  const { qx, qy } = columns;
  let best: Fitted | null = null;
  for (const { pivot, own: roughly } of proposals) {
    const far = roughly.filter((i) => (qx[i]! - qx[pivot]!) ** 2 + (qy[i]! - qy[pivot]!) ** 2 >= FAR ** 2);
    const step = Math.max(1, far.length / PARTNERS);
    for (let k = 0; k < far.length; k += step) {
      const map = similarityThrough(pairs[pivot]!, pairs[far[Math.floor(k)]!]!);
      const own = near(columns, map, NEARLY);
      if (!best || own.length > best.own.length) best = { map, own };
    }
  }
  return best;
}

/** A similarity first, then an affine map where enough pairs speak for it; null where that is none that people make. */
function fittedFrom(columns: Columns, start: readonly number[], proposed: Affine, least: number): Fitted | null {
  const plain = refined(columns, start, proposed, similarityFrom, least);
  if (!plain) return null;
  const bent = refined(columns, plain.own, plain.map, affineFrom, least);
  // Few pairs bend an affine map to their errors, and what lies away from them with it.
  const enough =
    bent && bent.own.length >= (bent.own.length < ENOUGH ? AFFINE_GAIN * plain.own.length + 1 : plain.own.length);
  if (enough && isSane(bent.map)) return bent;
  return isSane(plain.map) ? plain : null;
}

function refined(
  columns: Columns,
  start: readonly number[],
  proposed: Affine,
  solve: (columns: Columns, own: readonly number[], before: Affine) => Affine,
  least: number,
): Fitted | null {
  let map = proposed;
  let own = start;
  for (let round = 0; round < ROUNDS; round++) {
    map = solve(columns, own, map);
    own = near(columns, map, round === 0 ? NEARLY : 1);
    if (own.length < least) return null;
  }
  return { map, own };
}

/** Those that lie where the map says, about as large and as turned as it says. */
export const inliersOf = <P extends Pair>(pairs: readonly P[], map: Affine): P[] =>
  near(columnsOf(pairs), map, 1).map((i) => pairs[i]!);

/** @param slack times the tolerance */
function near({ count, qx, qy, rx, ry, growth, turn }: Columns, map: Affine, slack: number): number[] {
  const farthest = slack * TOLERANCE * MOST_ENLARGED;
  let { scale, angle } = polar(map, 0, 0);
  const own: number[] = [];
  for (let i = 0; i < count; i++) {
    const x = xOf(map, qx[i]!, qy[i]!) - rx[i]!;
    const y = yOf(map, qx[i]!, qy[i]!) - ry[i]!;
    // Most pairs lie far off.
    if (!(Math.abs(x) <= farthest && Math.abs(y) <= farthest)) continue;
    if (isSlanted(map)) ({ scale, angle } = polar(map, qx[i]!, qy[i]!));
    const tolerance = slack * TOLERANCE * Math.min(MOST_ENLARGED, Math.max(1, scale));
    if (
      x * x + y * y <= tolerance * tolerance &&
      Math.abs(growth[i]! - Math.log(scale)) <= SCALE_SLACK &&
      Math.abs(wrap(turn[i]! - angle)) <= ANGLE_SLACK
    )
      own.push(i);
  }
  return own;
}

const underOf = (map: Affine, x: number, y: number): number => 1 + (map[6] ?? 0) * x + (map[7] ?? 0) * y;
export const xOf = (map: Affine, x: number, y: number): number =>
  (map[0] * x + map[1] * y + map[2]) / underOf(map, x, y);
export const yOf = (map: Affine, x: number, y: number): number =>
  (map[3] * x + map[4] * y + map[5]) / underOf(map, x, y);

export const apply = (map: Affine, x: number, y: number): [number, number] => [xOf(map, x, y), yOf(map, x, y)];

/** The angle brought to -pi..pi. */
export const wrap = (angle: number): number => angle - 2 * Math.PI * Math.round(angle / (2 * Math.PI));

/** Is it more than an affine map, so that scale and rotation differ from place to place? */
export const isSlanted = (map: Affine): boolean => map.length > 6;

/** Mean scale and rotation, at a place, of a map that does not reflect. */
export function polar(map: Affine, x: number, y: number): { scale: number; angle: number } {
  const g = map[6] ?? 0;
  const h = map[7] ?? 0;
  const w = underOf(map, x, y);
  const u = xOf(map, x, y);
  const v = yOf(map, x, y);
  const a = (map[0] - u * g) / w;
  const b = (map[1] - u * h) / w;
  const d = (map[3] - v * g) / w;
  const e = (map[4] - v * h) / w;
  return { scale: Math.sqrt(Math.abs(a * e - b * d)), angle: Math.atan2(d - b, a + e) };
}

/** Null when the map takes all to one line. */
export function inverse([a, b, c, d, e, f, g = 0, h = 0]: Affine): Affine | null {
  const det = a * e - b * d;
  if (Math.abs(det) < 1e-9) return null;
  return [
    (e - f * h) / det,
    (c * h - b) / det,
    (b * f - c * e) / det,
    (f * g - d) / det,
    (a - c * g) / det,
    (c * d - a * f) / det,
    (d * h - e * g) / det,
    (b * g - a * h) / det,
  ];
}

function similarityOf(p: Pair): Affine {
  const scale = p.rd / p.qd;
  const c = scale * Math.cos(p.ra - p.qa);
  const s = scale * Math.sin(p.ra - p.qa);
  return [c, -s, p.rx - c * p.qx + s * p.qy, s, c, p.ry - s * p.qx - c * p.qy];
}

/** What takes both pairs where they belong. */
function similarityThrough(p: Pair, o: Pair): Affine {
  const [x, y, u, v] = [o.qx - p.qx, o.qy - p.qy, o.rx - p.rx, o.ry - p.ry];
  const square = x * x + y * y;
  const [c, s] = [(x * u + y * v) / square, (x * v - y * u) / square];
  return [c, -s, p.rx - c * p.qx + s * p.qy, s, c, p.ry - s * p.qx - c * p.qy];
}

/** How many pairs consent to the map that one of them proposes; `own`, where given, is told which. */
function consenting(
  { count, qx, qy, rx, ry, growth, turn }: Columns,
  map: Affine,
  pivot: number,
  own?: number[],
): number {
  const [a, b, c, d, e, f] = map;
  const share = ROUGH_SHARE * Math.exp(growth[pivot]!);
  let n = 0;
  for (let i = 0; i < count; i++) {
    if (Math.abs(growth[i]! - growth[pivot]!) > SCALE_SLACK) continue;
    if (Math.abs(wrap(turn[i]! - turn[pivot]!)) > ANGLE_SLACK) continue;
    const x = a * qx[i]! + b * qy[i]! + c - rx[i]!;
    const y = d * qx[i]! + e * qy[i]! + f - ry[i]!;
    const slack = ROUGH + share * Math.sqrt((qx[i]! - qx[pivot]!) ** 2 + (qy[i]! - qy[pivot]!) ** 2);
    if (x * x + y * y > slack * slack) continue;
    n++;
    own?.push(i);
  }
  return n;
}

function meanOf(column: Float64Array, own: readonly number[]): number {
  let sum = 0;
  for (let k = 0; k < own.length; k++) sum += column[own[k]!]!;
  return sum / own.length;
}

/** Where pairs lie in the middle of each side, and how they spread around that: sums of products of x, y there and u, v here. */
function momentsOf({ qx, qy, rx, ry }: Columns, own: readonly number[]) {
  const [mx, my, ux, uy] = [meanOf(qx, own), meanOf(qy, own), meanOf(rx, own), meanOf(ry, own)];
  let [xx, xy, yy, xu, yu, xv, yv] = [0, 0, 0, 0, 0, 0, 0];
  for (let k = 0; k < own.length; k++) {
    const i = own[k]!;
    const x = qx[i]! - mx;
    const y = qy[i]! - my;
    const u = rx[i]! - ux;
    const v = ry[i]! - uy;
    xx += x * x;
    xy += x * y;
    yy += y * y;
    xu += x * u;
    yu += y * u;
    xv += x * v;
    yv += y * v;
  }
  return { mx, my, ux, uy, xx, xy, yy, xu, yu, xv, yv };
}

/** The similarity nearest to the pairs. */
function similarityFrom(columns: Columns, own: readonly number[], before: Affine): Affine {
  const { mx, my, ux, uy, ...m } = momentsOf(columns, own);
  const prior = own.length * PRIOR_SPREAD ** 2;
  const sum = prior + m.xx + m.yy;
  const c = ((prior * (before[0] + before[4])) / 2 + m.xu + m.yv) / sum;
  const s = ((prior * (before[3] - before[1])) / 2 + m.xv - m.yu) / sum;
  return [c, -s, ux - c * mx + s * my, s, c, uy - s * mx - c * my];
}

/** The affine map nearest to the pairs, held near the one before where they leave it open. */
function affineFrom(columns: Columns, own: readonly number[], before: Affine): Affine {
  const { mx, my, ux, uy, xy, ...m } = momentsOf(columns, own);
  const prior = own.length * PRIOR_SPREAD ** 2;
  const [xx, yy] = [prior + m.xx, prior + m.yy];
  const [xu, yu] = [prior * before[0] + m.xu, prior * before[1] + m.yu];
  const [xv, yv] = [prior * before[3] + m.xv, prior * before[4] + m.yv];
  const det = xx * yy - xy * xy;
  const a = (xu * yy - yu * xy) / det;
  const b = (yu * xx - xu * xy) / det;
  const d = (xv * yy - yv * xy) / det;
  const e = (yv * xx - xv * xy) / det;
  return [a, b, ux - a * mx - b * my, d, e, uy - d * mx - e * my];
}

/** No reflection, no squeezing beyond MAX_ANISOTROPY, no absurd scale. */
export function isSane([a, b, , d, e]: Affine): boolean {
  const det = a * e - b * d;
  if (det <= 0) return false;
  const sum = a * a + b * b + d * d + e * e;
  const root = Math.sqrt(Math.max(0, sum * sum - 4 * det * det));
  const most = Math.sqrt((sum + root) / 2);
  const least = det / most;
  return least >= LEAST_SCALE && most <= MOST_SCALE && most <= MAX_ANISOTROPY * least;
}

/**
 * How many places are there that lie further than `apart` from each other? The same corner jitters from frame to frame and
 * is found at several scales: it counts once. Greedy from the left, so that the order given does not matter.
 */
export function distinctPlaces(points: readonly (readonly [number, number])[], apart: number): number {
  /** Of each cell its places: x, y, x, y ... */
  const kept = new Map<number, number[]>();
  const key = (i: number, j: number) => i * 65536 + j;
  let count = 0;
  for (const [x, y] of [...points].sort((a, b) => a[0] - b[0] || a[1] - b[1])) {
    const [i, j] = [Math.floor(x / apart) + 4096, Math.floor(y / apart) + 4096];
    let free = true;
    for (let di = -1; di <= 0 && free; di++)
      for (let dj = -1; dj <= 1 && free; dj++)
        if (isNear(kept.get(key(i + di, j + dj)) ?? [], x, y, apart)) free = false;
    if (!free) continue;
    const here = kept.get(key(i, j));
    if (here) here.push(x, y);
    else kept.set(key(i, j), [x, y]);
    count++;
  }
  return count;
}

function isNear(places: readonly number[], x: number, y: number, apart: number): boolean {
  for (let k = 0; k < places.length; k += 2)
    if ((places[k]! - x) ** 2 + (places[k + 1]! - y) ** 2 < apart * apart) return true;
  return false;
}

/** Pixels: nearer places are one place; sides of the cells that are counted. */
const APART = 6;
const CELL = 64;

const inUpload = ({ qx, qy }: Pair) => [qx, qy] as const;
const inReference = ({ rx, ry }: Pair) => [rx, ry] as const;

/** Places that pairs agree in, each counted once on either side. */
export const placesOf = (pairs: readonly Pair[]): number =>
  Math.min(distinctPlaces(pairs.map(inUpload), APART), distinctPlaces(pairs.map(inReference), APART));

/** Cells of the picture that they lie in, on the side where these are more. */
export const cellsCovered = (pairs: readonly Pair[]): number =>
  Math.max(cellsWith(pairs.map(inUpload)), cellsWith(pairs.map(inReference)));

const cellsWith = (points: readonly (readonly [number, number])[]): number =>
  new Set(points.map(([x, y]) => Math.floor(x / CELL) * 64 + Math.floor(y / CELL))).size;
