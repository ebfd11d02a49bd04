import { CODE_BYTES, type Fingerprint, hamming, RADIUS, tableOf } from '@vigil/contracts';
import { type Affine, apply, distinctPlaces, fitAffine, type Pair, polar, sizeOf, wrap } from './patch-geometry.ts';
import { patchQueries } from './patch-queries.ts';
import { withSlant } from './patch-slant.ts';

/**
 * With the geometry known, a patch of the reference is expected at one place, of one size and at one angle. Codes further apart
 * than the index finds then say something too: unrelated ones lie 100 bits apart and more.
 */
const GUIDED_RADIUS = 72;
/** Pixels; log of the sizes' ratio; radians. */
const NEAR = 10;
const SIZE_SLACK = 0.35;
const ANGLE_SLACK = 0.45;
const APART = 6;
const CELL = 64;

export interface Guided {
  /** Upload to reference, in fractions, after the fit over all places that agree. */
  map: Affine;
  inliers: number;
  cells: number;
  /** Patches that agree within RADIUS; one place may have several, of several sizes. */
  agreeing: number;
  /** Of the reference's patches that lie in the upload's view: how many. */
  visible: number;
}

/** Places of two still pictures that agree under a map (fractions of the upload to fractions of the reference). */
export function guided(upload: Fingerprint, reference: Fingerprint, map: Affine): Guided | null {
  const sizes = [sizeOf(upload.width / upload.height), sizeOf(reference.width / reference.height)] as const;
  const [a, b, , d, e] = map;
  const mirrored = a * e - b * d < 0;
  const queries = patchQueries(upload);
  const theirs = tableOf(reference, 'patch');
  if (queries.frame.length === 0 || theirs.count === 0) return null;
  let inPixels = scaled(mirrored ? reflected(map) : map, sizes);
  let found = match(queries, theirs, inPixels, mirrored, sizes);
  for (let round = 0; round < 2 && found.pairs.length >= 6; round++) {
    const { width, height } = sizes[0];
    const affine = fitAffine(found.pairs);
    if (!affine) break;
    const next = withSlant(found.pairs, affine, width, height);
    const again = match(queries, theirs, next, mirrored, sizes);
    if (again.pairs.length < found.pairs.length) break;
    [inPixels, found] = [next, again];
  }
  const [u, r] = [found.pairs.map((p) => [p.qx, p.qy] as const), found.pairs.map((p) => [p.rx, p.ry] as const)];
  const back = unscaled(inPixels, sizes);
  return {
    map: mirrored ? reflected(back) : back,
    inliers: Math.min(distinctPlaces(u, APART), distinctPlaces(r, APART)),
    cells: Math.max(cellsCovered(u), cellsCovered(r)),
    agreeing: found.close,
    visible: found.visible,
  };
}

type Size = ReturnType<typeof sizeOf>;

function match(
  queries: ReturnType<typeof patchQueries>,
  theirs: ReturnType<typeof tableOf>,
  map: Affine,
  mirrored: boolean,
  [us, rs]: readonly [Size, Size],
): { pairs: Pair[]; close: number; visible: number } {
  const [ud, rd] = [Math.hypot(us.width, us.height), Math.hypot(rs.width, rs.height)];
  const candidates: { pair: Pair; q: number; j: number; distance: number }[] = [];
  const visible = new Set<number>();
  const half = queries.frame.length / 2;
  const seen = Array.from({ length: half }, (_, k) => {
    const q = mirrored ? k + half : k;
    const [x, y, size, angle] = queries.place.subarray(4 * q, 4 * q + 4) as unknown as [number, number, number, number];
    const at = { qx: (x / 65535) * us.width, qy: (y / 65535) * us.height };
    const { scale, angle: turn } = polar(map, at.qx, at.qy);
    const [px, py] = apply(map, at.qx, at.qy);
    return { q, ...at, px, py, qd: (size / 65535) * ud, qa: (angle / 65536) * 2 * Math.PI, scale, turn };
  });
  const corners = [
    [0, 0],
    [us.width, 0],
    [us.width, us.height],
    [0, us.height],
  ].map(([x, y]) => apply(map, x!, y!));
  for (let j = 0; j < theirs.count; j++) {
    const [x, y, size, angle] = theirs.place.subarray(4 * j, 4 * j + 4) as unknown as [number, number, number, number];
    const r = {
      rx: (x / 65535) * rs.width,
      ry: (y / 65535) * rs.height,
      rd: (size / 65535) * rd,
      ra: (angle / 65536) * 2 * Math.PI,
    };
    if (!inside(corners, r.rx, r.ry)) continue;
    visible.add(j);
    for (const s of seen) {
      const near = NEAR * Math.min(1.5, Math.max(1, s.scale));
      if (Math.abs(s.px - r.rx) > near || Math.abs(s.py - r.ry) > near) continue;
      if (Math.abs(Math.log(r.rd / s.qd / s.scale)) > SIZE_SLACK) continue;
      if (Math.abs(wrap(r.ra - s.qa - s.turn)) > ANGLE_SLACK) continue;
      const distance = hamming(queries.bits, theirs.bits, s.q * CODE_BYTES, j * CODE_BYTES);
      if (distance <= GUIDED_RADIUS)
        candidates.push({ pair: { ...r, qx: s.qx, qy: s.qy, qd: s.qd, qa: s.qa }, q: s.q, j, distance });
    }
  }
  candidates.sort((x, y) => x.distance - y.distance || x.q - y.q || x.j - y.j);
  const [usedQ, usedJ] = [new Set<number>(), new Set<number>()];
  const pairs: Pair[] = [];
  let close = 0;
  for (const c of candidates) {
    if (usedQ.has(c.q) || usedJ.has(c.j)) continue;
    usedQ.add(c.q);
    usedJ.add(c.j);
    pairs.push(c.pair);
    if (c.distance <= RADIUS) close++;
  }
  return { pairs, close, visible: visible.size };
}

function inside(corners: readonly (readonly [number, number])[], x: number, y: number): boolean {
  let sign = 0;
  for (let k = 0; k < 4; k++) {
    const [ax, ay] = corners[k]!;
    const [bx, by] = corners[(k + 1) % 4]!;
    const side = Math.sign((bx - ax) * (y - ay) - (by - ay) * (x - ax));
    if (sign !== 0 && side !== 0 && side !== sign) return false;
    if (side !== 0) sign = side;
  }
  return true;
}

const cellsCovered = (points: readonly (readonly [number, number])[]): number =>
  new Set(points.map(([x, y]) => Math.floor(x / CELL) * 64 + Math.floor(y / CELL))).size;

/** The map for the upload with left and right exchanged. */
function reflected([a, b, c, d, e, f, g = 0, h = 0]: Affine): Affine {
  const w = 1 + g;
  return [-a / w, b / w, (a + c) / w, -d / w, e / w, (d + f) / w, -g / w, h / w];
}

function scaled([a, b, c, d, e, f, g = 0, h = 0]: Affine, [u, r]: readonly [Size, Size]): Affine {
  const [x, y] = [r.width, r.height];
  return [
    (a * x) / u.width,
    (b * x) / u.height,
    c * x,
    (d * y) / u.width,
    (e * y) / u.height,
    f * y,
    g / u.width,
    h / u.height,
  ];
}

const unscaled = (map: Affine, [u, r]: readonly [Size, Size]): Affine =>
  scaled(map, [
    { width: 1 / u.width, height: 1 / u.height },
    { width: 1 / r.width, height: 1 / r.height },
  ]);
