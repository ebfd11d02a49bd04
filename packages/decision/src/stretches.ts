import { codeToHex, RADIUS, type Segment } from '@vigil/contracts';
import { differing, type Picture, spread } from './distinct.ts';
import { AGREES, GAP_FRAMES, LONG_FRAMES, LONG_MEAN, SPARSE_SECONDS, STRONG_FRAMES, STRONG_MEAN } from './limits.ts';
import { at, type Line } from './line.ts';
import { codeBytes, type Pictures } from './pictures.ts';
import { type Distances, UNKNOWN } from './timeline.ts';

/** Frames of the upload, first to last, that agree with the reference along one line. */
export interface Stretch {
  first: number;
  last: number;
  matched: number[];
  eligible: number;
}

/** Seconds by which a line may be off where frames are compared. */
const SLACK = 0.06;
/** A frame shows what the film shows until the next one is taken; ends are put half-way, at most this far. */
const HALF_GAP = 0.3;
/** Other offsets at which a stretch is looked at to see whether its time means anything. */
const SHIFTS = [-8, -4, -2, 2, 4, 8];
/** Bits by which the mean may be worse there and still say the same. */
const AS_WELL = 15;
/**
 * Grows stretches from frames within RADIUS to both sides, over at most GAP_FRAMES in a row that do not agree. Frames
 * with nothing in them do not count either way. With `within`, only the one that shares the most frames with it.
 */
export function stretchesOf(distances: Distances, line: Line, within?: Stretch): Stretch[] {
  const { time } = distances.upload;
  const found: Stretch[] = [];
  let open: Stretch | null = null;
  let seeded = false;
  let bad = 0;
  let pending = 0;
  const close = () => {
    if (open && seeded) found.push(open);
    open = null;
    seeded = false;
    bad = 0;
    pending = 0;
  };
  for (let u = 0; u < time.length; u++) {
    const d = distances.near(u, at(line, time[u]!), SLACK);
    if (d === UNKNOWN) continue;
    if (d <= AGREES) {
      open ??= { first: u, last: u, matched: [], eligible: 0 };
      open.last = u;
      open.matched.push(u);
      open.eligible += pending + 1;
      seeded ||= d <= RADIUS;
      bad = 0;
      pending = 0;
    } else if (open) {
      pending++;
      if (++bad > GAP_FRAMES) close();
    }
  }
  close();
  if (!within) return found;
  const overlap = (s: Stretch) => Math.min(s.last, within.last) - Math.max(s.first, within.first);
  return found.sort((a, b) => overlap(b) - overlap(a)).slice(0, 1);
}

/**
 * What a stretch proves, or null when that is too little. Of a slice with hardly any frames (a film given as pictures, one every
 * ten seconds) all must agree; its time is then a guess, since three camera positions of a studio meet by chance somewhere.
 */
export function segmentOf(
  distances: Distances,
  line: Line,
  stretch: Stretch,
  span: readonly [number, number],
): Segment | null {
  const { upload, reference } = distances;
  const near = (u: number, shift = 0) => distances.near(u, at(line, upload.time[u]!) + shift, SLACK);
  // Judged by all its frames, those in the gaps included; reported of those that agree.
  let all = 0;
  for (let u = stretch.first; u <= stretch.last; u++) all += Math.max(0, near(u));
  const agreeing = stretch.matched.map((u) => near(u));
  const enough = accepted(all / stretch.eligible, stretch);
  if (!enough && !isAllOfFew(upload, span, stretch, agreeing)) return null;

  const mean = agreeing.reduce((s, d) => s + d, 0) / agreeing.length;
  const pictures = picturesThatDiffer(distances, line, stretch, near);
  const begin = edge(upload.time, stretch.first, -1, span[0]);
  const end = edge(upload.time, stretch.last, 1, span[1]);
  const first = reference.from[0]!;
  const last = reference.until[reference.until.length - 1]!;
  const clamp = (t: number) => Math.min(last, Math.max(first, t));
  return {
    upload: [begin, end],
    reference: [clamp(at(line, begin)), clamp(at(line, end))],
    offset: line.offset,
    speed: line.speed,
    frames: { matched: stretch.matched.length, eligible: stretch.eligible },
    distance: { mean, worst: Math.max(...agreeing) },
    distinct: pictures.length,
    timed: enough && pictures.length >= 2 && !timeless(stretch, mean, near),
    pictures: spread(pictures),
  };
}

function accepted(mean: number, { matched, eligible }: Stretch): boolean {
  if (2 * matched.length < eligible) return false;
  return (
    (mean <= STRONG_MEAN && matched.length >= STRONG_FRAMES) || (mean <= LONG_MEAN && matched.length >= LONG_FRAMES)
  );
}

/** Has the slice too few frames for anything, and do all of them agree closely? */
function isAllOfFew(
  upload: Pictures,
  [start, end]: readonly [number, number],
  { matched }: Stretch,
  agreeing: readonly number[],
): boolean {
  const few = end - start > SPARSE_SECONDS * upload.time.length;
  const eligible = upload.eligible.reduce((n, e) => n + e, 0);
  return few && matched.length === eligible && agreeing.every((d) => d <= RADIUS);
}

/** Half-way to the next frame looked at; at the edge of a slice, its edge, so that stretches touch over it. */
function edge(time: Float64Array, frame: number, step: 1 | -1, limit: number): number {
  const t = time[frame]!;
  const next = time[frame + step];
  if (next !== undefined) return t + step * Math.min(HALF_GAP, Math.abs(next - t) / 2);
  return Math.abs(limit - t) <= 2 * HALF_GAP + 0.1 ? limit : t + step * HALF_GAP;
}

/**
 * Pictures of the reference that the stretch's frames show within RADIUS and that lie more than RADIUS from each other.
 * The reference's own codes: a coarse copy of one still differs from itself. Pages do not count.
 */
function picturesThatDiffer(
  { upload, reference, shown }: Distances,
  line: Line,
  stretch: Stretch,
  near: (u: number) => number,
): Picture[] {
  const seen: Picture[] = [];
  for (const u of stretch.matched) {
    const time = upload.time[u]!;
    const k = shown(at(line, time));
    const slice = reference.slices[reference.slice[k]!];
    if (!slice || near(u) > RADIUS || upload.page[u] || slice.page[reference.frame[k]!]) continue;
    const code = codeBytes(slice, reference.frame[k]!);
    if (code) seen.push({ at: time, code: codeToHex(code) });
  }
  return differing(seen);
}

/**
 * Would the stretch agree about as well seconds earlier or later? Then what moves in it has no part in the agreement:
 * a still, or another recording before the same background.
 */
function timeless(stretch: Stretch, mean: number, near: (u: number, shift: number) => number): boolean {
  let looked = 0;
  let agree = 0;
  for (const shift of SHIFTS) {
    let sum = 0;
    let n = 0;
    for (const u of stretch.matched) {
      const d = near(u, shift);
      if (d === UNKNOWN) continue;
      sum += d;
      n++;
    }
    if (2 * n < stretch.matched.length) continue;
    looked++;
    if (sum / n <= Math.min(STRONG_MEAN, mean + AS_WELL)) agree++;
  }
  return looked > 0 && 2 * agree >= looked;
}
