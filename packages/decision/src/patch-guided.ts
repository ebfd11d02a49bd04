import { CODE_BYTES, type Fingerprint, hamming, RADIUS, TURNS, tableOf } from '@vigil/contracts';
import { at, type Line } from './line.ts';
import {
  type Affine,
  apply,
  cellsCovered,
  fitAffine,
  isSlanted,
  type Pair,
  placesOf,
  polar,
  sizeOf,
  wrap,
  xOf,
  yOf,
} from './patch-geometry.ts';
import { patchQueries } from './patch-queries.ts';
import { withSlant } from './patch-slant.ts';
import type { QueryCodes } from './query-codes.ts';

/**
 * With the geometry known, a patch of the reference is expected at one place, of one size and at one angle. Codes further apart
 * than the index finds then say something too: of 20 unrelated pictures under the same map none had more than one such patch,
 * where copies have 8 to 66.
 */
const GUIDED_RADIUS = 72;
/** Pixels; of films, whose proposals pool frames that moved, so many times more at first. */
const NEAR = 10;
const ROUGHLY = 2.5;
/** Where the reference is the larger picture, what is near grows with it, up to so many times. */
const MOST_GROWN = 1.5;
/** Log of the sizes' ratio; radians. */
const SIZE_SLACK = 0.35;
const ANGLE_SLACK = 0.45;
/** Pairs that a map is fitted to. */
const LEAST_PAIRS = 6;
const ROUNDS = 3;
/** Seconds between a frame of a film and the patched frame of the reference that it is held against. */
const SAME_TIME = 1.05;
const MIRROR = TURNS.indexOf('mirror');

export interface Guided {
  /** Upload to reference, in fractions, after the fit over all places that agree. */
  map: Affine;
  /** Places that agree, each counted once, and cells of the picture that they lie in. */
  inliers: number;
  cells: number;
  /** Patches that agree within RADIUS; one place may have several, of several sizes. */
  agreeing: number;
  /** Of the reference's patches that lie in the upload's view: how many. */
  visible: number;
}

interface Patch {
  x: number;
  y: number;
  size: number;
  angle: number;
  bits: Uint8Array;
  at: number;
}

/** Patches of a frame of the upload, and of each frame of the reference that it should show. */
interface Held {
  mine: Patch[];
  shown: Patch[][];
}

type Size = ReturnType<typeof sizeOf>;
type Sizes = readonly [upload: Size, reference: Size];

/** Two still pictures under a map (fractions of the upload to fractions of the reference); null where one has no patches. */
export function guided(upload: Fingerprint, reference: Fingerprint, map: Affine): Guided | null {
  const sizes = [sizeOf(upload.width / upload.height), sizeOf(reference.width / reference.height)] as const;
  const mine = patchesOf(patchQueries(upload), isMirrored(map), sizes[0]).get(0);
  const theirs = referencePatches(reference, sizes[1]).get(0);
  return mine && theirs ? settledOn([{ mine, shown: [theirs] }], sizes, map, 1) : null;
}

/** A slice of film and what it should show along a line. Patches of a reference's frame stand for a second on either side. */
export function guidedFilm(
  upload: Fingerprint,
  reference: readonly Fingerprint[],
  map: Affine,
  line: Line,
): Guided | null {
  const shape = reference[0];
  if (!shape) return null;
  const sizes = [sizeOf(upload.width / upload.height), sizeOf(shape.width / shape.height)] as const;
  const mine = patchesOf(patchQueries(upload), isMirrored(map), sizes[0]);
  const all = reference.flatMap((slice) =>
    [...referencePatches(slice, sizes[1])].map(([frame, theirs]) => ({ time: slice.frames.time[frame]!, theirs })),
  );
  const held: Held[] = [];
  for (const [frame, patches] of mine) {
    const due = at(line, upload.frames.time[frame]!);
    const near = all.filter(({ time }) => Math.abs(time - due) <= SAME_TIME);
    if (near.length > 0) held.push({ mine: patches, shown: near.map(({ theirs }) => theirs) });
  }
  return held.length > 0 ? settledOn(held, sizes, map, ROUGHLY) : null;
}

const isMirrored = ([a, b, , d, e]: Affine): boolean => a * e - b * d < 0;

function settledOn(held: readonly Held[], sizes: Sizes, map: Affine, slack: number): Guided {
  const mirrored = isMirrored(map);
  let inPixels = scaled(mirrored ? reflected(map) : map, sizes);
  let found = match(held, inPixels, sizes, slack);
  let fitted = slack === 1;
  for (let round = 0; round < ROUNDS && found.pairs.length >= LEAST_PAIRS; round++) {
    const affine = fitAffine(found.pairs);
    if (!affine) break;
    const next = withSlant(found.pairs, affine, sizes[0].width, sizes[0].height);
    const again = match(held, next, sizes, 1);
    if (round > 0 && again.pairs.length <= found.pairs.length) break;
    if (slack === 1 && again.pairs.length < found.pairs.length) break;
    [inPixels, found] = [next, again];
    fitted = true;
  }
  // What is counted has to fit closely.
  if (!fitted) found = match(held, inPixels, sizes, 1);
  const back = unscaled(inPixels, sizes);
  return {
    map: mirrored ? reflected(back) : back,
    inliers: placesOf(found.pairs),
    cells: cellsCovered(found.pairs),
    agreeing: found.close,
    visible: found.visible,
  };
}

function match(held: readonly Held[], map: Affine, [us]: Sizes, slack: number) {
  const corners = [
    [0, 0],
    [us.width, 0],
    [us.width, us.height],
    [0, us.height],
  ].map(([x, y]) => apply(map, x!, y!));
  const out = { pairs: [] as Pair[], close: 0, visible: 0 };
  for (const { mine, shown } of held) {
    const seen = expected(mine, map);
    for (const theirs of shown) {
      const visible = theirs.filter((patch) => isInside(corners, patch.x, patch.y));
      out.visible += visible.length;
      for (const { a, b, distance } of pairsOf(mine, seen, visible, slack)) {
        out.pairs.push({ qx: a.x, qy: a.y, qd: a.size, qa: a.angle, rx: b.x, ry: b.y, rd: b.size, ra: b.angle });
        if (distance <= RADIUS) out.close++;
      }
    }
  }
  return out;
}

/** Patches of two frames that lie where they should and have like codes, each in one pair at most: the nearest first. */
function pairsOf(mine: readonly Patch[], seen: Expected, theirs: readonly Patch[], slack: number) {
  const widest = slack * NEAR * MOST_GROWN;
  const candidates: { q: number; r: number; distance: number }[] = [];
  for (const [r, patch] of theirs.entries()) {
    for (let i = seen.firstFrom(patch.x - widest); i < mine.length && seen.x[i]! <= patch.x + widest; i++) {
      const scale = seen.scale[i]!;
      const near = slack * NEAR * Math.min(MOST_GROWN, Math.max(1, scale));
      if (Math.abs(seen.x[i]! - patch.x) > near || Math.abs(seen.y[i]! - patch.y) > near) continue;
      const q = seen.whose[i]!;
      const s = mine[q]!;
      if (Math.abs(Math.log(patch.size / s.size / scale)) > SIZE_SLACK) continue;
      if (Math.abs(wrap(patch.angle - s.angle - seen.turn[i]!)) > ANGLE_SLACK) continue;
      const distance = hamming(s.bits, patch.bits, s.at, patch.at, GUIDED_RADIUS);
      if (distance <= GUIDED_RADIUS) candidates.push({ q, r, distance });
    }
  }
  candidates.sort((x, y) => x.distance - y.distance || x.q - y.q || x.r - y.r);
  const [usedQ, usedR] = [new Set<number>(), new Set<number>()];
  const pairs: { a: Patch; b: Patch; distance: number }[] = [];
  for (const { q, r, distance } of candidates) {
    if (usedQ.has(q) || usedR.has(r)) continue;
    usedQ.add(q);
    usedR.add(r);
    pairs.push({ a: mine[q]!, b: theirs[r]!, distance });
  }
  return pairs;
}

type Expected = ReturnType<typeof expected>;

/** Where patches should be seen, how much larger and turned how far: from left to right, so that few are looked at for each place. */
function expected(mine: readonly Patch[], map: Affine) {
  const column = () => new Float64Array(mine.length);
  const places = column();
  for (let q = 0; q < mine.length; q++) places[q] = xOf(map, mine[q]!.x, mine[q]!.y);
  const whose = [...mine.keys()].sort((a, b) => places[a]! - places[b]!);
  const [x, y, scale, turn] = [column(), column(), column(), column()];
  let seen = polar(map, 0, 0);
  for (let i = 0; i < whose.length; i++) {
    const p = mine[whose[i]!]!;
    x[i] = places[whose[i]!]!;
    y[i] = yOf(map, p.x, p.y);
    if (isSlanted(map)) seen = polar(map, p.x, p.y);
    scale[i] = seen.scale;
    turn[i] = seen.angle;
  }
  const firstFrom = (least: number): number => {
    let [low, high] = [0, x.length];
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (x[middle]! < least) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return { whose, x, y, scale, turn, firstFrom };
}

/** Is the point on one side of all four edges? */
function isInside(corners: readonly (readonly [number, number])[], x: number, y: number): boolean {
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

/** By frame, in pixels and radians; of the upload as it is, or mirrored. */
function patchesOf(queries: QueryCodes, mirrored: boolean, size: Size): Map<number, Patch[]> {
  const wanted = mirrored ? MIRROR : 0;
  const out = new Map<number, Patch[]>();
  for (let q = 0; q < queries.frame.length; q++)
    if (queries.turn[q] === wanted) addTo(out, queries.frame[q]!, patchAt(queries, q, size));
  return out;
}

function referencePatches(reference: Fingerprint, size: Size): Map<number, Patch[]> {
  const table = tableOf(reference, 'patch');
  const out = new Map<number, Patch[]>();
  for (let i = 0; i < table.count; i++) addTo(out, table.frame[i]!, patchAt(table, i, size));
  return out;
}

function addTo(map: Map<number, Patch[]>, frame: number, patch: Patch): void {
  const list = map.get(frame);
  if (list) list.push(patch);
  else map.set(frame, [patch]);
}

function patchAt({ place, bits }: { place: Uint16Array; bits: Uint8Array }, i: number, size: Size): Patch {
  return {
    x: (place[4 * i]! / 65535) * size.width,
    y: (place[4 * i + 1]! / 65535) * size.height,
    size: (Math.max(1, place[4 * i + 2]!) / 65535) * Math.hypot(size.width, size.height),
    angle: (place[4 * i + 3]! / 65536) * 2 * Math.PI,
    bits,
    at: i * CODE_BYTES,
  };
}

/** The map for the upload with left and right exchanged. */
function reflected([a, b, c, d, e, f, g = 0, h = 0]: Affine): Affine {
  const w = 1 + g;
  return [-a / w, b / w, (a + c) / w, -d / w, e / w, (d + f) / w, -g / w, h / w];
}

function scaled([a, b, c, d, e, f, g = 0, h = 0]: Affine, [u, r]: Sizes): Affine {
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

const unscaled = (map: Affine, [u, r]: Sizes): Affine =>
  scaled(map, [
    { width: 1 / u.width, height: 1 / u.height },
    { width: 1 / r.width, height: 1 / r.height },
  ]);
