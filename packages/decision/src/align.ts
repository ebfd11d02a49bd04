import {
  type Alignment,
  CODE_BYTES,
  codeToHex,
  type Fingerprint,
  type ReferenceKey,
  referenceKey,
  TURNS,
} from '@vigil/contracts';
import { LONGEST_HOLD, SPEED_ALTERED } from './limits.ts';
import { at, type Line, median, SPEEDS } from './line.ts';
import { isWhole, placeAt, regionOf } from './places.ts';
import type { QueryCodes } from './query-codes.ts';

/** What the index says of one query code; structurally what `similarity` returns. */
export interface QueryHit {
  query: number;
  distance: number;
  origin: {
    reference: ReferenceKey;
    media: 'image' | 'video';
    time: number;
    place: readonly [number, number, number, number];
  };
}

/** Bounds: groups looked at, hits voted with in one group, lines taken from one group, hits kept in an alignment. */
const MAX_GROUPS = 64;
const MAX_VOTES = 2048;
const MAX_LINES = 8;
const MAX_KEPT = 96;
/** Lines that explain no frame that a better line of the same group did not: kept only so many. */
const MAX_ECHOES = 2;

/** Seconds: width of a bin, half of it from one to the next; how near a hit of a line lies; what is the same line. */
const BIN = 0.4;
const NEAR = 0.3;
const SAME_LINE = 1.5;

interface Vote {
  frame: number;
  at: number;
  ref: number;
  /** When the reference shows its next picture, as far as the hits tell. */
  until: number;
  distance: number;
  query: number;
}

interface Group {
  first: QueryHit;
  turn: number;
  inverted: boolean;
  votes: Vote[];
}

interface Found {
  line: Line;
  votes: Vote[];
  frames: number;
}

/**
 * Hits of one slice, grouped to alignments: best first, at most `limit`, one line in time each. Not thresholded: a
 * single hit is an alignment. Where few hits leave the speed open it is 1; `confirm` looks closer.
 *
 * Vote (after Douze, Jégou, Schmid, "An image-based approach to video copy detection with spatio-temporal
 * post-filtering", 2010): for each speed, a histogram of t_ref - speed * t_upload that counts *distinct* upload frames.
 * A kept reference frame stands for those after it until the next kept one, so a hit may also lie before its line.
 */
export function align(
  fingerprint: Fingerprint,
  queries: QueryCodes,
  hits: readonly QueryHit[],
  limit = 6,
): Alignment[] {
  const still = fingerprint.sampling === 'still';
  const perReference = new Map<string, { found: Found; group: Group }[]>();
  for (const group of groupsOf(fingerprint, queries, hits)) {
    const key = referenceKey(group.first.origin.reference);
    const list = perReference.get(key) ?? [];
    perReference.set(key, list);
    const timeless = still || group.first.origin.media === 'image';
    for (const found of timeless ? timelessOf(group) : linesOf(group.votes)) list.push({ found, group });
  }
  const ranked: { found: Found; group: Group; score: number }[] = [];
  for (const list of perReference.values()) {
    list.sort((a, b) => strength(b.found) - strength(a.found));
    const kept: typeof list = [];
    for (const one of list) {
      if (kept.some((other) => sameLine(one, other))) continue;
      // So that a reference with many lines (a static scene) does not crowd out another's only hit.
      ranked.push({ ...one, score: strength(one.found) / 2 ** kept.length });
      kept.push(one);
    }
  }
  ranked.sort((a, b) => b.score - a.score || compare(a, b));
  return ranked.slice(0, limit).map(({ found, group }) => alignmentOf(found, group, queries));
}

/** More frames first; among equals the nearer pictures. */
const strength = (f: Found): number =>
  f.frames + 1 / (1 + f.votes.reduce((s, v) => s + v.distance, 0) / f.votes.length);

function compare(a: { group: Group; found: Found }, b: { group: Group; found: Found }): number {
  const ka = referenceKey(a.group.first.origin.reference);
  const kb = referenceKey(b.group.first.origin.reference);
  return ka < kb ? -1 : ka > kb ? 1 : a.found.line.offset - b.found.line.offset;
}

/** Whole and trimmed pictures often say the same thing twice. */
function sameLine(a: { found: Found; group: Group }, b: { found: Found; group: Group }): boolean {
  if (a.group.turn !== b.group.turn || a.group.inverted !== b.group.inverted) return false;
  const mid = median(a.found.votes.map((v) => v.at));
  return (
    Math.abs(at(a.found.line, mid) - at(b.found.line, mid)) < SAME_LINE &&
    Math.abs(a.found.line.speed - b.found.line.speed) < 0.05
  );
}

function groupsOf(fingerprint: Fingerprint, queries: QueryCodes, hits: readonly QueryHit[]): Group[] {
  const groups = new Map<string, Group>();
  for (const hit of hits) {
    const q = hit.query;
    const uploadWhole = isWhole(placeAt(queries.place, q));
    const key = `${referenceKey(hit.origin.reference)} ${queries.turn[q]} ${queries.inverted[q]} ${uploadWhole} ${isWhole(hit.origin.place)}`;
    let group = groups.get(key);
    if (!group) {
      group = { first: hit, turn: queries.turn[q]!, inverted: queries.inverted[q] === 1, votes: [] };
      groups.set(key, group);
    }
    if (hit.distance < group.first.distance) group.first = hit;
    const frame = queries.frame[q]!;
    const ref = hit.origin.media === 'image' ? 0 : hit.origin.time;
    const time = fingerprint.sampling === 'still' ? 0 : fingerprint.frames.time[frame]!;
    group.votes.push({ frame, at: time, ref, until: ref, distance: hit.distance, query: q });
  }
  const list = [...groups.entries()].map(([key, g]) => ({ key, g, frames: new Set(g.votes.map((v) => v.frame)).size }));
  list.sort((a, b) => b.frames - a.frames || a.g.first.distance - b.g.first.distance || (a.key < b.key ? -1 : 1));
  for (const { g } of list) {
    if (g.votes.length > MAX_VOTES) {
      g.votes.sort((a, b) => a.distance - b.distance);
      g.votes.length = MAX_VOTES;
    }
    g.votes.sort((a, b) => b.ref - a.ref);
    let next = Number.POSITIVE_INFINITY;
    for (let i = 0; i < g.votes.length; i++) {
      const v = g.votes[i]!;
      if (i > 0 && g.votes[i - 1]!.ref > v.ref) next = g.votes[i - 1]!.ref;
      v.until = Math.min(next, v.ref + LONGEST_HOLD);
    }
    g.votes.sort((a, b) => a.frame - b.frame || a.ref - b.ref || a.distance - b.distance);
  }
  return list.slice(0, MAX_GROUPS).map((x) => x.g);
}

/** An image on either side: no line to find. Of a still in a film, the places in the film that it may be from. */
function timelessOf(group: Group): Found[] {
  if (group.first.origin.media === 'image') {
    const frames = new Set(group.votes.map((v) => v.frame)).size;
    return [{ line: { offset: 0, speed: 1 }, votes: group.votes, frames }];
  }
  const found: Found[] = [];
  for (const vote of [...group.votes].sort((a, b) => a.distance - b.distance || a.ref - b.ref)) {
    if (found.length > MAX_ECHOES) break;
    if (found.some((f) => Math.abs(f.line.offset - vote.ref) < SAME_LINE)) continue;
    found.push({ line: { offset: vote.ref, speed: 1 }, votes: [vote], frames: 1 });
  }
  return found;
}

/** Lines of one group, best first. A line's hits are taken out before the next is sought; its frames are not. */
function linesOf(all: readonly Vote[]): Found[] {
  const found: Found[] = [];
  const explained = new Set<number>();
  let echoes = 0;
  let votes = [...all];
  while (votes.length > 0 && found.length < MAX_LINES && echoes <= MAX_ECHOES) {
    const line = refine(bestLine(votes), votes);
    const own = votes.filter((v) => agrees(v, line));
    if (own.length === 0) break;
    const frames = new Set(own.map((v) => v.frame));
    const isNew = [...frames].some((f) => !explained.has(f));
    if (isNew || echoes < MAX_ECHOES) found.push({ line, votes: own, frames: frames.size });
    if (!isNew) echoes++;
    for (const f of frames) explained.add(f);
    const taken = new Set(own);
    votes = votes.filter(
      (v) => !taken.has(v) && !(frames.has(v.frame) && Math.abs(at(line, v.at) - v.ref) < SAME_LINE),
    );
  }
  return found;
}

/** Does the hit lie on the line, or its reference frame still stand at the line's time? */
function agrees(v: Vote, line: Line): boolean {
  const late = at(line, v.at) - v.ref;
  return late >= -NEAR && (late <= NEAR || v.ref + late < v.until);
}

/**
 * Speed 1 unless another explains clearly more. At speed 1 held frames count as well: the regular frames that a
 * reference keeps of a still would else agree best with whatever speed makes them meet the upload's.
 */
function bestLine(votes: readonly Vote[]): Line {
  const top = bestBins(votes, 1);
  const even = leastLate(votes, 1, top.bins);
  let best = { speed: 1, bins: top.bins, count: Math.max(2, 1.1 * even.frames) };
  for (const speed of SPEEDS) {
    const { count, bins } = bestBins(votes, speed);
    if (speed !== 1 && count > best.count) best = { speed, bins, count };
  }
  return { speed: best.speed, offset: best.speed === 1 ? even.offset : leastLate(votes, best.speed, best.bins).offset };
}

/** The bins [k * BIN / 2, k * BIN / 2 + BIN) that the most distinct frames vote for; `votes` in order of frame. */
function bestBins(votes: readonly Vote[], speed: number): { count: number; bins: number[] } {
  const tally = new Map<number, { count: number; last: number }>();
  let count = 0;
  for (const v of votes) {
    const k = Math.floor((v.ref - speed * v.at) / (BIN / 2));
    for (const bin of [k - 1, k]) {
      const t = tally.get(bin);
      if (!t) {
        tally.set(bin, { count: 1, last: v.frame });
        count = Math.max(count, 1);
      } else if (t.last !== v.frame) {
        t.last = v.frame;
        count = Math.max(count, ++t.count);
      }
    }
  }
  const bins: number[] = [];
  for (const [bin, t] of tally) if (t.count === count) bins.push(bin);
  return { count, bins: bins.sort((a, b) => a - b) };
}

/** Of equally good bins, the one that explains the most frames when reference frames are held; then the nearest ones. */
function leastLate(votes: readonly Vote[], speed: number, bins: readonly number[]): { offset: number; frames: number } {
  let best = { offset: 0, frames: -1, distance: 0 };
  const step = Math.max(1, Math.floor(bins.length / 64));
  for (let b = 0; b < bins.length; b += step) {
    const offset = (bins[b]! * BIN) / 2 + BIN / 2;
    const nearest = new Map<number, number>();
    for (const v of votes) {
      if (!agrees(v, { offset, speed })) continue;
      nearest.set(v.frame, Math.min(nearest.get(v.frame) ?? 256, v.distance));
    }
    const distance = [...nearest.values()].reduce((s, d) => s + d, 0) / Math.max(1, nearest.size);
    if (nearest.size > best.frames || (nearest.size === best.frames && distance < best.distance))
      best = { offset, frames: nearest.size, distance };
  }
  return best;
}

/** Least squares over the line's nearest hit a frame where there are enough of them; else the median offset. */
function refine(line: Line, votes: readonly Vote[]): Line {
  const nearest = new Map<number, Vote>();
  for (const v of votes) {
    const error = Math.abs(at(line, v.at) - v.ref);
    const other = nearest.get(v.frame);
    if (error <= NEAR && (!other || error < Math.abs(at(line, other.at) - other.ref))) nearest.set(v.frame, v);
  }
  const own = [...nearest.values()];
  if (own.length === 0) return line;
  let { speed } = line;
  const extent = own[own.length - 1]!.at - own[0]!.at;
  if (speed !== 1 && own.length >= 5 && extent >= 4) {
    const ma = own.reduce((s, v) => s + v.at, 0) / own.length;
    const mr = own.reduce((s, v) => s + v.ref, 0) / own.length;
    const slope =
      own.reduce((s, v) => s + (v.at - ma) * (v.ref - mr), 0) / own.reduce((s, v) => s + (v.at - ma) ** 2, 0);
    if (Math.abs(slope - speed) <= 0.03) speed = slope;
  }
  return { speed, offset: median(own.map((v) => v.ref - speed * v.at)) };
}

function alignmentOf(found: Found, group: Group, queries: QueryCodes): Alignment {
  const { origin } = group.first;
  const nearest = new Map<number, Vote>();
  for (const v of found.votes) {
    const other = nearest.get(v.frame);
    const error = (w: Vote) => Math.abs(at(found.line, w.at) - w.ref);
    if (!other || error(v) < error(other)) nearest.set(v.frame, v);
  }
  // Too many frames to name: spread over the slice, since confirm starts from them.
  const all = [...nearest.values()].sort((a, b) => a.frame - b.frame);
  const kept = all.filter(
    (_, i) => Math.floor((i * MAX_KEPT) / all.length) !== Math.floor(((i - 1) * MAX_KEPT) / all.length),
  );
  const upload = placeAt(queries.place, found.votes[0]!.query);
  return {
    reference: origin.reference,
    kind: 'picture',
    referenceMedia: origin.media,
    altered: {
      ...(group.turn !== 0 && { turn: TURNS[group.turn]! }),
      ...(group.inverted && { inverted: true }),
      ...(!isWhole(upload) && { inset: regionOf(upload) }),
      ...(!isWhole(origin.place) && { cropped: regionOf(origin.place) }),
      ...(Math.abs(found.line.speed - 1) > SPEED_ALTERED && { speed: found.line.speed }),
    },
    offset: found.line.offset,
    speed: found.line.speed,
    frames: found.frames,
    hits: (all.length > MAX_KEPT ? kept : all).slice(0, MAX_KEPT).map((v) => ({
      at: v.at,
      ref: v.ref,
      distance: v.distance,
      quality: queries.quality[v.query]!,
      code: codeToHex(queries.bits, v.query * CODE_BYTES),
    })),
  };
}
