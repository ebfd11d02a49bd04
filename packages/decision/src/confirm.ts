import type { Alignment, Altered, Evidence, Fingerprint, Segment } from '@vigil/contracts';
import { confidenceOf } from './confidence.ts';
import { confirmStill } from './confirm-still.ts';
import { clearlyBetter, fitLines, refineLine } from './fit-line.ts';
import { LONGEST_HOLD, SPEED_ALTERED, SPEED_MAX } from './limits.ts';
import { at, covered, type Line } from './line.ts';
import { type Pictures, picturesOf } from './pictures.ts';
import { alike, regionOf } from './places.ts';
import { type Stretch, segmentOf, stretchesOf } from './stretches.ts';
import { type Distances, distancesOf, timelineOf } from './timeline.ts';

/** Seconds around an alignment's line that are searched too: an offset may be a held frame's. */
const SLACK = 4;
/** Lines followed for one alignment. */
const MAX_LINES = 3;

/**
 * The seconds of a reference that `confirm` may look at for an alignment of a slice: give it the slices that reach into
 * them. Wider than the line itself, since few hits leave speed and offset open.
 */
export function reachOf(alignment: Alignment, span: readonly [number, number]): [number, number] {
  if (alignment.referenceMedia === 'image') return [0, 0];
  const ends = [at(alignment, span[0]), at(alignment, span[1])];
  for (const hit of alignment.hits) {
    ends.push(hit.ref - SPEED_MAX * (hit.at - span[0]), hit.ref + SPEED_MAX * (span[1] - hit.at));
  }
  return [Math.max(0, Math.min(...ends) - SLACK), Math.max(...ends) + SLACK];
}

/**
 * Compares a slice with a reference along an alignment, frame by frame: null when they do not agree after all.
 *
 * `upload` is dense (2 frames a second) or still; `reference` holds the reference's slices within `reachOf`, in any
 * order. The line is fitted again (few hits leave its speed open), then stretches grow from frames within RADIUS for as
 * long as frames agree, to both sides. Shares are of this slice; `join` makes them shares of the upload.
 */
export function confirm(upload: Fingerprint, alignment: Alignment, reference: readonly Fingerprint[]): Evidence | null {
  if (upload.sampling === 'still' || alignment.referenceMedia === 'image')
    return confirmStill(upload, alignment, reference);
  const { turn = 'none', inverted = false } = alignment.altered;
  const pictures = picturesOf(upload, turn, inverted);
  const distances = distancesOf(pictures, timelineOf(reference, ...reachOf(alignment, upload.span)));
  if (distances.reference.from.length === 0 || pictures.time.length === 0) return null;

  const { segments, longest } = followedAll(distances, alignment, upload.span);
  if (!longest) return null;
  return {
    reference: alignment.reference,
    referenceMedia: alignment.referenceMedia,
    kind: 'picture',
    altered: {
      ...(turn !== 'none' && { turn }),
      ...(inverted && { inverted }),
      ...regionsOf(distances, longest.line, longest.stretch),
      ...(Math.abs(longest.line.speed - 1) > SPEED_ALTERED && { speed: longest.line.speed }),
    },
    ...extentOf(segments, upload, reference),
  };
}

/** What stretches come to, in seconds, and as shares of the slice and of the slices that it was held against. */
export function extentOf(
  segments: Segment[],
  upload: Fingerprint,
  reference: readonly Fingerprint[],
): Pick<Evidence, 'segments' | 'longest' | 'total' | 'share' | 'confidence'> {
  const total = covered(segments.map((s) => s.upload));
  const shown = covered(segments.map((s) => s.reference));
  const length = reference.reduce((n, s) => n + s.span[1] - s.span[0], 0);
  return {
    segments,
    longest: Math.max(...segments.map((s) => s.upload[1] - s.upload[0])),
    total,
    share: { upload: share(total, upload.span[1] - upload.span[0]), reference: share(shown, length) },
    confidence: confidenceOf(segments),
  };
}

interface Followed {
  segments: Segment[];
  longest: { stretch: Stretch; line: Line } | null;
  /** How well the segments agree, all together. */
  score: number;
}

/**
 * Follows the line that agrees best, then, as long as hits are left that it does not explain, the best through those:
 * shots from near each other in the reference may have voted together.
 */
function followedAll(distances: Distances, alignment: Alignment, span: readonly [number, number]): Followed {
  const all: Followed = { segments: [], longest: null, score: 0 };
  let hits = alignment.hits;
  for (let round = 0; round < MAX_LINES && hits.length > 0; round++) {
    const lines = fitLines(distances, round === 0 ? alignment : { ...alignment, hits, frames: 1 });
    const [even, other] = lines.map((line) => followed(distances, line, span));
    const found = other && clearlyBetter(other.score, even!.score) ? other : even!;
    const left = hits.filter((hit) => !found.segments.some((s) => holds(s, hit)));
    // Stretches grow from hits: a line that meets none of them has crossed another one.
    if (left.length === hits.length) break;
    hits = left;
    all.segments.push(...found.segments);
    all.score += found.score;
    if (!all.longest || frames(found.longest!.stretch) > frames(all.longest.stretch)) all.longest = found.longest;
  }
  return all;
}

const frames = ({ first, last }: Stretch): number => last - first;

const holds = (s: Segment, hit: Alignment['hits'][number]): boolean =>
  hit.at >= s.upload[0] - 0.5 && hit.at <= s.upload[1] + 0.5 && Math.abs(at(s, hit.at) - hit.ref) <= LONGEST_HOLD;

/** The stretches of a slice that follow one line, each with its own, finer line. */
function followed(distances: Distances, line: Line, span: readonly [number, number]): Followed {
  const out: Followed = { segments: [], longest: null, score: 0 };
  for (const rough of stretchesOf(distances, line)) {
    // A speed is estimated over a whole stretch, then its ends are looked for once more.
    const fine = refineLine(distances, line, rough);
    const stretch = stretchesOf(distances, fine.line, rough).at(0);
    const segment = stretch && segmentOf(distances, fine.line, stretch, span);
    if (!segment) continue;
    out.segments.push(segment);
    out.score += fine.score;
    if (!out.longest || frames(stretch) > frames(out.longest.stretch)) out.longest = { stretch, line: fine.line };
  }
  return out;
}

const share = (part: number, all: number): number => (all > 0 ? Math.min(1, part / all) : 0);

/** Which parts of the two pictures agree: what most frames of the longest stretch say. */
function regionsOf(distances: Distances, line: Line, stretch: Stretch): Pick<Altered, 'inset' | 'cropped'> {
  const votes = [0, 0, 0, 0, 0];
  const last: number[] = [];
  for (const frame of stretch.matched) {
    const fit = distances.fit(frame, at(line, distances.upload.time[frame]!));
    votes[fit]!++;
    last[fit] = frame;
  }
  const fit = votes.indexOf(Math.max(...votes));
  const frame = last[fit];
  if (fit < 2 || frame === undefined) return {};
  const { upload, reference } = distances;
  const k = distances.shown(at(line, upload.time[frame]!));
  const shown: Pictures | undefined = reference.slices[reference.slice[k]!];
  const mine = upload.trimmedPlace[frame]!;
  const theirs = shown?.trimmedPlace[reference.frame[k]!];
  // The same borders on both sides are no alteration.
  if (fit === 4 && theirs && alike(mine, theirs)) return {};
  return {
    ...(fit !== 3 && { inset: regionOf(mine) }),
    ...(fit !== 2 && theirs && { cropped: regionOf(theirs) }),
  };
}
