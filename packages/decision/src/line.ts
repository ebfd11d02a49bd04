import { SPEED_MAX, SPEED_MIN, SPEED_STEP } from './limits.ts';

/** t_ref = offset + speed * t_upload, both in seconds. */
export interface Line {
  offset: number;
  speed: number;
}

export const at = (line: Line, t: number): number => line.offset + line.speed * t;

/** All speeds that are told apart, those next to 1 first. */
export const SPEEDS: readonly number[] = Array.from(
  { length: Math.round((SPEED_MAX - SPEED_MIN) / SPEED_STEP) + 1 },
  (_, k) => Math.round((SPEED_MIN + k * SPEED_STEP) * 100) / 100,
).sort((a, b) => Math.abs(a - 1) - Math.abs(b - 1) || a - b);

export const median = (values: readonly number[]): number => {
  const sorted = [...values].sort((a, b) => a - b);
  const m = sorted.length >> 1;
  return sorted.length % 2 ? sorted[m]! : (sorted[m - 1]! + sorted[m]!) / 2;
};

/** Length that spans cover together, in their unit. */
export function covered(spans: readonly (readonly [number, number])[]): number {
  let sum = 0;
  let end = Number.NEGATIVE_INFINITY;
  for (const [a, b] of [...spans].sort((x, y) => x[0] - y[0])) {
    sum += Math.max(0, b - Math.max(a, end));
    end = Math.max(end, b);
  }
  return sum;
}

/**
 * For each of some spans, which are in order of their starts: its position, and of those that meet it, ascending, itself among
 * them. Uploads of days have tens of thousands of stretches, of which a few meet: all pairs would take hours.
 */
export function* meeting(spans: readonly (readonly [number, number])[]): Generator<[number, number[]]> {
  let open: number[] = [];
  for (const [i, [start, end]] of spans.entries()) {
    open = open.filter((j) => spans[j]![1] >= start);
    const met = [...open];
    for (let j = i; j < spans.length && spans[j]![0] <= end; j++) met.push(j);
    yield [i, met];
    open.push(i);
  }
}
