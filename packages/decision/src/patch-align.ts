import { type Alignment, type Fingerprint, type Region, TURNS, type Turn } from '@vigil/contracts';
import type { QueryHit } from './align.ts';
import { SPEED_ALTERED } from './limits.ts';
import { at, type Line, median, SPEEDS } from './line.ts';
import {
  type Affine,
  apply,
  cellsCovered,
  fitAffine,
  inliersOf,
  inverse,
  isSlanted,
  type Pair,
  placesOf,
  polar,
  sizeOf,
} from './patch-geometry.ts';
import { flattened, withSlant } from './patch-slant.ts';
import {
  type Cell,
  cellsOf,
  type Group,
  groupsOf,
  hitsOf,
  TIME_TOLERANCE,
  type Vote,
  windowsFrom,
} from './patch-votes.ts';
import type { QueryCodes } from './query-codes.ts';

/** Shapes that a reference may have: hits do not tell, and an affine does not mind once it is found. */
const ASPECTS = [16 / 9, 4 / 3, 2.37, 1, 3 / 4, 9 / 16];
/** Bounds: geometries of one group, pairs fitted, hits kept in an alignment. */
const MAX_GEOMETRIES = 6;
const MAX_PAIRS = 600;
const MAX_KEPT = 96;
/** Seconds around a cell's line within which hits of the same geometry may correct the line. */
const LINE_REACH = 5;
/** A region whose sides lie this near to the picture's own is all of it. */
const WHOLE_SLACK = 0.03;
/** Degrees from a quarter turn that still count as one. */
const QUARTER_SLACK = 20;
const MIRROR = TURNS.indexOf('mirror');

interface PatchPair extends Pair {
  votes: Vote[];
}

interface Found {
  group: Group;
  line: Line;
  aspect: number;
  /** From the (mirrored) upload to the reference, both in pixels. */
  map: Affine;
  votes: Vote[];
  inliers: number;
  cells: number;
}

/**
 * Hits of patch codes, grouped to alignments: best first, at most `limit`, one line in time and one geometry each. At
 * least four places agree in each (three in two stills); nothing else is asked for.
 *
 * Hits vote in cells of offset in time, octave of scale and eighth of a turn (after Jégou, Douze, Schmid, "Hamming
 * embedding and weak geometric consistency", 2008); in the fullest cells a map is fitted (patch-geometry.ts). A place
 * counts once, however many frames repeat it, on either side.
 */
export const alignPatches = (
  fingerprint: Fingerprint,
  queries: QueryCodes,
  hits: readonly QueryHit[],
  limit?: number,
): Alignment[] => alignGroups(fingerprint, queries, groupsOf(fingerprint, queries, hits), limit);

/** The same of hits that are grouped already. */
export function alignGroups(
  fingerprint: Fingerprint,
  queries: QueryCodes,
  groups: readonly Group[],
  limit = 6,
): Alignment[] {
  const aspect = fingerprint.width > 0 && fingerprint.height > 0 ? fingerprint.width / fingerprint.height : 1;
  const found: Found[] = [];
  const taken = new Set<Vote>();
  const counts = new Map<Group, number>();
  for (const cell of cellsOf(groups)) {
    const n = counts.get(cell.group) ?? 0;
    if (n >= MAX_GEOMETRIES) continue;
    const one = geometryOf(cell, aspect, taken);
    if (!one) continue;
    for (const v of one.explained) taken.add(v);
    counts.set(cell.group, n + 1);
    found.push(one);
  }
  found.sort((a, b) => b.inliers - a.inliers || b.cells - a.cells);
  const perReference = new Map<string, number>();
  const ranked = found.map((f) => {
    const key = `${f.group.reference.id}@${f.group.reference.version}`;
    const before = perReference.get(key) ?? 0;
    perReference.set(key, before + 1);
    // So that one reference with many geometries does not crowd out another's only one.
    return { f, score: f.inliers / 2 ** before };
  });
  ranked.sort((a, b) => b.score - a.score);
  return ranked.slice(0, limit).map(({ f }) => alignmentOf(f, fingerprint, aspect, queries));
}

function geometryOf(cell: Cell, aspect: number, taken: ReadonlySet<Vote>): (Found & { explained: Vote[] }) | null {
  const { least } = cell.group;
  const free = cell.votes.filter((v) => !taken.has(v));
  if (free.length < least) return null;
  let best: { aspect: number; map: Affine; count: number } | null = null;
  for (const shape of [aspect, ...ASPECTS.filter((a) => Math.abs(Math.log(a / aspect)) > 0.1)]) {
    const pairs = pairsOf(free, shape);
    if (pairs.length < least) return null;
    const map = fitAffine(pairs, least);
    if (!map) continue;
    const count = placesOf(inliersOf(pairs, map));
    // The upload's own shape is tried first and wins ties.
    if (count >= least && (!best || count > best.count)) best = { aspect: shape, map, count };
  }
  if (!best) return null;

  // With the geometry known: hits of any scale and angle that fit it, first near the line, then on the corrected one.
  const { aspect: shape } = best;
  const { width, height } = sizeOf(aspect);
  const near = cell.group.votes.filter((v) => !taken.has(v) && Math.abs(at(cell.line, v.at) - v.ref) <= LINE_REACH);
  const around = pairsOf(near, shape);
  const map = withSlant(around, best.map, width, height);
  const fitting = inliersOf(around, map);
  const line = lineOf(fitting, cell.line);
  const onLine = fitting
    .map((p) => ({ ...p, votes: p.votes.filter((v) => Math.abs(at(line, v.at) - v.ref) <= TIME_TOLERANCE) }))
    .filter((p) => p.votes.length > 0);
  const finer = withSlant(onLine, fitAffine(onLine, least) ?? map, width, height);
  const own = inliersOf(onLine, finer);
  const inliers = placesOf(own);
  if (inliers < least) return null;
  return {
    group: cell.group,
    line,
    aspect: shape,
    map: finer,
    votes: own.flatMap((p) => p.votes),
    inliers,
    cells: cellsCovered(own),
    explained: fitting.flatMap((p) => p.votes),
  };
}

/** Hits in pixels, those of the same two places taken together: a still shown for a minute is one pair. Nearest first. */
function pairsOf(votes: readonly Vote[], aspect: number): PatchPair[] {
  const { width, height } = sizeOf(aspect);
  const diagonal = Math.hypot(width, height);
  const pairs = new Map<string, PatchPair>();
  for (const v of votes) {
    const [rx, ry] = [v.rx * width, v.ry * height];
    const key = [v.qx, v.qy, rx, ry].map((x) => Math.round(x / 4)).join();
    const same = pairs.get(key);
    if (same) same.votes.push(v);
    else pairs.set(key, { qx: v.qx, qy: v.qy, qd: v.qd, qa: v.qa, rx, ry, rd: v.rd * diagonal, ra: v.ra, votes: [v] });
  }
  const list = [...pairs.values()].sort((a, b) => b.votes.length - a.votes.length || order(a.votes[0]!, b.votes[0]!));
  return list.slice(0, MAX_PAIRS);
}

const order = (a: Vote, b: Vote): number => a.distance - b.distance || a.query - b.query || a.ref - b.ref;

/** The line that most places lie near; 1 among equal speeds. */
function lineOf(pairs: readonly PatchPair[], rough: Line): Line {
  const points = pairs.flatMap((p, k) => p.votes.map((v) => ({ at: v.at, ref: v.ref, k })));
  const from = Math.min(...points.slice(0, 4096).map((p) => p.at));
  const to = Math.max(...points.slice(0, 4096).map((p) => p.at));
  const centre = (from + to) / 2;
  const speeds = to - from < 2 ? [1] : SPEEDS.filter((s) => s === 1 || Math.abs(s - rough.speed) <= 0.061);
  let best = { line: rough, count: -1 };
  for (const speed of speeds) {
    const sorted = points
      .map((p) => ({ offset: p.ref - speed * (p.at - centre), id: p.k }))
      .sort((a, b) => a.offset - b.offset);
    for (const { from: first, to: end, ids } of windowsFrom(sorted, 2 * TIME_TOLERANCE)) {
      const needed = speed === 1 ? best.count : best.count * 1.05 + 1;
      if (ids <= needed) continue;
      const middle = median(sorted.slice(first, end).map((p) => p.offset));
      best = { line: { speed, offset: middle - speed * centre }, count: ids };
    }
  }
  return best.line;
}

function alignmentOf(found: Found, fingerprint: Fingerprint, aspect: number, queries: QueryCodes): Alignment {
  const { group, line, votes } = found;
  const seen = inFractions(found.map, aspect, found.aspect, group.turn === MIRROR);
  const slanted = isSlanted(found.map);
  const affine = flattened(seen, 0.5, 0.5);
  const timeless = fingerprint.sampling === 'still' || group.media === 'image';
  return {
    reference: group.reference,
    kind: 'patch',
    referenceMedia: group.media,
    altered: {
      ...turnOf(found.map, group.turn === MIRROR),
      ...regionsOf(affine),
      ...speedOf(line, timeless),
      affine: affine.slice(0, 6) as number[],
      ...(slanted && { projective: [...seen] as number[] }),
    },
    offset: line.offset,
    speed: line.speed,
    frames: new Set(votes.map((v) => v.frame)).size,
    inliers: found.inliers,
    cells: found.cells,
    hits: hitsOf(keptOf(votes, line), queries),
  };
}

const speedOf = (line: Line, timeless: boolean) =>
  !timeless && Math.abs(line.speed - 1) > SPEED_ALTERED ? { speed: line.speed } : {};

/** Of each frame its hit nearest to the line, spread over the slice. */
function keptOf(votes: readonly Vote[], line: Line): Vote[] {
  const nearest = new Map<number, Vote>();
  const error = (v: Vote) => Math.abs(at(line, v.at) - v.ref);
  for (const v of votes) {
    const other = nearest.get(v.frame);
    if (!other || error(v) < error(other)) nearest.set(v.frame, v);
  }
  const all = [...nearest.values()].sort((a, b) => a.frame - b.frame);
  if (all.length <= MAX_KEPT) return all;
  return Array.from({ length: MAX_KEPT }, (_, k) => all[Math.floor((k * all.length) / MAX_KEPT)]!);
}

/** From fractions of the upload as it is (a mirrored one is not turned first) to fractions of the reference. */
function inFractions(map: Affine, from: number, to: number, mirrored: boolean): Affine {
  const [a, b, c, d, e, f, g = 0, h = 0] = map;
  const u = sizeOf(from);
  const r = sizeOf(to);
  const [ax, bx, cx] = [(a * u.width) / r.width, (b * u.height) / r.width, c / r.width];
  const [dy, ey, fy] = [(d * u.width) / r.height, (e * u.height) / r.height, f / r.height];
  const [gx, hy] = [g * u.width, h * u.height];
  const slanted = isSlanted(map);
  if (!mirrored) return slanted ? [ax, bx, cx, dy, ey, fy, gx, hy] : [ax, bx, cx, dy, ey, fy];
  if (!slanted) return [-ax, bx, ax + cx, -dy, ey, dy + fy];
  const w = 1 + gx;
  return [-ax / w, bx / w, (ax + cx) / w, -dy / w, ey / w, (dy + fy) / w, -gx / w, hy / w];
}

const PLAIN: readonly Turn[] = ['none', 'rot270', 'rot180', 'rot90'];
const MIRRORED: readonly Turn[] = ['mirror', 'antitranspose', 'flip', 'transpose'];

/** With y downwards a positive angle turns clockwise. */
function turnOf(map: Affine, mirrored: boolean): { turn?: Turn } {
  const degrees = (polar(map, 320, 180).angle * 180) / Math.PI;
  const quarter = Math.round(degrees / 90);
  const near = Math.abs(degrees - 90 * quarter) <= QUARTER_SLACK ? (quarter + 4) % 4 : 0;
  const turn = (mirrored ? MIRRORED : PLAIN)[near]!;
  return turn === 'none' ? {} : { turn };
}

/** The part of the reference that is seen, and the part of the upload that shows it, where that is not all. */
export function regionsOf(affine: Affine): { cropped?: Region; inset?: Region } {
  const back = inverse(affine);
  const cropped = boxOf(affine);
  const inset = back && boxOf(back);
  return { ...(inset && { inset }), ...(cropped && { cropped }) };
}

function boxOf(map: Affine): Region | null {
  const corners = [apply(map, 0, 0), apply(map, 1, 0), apply(map, 0, 1), apply(map, 1, 1)];
  const clamp = (v: number) => Math.min(1, Math.max(0, v));
  const xs = corners.map((c) => clamp(c[0]));
  const ys = corners.map((c) => clamp(c[1]));
  const box: Region = [Math.min(...xs), Math.min(...ys), Math.max(...xs), Math.max(...ys)];
  const whole = box.every((v, k) => Math.abs(v - (k < 2 ? 0 : 1)) < WHOLE_SLACK);
  return whole ? null : box;
}
