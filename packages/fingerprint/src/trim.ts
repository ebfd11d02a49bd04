/**
 * Finds the picture inside its borders: bars, frames of one colour, and the blurred copy of itself that fills a 9:16 or
 * 16:9 canvas. Two looks from the outside in; the second only when the first took off little, because what it finds inside
 * a border already taken off is nearly always the picture's own furniture:
 * - flat: lines of one level, the level of the outermost line;
 * - step lines: a straight step along a line, in all frames together, with little detail outside it. Blurred borders
 *   move with the picture, so nothing that looks at change in time finds them.
 * The whole picture is always coded as well, so a wrong cut costs codes and nothing else.
 */
import type { Region } from './pdq-filter.ts';
import { type Box, createTrimPlanes, type Plane, type Steps, type TrimPlanes } from './trim-planes.ts';

const WORKING_SIDE = 640;
const FRAMES = 12;

/** A line belongs to a flat border when so much of it lies so near to the border's level. */
const FLAT_LEVELS = 10;
const FLAT_SHARE = 0.985;

/** Step lines are not looked for once flat borders left no more than this share of the area. */
const SETTLED = 0.9;
const STEP_LEVELS = 6;
const STEP_SHARE = 0.45;
const STEP_PEAK = 2.2;
const QUIETER = 0.45;
/** Two borders are alike, and count as one find, when their widths differ by at most this share of the side. */
const ALIKE = 0.01;
const PAIR_PEAK = 1.6;
const LEAST_FRAMES = 4;
const LONE_SHARE = 0.8;
/** Step lines are looked for within this share of either side. */
const REACH = 0.42;

/** Less than this share of a side, or two pixels, is not worth a code. */
const LEAST_CUT = 0.008;
/** What is left must be a picture: this share of the side, and this many pixels of the working size. */
const LEAST_LEFT = 0.12;
const LEAST_PIXELS = 24;

let shared: TrimPlanes | null = null;

/**
 * @param frames luma of one picture, or of frames of one slice, all `width` x `height`, in order of time
 * @returns the part inside the borders, or null when there are none
 */
export function findBorders(frames: readonly Uint8Array[], width: number, height: number): Region | null {
  if (frames.length === 0 || width < 2 * LEAST_PIXELS || height < 2 * LEAST_PIXELS) return null;
  const taken = spread(frames, FRAMES);
  const factor = Math.max(1, Math.ceil(Math.max(width, height) / WORKING_SIDE));
  shared ??= createTrimPlanes();
  const { shrink } = shared;
  const planes = taken.map((luma) => shrink(luma, width, height, factor));
  const { width: w, height: h } = planes[0]!;
  if (w < 2 * LEAST_PIXELS || h < 2 * LEAST_PIXELS) return null;
  let box: Box = { x0: 0, y0: 0, x1: w, y1: h };
  const flat = flatCut(planes, box);
  if (roomy(flat, w, h)) box = flat;
  if ((box.x1 - box.x0) * (box.y1 - box.y0) > SETTLED * w * h) {
    const stepped = stepCut(planes, box);
    if (roomy(stepped, w, h)) box = stepped;
  }
  const cut = (pixels: number, side: number) => pixels >= Math.max(2, LEAST_CUT * side);
  const x0 = cut(box.x0, w) ? box.x0 : 0;
  const y0 = cut(box.y0, h) ? box.y0 : 0;
  const x1 = cut(w - box.x1, w) ? box.x1 : w;
  const y1 = cut(h - box.y1, h) ? box.y1 : h;
  if (x0 === 0 && y0 === 0 && x1 === w && y1 === h) return null;
  const edge = (at: number, side: number, full: number, across: boolean) =>
    at === 0 ? 0 : at === side ? 1 : sharpen(taken, width, height, at * factor, factor, across) / full;
  return {
    left: edge(x0, w, width, true),
    top: edge(y0, h, height, false),
    right: edge(x1, w, width, true),
    bottom: edge(y1, h, height, false),
  };
}

function spread<T>(list: readonly T[], most: number): T[] {
  if (list.length <= most) return [...list];
  return Array.from({ length: most }, (_, i) => list[Math.round((i * (list.length - 1)) / (most - 1))]!);
}

function roomy(box: Box, w: number, h: number): boolean {
  const left = (from: number, to: number, n: number) => to - from >= Math.max(LEAST_PIXELS, LEAST_LEFT * n);
  return left(box.x0, box.x1, w) && left(box.y0, box.y1, h);
}

/** Reads lines parallel to one axis: `at(plane, line, k)` is sample k of line `line`, inside a box. */
interface Lines {
  count: number;
  length: number;
  offset: number;
  step: number;
  along: number;
}

function linesOf(box: Box, width: number, across: boolean): Lines {
  const offset = box.y0 * width + box.x0;
  const rows = { count: box.y1 - box.y0, length: box.x1 - box.x0, offset, step: width, along: 1 };
  return across ? { count: rows.length, length: rows.count, offset, step: 1, along: width } : rows;
}

function flatCut(planes: readonly Plane[], box: Box): Box {
  const [y0, y1] = flatEnds(planes, linesOf(box, planes[0]!.width, false));
  const tall = { ...box, y0: box.y0 + y0, y1: box.y0 + y1 };
  const [x0, x1] = flatEnds(planes, linesOf(tall, planes[0]!.width, true));
  return { ...tall, x0: tall.x0 + x0, x1: tall.x0 + x1 };
}

function flatEnds(planes: readonly Plane[], lines: Lines): [number, number] {
  const levels = (line: number) => planes.map((plane) => medianOf(plane, lines, line));
  const isBorder = (line: number, level: readonly number[]) => {
    let near = 0;
    planes.forEach((plane, k) => {
      let p = lines.offset + line * lines.step;
      for (let i = 0; i < lines.length; i++, p += lines.along) {
        if (Math.abs(plane.data[p]! - level[k]!) <= FLAT_LEVELS) near++;
      }
    });
    return near >= FLAT_SHARE * lines.length * planes.length;
  };
  const first = levels(0);
  let from = 0;
  while (from < lines.count && isBorder(from, first)) from++;
  if (from === lines.count) return [0, lines.count]; // all of one level: no border, an empty picture
  const last = levels(lines.count - 1);
  let to = lines.count;
  while (to > from && isBorder(to - 1, last)) to--;
  return [from, to];
}

function medianOf(plane: Plane, lines: Lines, line: number): number {
  const values = new Float32Array(lines.length);
  let p = lines.offset + line * lines.step;
  for (let i = 0; i < lines.length; i++, p += lines.along) values[i] = plane.data[p]!;
  return values.sort()[lines.length >> 1]!;
}

function stepCut(planes: readonly Plane[], box: Box): Box {
  if (box.x1 - box.x0 < LEAST_PIXELS || box.y1 - box.y0 < LEAST_PIXELS) return box;
  const { rows, columns } = shared!.steps(planes, box, STEP_LEVELS);
  const [y0, y1] = stepEnds(rows, planes.length);
  const [x0, x1] = stepEnds(columns, planes.length);
  return { x0: box.x0 + x0, x1: box.x0 + x1, y0: box.y0 + y0, y1: box.y0 + y1 };
}

function stepEnds({ jump, share, detail, cells }: Steps, planes: number): [number, number] {
  const n = jump.length;
  for (let i = 0; i < n; i++) {
    jump[i]! /= cells;
    share[i]! /= cells;
  }
  detail[0] = detail[1]!;
  detail[n - 1] = detail[n - 2]!;
  const usual = jump.slice(1, n - 1).sort()[(n - 2) >> 1]! + 0.3;
  const before = new Float64Array(n + 1);
  for (let i = 0; i < n; i++) before[i + 1] = before[i]! + detail[i]!;
  const mean = (from: number, to: number) => (to > from ? (before[to]! - before[from]!) / (to - from) : 0);
  const reach = Math.floor(REACH * n);
  // Borders nearly always lie alike on both sides; of such pairs, the sharpest.
  let pair: [number, number] | null = null;
  let sharpest = STEP_SHARE;
  const slack = Math.max(2, Math.floor(ALIKE * n));
  for (let a = 2; a < reach; a++) {
    for (let b = Math.max(n - a - slack, n - reach + 1); b <= Math.min(n - a + slack, n - 2); b++) {
      const both = Math.sqrt(share[a]! * share[b]!);
      if (both <= sharpest || Math.min(jump[a]!, jump[b]!) < PAIR_PEAK * usual) continue;
      const outside = Math.max(mean(0, Math.max(1, a - 2)), mean(b + 2, n));
      if (outside < QUIETER * mean(a + 2, b - 2)) {
        sharpest = both;
        pair = [a, b];
      }
    }
  }
  if (pair) return pair;
  // One side alone: in one still it must be a line from end to end; over time, one that stays put is enough.
  const sure = planes >= LEAST_FRAMES ? STEP_SHARE : LONE_SHARE;
  const isStep = (i: number) => jump[i]! > STEP_PEAK * usual && share[i]! > sure;
  let from = 0;
  let to = n;
  for (let i = 2; i < reach; i++) {
    if (isStep(i) && mean(0, Math.max(1, i - 2)) < QUIETER * mean(i + 2, n - i - 2)) from = i;
  }
  for (let i = n - 2; i > n - reach; i--) {
    if (isStep(i) && mean(i + 2, n) < QUIETER * mean(n - i + 2, i - 2)) to = i;
  }
  return [from, to];
}

/** The full-size line, within one working pixel of `near`, with the largest step. */
function sharpen(
  frames: readonly Uint8Array[],
  width: number,
  height: number,
  near: number,
  reach: number,
  across: boolean,
) {
  if (reach === 1) return near;
  const count = across ? width : height;
  const lines = linesOf({ x0: 0, y0: 0, x1: width, y1: height }, width, across);
  let best = near;
  let most = -1;
  for (let i = Math.max(1, near - reach); i <= Math.min(count - 1, near + reach); i++) {
    let sum = 0;
    for (const luma of frames) {
      let p = i * lines.step;
      for (let k = 0; k < lines.length; k++, p += lines.along) sum += Math.abs(luma[p]! - luma[p - lines.step]!);
    }
    if (sum > most) {
      most = sum;
      best = i;
    }
  }
  return best;
}
