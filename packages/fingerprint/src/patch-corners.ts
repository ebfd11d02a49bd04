/**
 * Where patches are taken: corners of each level of the pyramid, nearly all of them first, then spread.
 *
 * A corner: 9 neighbours in a row, of the 16 on a circle of radius 3, all lighter or all darker than it (FAST; Rosten and
 * Drummond, "Machine learning for high-speed corner detection", 2006), local maximum by the sum of what they exceed it by;
 * ranked by Harris and Stephens' response over 7 x 7 ("A combined corner and edge detector", 1988).
 */
import { LEVELS, type Level } from './patch-pyramid.ts';

/** A patch reaches this far from its centre. */
export const PATCH_RADIUS = 15;

/** Neighbours must differ by more than so many levels. */
const LEAST_STEP = 7;
const ARC = 9;
/** Harris's k. */
const EDGE = 0.04;

/** Shares of the levels fall as their sides do. Inside a level, cells hold at most CELL_SHARE times their fair share. */
const CELLS_DOWN = 3;
const CELLS_ACROSS = 4;
const CELL_SHARE = 1.5;
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
const SIDE = Uint8Array.from({ length: 511 }, (_, i) => (i - 255 < -LEAST_STEP ? 1 : i - 255 > LEAST_STEP ? 2 : 0));

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

export function createCorners(): { find(levels: readonly Level[], most: number): Corners } {
  let score = new Uint16Array(0);
  const offsets = new Int32Array(16);
  let room = 0;
  let foundX = new Uint16Array(0);
  let foundY = new Uint16Array(0);
  let keys = new Float64Array(0);
  let words = new Uint32Array(0);

  /** Sets `score` wherever there is a corner, and says how many there are. */
  function detect({ grey, width, height }: Level): void {
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
    score.fill(0, 0, width * height);
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
          if (d > LEAST_STEP) {
            light |= 1 << k;
            above += d - LEAST_STEP;
          } else if (d < -LEAST_STEP) {
            dark |= 1 << k;
            below -= d + LEAST_STEP;
          }
        }
        if (HAS_ARC[light]! | HAS_ARC[dark]!) score[p] = above > below ? above : below;
      }
    }
  }

  /** Local maxima of `score`, at least a patch away from the edges, ranked. */
  function rank(level: Level): Ranked {
    const { grey, width, height } = level;
    let n = 0;
    for (let y = PATCH_RADIUS; y < height - PATCH_RADIUS; y++) {
      const row = y * width;
      for (let x = PATCH_RADIUS; x < width - PATCH_RADIUS; x++) {
        const p = row + x;
        const s = score[p]!;
        if (s === 0) continue;
        if (s < score[p - 1]! || s < score[p - width - 1]! || s < score[p - width]! || s < score[p - width + 1]!)
          continue;
        if (s < score[p + 1]! || s < score[p + width - 1]! || s < score[p + width]! || s < score[p + width + 1]!)
          continue;
        const response = harris(grey, width, p);
        if (response <= 0 || n >= room) continue;
        keys[n] = response;
        // The last 16 of the 52 bits of the fraction give way to the number of the corner: keys sort without comparisons.
        words[2 * n] = (words[2 * n]! & 0xffff0000) | (0xffff - n);
        foundX[n] = x;
        foundY[n++] = y;
      }
    }
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
    find(levels, most) {
      const pixels = levels[0]!.width * levels[0]!.height;
      if (score.length < pixels) {
        score = new Uint16Array(pixels);
        room = Math.min(0x10000, pixels);
        foundX = new Uint16Array(room);
        foundY = new Uint16Array(room);
        keys = new Float64Array(room);
        words = new Uint32Array(keys.buffer);
      }
      const chosen = levels.map((level, l) => {
        if (Math.min(level.width, level.height) <= 2 * PATCH_RADIUS) return { count: 0, x: NONE, y: NONE };
        detect(level);
        return spread(rank(level), level, quota(most, l));
      });
      return merge(chosen, most);
    },
  };
}

const NONE = new Uint16Array(0);

/** What the level has a right to, of `most` in all. */
function quota(most: number, level: number): number {
  const whole = (1 - 0.8 ** LEVELS) / (1 - 0.8);
  return Math.max(LEAST_QUOTA, Math.round((most * 0.8 ** level) / whole));
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
function spread(ranked: Ranked, { width, height }: Level, share: number): Ranked {
  const most = Math.max(1, Math.floor((share * CELL_SHARE) / (CELLS_DOWN * CELLS_ACROSS)));
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
    const row = Math.floor((ranked.y[i]! * CELLS_DOWN) / height);
    const cell = row * CELLS_ACROSS + Math.floor((ranked.x[i]! * CELLS_ACROSS) / width);
    if (held[cell]! < most) {
      held[cell]!++;
      take(i);
    } else late.push(i);
  }
  for (const i of late) take(i);
  return out;
}

/** In turn from all levels, each as fast as its quota is used up; what a level cannot give, the others give. */
function merge(chosen: readonly Ranked[], most: number): Corners {
  const quotas = chosen.map((_, l) => quota(most, l));
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
