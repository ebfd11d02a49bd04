import { type Alignment, RADIUS } from '@vigil/contracts';
import { AGREES } from './limits.ts';
import { at, type Line, SPEEDS } from './line.ts';
import type { Stretch } from './stretches.ts';
import { type Distances, UNKNOWN } from './timeline.ts';

/** Hits that lines are tried through, and offsets tried around each: seconds, and shares of the time a frame is held. */
const MAX_PIVOTS = 12;
const NUDGES = [0, 0.1, -0.1, 0.2, -0.2];
const HOLDS = [0.25, 0.5, 0.75, 1];
const LONGEST_HOLD = 15;
/** Frames from which on the votes have fixed the speed to within 3 %. */
const VOTED = 5;

/** How well upload and reference agree along a line: every frame adds what it lies below AGREES. */
function agreement(distances: Distances, line: Line, first = 0, last = distances.upload.time.length - 1): number {
  let sum = 0;
  for (let u = first; u <= last; u++) {
    const d = distances.near(u, at(line, distances.upload.time[u]!), 0);
    if (d !== UNKNOWN && d < AGREES) sum += AGREES - d;
  }
  return sum;
}

/** The line along which the slice agrees best, among lines through the alignment's hits. Speed 1 wins unless clearly worse. */
export function fitLine(distances: Distances, alignment: Alignment): Line {
  const speeds =
    alignment.frames >= VOTED ? SPEEDS.filter((s) => s === 1 || Math.abs(s - alignment.speed) <= 0.031) : SPEEDS;
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
  return clearlyBetter(best.score, even.score) ? best.line : even.line;
}

/** Ten bits of agreement a frame, and 3 %: a wrong speed always fits a little better somewhere. */
const clearlyBetter = (score: number, than: number): boolean => score > 1.03 * than + 10;

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
 * The line once more, over one stretch, in finer steps. Kept frames make the agreement a step function of the offset;
 * the middle of its highest step is taken.
 */
export function refineLine(distances: Distances, line: Line, stretch: Stretch): Line {
  const { time } = distances.upload;
  const centre = (time[stretch.first]! + time[stretch.last]!) / 2;
  const extent = time[stretch.last]! - time[stretch.first]!;
  // A speed that is off by this much moves the ends of the stretch by 0.05 s.
  const fine = extent >= 4 ? Math.max(0.0025, 0.1 / extent) : 0;
  const steps = fine > 0 ? Math.min(6, Math.ceil(0.02 / fine)) : 0;
  const score = (speed: number, ref: number) =>
    agreement(distances, { speed, offset: ref - speed * centre }, stretch.first, stretch.last);

  const here = at(line, centre);
  let best = { speed: line.speed, ref: here, score: score(line.speed, here) };
  for (let k = -steps; k <= steps; k++) {
    const speed = line.speed + k * fine;
    for (let nudge = -15; nudge <= 15; nudge++) {
      const ref = here + nudge * 0.04;
      const s = score(speed, ref);
      if (s > best.score || (s === best.score && closer(speed, best.speed))) best = { speed, ref, score: s };
    }
  }
  const speed = Math.abs(best.speed - 1) <= 0.012 ? preferOne(best, score) : best.speed;
  const level = score(speed, best.ref);
  const flat = (direction: number): number => {
    let n = 0;
    while (n < 60 && score(speed, best.ref + direction * (n + 1) * 0.02) >= level) n++;
    return n * 0.02;
  };
  const ref = best.ref + (flat(1) - flat(-1)) / 2;
  return { speed, offset: ref - speed * centre };
}

const closer = (a: number, b: number): boolean => Math.abs(a - 1) < Math.abs(b - 1);

/** A speed within 1.2 % of 1 is taken for 1 unless that is clearly worse: over 10 s the ends differ by 0.06 s at most. */
function preferOne(
  best: { speed: number; ref: number; score: number },
  score: (speed: number, ref: number) => number,
): number {
  return clearlyBetter(best.score, score(1, best.ref)) ? best.speed : 1;
}

/** Within RADIUS, a frame can carry a stretch. */
export const isSeed = (distance: number): boolean => distance !== UNKNOWN && distance <= RADIUS;
