/**
 * Where patches are taken: corners of each level of the pyramid, nearly all of them first, then spread.
 *
 * A corner: 9 neighbours in a row, of the 16 on a circle of radius 3, all lighter or all darker than it (FAST; Rosten and
 * Drummond, "Machine learning for high-speed corner detection", 2006), local maximum by the sum of what they exceed it by;
 * ranked by Harris and Stephens' response over 7 x 7 ("A combined corner and edge detector", 1988).
 */
import type { Level } from './patch-pyramid.ts';

/** A patch reaches this far from its centre. */
export const PATCH_RADIUS = 15;

/** Neighbours must differ by more than so many levels; by fewer where a picture has not enough corners otherwise. */
const STEPS = [10, 5];
const ARC = 9;
/** Harris's k. */
const EDGE = 0.04;

const CELLS_DOWN = 3;
const CELLS_ACROSS = 4;
const LEAST_QUOTA = 2;

/** x and y of the circle, clockwise from the top. */
const CIRCLE = [
  ...[0, -3, 1, -3, 2, -2, 3, -1, 3, 0, 3, 1, 2, 2, 1, 3],
  ...[0, 3, -1, 3, -2, 2, -3, 1, -3, 0, -3, -1, -2, -2, -1, -3],
];

/** 1 for each set of the 16 that has ARC neighbours in a row. */
const HAS_ARC = Uint8Array.from({ length: 1 << 16 }, (_, set) => {
  const ring = set | (set << 16);
  let runs = ring;
  for (let k = 1; k < ARC; k++) runs &= ring >>> k;
  return runs & 0xffff ? 1 : 0;
});

/** Of level differences -255..255: 1 darker, 2 lighter, 0 about the same. */
const SIDES = STEPS.map((step) =>
  Uint8Array.from({ length: 511 }, (_, i) => (i - 255 < -step ? 1 : i - 255 > step ? 2 : 0)),
);

export interface Corners {
  count: number;
  level: Uint8Array;
  x: Uint16Array;
  y: Uint16Array;
}

/** Corners of one level, strongest first, until the next call. */
interface Ranked {
  count: number;
  x: Uint16Array;
  y: Uint16Array;
}

export interface Spread {
  /** Corners in all. Shares of the levels fall as their sides do. */
  most: number;
  /** Inside a level, cells hold at most so many times their fair share. */
  cellShare: number;
}

export function createCorners(): { find(levels: readonly Level[], spread: Spread): Corners } {
  let score = new Uint16Array(0);
  let spots = new Int32Array(0);
  const offsets = new Int32Array(16);
  let room = 0;
  let foundX = new Uint16Array(0);
  let foundY = new Uint16Array(0);
  let keys = new Float64Array(0);
  let words = new Uint32Array(0);

  /** Sets `score` wherever there is a corner, lists those in `spots`, and says how many there are. */
  function detect({ grey, width, height }: Level, step: number, SIDE: Uint8Array): number {
    let count = 0;
    for (let k = 0; k < 16; k++) offsets[k] = CIRCLE[2 * k]! + CIRCLE[2 * k + 1]! * width;
    const [o0, o1, o2, o3, o4, o5, o6, o7] = offsets as unknown as [
      number,
      number,
      number,
      number,
      number,
      number,
      number,
      number,
    ];
    const o8 = -o0;
    const o9 = -o1;
    const o10 = -o2;
    const o11 = -o3;
    const o12 = -o4;
    const o13 = -o5;
    const o14 = -o6;
    const o15 = -o7;
    const from = PATCH_RADIUS - 1;
    for (let y = from; y < height - from; y++) {
      const end = y * width + width - from;
      for (let p = y * width + from; p < end; p++) {
        const c = grey[p]!;
        const base = 255 - c;
        // An arc of nine has one of every two that face each other.
        let side = SIDE[base + grey[p + o0]!]! | SIDE[base + grey[p + o8]!]!;
        if (side === 0) continue;
        side &= SIDE[base + grey[p + o4]!]! | SIDE[base + grey[p + o12]!]!;
        if (side === 0) continue;
        side &= SIDE[base + grey[p + o2]!]! | SIDE[base + grey[p + o10]!]!;
        if (side === 0) continue;
        side &= SIDE[base + grey[p + o6]!]! | SIDE[base + grey[p + o14]!]!;
        if (side === 0) continue;
        side &= SIDE[base + grey[p + o1]!]! | SIDE[base + grey[p + o9]!]!;
        if (side === 0) continue;
        side &= SIDE[base + grey[p + o3]!]! | SIDE[base + grey[p + o11]!]!;
        side &= SIDE[base + grey[p + o5]!]! | SIDE[base + grey[p + o13]!]!;
        side &= SIDE[base + grey[p + o7]!]! | SIDE[base + grey[p + o15]!]!;
        if (side === 0) continue;
        let light = 0;
        let dark = 0;
        let above = 0;
        let below = 0;
        for (let k = 0; k < 16; k++) {
          const d = grey[p + offsets[k]!]! - c;
          if (d > step) {
            light |= 1 << k;
            above += d - step;
          } else if (d < -step) {
            dark |= 1 << k;
            below -= d + step;
          }
        }
        if (HAS_ARC[light]! | HAS_ARC[dark]!) {
          score[p] = above > below ? above : below;
          spots[count++] = p;
        }
      }
    }
    return count;
  }

  /** Local maxima among `spots`, at least a patch away from the edges, ranked. */
  function rank({ grey, width, height }: Level, count: number): Ranked {
    let n = 0;
    for (let i = 0; i < count; i++) {
      const p = spots[i]!;
      const s = score[p]!;
      if (s < score[p - 1]! || s < score[p - width - 1]! || s < score[p - width]! || s < score[p - width + 1]!)
        continue;
      if (s < score[p + 1]! || s < score[p + width - 1]! || s < score[p + width]! || s < score[p + width + 1]!)
        continue;
      const y = Math.floor(p / width);
      const x = p - y * width;
      if (x < PATCH_RADIUS || y < PATCH_RADIUS || x >= width - PATCH_RADIUS || y >= height - PATCH_RADIUS) continue;
      const response = harris(grey, width, p);
      if (response <= 0 || n >= room) continue;
      keys[n] = response;
      // The last 16 of the 52 bits of the fraction give way to the number of the corner: keys sort without comparisons.
      words[2 * n] = (words[2 * n]! & 0xffff0000) | (0xffff - n);
      foundX[n] = x;
      foundY[n++] = y;
    }
    for (let i = 0; i < count; i++) score[spots[i]!] = 0;
    const sorted = keys.subarray(0, n).sort();
    const x = new Uint16Array(n);
    const y = new Uint16Array(n);
    for (let i = 0; i < n; i++) {
      const at = 0xffff - (words[2 * (n - 1 - i)]! & 0xffff);
      x[i] = foundX[at]!;
      y[i] = foundY[at]!;
    }
    return { count: sorted.length, x, y };
  }

  return {
    find(levels, spread) {
      const pixels = levels[0]!.width * levels[0]!.height;
      if (score.length < pixels) {
        score = new Uint16Array(pixels);
        spots = new Int32Array(pixels);
        room = Math.min(0x10000, pixels);
        foundX = new Uint16Array(room);
        foundY = new Uint16Array(room);
        keys = new Float64Array(room);
        words = new Uint32Array(keys.buffer);
      }
      let found: Ranked[] = [];
      for (const [i, step] of STEPS.entries()) {
        found = levels.map((level) => {
          if (Math.min(level.width, level.height) <= 2 * PATCH_RADIUS) return { count: 0, x: NONE, y: NONE };
          return rank(level, detect(level, step, SIDES[i]!));
        });
        if (found.reduce((n, { count }) => n + count, 0) >= spread.most) break;
      }
      const quotas = quotasOf(spread.most, levels.length);
      const most = (l: number) => Math.floor((quotas[l]! * spread.cellShare) / (CELLS_DOWN * CELLS_ACROSS));
      const chosen = found.map((ranked, l) => spreadOut(ranked, levels[l]!, Math.max(1, most(l))));
      return merge(chosen, quotas, spread.most);
    },
  };
}

const NONE = new Uint16Array(0);

/** What each level has a right to, of `most` in all. */
function quotasOf(most: number, levels: number): number[] {
  const whole = (1 - 0.8 ** levels) / (1 - 0.8);
  return Array.from({ length: levels }, (_, l) => Math.max(LEAST_QUOTA, Math.round((most * 0.8 ** l) / whole)));
}

function harris(grey: Uint8Array, width: number, p: number): number {
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let dy = -3; dy <= 3; dy++) {
    const row = p + dy * width;
    let left = grey[row - 4]!;
    let here = grey[row - 3]!;
    for (let q = row - 3; q <= row + 3; q++) {
      const right = grey[q + 1]!;
      const gx = right - left;
      const gy = grey[q + width]! - grey[q - width]!;
      xx += gx * gx;
      yy += gy * gy;
      xy += gx * gy;
      left = here;
      here = right;
    }
  }
  return xx * yy - xy * xy - EDGE * (xx + yy) * (xx + yy);
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
