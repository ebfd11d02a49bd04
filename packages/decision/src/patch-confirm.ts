import { type Alignment, type Evidence, type Fingerprint, RADIUS, type Segment } from '@vigil/contracts';
import { extentOf, reachOf } from './confirm.ts';
import { spread } from './distinct.ts';
import { clearlyBetter, refineLine } from './fit-line.ts';
import { AGREES, SPEED_ALTERED, STILL_INLIERS } from './limits.ts';
import { at, type Line, median, SPEEDS } from './line.ts';
import { regionsOf } from './patch-align.ts';
import { confirmPatchesStill } from './patch-confirm-still.ts';
import { type Affine, isSane, sizeOf } from './patch-geometry.ts';
import { guidedFilm } from './patch-guided.ts';
import { type Shown, settled } from './patch-settle.ts';
import { flattened } from './patch-slant.ts';
import {
  agreementOf,
  awayFromMean,
  BITS_PER_CORRELATION,
  bitsOf,
  changeAgreement,
  mapOf,
  type Thumbnail,
  thumbnailsOf,
  type View,
  viewsOf,
} from './patch-views.ts';
import { type Pictures, picturesOf } from './pictures.ts';
import { segmentOf, stretchesOf } from './stretches.ts';
import { type Distances, type Timeline, timelineOf, UNKNOWN } from './timeline.ts';

/** Seconds: how near a thumbnail must lie to stand for an instant; around the alignment's line, and steps tried there. */
const THUMBNAIL_NEAR = 0.3;
const SAME_FRAME = 0.05;
/** And from an instant, to be of it. */
const SAME_INSTANT = 0.13;
const OFFSET_REACH = 2;
const OFFSET_STEP = 0.1;
const SPEED_REACH = 0.081;
/** Hits whose surroundings are looked at, and frames taken, to settle the map. */
const SETTLE_HITS = 6;
const SETTLE_FRAMES = 5;
/** Instants on a line by which the map is settled again. */
const LEAST_ALONG = 3;
const MOST_ALONG = 8;
/** Frames that must agree roughly (in bits) before their mean says what stays. */
const MEAN_FRAMES = 6;
const MEAN_BITS = 100;
/** Least correlation of what changes, copies .35 to .9: a shared background or overlay (at most .06) stays as it is in both. */
const MOVES_ALIKE = 0.25;

/**
 * Compares a slice with a reference under the geometry of a patch alignment, thumbnail by thumbnail: null when they do
 * not agree after all. `upload` is dense or still and has thumbnails; so has the reference (every half second). Pages
 * and flat frames are neither for nor against. Otherwise as `confirm` of whole pictures.
 */
export function confirmPatches(
  upload: Fingerprint,
  proposed: Alignment,
  reference: readonly Fingerprint[],
): Evidence | null {
  const affine = proposed.altered.affine as Affine | undefined;
  if (!affine || !isPossible(affine, upload, reference)) return null;
  if (upload.sampling === 'still' || proposed.referenceMedia === 'image')
    return confirmPatchesStill(upload, proposed, reference);
  const alignment = closer(upload, proposed, affine, reference);
  const compared = closest(upload, alignment, reference);
  if (!compared) return null;
  const { lines, changes, distances, movement } = compared;

  const [even, other] = lines.map(({ line }) => followed(changes(line) ?? distances, line, upload.span));
  const found = other && clearlyBetter(other.score, even!.score) ? other : even!;
  if (found.segments.length === 0) return null;
  const segments = found.segments.map((s) => ({
    ...s,
    timed: s.timed && movement(s) >= MOVES_ALIKE,
    correlation: 1 - s.distance.mean / BITS_PER_CORRELATION,
    inliers: alignment.inliers ?? 0,
    cells: alignment.cells ?? 0,
  }));
  const longest = segments.reduce((a, b) => (seconds(b) > seconds(a) ? b : a));
  const { speed: _, ...altered } = alignment.altered;
  return {
    reference: alignment.reference,
    referenceMedia: alignment.referenceMedia,
    kind: 'patch',
    altered: { ...altered, ...(Math.abs(longest.speed - 1) > SPEED_ALTERED && { speed: longest.speed }) },
    ...extentOf(segments, upload, reference),
  };
}

const seconds = (s: Segment): number => s.upload[1] - s.upload[0];

/** The alignment with the geometry and the places that the slice's patches show when they are held against the reference's own. */
function closer(
  upload: Fingerprint,
  alignment: Alignment,
  affine: Affine,
  reference: readonly Fingerprint[],
): Alignment {
  const [from, to] = reachOf(alignment, upload.span);
  const near = reference.filter((slice) => slice.span[1] >= from && slice.span[0] <= to);
  const found = guidedFilm(upload, near, mapOf(alignment.altered) ?? affine, alignment);
  if (!found || found.inliers <= (alignment.inliers ?? 0) || !isPossible(found.map, upload, reference))
    return alignment;
  const { inset: _inset, cropped: _cropped, projective: _projective, ...altered } = alignment.altered;
  const flat = flattened(found.map, 0.5, 0.5);
  const slanted = Math.abs(found.map[6] ?? 0) + Math.abs(found.map[7] ?? 0) > 1e-9;
  return {
    ...alignment,
    inliers: found.inliers,
    cells: found.cells,
    altered: {
      ...altered,
      ...regionsOf(flat),
      affine: flat.slice(0, 6) as number[],
      ...(slanted && { projective: [...found.map] as number[] }),
    },
  };
}

/** Alignments are made without knowing the reference's shape; with it, the map must still be one that people make. */
function isPossible(affine: Affine, upload: Fingerprint, reference: readonly Fingerprint[]): boolean {
  const shape = reference[0];
  if (!shape) return false;
  const u = sizeOf(upload.width / upload.height);
  const r = sizeOf(shape.width / shape.height);
  const [a, b, , d, e] = affine;
  const reflected = a * e - b * d < 0 ? -1 : 1;
  return isSane([
    (reflected * a * r.width) / u.width,
    (b * r.width) / u.height,
    0,
    (reflected * d * r.height) / u.width,
    (e * r.height) / u.height,
    0,
  ]);
}

/**
 * The slice under the geometry that agrees best, and the lines along which it does. First by instants that agree already, wherever
 * near the line; where the camera moves, those are of other instants than the line's, so once more by instants that lie on it.
 */
function closest(upload: Fingerprint, alignment: Alignment, reference: readonly Fingerprint[]) {
  const [from, to] = reachOf(alignment, upload.span);
  const timeline = timelineOf(reference, from, to);
  const [mine, theirs] = [thumbnailsOf([upload]), thumbnailsOf(timeline.fingerprints)];
  const rough = mapOf(alignment.altered);
  if (!rough || mine.length === 0 || theirs.length === 0 || timeline.from.length === 0) return null;
  const sides = { pictures: picturesOf(upload), timeline, mine, theirs };
  const under = (map: Affine) => {
    const compared = underGeometry(map, sides);
    if (!compared) return null;
    const lines = linesNear(compared.distances, alignment);
    return { ...compared, lines, score: Math.max(...lines.map((l) => l.score)) };
  };
  const map = settled(rough, clearest(rough, alignment, mine, theirs));
  let best = under(map);
  if (!best) return null;
  // An accident of few places would only be brought nearer.
  const along = (alignment.inliers ?? 0) >= STILL_INLIERS ? best.agreeing(best.lines.at(-1)!.line) : [];
  for (const start of along.length > 0 ? new Set([map, rough]) : []) {
    const next = settled(start, along);
    const again = next === map ? null : under(next);
    if (again && again.score > best.score) best = again;
  }
  return best;
}

interface Sides {
  pictures: Pictures;
  timeline: Timeline;
  mine: readonly Thumbnail[];
  theirs: readonly Thumbnail[];
}

/** Distances as whole pictures have them, but of thumbnails laid over each other; null where they share too little. */
function underGeometry(map: Affine, { pictures, timeline, mine, theirs }: Sides) {
  const views = viewsOf(map);
  if (!views) return null;

  /** Thumbnails of the upload's frames; -1 where there is nothing to judge. */
  const judged = Array.from(pictures.time, (time, f) =>
    pictures.eligible[f] && !pictures.page[f] ? nearest(mine, time, SAME_FRAME) : -1,
  );
  const own: (View | undefined)[] = [];
  const seen = (m: number): View => {
    const known = own[m];
    if (known !== undefined) return known;
    const view = views.upload(mine[m]!.luma);
    own[m] = view;
    return view;
  };
  /**
   * The upload's thumbnail at the instant of the reference's `k`, where its frame `u` is held against `time`: in a fight, what lies a
   * quarter of a second off is another picture. The frame's own where there is none at that instant.
   */
  const together = (u: number, time: number, k: number): number => {
    const m = nearest(mine, pictures.time[u]! + theirs[k]!.time - time, SAME_INSTANT);
    return m < 0 ? judged[u]! : m;
  };
  const shown = shownIn(timeline.from, timeline.until);
  const other: (View | undefined)[] = [];
  const viewed = (k: number): View => {
    const known = other[k];
    if (known !== undefined) return known;
    const at = shown(theirs[k]!.time);
    const page = at >= 0 && timeline.slices[timeline.slice[at]!]!.page[timeline.frame[at]!];
    const view = page ? null : views.reference(theirs[k]!.luma);
    other[k] = view;
    return view;
  };
  const known = new Float32Array(mine.length * theirs.length).fill(-2);
  const one = (m: number, k: number): number => {
    const cell = m * theirs.length + k;
    if (known[cell] !== -2) return known[cell]!;
    const [a, b] = [seen(m), viewed(k)];
    const d = a && b ? bitsOf(agreementOf(a, b)) : UNKNOWN;
    known[cell] = d;
    return known[cell]!;
  };
  const measured = (distance: (m: number, k: number) => number): Distances => ({
    upload: pictures,
    reference: timeline,
    shown,
    fit: () => 0,
    near(u, time, slack) {
      if (judged[u]! < 0) return UNKNOWN;
      let best = UNKNOWN;
      for (let k = first(theirs, time - THUMBNAIL_NEAR - slack); k < theirs.length; k++) {
        if (theirs[k]!.time > time + THUMBNAIL_NEAR + slack) break;
        const d = distance(together(u, time, k), k);
        if (d !== UNKNOWN && (best === UNKNOWN || d < best)) best = d;
      }
      return best;
    },
  });
  const distances = measured(one);
  /** Thumbnails of both sides that a line lays on each other nearest to a frame of the upload. */
  const pairAt = (line: Line, u: number, time: number) => {
    const due = at(line, time);
    const k = judged[u]! >= 0 ? nearest(theirs, due, THUMBNAIL_NEAR) : -1;
    return { k, m: k < 0 ? -1 : together(u, due, k) };
  };

  /**
   * The same by what changes, where that is nearer: letters and stickers that stay over the picture are in the mean of the frames
   * along the line, and gone with it. Null where too few frames agree for a mean.
   */
  function changes(line: Line): Distances | null {
    const pairs: (readonly [NonNullable<View>, NonNullable<View>])[] = [];
    for (const [u, time] of pictures.time.entries()) {
      const { m, k } = pairAt(line, u, time);
      const [a, b] = [m < 0 ? null : seen(m), k < 0 ? null : viewed(k)];
      if (a && b && one(m, k) <= MEAN_BITS) pairs.push([a, b]);
    }
    if (pairs.length < MEAN_FRAMES) return null;
    const away = awayFromMean(pairs);
    const kept = new Float64Array(mine.length * theirs.length).fill(Number.NaN);
    return measured((m, k) => {
      const d = one(m, k);
      if (d === UNKNOWN || d <= RADIUS) return d;
      const cell = m * theirs.length + k;
      if (Number.isNaN(kept[cell])) kept[cell] = Math.min(d, bitsOf(away(seen(m)!, viewed(k)!)));
      return kept[cell]!;
    });
  }

  /** Correlation of what changes from frame to frame: letters, logos and borders that stay do not count. */
  function movement(s: Segment): number {
    const pairs: [NonNullable<View>, NonNullable<View>][] = [];
    for (const [u, time] of pictures.time.entries()) {
      if (time < s.upload[0] || time > s.upload[1]) continue;
      const { m, k } = pairAt(s, u, time);
      const [a, b] = [m < 0 ? null : seen(m), k < 0 ? null : viewed(k)];
      if (a && b) pairs.push([a, b]);
    }
    return changeAgreement(pairs);
  }

  /** Of the instants on a line that agree at least roughly, some, evenly chosen. */
  function agreeing(line: Line): Shown[] {
    const found: Shown[] = [];
    for (const [u, time] of pictures.time.entries()) {
      const { m, k } = pairAt(line, u, time);
      if (m < 0) continue;
      const d = one(m, k);
      if (d !== UNKNOWN && d <= MEAN_BITS) found.push([mine[m]!.luma, theirs[k]!.luma]);
    }
    return found.length < LEAST_ALONG ? [] : spread(found, MOST_ALONG);
  }
  return { distances, changes, movement, agreeing };
}

/** Of some instants with hits, those that agree best already, wherever near the line: with them the map is settled. */
function clearest(
  map: Affine,
  alignment: Alignment,
  mine: readonly Thumbnail[],
  theirs: readonly Thumbnail[],
): Shown[] {
  const views = viewsOf(map);
  if (!views) return [];
  const step = Math.max(1, alignment.hits.length / SETTLE_HITS);
  const found = new Map<number, { shown: Shown; correlation: number }>();
  const other: View[] = [];
  for (let i = 0; i < alignment.hits.length; i += step) {
    const hit = alignment.hits[Math.floor(i)]!;
    for (let m = first(mine, hit.at - 0.6); m < mine.length && mine[m]!.time <= hit.at + 0.6; m++) {
      const a = views.upload(mine[m]!.luma);
      const due = at(alignment, mine[m]!.time);
      for (let k = first(theirs, due - OFFSET_REACH); a && k < theirs.length; k++) {
        if (theirs[k]!.time > due + OFFSET_REACH) break;
        if (other[k] === undefined) other[k] = views.reference(theirs[k]!.luma);
        const b = other[k];
        const correlation = b ? agreementOf(a, b) : -1;
        if (correlation > (found.get(m)?.correlation ?? -1))
          found.set(m, { shown: [mine[m]!.luma, theirs[k]!.luma], correlation });
      }
    }
  }
  return [...found.values()]
    .sort((a, b) => b.correlation - a.correlation)
    .slice(0, SETTLE_FRAMES)
    .map((f) => f.shown);
}

/** Lines near the alignment's along which the slice agrees best: at speed 1, and at any speed, the better one last. */
function linesNear(distances: Distances, alignment: Alignment): { line: Line; score: number }[] {
  const { time } = distances.upload;
  const centre = alignment.hits.length > 0 ? median(alignment.hits.map((h) => h.at)) : time[time.length >> 1]!;
  let even: { line: Line; score: number } | null = null;
  let best: { line: Line; score: number } | null = null;
  for (const speed of SPEEDS.filter((s) => s === 1 || Math.abs(s - alignment.speed) <= SPEED_REACH)) {
    for (let k = -OFFSET_REACH; k <= OFFSET_REACH + 1e-9; k += OFFSET_STEP) {
      const line = { speed, offset: at(alignment, centre) + k - speed * centre };
      let score = 0;
      for (let u = 0; u < time.length; u++) {
        const d = distances.near(u, at(line, time[u]!), 0);
        if (d !== UNKNOWN && d < AGREES) score += AGREES - d;
      }
      if (!best || score > best.score) best = { line, score };
      if (speed === 1 && (!even || score > even.score)) even = { line, score };
    }
  }
  return best!.line.speed === 1 ? [even!] : [even!, best!];
}

function followed(distances: Distances, line: Line, span: readonly [number, number]) {
  const out: { segments: Segment[]; score: number } = { segments: [], score: 0 };
  for (const rough of stretchesOf(distances, line)) {
    const fine = refineLine(distances, line, rough);
    const stretch = stretchesOf(distances, fine.line, rough).at(0);
    const segment = stretch && segmentOf(distances, fine.line, stretch, span);
    if (!segment) continue;
    out.segments.push(segment);
    out.score += fine.score;
  }
  return out;
}

function shownIn(from: Float64Array, until: Float64Array): (time: number) => number {
  return (time) => {
    let lo = 0;
    let hi = from.length;
    while (lo < hi) {
      const mid = (lo + hi) >> 1;
      if (from[mid]! <= time) lo = mid + 1;
      else hi = mid;
    }
    return lo > 0 && time < until[lo - 1]! ? lo - 1 : -1;
  };
}

function first(list: readonly { time: number }[], time: number): number {
  let lo = 0;
  let hi = list.length;
  while (lo < hi) {
    const mid = (lo + hi) >> 1;
    if (list[mid]!.time < time) lo = mid + 1;
    else hi = mid;
  }
  return lo;
}

function nearest(list: readonly { time: number }[], time: number, within: number): number {
  const k = first(list, time);
  const off = (i: number) => (list[i] ? Math.abs(list[i]!.time - time) : Number.POSITIVE_INFINITY);
  const best = off(k - 1) < off(k) ? k - 1 : k;
  return off(best) <= within ? best : -1;
}
