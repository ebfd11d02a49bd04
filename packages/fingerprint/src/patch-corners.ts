/** Where patches are taken: corners of each level of the pyramid, nearly all of them first, then spread. */
import { PADDING, type PatchKernel } from './patch-kernel.ts';
import type { Level, Pyramid } from './patch-pyramid.ts';
import { PATCH_RADIUS } from './patch-typescript-kernel.ts';

/** Neighbours must differ by more than so many levels; by fewer where a picture has not enough corners otherwise. */
const STEPS = [10, 5];

const CELLS_DOWN = 3;
const CELLS_ACROSS = 4;
const LEAST_QUOTA = 2;

/** Gaps are looked for in finer cells: a third of the others' sides. */
const FINER = 3;

/** Corners of a level that are ranked: no picture of patchSize has more. */
const MOST_RANKED = 0x10000;

export interface Corners {
  count: number;
  level: Uint8Array;
  x: Uint16Array;
  y: Uint16Array;
}

export interface Spread {
  /** Corners in all. Shares of the levels fall as their sides do. */
  most: number;
  /** Inside a level, cells hold at most so many times their fair share. */
  cellShare: number;
  /** Beyond `most`, so many from fine cells of a level that have corners of which none was chosen; 0 when absent. */
  gaps?: number;
}

/** Corners of one level, strongest first. */
interface Ranked {
  count: number;
  x: Uint16Array;
  y: Uint16Array;
}

const NONE: Ranked = { count: 0, x: new Uint16Array(0), y: new Uint16Array(0) };

/** Uses the kernel's memory beyond the pyramid. */
export function findCorners(kernel: PatchKernel, { levels, end }: Pyramid, spread: Spread): Corners {
  let found: Ranked[] = [];
  for (const step of STEPS) {
    found = levels.map((level) => rankCorners(kernel, level, step, end));
    if (found.reduce((n, { count }) => n + count, 0) >= spread.most) break;
  }
  const quotas = quotasOf(spread.most, levels.length);
  const most = (l: number) => Math.floor((quotas[l]! * spread.cellShare) / (CELLS_DOWN * CELLS_ACROSS));
  const chosen = found.map((ranked, l) => spreadOut(ranked, levels[l]!, Math.max(1, most(l))));
  const main = merge(chosen, quotas, spread.most);
  if (!spread.gaps) return main;
  const left = chosen.map((ranked, l) => unseen(ranked, levels[l]!, main, l));
  return joined(main, merge(left, quotas, spread.gaps));
}

/** The strongest corner of each fine cell of a level out of which none was chosen: what lies between large letters. */
function unseen(ranked: Ranked, { width, height }: Level, main: Corners, level: number): Ranked {
  const [down, across] = [FINER * CELLS_DOWN, FINER * CELLS_ACROSS];
  const cellOf = (x: number, y: number) =>
    Math.floor(((2 * y + 1) * down) / (2 * height)) * across + Math.floor(((2 * x + 1) * across) / (2 * width));
  const held = new Uint8Array(down * across);
  for (let i = 0; i < main.count; i++) if (main.level[i] === level) held[cellOf(main.x[i]!, main.y[i]!)] = 1;
  const out: Ranked = { count: 0, x: new Uint16Array(down * across), y: new Uint16Array(down * across) };
  for (let i = 0; i < ranked.count; i++) {
    const cell = cellOf(ranked.x[i]!, ranked.y[i]!);
    if (held[cell]) continue;
    held[cell] = 1;
    out.x[out.count] = ranked.x[i]!;
    out.y[out.count++] = ranked.y[i]!;
  }
  return out;
}

function joined(a: Corners, b: Corners): Corners {
  const out: Corners = {
    count: a.count + b.count,
    level: new Uint8Array(a.count + b.count),
    x: new Uint16Array(a.count + b.count),
    y: new Uint16Array(a.count + b.count),
  };
  for (const key of ['level', 'x', 'y'] as const) {
    out[key].set(a[key]);
    out[key].set(b[key], a.count);
  }
  return out;
}

function rankCorners(kernel: PatchKernel, level: Level, step: number, free: number): Ranked {
  const { width, height } = level;
  if (Math.min(width, height) <= 2 * PATCH_RADIUS) return NONE;
  const pixels = width * height;
  const room = Math.min(MOST_RANKED, pixels);
  const score = free;
  const spots = aligned(score + 2 * pixels);
  const places = aligned(spots + 4 * pixels);
  const keys = aligned(places + 4 * room);
  const memory = kernel.reserve(keys + 8 * room);
  new Uint8Array(memory, score, 2 * pixels).fill(0);
  const count = kernel.detect(level, step, score, spots);
  const n = kernel.maxima(level, score, spots, count, places, keys, room);
  const response = new Float64Array(memory, keys, n);
  const words = new Uint32Array(memory, keys, 2 * n);
  const place = new Int32Array(memory, places, n);
  // The last 16 of the 52 bits of the fraction give way to the number of the corner: they sort without comparisons.
  for (let i = 0; i < n; i++) words[2 * i] = (words[2 * i]! & 0xffff0000) | (0xffff - i);
  response.sort();
  const out: Ranked = { count: n, x: new Uint16Array(n), y: new Uint16Array(n) };
  for (let i = 0; i < n; i++) {
    const p = place[0xffff - (words[2 * (n - 1 - i)]! & 0xffff)]!;
    out.y[i] = Math.floor(p / width);
    out.x[i] = p % width;
  }
  return out;
}

/** Addresses from which any number may lie. */
const aligned = (at: number): number => Math.ceil(at / PADDING) * PADDING;

/** What each level has a right to, of `most` in all. */
function quotasOf(most: number, levels: number): number[] {
  const whole = (1 - 0.8 ** levels) / (1 - 0.8);
  return Array.from({ length: levels }, (_, l) => Math.max(LEAST_QUOTA, Math.round((most * 0.8 ** l) / whole)));
}

/** Strongest first, cells full at a bound; then those that found their cell full. */
function spreadOut(ranked: Ranked, { width, height }: Level, most: number): Ranked {
  const held = new Uint16Array(CELLS_DOWN * CELLS_ACROSS);
  const { count } = ranked;
  const out = { count, x: new Uint16Array(count), y: new Uint16Array(count) };
  const late: number[] = [];
  let n = 0;
  const take = (i: number) => {
    out.x[n] = ranked.x[i]!;
    out.y[n++] = ranked.y[i]!;
  };
  for (let i = 0; i < count; i++) {
    const row = Math.floor(((2 * ranked.y[i]! + 1) * CELLS_DOWN) / (2 * height));
    const cell = row * CELLS_ACROSS + Math.floor(((2 * ranked.x[i]! + 1) * CELLS_ACROSS) / (2 * width));
    if (held[cell]! < most) {
      held[cell]!++;
      take(i);
    } else late.push(i);
  }
  for (const i of late) take(i);
  return out;
}

/** In turn from all levels, each as fast as its quota is used up; what a level cannot give, the others give. */
function merge(chosen: readonly Ranked[], quotas: readonly number[], most: number): Corners {
  const count = Math.min(
    most,
    chosen.reduce((sum, { count }) => sum + count, 0),
  );
  const out: Corners = { count, level: new Uint8Array(count), x: new Uint16Array(count), y: new Uint16Array(count) };
  const used = new Uint32Array(chosen.length);
  for (let n = 0; n < count; n++) {
    let best = -1;
    let key = 0;
    for (let l = 0; l < chosen.length; l++) {
      if (used[l]! >= chosen[l]!.count) continue;
      const next = (used[l]! + 0.5) / quotas[l]!;
      if (best < 0 || next < key) [best, key] = [l, next];
    }
    const from = chosen[best]!;
    out.level[n] = best;
    out.x[n] = from.x[used[best]!]!;
    out.y[n] = from.y[used[best]!]!;
    used[best]!++;
  }
  return out;
}
