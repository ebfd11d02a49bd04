/**
 * Corners: 9 neighbours in a row, of the 16 on a circle of radius 3, all lighter or all darker (FAST; Rosten and Drummond,
 * "Machine learning for high-speed corner detection", 2006), local maxima by the sum of what they exceed it by, with Harris
 * and Stephens' response over 7 x 7 ("A combined corner and edge detector", 1988). Direction: Rosin, "Measuring corner
 * properties", 1999. seeds/vectors/patch/README.md defines all of it to the bit.
 */
import type { PatchKernel } from './patch-kernel.ts';

/** A patch reaches this far from its centre. */
export const PATCH_RADIUS = 15;
/** The pattern's coordinates are in 1 / PATTERN_UNIT of a pixel. */
export const PATTERN_UNIT = 64;

const ARC = 9;
/** Harris's k. */
const EDGE = 0.04;

/** Gaussian of sigma 2 over 7 samples, in 1/256. */
const G0 = 54;
const G1 = 49;
const G2 = 34;
const G3 = 18;

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

/** Horizontal reach of each row of the disc over which light is weighed: u * u + v * v <= 240. */
const REACH = Int32Array.from({ length: PATCH_RADIUS + 1 }, (_, v) => Math.floor(Math.sqrt(240 - v * v)));

export function typescriptKernel(): PatchKernel {
  let memory = new ArrayBuffer(0);
  let u8 = new Uint8Array(memory);
  let u16 = new Uint16Array(memory);
  let i16 = new Int16Array(memory);
  let i32 = new Int32Array(memory);
  let f64 = new Float64Array(memory);
  const offsets = new Int32Array(16);

  return {
    name: 'typescript',
    base: 0,

    reserve(bytes) {
      if (bytes <= memory.byteLength) return memory;
      const before = u8;
      memory = new ArrayBuffer(Math.ceil(bytes / 8) * 8);
      u8 = new Uint8Array(memory);
      u8.set(before);
      u16 = new Uint16Array(memory);
      i16 = new Int16Array(memory);
      i32 = new Int32Array(memory);
      f64 = new Float64Array(memory);
      return memory;
    },

    interpolate(from, to, taps, lines) {
      const across = taps >> 1;
      const down = across + 2 * to.width;
      const rows = [lines >> 1, (lines >> 1) + to.width];
      const held = [-1, -1];
      const line = (y: number): number => {
        const out = rows[y & 1]!;
        if (held[y & 1] === y) return out;
        held[y & 1] = y;
        const row = from.at + y * from.width;
        for (let x = 0; x < to.width; x++) {
          const p = row + u16[across + 2 * x]!;
          const w = u16[across + 2 * x + 1]!;
          u16[out + x] = u8[p]! * (256 - w) + u8[p + 1]! * w;
        }
        return out;
      };
      for (let y = 0; y < to.height; y++) {
        const first = u16[down + 2 * y]!;
        const w = u16[down + 2 * y + 1]!;
        const a = line(first);
        const b = w === 0 ? a : line(first + 1);
        const row = to.at + y * to.width;
        for (let x = 0; x < to.width; x++) u8[row + x] = (u16[a + x]! * (256 - w) + u16[b + x]! * w + 32768) >>> 16;
      }
    },

    gather(line, count, weight, sums) {
      const to = sums >> 2;
      for (let x = 0; x < count; x++) i32[to + x]! += weight * u8[line + x]!;
    },

    squeeze(sums, count, to, whole, out) {
      const from = sums >> 2;
      let x = 0;
      for (let j = 0, right = count; j < to; j++, right += count) {
        let sum = 0;
        for (let at = right - count; at < right; ) {
          const end = Math.min((x + 1) * to, right);
          sum += (end - at) * i32[from + x]!;
          at = end;
          if (at === (x + 1) * to) x++;
        }
        u8[out + j] = Math.floor((2 * sum + whole) / (2 * whole));
      }
    },

    blur({ at, width, height }, soft, tall) {
      for (let y = 0; y < height; y++) {
        const row = (dy: number) => at + inside(y + dy, height) * width;
        const [a3, a2, a1, o, b1, b2, b3] = [row(-3), row(-2), row(-1), row(0), row(1), row(2), row(3)];
        const out = tall + y * width;
        for (let x = 0; x < width; x++) {
          u8[out + x] =
            (G3 * (u8[a3 + x]! + u8[b3 + x]!) +
              G2 * (u8[a2 + x]! + u8[b2 + x]!) +
              G1 * (u8[a1 + x]! + u8[b1 + x]!) +
              G0 * u8[o + x]! +
              128) >>
            8;
        }
      }
      for (let y = 0; y < height; y++) {
        const row = tall + y * width;
        const out = soft + y * width;
        const edge = (x: number) => {
          const of = (dx: number) => u8[row + inside(x + dx, width)]!;
          u8[out + x] = (G3 * (of(-3) + of(3)) + G2 * (of(-2) + of(2)) + G1 * (of(-1) + of(1)) + G0 * of(0) + 128) >> 8;
        };
        for (let x = 0; x < Math.min(3, width); x++) edge(x);
        for (let x = Math.max(3, width - 3); x < width; x++) edge(x);
        if (width < 7) continue;
        let p = row + 3;
        let [a, b, c, d, e, f] = [u8[row]!, u8[row + 1]!, u8[row + 2]!, u8[p]!, u8[p + 1]!, u8[p + 2]!];
        for (let x = 3; x < width - 3; x++, p++) {
          const g = u8[p + 3]!;
          u8[out + x] = (G3 * (a + g) + G2 * (b + f) + G1 * (c + e) + G0 * d + 128) >> 8;
          a = b;
          b = c;
          c = d;
          d = e;
          e = f;
          f = g;
        }
      }
    },

    detect({ at, width, height }, step, score, spots) {
      const list = spots >> 2;
      const scores = score >> 1;
      for (let k = 0; k < 16; k++) offsets[k] = CIRCLE[2 * k]! + CIRCLE[2 * k + 1]! * width;
      const [top, right] = [offsets[0]!, offsets[4]!];
      const from = PATCH_RADIUS - 1;
      let count = 0;
      for (let y = from; y < height - from; y++) {
        for (let x = from; x < width - from; x++) {
          const p = at + y * width + x;
          const c = u8[p]!;
          // An arc of nine has one of every two that face each other.
          const [n, e, s, w] = [u8[p + top]!, u8[p + right]!, u8[p - top]!, u8[p - right]!];
          const lighter = (n > c + step || s > c + step) && (e > c + step || w > c + step);
          const darker = (n < c - step || s < c - step) && (e < c - step || w < c - step);
          if (!lighter && !darker) continue;
          let light = 0;
          let dark = 0;
          let above = 0;
          let below = 0;
          for (let k = 0; k < 16; k++) {
            const d = u8[p + offsets[k]!]! - c;
            if (d > step) {
              light |= 1 << k;
              above += d - step;
            } else if (d < -step) {
              dark |= 1 << k;
              below -= d + step;
            }
          }
          if (!(HAS_ARC[light]! | HAS_ARC[dark]!)) continue;
          u16[scores + p - at] = above > below ? above : below;
          i32[list + count++] = p - at;
        }
      }
      return count;
    },

    maxima({ at, width, height }, score, spots, count, places, keys, room) {
      const scores = score >> 1;
      const list = spots >> 2;
      let n = 0;
      for (let i = 0; i < count; i++) {
        const p = i32[list + i]!;
        const q = scores + p;
        const s = u16[q]!;
        if (s < u16[q - 1]! || s < u16[q + 1]!) continue;
        if (s < u16[q - width - 1]! || s < u16[q - width]! || s < u16[q - width + 1]!) continue;
        if (s < u16[q + width - 1]! || s < u16[q + width]! || s < u16[q + width + 1]!) continue;
        const y = Math.floor(p / width);
        const x = p - y * width;
        if (x < PATCH_RADIUS || y < PATCH_RADIUS || x >= width - PATCH_RADIUS || y >= height - PATCH_RADIUS) continue;
        const response = harris(u8, width, at + p);
        if (response <= 0 || n >= room) continue;
        f64[(keys >> 3) + n] = response;
        i32[(places >> 2) + n++] = p;
      }
      for (let i = 0; i < count; i++) u16[scores + i32[list + i]!] = 0;
      return n;
    },

    describe({ at, width }, soft, place, pattern, tests, bits, direction) {
      const [dx, dy] = directionOf(u8, width, at + place);
      f64[direction >> 3] = dx;
      f64[(direction >> 3) + 1] = dy;
      const c = dx / PATTERN_UNIT;
      const s = dy / PATTERN_UNIT;
      const middle = soft + place;
      let k = pattern >> 1;
      for (let byteAt = bits; byteAt < bits + tests / 8; byteAt++) {
        let byte = 0;
        for (let bit = 1; bit < 256; bit <<= 1, k += 4) {
          const [ax, ay, bx, by] = [i16[k]!, i16[k + 1]!, i16[k + 2]!, i16[k + 3]!];
          const a = middle + nearest(c * ax - s * ay) + width * nearest(s * ax + c * ay);
          const b = middle + nearest(c * bx - s * by) + width * nearest(s * bx + c * by);
          if (u8[a]! < u8[b]!) byte |= bit;
        }
        u8[byteAt] = byte;
      }
    },
  };
}

/** Beyond the edges pictures are mirrored about their outermost pixels. */
function inside(i: number, n: number): number {
  if (n === 1) return 0;
  return i < 0 ? Math.min(n - 1, -i) : i >= n ? Math.max(0, 2 * n - 2 - i) : i;
}

function harris(u8: Uint8Array, width: number, p: number): number {
  let xx = 0;
  let yy = 0;
  let xy = 0;
  for (let row = p - 3 * width; row <= p + 3 * width; row += width) {
    for (let q = row - 3; q <= row + 3; q++) {
      const gx = u8[q + 1]! - u8[q - 1]!;
      const gy = u8[q + width]! - u8[q - width]!;
      xx += gx * gx;
      yy += gy * gy;
      xy += gx * gy;
    }
  }
  return xx * yy - xy * xy - EDGE * (xx + yy) * (xx + yy);
}

/** Unit vector from the middle of the disc to where its light lies. */
function directionOf(u8: Uint8Array, width: number, p: number): [number, number] {
  let mx = 0;
  let my = 0;
  for (let v = -PATCH_RADIUS; v <= PATCH_RADIUS; v++) {
    const reach = REACH[Math.abs(v)]!;
    let sum = 0;
    for (let u = -reach; u <= reach; u++) {
      const level = u8[p + v * width + u]!;
      mx += u * level;
      sum += level;
    }
    my += v * sum;
  }
  const length = Math.sqrt(mx * mx + my * my);
  return length === 0 ? [1, 0] : [mx / length, my / length];
}

/** The nearest whole number; a half goes away from zero, so that what is reflected stays reflected. */
function nearest(v: number): number {
  return (v < 0 ? v - 0.5 : v + 0.5) | 0;
}
