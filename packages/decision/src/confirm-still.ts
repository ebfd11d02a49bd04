import {
  type Alignment,
  type Evidence,
  type Fingerprint,
  RADIUS,
  type Region,
  type Segment,
  type Turn,
} from '@vigil/contracts';
import { confidenceOf } from './confidence.ts';
import { DRAWN_SHARE, isDrawn } from './drawn.ts';
import { GAP_FRAMES, MAYBE_PICTURE, SAME_PICTURE } from './limits.ts';
import { covered } from './line.ts';
import { inverse } from './patch-geometry.ts';
import { guided } from './patch-guided.ts';
import { type Fit, frameDistance, type Pictures, picturesOf } from './pictures.ts';
import { alike, areaOf, type Place, regionOf, WHOLE } from './places.ts';
import { correlate, sourceMap, thumbnailNear } from './thumbnails.ts';
import { shownAt, timelineOf } from './timeline.ts';

/** Seconds around a hit of a still in a film that are looked at, and how near in time its thumbnail must lie. */
const AROUND = 2;
const THUMBNAIL_WITHIN = 1;
/** Patches of a drawn reference from which on it matters how many of them are found again. */
const LEAST_PATCHES = 20;

interface Seen {
  frame: number;
  distance: number;
  correlation: number | null;
  upload: Place;
  reference: Place;
  /** Seconds in the reference; 0 for an image. */
  time: number;
}

/** An image on either side (or both): single pictures within RADIUS, and thumbnails that do not contradict. */
export function confirmStill(
  upload: Fingerprint,
  alignment: Alignment,
  reference: readonly Fingerprint[],
): Evidence | null {
  const { turn = 'none', inverted = false } = alignment.altered;
  const mine = picturesOf(upload, turn, inverted);
  const seen: Seen[] = [];
  for (let frame = 0; frame < mine.time.length; frame++) {
    const one = bestOf(upload, mine, frame, alignment, reference);
    if (one && one.distance <= RADIUS && (one.correlation ?? MAYBE_PICTURE) >= MAYBE_PICTURE) seen.push(one);
  }
  const best = seen.reduce<Seen | null>((b, s) => (b && b.distance <= s.distance ? b : s), null);
  if (!best) return null;
  const still = upload.sampling === 'still';
  if (still && alignment.referenceMedia === 'image' && !inverted) {
    const likeness = drawnLikeness(upload, reference[0]!, best, turn);
    if (likeness !== null) best.correlation = Math.min(likeness, best.correlation ?? likeness);
    if (likeness !== null && likeness < MAYBE_PICTURE) return null;
  }
  const segments = still ? [segmentOf([best], [0, 0])] : runsOf(seen).map((run) => segmentOf(run, spanOf(run, upload)));
  const total = covered(segments.map((s) => s.upload));
  const same = alike(best.upload, best.reference);
  const inset = same || isAll(best.upload) ? null : regionOf(best.upload);
  const cropped = same || isAll(best.reference) ? null : regionOf(best.reference);
  const length = upload.span[1] - upload.span[0];
  return {
    reference: alignment.reference,
    referenceMedia: alignment.referenceMedia,
    kind: 'picture',
    altered: {
      ...(turn !== 'none' && { turn }),
      ...(inverted && { inverted }),
      ...(inset && { inset }),
      ...(cropped && { cropped }),
    },
    segments,
    longest: Math.max(...segments.map((s) => s.upload[1] - s.upload[0])),
    total,
    share: {
      upload: still ? shareOf(inset) : length > 0 ? Math.min(1, total / length) : 0,
      reference: alignment.referenceMedia === 'image' ? shareOf(cropped) : 0,
    },
    confidence: confidenceOf(segments),
  };
}

/**
 * Of a drawn reference, what its patches say: two terminals in other colours, two charts on the same axes are alike as wholes and
 * as thumbnails. Null where there are none to compare: pages, inverted copies, photographs.
 */
function drawnLikeness(
  upload: Fingerprint,
  reference: Fingerprint,
  { upload: mine, reference: theirs }: Seen,
  turn: Turn,
): number | null {
  if (reference.thumbnails.luma.length === 0 || !isDrawn(reference.thumbnails.luma)) return null;
  const map = inverse(sourceMap(turn, regionOf(mine), regionOf(theirs)));
  const closer = map && guided(upload, reference, map);
  if (!closer || closer.visible < LEAST_PATCHES) return null;
  return (SAME_PICTURE * closer.agreeing) / (DRAWN_SHARE * closer.visible);
}

const isAll = (p: Place): boolean => alike(p, WHOLE);
const shareOf = (part: Region | null): number => (part ? areaOf(part) : 1);

/** The reference's picture nearest to one frame of the upload, and what the thumbnails say of the two. */
function bestOf(
  upload: Fingerprint,
  mine: Pictures,
  frame: number,
  alignment: Alignment,
  reference: readonly Fingerprint[],
): Seen | null {
  let best: { distance: number; fit: Fit; slice: Fingerprint; theirs: Pictures; at: number; time: number } | null =
    null;
  const look = (slice: Fingerprint, theirs: Pictures, at: number, time: number) => {
    const { distance, fit } = frameDistance(mine, frame, theirs, at);
    if (!best || distance < best.distance) best = { distance, fit, slice, theirs, at, time };
  };
  if (alignment.referenceMedia === 'image') {
    for (const slice of reference) {
      const theirs = picturesOf(slice);
      for (let at = 0; at < theirs.time.length; at++) look(slice, theirs, at, 0);
    }
  } else {
    const line = timelineOf(reference, alignment.offset - AROUND, alignment.offset + AROUND);
    for (const k of shownAt(line, alignment.offset - AROUND, alignment.offset + AROUND)) {
      const s = line.slice[k]!;
      look(line.fingerprints[s]!, line.slices[s]!, line.frame[k]!, line.from[k]!);
    }
  }
  const found = best as {
    distance: number;
    fit: Fit;
    slice: Fingerprint;
    theirs: Pictures;
    at: number;
    time: number;
  } | null;
  if (!found || found.fit === 0) return null;
  const mineAt = found.fit === 2 || found.fit === 4 ? mine.trimmedPlace[frame]! : WHOLE;
  const theirsAt = found.fit === 3 || found.fit === 4 ? found.theirs.trimmedPlace[found.at]! : WHOLE;
  const a = thumbnailNear(upload, mine.time[frame]!, THUMBNAIL_WITHIN);
  const b = thumbnailNear(found.slice, found.theirs.time[found.at]!, THUMBNAIL_WITHIN);
  const { turn = 'none', inverted = false } = alignment.altered;
  const views =
    a &&
    b &&
    ([
      { luma: a, region: regionOf(mineAt) },
      { luma: b, region: regionOf(theirsAt) },
    ] as const);
  return {
    frame,
    distance: found.distance,
    correlation: views ? correlate(views[0], views[1], turn, inverted) : null,
    upload: mineAt,
    reference: theirsAt,
    time: found.time,
  };
}

/** Frames that follow each other, with at most GAP_FRAMES between two of them. */
function runsOf(seen: readonly Seen[]): Seen[][] {
  const runs: Seen[][] = [];
  for (const one of seen) {
    const run = runs.at(-1);
    if (run && one.frame - run.at(-1)!.frame <= GAP_FRAMES + 1) run.push(one);
    else runs.push([one]);
  }
  return runs;
}

function spanOf(run: readonly Seen[], upload: Fingerprint): [number, number] {
  const { time } = upload.frames;
  const [first, last] = [run[0]!.frame, run.at(-1)!.frame];
  const half = (frame: number, step: number): number => {
    const next = time[frame + step];
    return next === undefined ? 0 : Math.min(0.3, Math.abs(next - time[frame]!) / 2);
  };
  return [
    first === 0 ? upload.span[0] : time[first]! - half(first, -1),
    last === time.length - 1 ? upload.span[1] : time[last]! + half(last, 1),
  ];
}

function segmentOf(run: readonly Seen[], span: [number, number]): Segment {
  const distances = run.map((s) => s.distance);
  const correlations = run.flatMap((s) => (s.correlation === null ? [] : [s.correlation]));
  const { time } = run[0]!;
  return {
    upload: span,
    reference: [time, time],
    offset: time,
    speed: 1,
    frames: { matched: run.length, eligible: run.length },
    distance: { mean: distances.reduce((a, b) => a + b, 0) / run.length, worst: Math.max(...distances) },
    distinct: 1,
    timed: false,
    ...(correlations.length > 0 && { correlation: correlations.reduce((a, b) => a + b, 0) / correlations.length }),
  };
}
