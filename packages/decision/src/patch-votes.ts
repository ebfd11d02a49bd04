import {
  type Alignment,
  CODE_BYTES,
  codeToHex,
  type Fingerprint,
  type ReferenceKey,
  referenceKey,
} from '@vigil/contracts';
import type { QueryHit } from './align.ts';
import type { Line } from './line.ts';
import { AREA, MIN_INLIERS, MIN_STILL_INLIERS, sizeOf } from './patch-geometry.ts';
import type { QueryCodes } from './query-codes.ts';

/** One hit of a patch: where it is in the upload (pixels of AREA, radians) and in the reference (fractions, radians). */
export interface Vote {
  query: number;
  frame: number;
  distance: number;
  /** Seconds that lie on a line; 0 where one side is an image. `shown` is the upload's in any case. */
  at: number;
  shown: number;
  ref: number;
  qx: number;
  qy: number;
  qd: number;
  qa: number;
  rx: number;
  ry: number;
  rd: number;
  ra: number;
}

/** Hits of one reference by codes under one turn. */
export interface Group {
  reference: ReferenceKey;
  media: 'image' | 'video';
  turn: number;
  /** A cell of fewer votes, or a geometry of fewer places, is an accident. */
  least: number;
  votes: Vote[];
}

/** Hits of a group that agree on octave of scale, eighth of a turn and a line in time: where to look for a geometry. */
export interface Cell {
  group: Group;
  line: Line;
  count: number;
  votes: Vote[];
}

/** Seconds by which a hit may miss its line: references have a patched frame every 2 s. */
export const TIME_TOLERANCE = 1.3;
const VOTE_SPEEDS = [1, 1.06, 0.94, 1.15, 0.87, 1.25, 0.8];
/** Offsets at other speeds differ from those at speed 1 by at most this share of the slice's length. */
const SPEED_REACH = 0.25;
/** Octaves looked at on either side of equal size. */
const OCTAVES = 4;
const EIGHTHS = 16;
/** Bounds: hits of one group, nearest first, and cells of all groups, fullest first. */
const MAX_VOTES = 30_000;
const MAX_CELLS = 256;

const RADIANS = (2 * Math.PI) / 65536;

export function groupsOf(fingerprint: Fingerprint, queries: QueryCodes, hits: readonly QueryHit[]): Group[] {
  const aspect = fingerprint.width / fingerprint.height;
  const { width, height } = sizeOf(Number.isFinite(aspect) && aspect > 0 ? aspect : 1);
  const diagonal = Math.hypot(width, height);
  const still = fingerprint.sampling === 'still';
  const groups = new Map<string, Group>();
  for (const { query: q, distance, origin } of hits) {
    const { reference, media } = origin;
    const turn = queries.turn[q]!;
    const key = `${referenceKey(reference)} ${turn}`;
    let group = groups.get(key);
    if (!group) {
      const least = still && media === 'image' ? MIN_STILL_INLIERS : MIN_INLIERS;
      group = { reference, media, turn, least, votes: [] };
      groups.set(key, group);
    }
    const frame = queries.frame[q]!;
    const shown = still ? 0 : fingerprint.frames.time[frame]!;
    const [x, y, d, a] = origin.place;
    group.votes.push({
      query: q,
      frame,
      distance,
      at: media === 'image' ? 0 : shown,
      shown,
      ref: media === 'image' ? 0 : origin.time,
      qx: (queries.place[4 * q]! / 65535) * width,
      qy: (queries.place[4 * q + 1]! / 65535) * height,
      qd: (Math.max(1, queries.place[4 * q + 2]!) / 65535) * diagonal,
      qa: queries.place[4 * q + 3]! * RADIANS,
      rx: x / 65535,
      ry: y / 65535,
      rd: Math.max(1, d) / 65535,
      ra: a * RADIANS,
    });
  }
  const list = [...groups.entries()].sort(([a], [b]) => (a < b ? -1 : 1)).map(([, g]) => g);
  for (const group of list) {
    group.votes.sort(byNearness);
    if (group.votes.length > MAX_VOTES) group.votes.length = MAX_VOTES;
  }
  return list;
}

const byNearness = (a: Vote, b: Vote): number =>
  a.distance - b.distance ||
  a.query - b.query ||
  a.ref - b.ref ||
  a.rx - b.rx ||
  a.ry - b.ry ||
  a.rd - b.rd ||
  a.ra - b.ra;

/** The fullest cells of all groups; those of one group overlap. */
export function cellsOf(groups: readonly Group[]): Cell[] {
  const cells: Cell[] = [];
  for (const group of groups) if (group.votes.length >= group.least) for (const c of cellsOfGroup(group)) cells.push(c);
  return cells.sort((a, b) => b.count - a.count).slice(0, MAX_CELLS);
}

function cellsOfGroup(group: Group): Cell[] {
  // The reference's own shape is not known here; diagonals of pictures of one area differ little.
  const diagonal = 1.5 * Math.sqrt(AREA);
  const bins = new Map<number, Vote[]>();
  for (const v of group.votes) {
    const octave = Math.floor(2 * Math.log2((v.rd * diagonal) / v.qd));
    if (octave < -2 * OCTAVES || octave > 2 * OCTAVES) continue;
    const turned = (v.ra - v.qa) / (2 * Math.PI);
    const eighth = Math.floor((turned - Math.floor(turned)) * EIGHTHS) % EIGHTHS;
    for (const o of [octave, octave - 1]) {
      for (const e of [eighth, (eighth + EIGHTHS - 1) % EIGHTHS]) {
        const key = (o + 64) * EIGHTHS + e;
        const bin = bins.get(key);
        if (bin) bin.push(v);
        else bins.set(key, [v]);
      }
    }
  }
  const cells: Cell[] = [];
  for (const [, votes] of [...bins.entries()].sort(([a], [b]) => a - b))
    if (votes.length >= group.least) for (const c of windowsOf(group, votes)) cells.push(c);
  return cells;
}

/** Windows of 2 * TIME_TOLERANCE in offset that hold enough hits of different places, one cell for each, at its best speed. */
function windowsOf(group: Group, votes: readonly Vote[]): Cell[] {
  const times = votes.map((v) => v.at);
  const centre = (Math.min(...minmax(times)) + Math.max(...minmax(times))) / 2;
  const length = Math.max(...minmax(times)) - Math.min(...minmax(times));
  const offsets = (speed: number) => votes.map((v) => v.ref - speed * (v.at - centre));
  const even = fullWindows(offsets(1), TIME_TOLERANCE + (SPEED_REACH * length) / 2, group.least);
  if (even.length === 0) return [];
  const found: { centre: number; speed: number; members: number[]; count: number }[] = [];
  for (const speed of length > 0 ? VOTE_SPEEDS : [1]) {
    for (const window of fullWindows(offsets(speed), TIME_TOLERANCE, group.least)) {
      const count = new Set(window.members.map((i) => placeKey(votes[i]!))).size;
      if (count >= group.least) found.push({ ...window, speed, count });
    }
  }
  // Speed 1 first among equals: the sort is stable and VOTE_SPEEDS begins with it.
  found.sort((a, b) => b.count - a.count);
  const kept: typeof found = [];
  for (const one of found) {
    if (kept.length >= 8) break;
    if (kept.every((k) => Math.abs(k.centre - one.centre) > TIME_TOLERANCE)) kept.push(one);
  }
  return kept.map((k) => ({
    group,
    line: { speed: k.speed, offset: k.centre - k.speed * centre },
    count: k.count,
    votes: k.members.map((i) => votes[i]!),
  }));
}

const minmax = (values: readonly number[]): [number, number] => {
  let low = Number.POSITIVE_INFINITY;
  let high = Number.NEGATIVE_INFINITY;
  for (const v of values) {
    if (v < low) low = v;
    if (v > high) high = v;
  }
  return [low, high];
};

/** Where in the upload, in cells of 8 pixels: a place that many frames repeat is one. */
export const placeKey = (v: Vote): number => Math.floor(v.qx / 8) * 4096 + Math.floor(v.qy / 8);

/**
 * Of points in rising order of offset, for each the window of `width` that begins with it: [from, to) and how many different ids are
 * in it.
 */
export function* windowsFrom(
  sorted: readonly { offset: number; id: number }[],
  width: number,
): Generator<{ from: number; to: number; ids: number }> {
  const held = new Map<number, number>();
  for (let from = 0, to = 0; from < sorted.length; from++) {
    for (; to < sorted.length && sorted[to]!.offset <= sorted[from]!.offset + width; to++)
      held.set(sorted[to]!.id, (held.get(sorted[to]!.id) ?? 0) + 1);
    yield { from, to, ids: held.size };
    const { id } = sorted[from]!;
    const left = held.get(id)! - 1;
    if (left === 0) held.delete(id);
    else held.set(id, left);
  }
}

/** As an alignment names them. */
export const hitsOf = (votes: readonly Vote[], queries: QueryCodes): Alignment['hits'] =>
  votes.map((v) => ({
    at: v.shown,
    ref: v.ref,
    distance: v.distance,
    quality: queries.quality[v.query]!,
    code: codeToHex(queries.bits, v.query * CODE_BYTES),
  }));

/** Windows of +-`half` around some offset that hold `least` or more, fullest first, at least `half` apart. */
function fullWindows(offsets: readonly number[], half: number, least: number): { centre: number; members: number[] }[] {
  const order = offsets.map((_, i) => i).sort((a, b) => offsets[a]! - offsets[b]! || a - b);
  const starts: { from: number; to: number }[] = [];
  let to = 0;
  for (let from = 0; from < order.length; from++) {
    while (to < order.length && offsets[order[to]!]! <= offsets[order[from]!]! + 2 * half) to++;
    if (to - from >= least) starts.push({ from, to });
  }
  starts.sort((a, b) => b.to - b.from - (a.to - a.from) || a.from - b.from);
  const kept: { centre: number; members: number[] }[] = [];
  for (const { from, to: end } of starts) {
    if (kept.length >= 8) break;
    const centre = (offsets[order[from]!]! + offsets[order[end - 1]!]!) / 2;
    if (kept.every((k) => Math.abs(k.centre - centre) > half)) kept.push({ centre, members: order.slice(from, end) });
  }
  return kept;
}
