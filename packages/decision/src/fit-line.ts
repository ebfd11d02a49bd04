import type { Alignment } from '@vigil/contracts';
import { AGREES, LONGEST_HOLD } from './limits.ts';
import { at, type Line, SPEEDS } from './line.ts';
import type { Stretch } from './stretches.ts';
import { type Distances, UNKNOWN } from './timeline.ts';

/** Hits that lines are tried through, and offsets tried around each: seconds, and shares of the time a frame is held. */
const MAX_PIVOTS = 12;
const NUDGES = [0, 0.1, -0.1, 0.2, -0.2];
const HOLDS = [0.25, 0.5, 0.75, 1];
/** Frames from which on the votes say something about the speed. */
const VOTED = 5;

/** Seconds that a speed other than 1 must make over a stretch to be believed: frames are half a second apart. */
const SEEN_SPEED = 0.25;

/** How well upload and reference agree along a line: every frame adds what it lies below AGREES. */
function agreement(distances: Distances, line: Line, first = 0, last = distances.upload.time.length - 1): number {
  let sum = 0;
  for (let u = first; u <= last; u++) {
    const d = distances.near(u, at(line, distances.upload.time[u]!), 0);
    if (d !== UNKNOWN && d < AGREES) sum += AGREES - d;
  }
  return sum;
}

/** Lines along which the slice agrees best, among lines through the alignment's hits: at speed 1, and at any speed. */
export function fitLines(distances: Distances, alignment: Alignment): Line[] {
  // Where many frames voted, their speed and its neighbours are tried in small steps, others in large ones.
  const speeds =
    alignment.frames >= VOTED ? SPEEDS.filter((s, k) => k % 3 === 0 || Math.abs(s - alignment.speed) <= 0.031) : SPEEDS;
  let even = { line: { offset: alignment.offset, speed: 1 }, score: -1 };
  let best = even;
  for (const speed of speeds) {
    for (const pivot of pivotsOf(distances, alignment)) {
      const line = { speed, offset: pivot.ref - speed * pivot.at };
      const score = agreement(distances, line);
      if (score > best.score) best = { line, score };
      if (speed === 1 && score > even.score) even = { line, score };
    }
  }
  return best.line.speed === 1 ? [even.line] : [even.line, best.line];
}

/** Ten bits of agreement a frame, and 3 %: a wrong speed always fits a little better somewhere. */
export const clearlyBetter = (score: number, than: number): boolean => score > 1.03 * than + 10;

/** Points of (upload time, reference time) that a line may go through. */
function pivotsOf(distances: Distances, alignment: Alignment): { at: number; ref: number }[] {
  const { hits } = alignment;
  const step = Math.max(1, Math.ceil(hits.length / MAX_PIVOTS));
  const middle = hits.length > 0 ? hits[hits.length >> 1]!.at : 0;
  const points = [{ at: middle, ref: at(alignment, middle), hold: 0 }];
  for (let i = 0; i < hits.length; i += step) {
    const k = distances.shown(hits[i]!.ref + 1e-6);
    const hold = k < 0 ? 0 : Math.min(LONGEST_HOLD, distances.reference.until[k]! - hits[i]!.ref);
    points.push({ at: hits[i]!.at, ref: hits[i]!.ref, hold });
  }
  return points.flatMap((p) => [
    ...NUDGES.map((n) => ({ at: p.at, ref: p.ref + n })),
    ...(p.hold > 0.3 ? HOLDS.map((h) => ({ at: p.at, ref: p.ref + h * p.hold })) : []),
  ]);
}

/**
 * The line once more, over one stretch, in finer steps, and how well it agrees. Kept frames make the agreement a step
 * function of the offset; the middle of its highest step is taken.
 */
export function refineLine(distances: Distances, line: Line, stretch: Stretch): { line: Line; score: number } {
  const { time } = distances.upload;
  const centre = (time[stretch.first]! + time[stretch.last]!) / 2;
  const extent = time[stretch.last]! - time[stretch.first]!;
  const here = at(line, centre);
  const score = (speed: number, ref: number) =>
    agreement(distances, { speed, offset: ref - speed * centre }, stretch.first, stretch.last);
  const bestAt = (speed: number) => {
    let best = { speed, ref: here, score: score(speed, here) };
    for (let nudge = -15; nudge <= 15; nudge++) {
      const ref = here + nudge * 0.04;
      const s = score(speed, ref);
      if (s > best.score) best = { speed, ref, score: s };
    }
    return best;
  };

  // Steps that move the ends of the stretch by 0.05 s.
  const fine = extent >= 4 ? Math.max(0.0025, 0.1 / extent) : 0;
  const steps = fine > 0 ? Math.min(6, Math.ceil(0.02 / fine)) : 0;
  let best = bestAt(line.speed);
  for (let k = -steps; k <= steps; k++) {
    const other = bestAt(line.speed + k * fine);
    if (other.score > best.score) best = other;
  }
  if (Math.abs(best.speed - 1) < 0.04) {
    const even = bestAt(1);
    if (extent * Math.abs(best.speed - 1) < SEEN_SPEED || !clearlyBetter(best.score, even.score)) best = even;
  }
  const flat = (direction: number): number => {
    let n = 0;
    while (n < 60 && score(best.speed, best.ref + direction * (n + 1) * 0.02) >= best.score) n++;
    return n * 0.02;
  };
  const ref = best.ref + (flat(1) - flat(-1)) / 2;
  return { line: { speed: best.speed, offset: ref - best.speed * centre }, score: best.score };
}
