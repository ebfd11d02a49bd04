import {
  type Alignment,
  type Evidence,
  type Fingerprint,
  FRAME_FOUND,
  isFit,
  RADIUS,
  type Segment,
} from '@vigil/contracts';
import {
  CLOSE_SECONDS,
  LONG_SECONDS,
  MIN_DISTINCT,
  MIN_SECONDS,
  SOLID_CELLS,
  SOLID_INLIERS,
  STILL_CELLS,
  STILL_INLIERS,
  STRONG_MEAN,
} from './limits.ts';

/** Does it rest on whole pictures, or on enough patches that lie far enough apart? */
export function isSolid(s: Segment): boolean {
  if (s.inliers === undefined) return true;
  const one = s.reference[0] === s.reference[1];
  return one ? hasPlaces(s, STILL_INLIERS, STILL_CELLS) : hasPlaces(s);
}

type Places = Pick<Segment, 'inliers' | 'cells'>;
const hasPlaces = ({ inliers = 0, cells = 0 }: Places, least = SOLID_INLIERS, leastCells = SOLID_CELLS): boolean =>
  inliers >= least && cells >= leastCells;

/** Near and solid; very near, of few patches; near, of few patches; not near. A union never ranks below its parts. */
export const RANKS = [0, 1, 2, 3] as const;
export type Rank = (typeof RANKS)[number];

export function rankOf(s: Segment): Rank {
  if (s.distance.mean > STRONG_MEAN) return 3;
  if (isSolid(s)) return 0;
  return s.distance.mean <= RADIUS ? 1 : 2;
}

/** Seconds that a stretch must last to prove a copy, by its rank. */
const LEAST_SECONDS: readonly number[] = [0, CLOSE_SECONDS, LONG_SECONDS, Number.POSITIVE_INFINITY];

/** Close, at a known time, of several pictures that differ: a still background proves nothing. */
export const isProof = (s: Segment): boolean =>
  s.timed &&
  s.distinct >= MIN_DISTINCT + (rankOf(s) > 0 ? 1 : 0) &&
  s.upload[1] - s.upload[0] >= LEAST_SECONDS[rankOf(s)]!;

/** Thumbnails that agree so much leave nothing to be said by a closer look at patches. */
const SURE_PICTURE = 0.9;

/**
 * Does it prove all of a slice that is fit to be looked for, as closely as can be? Then what else may align with the same reference adds
 * nothing: `join` would find it wholly explained, and no rule asks for more. Never true of pictures in films and stills of films.
 */
export function provesAll({ segments, referenceMedia }: Evidence, upload: Fingerprint): boolean {
  if (upload.sampling === 'still' || referenceMedia === 'image') {
    const isImage = upload.sampling === 'still' && referenceMedia === 'image';
    return isImage && segments.some((s) => isSolid(s) && (s.correlation ?? 0) >= SURE_PICTURE);
  }
  return segments.some((s) => isProof(s) && rankOf(s) === 0 && openFrames(upload, [s]) === 0);
}

/**
 * More places agree under one geometry than by any accident, and still the thumbnails follow the film for a part of the slice at most:
 * where much moves, those of a first look lie too far from the instants of the reference's. Of a slice that was read densely.
 */
export function isHalfSeen(upload: Fingerprint, alignments: readonly Alignment[], found: readonly Evidence[]): boolean {
  const films = found.filter(({ referenceMedia }) => referenceMedia === 'video');
  if (!hasRoom(upload, films)) return false;
  const places = [...alignments.filter((a) => a.referenceMedia === 'video'), ...segmentsOf(films)];
  return places.some((p) => hasPlaces(p));
}

const segmentsOf = (found: readonly Evidence[]): Segment[] => found.flatMap(({ segments }) => segments);

/** Does a frame lie in none of the segments? */
const isOpen = (t: number, segments: readonly Segment[]): boolean =>
  !segments.some(({ upload: [from, to] }) => t >= from && t <= to);

/** How many frames of a slice are fit to be judged and lie in none of the segments. */
function openFrames(upload: Fingerprint, segments: readonly Segment[]): number {
  return upload.frames.time.reduce((n, t, frame) => n + Number(isOpen(t, segments) && isFit(upload, frame)), 0);
}

/**
 * A slice that was read densely, to be looked for by what is left of it, where a part of it was found: another work may be there, of
 * which a few keyframes said nothing. All of its frames stay, so that whoever confirms sees what lies between two of them. Null where
 * nothing was found, or no room is left.
 */
export function leftOver(upload: Fingerprint, found: readonly Evidence[]): Fingerprint | null {
  if (found.length === 0 || !hasRoom(upload, found)) return null;
  const { frames } = upload;
  const segments = segmentsOf(found);
  const flags = frames.flags.map((flag, n) => (isOpen(frames.time[n]!, segments) ? flag : flag | FRAME_FOUND));
  return { ...upload, frames: { ...frames, flags } };
}

/** Is there room in a slice of film for a shot that could prove something, beside what was found? */
export function hasRoom(upload: Fingerprint, found: readonly Evidence[]): boolean {
  const { frames, span } = upload;
  const share = openFrames(upload, segmentsOf(found)) / Math.max(1, frames.time.length);
  return share * (span[1] - span[0]) >= MIN_SECONDS;
}

/** Does it explain anything that what was found before does not? */
export const addsTo = (found: readonly Evidence[], evidence: Evidence, upload: Fingerprint): boolean =>
  openFrames(upload, segmentsOf([...found, evidence])) < openFrames(upload, segmentsOf(found));
