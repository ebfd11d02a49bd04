/** A slice of film that is copied as it is, proved by its keyframes: decoding all of it would say no more. */
import {
  type Alignment,
  type CodeTable,
  type Evidence,
  type Fingerprint,
  FRAME_FLAT,
  isFit,
  RADIUS,
  type Span,
  tableOf,
} from '@vigil/contracts';
import { confirm, extentOf } from './confirm.ts';
import { at } from './line.ts';
import { isProof, rankOf } from './solid.ts';

/** So many, all of which must agree, and closely on average; dense reading asks for 4 within 45 bits. */
const LEAST_KEYFRAMES = 6;
/** Pictures among them that differ. */
const LEAST_DISTINCT = 4;
/**
 * Seconds from one to the next: encoders set one every 250 frames at the latest. What lies between two that agree on one line
 * is not looked at; it could be other footage only if that had been put over the film, not into it.
 */
const LONGEST_GAP = 10.5;
/** Seconds from the slice's ends to the nearest: a copy that ends in there is said to end with the slice. */
const LONGEST_EDGE = 2.5;
/** A decoder seeks so many seconds before what it is asked for; the last keyframe is then where it begins. */
const AFTER_KEYFRAME = 2.05;

/** Can the keyframes of a slice speak for all that lies between them? */
export function keyframesReach(upload: Fingerprint): boolean {
  const times = fitTimes(upload);
  const near = (t: number, i: number) => i === 0 || t - times[i - 1]! <= LONGEST_GAP;
  return upload.sampling === 'keyframes' && times.length >= LEAST_KEYFRAMES && times.every(near);
}

/** Parts at the slice's ends, in seconds of the upload, that are too far from any keyframe: they have to be read densely. */
export function openEdges(upload: Fingerprint): Span[] {
  const times = fitTimes(upload);
  const [start, end] = upload.span;
  const [first, last] = [times[0] ?? end, times.at(-1) ?? end];
  const edges: Span[] = [];
  if (first - start > LONGEST_EDGE) edges.push([start, first]);
  if (end - last > LONGEST_EDGE) edges.push([last + AFTER_KEYFRAME, end]);
  return edges;
}

/** Seconds by which a line may be off, at the very ends of a reference. */
const SLACK = 0.6;

/** The time nearest to `t` that the reference's slices hold. */
function nearest(t: number, reference: readonly Fingerprint[]): number {
  const within = reference.map(({ span: [from, to] }) => Math.min(to, Math.max(from, t)));
  return within.reduce((a, b) => (Math.abs(b - t) < Math.abs(a - t) ? b : a));
}

const fitTimes = (upload: Fingerprint): number[] => [...upload.frames.time].filter((_, frame) => isFit(upload, frame));

/** The pictures of one slice that was read in parts, as one reading of its keyframes: all frames in order of time. */
export function withEdges(keyframes: Fingerprint, edges: readonly Fingerprint[]): Fingerprint {
  const parts = [keyframes, ...edges];
  const frames = parts
    .flatMap(({ frames: { time } }, part) => Array.from(time, (at, frame) => ({ part, frame, at })))
    .sort((a, b) => a.at - b.at);
  const places = parts.map(({ frames: { time } }) => new Uint16Array(time.length));
  frames.forEach(({ part, frame }, place) => {
    places[part]![frame] = place;
  });
  const tables = parts.map((part) => tableOf(part, 'picture'));
  const bytes = (of: (table: CodeTable) => Uint8Array) => Uint8Array.from(tables.flatMap((table) => [...of(table)]));
  return {
    ...keyframes,
    frames: {
      time: Float64Array.from(frames, ({ at }) => at),
      quality: Uint8Array.from(frames, ({ part, frame }) => parts[part]!.frames.quality[frame]!),
      flags: Uint8Array.from(frames, ({ part, frame }) => parts[part]!.frames.flags[frame]!),
    },
    tables: [
      {
        ...tables[0]!,
        count: tables.reduce((n, { count }) => n + count, 0),
        bits: bytes(({ bits }) => bits),
        frame: Uint16Array.from(tables.flatMap(({ frame }, part) => Array.from(frame, (f) => places[part]![f]!))),
        place: Uint16Array.from(tables.flatMap(({ place }) => [...place])),
        turn: bytes(({ turn }) => turn),
        quality: bytes(({ quality }) => quality),
      },
    ],
  };
}

/**
 * As `confirm`, of a slice of which keyframes were read, by whole pictures: null unless each of them agrees with the reference
 * along one line. All of the slice is a copy then, and its ends are the slice's own, once it has no open edges.
 */
export function confirmKeyframes(
  upload: Fingerprint,
  alignment: Alignment,
  reference: readonly Fingerprint[],
): Evidence | null {
  if (alignment.kind !== 'picture' || alignment.referenceMedia !== 'video' || !keyframesReach(upload)) return null;
  const found = confirm(upload, alignment, reference);
  const [segment, ...others] = found?.segments ?? [];
  if (!found || !segment || others.length > 0) return null;
  const shows = upload.frames.flags.reduce((n, flags) => n + (flags & FRAME_FLAT ? 0 : 1), 0);
  if (segment.frames.matched < shows || segment.distance.mean > RADIUS) return null;
  if (segment.distinct < LEAST_DISTINCT || !isProof(segment) || rankOf(segment) > 0) return null;
  const [start, end] = upload.span;
  // Where the reference has nothing to compare with, the copy has ended before.
  const shown = [at(segment, start), at(segment, end)].map((t) => nearest(t, reference)) as Span;
  if (Math.abs(shown[0] - at(segment, start)) > SLACK || Math.abs(shown[1] - at(segment, end)) > SLACK) return null;
  const whole = { ...segment, upload: [start, end] as Span, reference: shown };
  return { ...found, ...extentOf([whole], upload, reference) };
}
