// The inner loops of patch codes, 8 or 16 pixels at a time. patch-typescript-kernel.ts says what they mean and is the oracle
// of this file: the same bytes, to the bit. Planes may be read for 64 bytes beyond their ends.

const RADIUS: i32 = 15;
const EDGE: f64 = 0.04;
const UNIT: f64 = 64;

/** x and y of the circle, clockwise from the top. */
const CIRCLE = memory.data<i32>([
  0, -3, 1, -3, 2, -2, 3, -1, 3, 0, 3, 1, 2, 2, 1, 3, 0, 3, -1, 3, -2, 2, -3, 1, -3, 0, -3, -1, -2, -2, -1, -3,
]);
/** Of rows 0 to 15 of the disc u * u + v * v <= 240. */
const REACH = memory.data<i32>([15, 15, 15, 15, 14, 14, 14, 13, 13, 12, 11, 10, 9, 8, 6, 3]);
/** Addresses of the circle's pixels relative to its middle, twice around. */
const OFFSETS = memory.data(128, 16);

function offset(k: i32): usize {
  return load<u32>(OFFSETS + ((<usize>k) << 2));
}

/** Where the first free byte lies: constants come before it. */
export function base(): usize {
  return (__heap_base + 63) & ~63;
}

function line(from: usize, taps: usize, out: usize, width: i32): void {
  for (let x: i32 = 0; x < width; x++) {
    const tap = load<u32>(taps + ((<usize>x) << 2));
    const p = from + (tap & 0xffff);
    const w = tap >>> 16;
    store<u16>(out + ((<usize>x) << 1), <u16>(<u32>load<u8>(p) * (256 - w) + <u32>load<u8>(p, 1) * w));
  }
}

export function interpolate(
  from: usize,
  width: i32,
  to: usize,
  toWidth: i32,
  toHeight: i32,
  taps: usize,
  lines: usize,
): void {
  const down = taps + ((<usize>toWidth) << 2);
  const half = v128.splat<i32>(32768);
  let even: i32 = -1;
  let odd: i32 = -1;
  for (let y: i32 = 0; y < toHeight; y++) {
    const tap = load<u32>(down + ((<usize>y) << 2));
    const first = <i32>(tap & 0xffff);
    const w = tap >>> 16;
    const last = w === 0 ? first : first + 1;
    for (let row = first; row <= last; row++) {
      if ((row & 1 ? odd : even) === row) continue;
      if (row & 1) odd = row;
      else even = row;
      line(from + <usize>(row * width), taps, lines + <usize>((row & 1) * toWidth * 2), toWidth);
    }
    const a = lines + <usize>((first & 1) * toWidth * 2);
    const b = lines + <usize>((last & 1) * toWidth * 2);
    const wa = i16x8.splat(<i16>(256 - w));
    const wb = i16x8.splat(<i16>w);
    const out = to + <usize>(y * toWidth);
    let x: i32 = 0;
    for (; x + 8 <= toWidth; x += 8) {
      const u = v128.load(a + ((<usize>x) << 1));
      const v = v128.load(b + ((<usize>x) << 1));
      const low = i32x4.add(i32x4.add(i32x4.extmul_low_i16x8_u(u, wa), i32x4.extmul_low_i16x8_u(v, wb)), half);
      const high = i32x4.add(i32x4.add(i32x4.extmul_high_i16x8_u(u, wa), i32x4.extmul_high_i16x8_u(v, wb)), half);
      const words = i16x8.narrow_i32x4_u(i32x4.shr_u(low, 16), i32x4.shr_u(high, 16));
      store<u64>(out + <usize>x, i64x2.extract_lane(i8x16.narrow_i16x8_u(words, words), 0));
    }
    for (; x < toWidth; x++) {
      const u = <u32>load<u16>(a + ((<usize>x) << 1));
      const v = <u32>load<u16>(b + ((<usize>x) << 1));
      store<u8>(out + <usize>x, <u8>((u * (256 - w) + v * w + 32768) >>> 16));
    }
  }
}

export function gather(line: usize, count: i32, weight: i32, sums: usize): void {
  const w = i16x8.splat(<i16>weight);
  for (let x: i32 = 0; x < count; x += 8, line += 8, sums += 32) {
    const v = v128.load_ext<u8>(line);
    v128.store(sums, i32x4.add(v128.load(sums), i32x4.extmul_low_i16x8_u(v, w)));
    v128.store(sums, i32x4.add(v128.load(sums, 16), i32x4.extmul_high_i16x8_u(v, w)), 16);
  }
}

export function squeeze(sums: usize, count: i32, to: i32, whole: f64, out: usize): void {
  let p = sums;
  // Of the sum at p, the share that is not used up yet, in 1 / to.
  let left = to;
  for (let j: i32 = 0; j < to; j++) {
    let wanted = count;
    let sum: u64 = 0;
    while (wanted > 0) {
      const share = min(left, wanted);
      sum += <u64>share * <u64>load<u32>(p);
      wanted -= share;
      left -= share;
      if (left === 0) {
        left = to;
        p += 4;
      }
    }
    store<u8>(out + <usize>j, <u8>floor<f64>((2 * <f64>sum + whole) / (2 * whole)));
  }
}

function inside(i: i32, n: i32): i32 {
  if (n === 1) return 0;
  return i < 0 ? min(n - 1, -i) : i >= n ? max(0, 2 * n - 2 - i) : i;
}

/** Eight sums 18 (a + g) + 34 (b + f) + 49 (c + e) + 54 d + 128, over 256; they never pass 65408. */
function seven(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize, g: usize): v128 {
  let sum = i16x8.mul(i16x8.add(v128.load_ext<u8>(a), v128.load_ext<u8>(g)), i16x8.splat(18));
  sum = i16x8.add(sum, i16x8.mul(i16x8.add(v128.load_ext<u8>(b), v128.load_ext<u8>(f)), i16x8.splat(34)));
  sum = i16x8.add(sum, i16x8.mul(i16x8.add(v128.load_ext<u8>(c), v128.load_ext<u8>(e)), i16x8.splat(49)));
  sum = i16x8.add(sum, i16x8.mul(v128.load_ext<u8>(d), i16x8.splat(54)));
  return i16x8.shr_u(i16x8.add(sum, i16x8.splat(128)), 8);
}

function sevenOf(a: usize, b: usize, c: usize, d: usize, e: usize, f: usize, g: usize): u8 {
  const sum: u32 =
    18 * (<u32>load<u8>(a) + <u32>load<u8>(g)) +
    34 * (<u32>load<u8>(b) + <u32>load<u8>(f)) +
    49 * (<u32>load<u8>(c) + <u32>load<u8>(e)) +
    54 * <u32>load<u8>(d);
  return <u8>((sum + 128) >>> 8);
}

export function blur(at: usize, width: i32, height: i32, soft: usize, tall: usize): void {
  for (let y: i32 = 0; y < height; y++) {
    const a = at + <usize>(inside(y - 3, height) * width);
    const b = at + <usize>(inside(y - 2, height) * width);
    const c = at + <usize>(inside(y - 1, height) * width);
    const d = at + <usize>(y * width);
    const e = at + <usize>(inside(y + 1, height) * width);
    const f = at + <usize>(inside(y + 2, height) * width);
    const g = at + <usize>(inside(y + 3, height) * width);
    const out = tall + <usize>(y * width);
    let x: usize = 0;
    for (; <i32>x + 8 <= width; x += 8) {
      const v = seven(a + x, b + x, c + x, d + x, e + x, f + x, g + x);
      store<u64>(out + x, i64x2.extract_lane(i8x16.narrow_i16x8_u(v, v), 0));
    }
    for (; <i32>x < width; x++) store<u8>(out + x, sevenOf(a + x, b + x, c + x, d + x, e + x, f + x, g + x));
  }
  for (let y: i32 = 0; y < height; y++) {
    const row = tall + <usize>(y * width);
    const out = soft + <usize>(y * width);
    let x: i32 = 3;
    for (; x + 8 <= width - 3; x += 8) {
      const p = row + <usize>x;
      const v = seven(p - 3, p - 2, p - 1, p, p + 1, p + 2, p + 3);
      store<u64>(out + <usize>x, i64x2.extract_lane(i8x16.narrow_i16x8_u(v, v), 0));
    }
    for (; x < width - 3; x++) {
      const p = row + <usize>x;
      store<u8>(out + <usize>x, sevenOf(p - 3, p - 2, p - 1, p, p + 1, p + 2, p + 3));
    }
    for (x = 0; x < min(3, width); x++) edge(row, out, x, width);
    for (x = max(3, width - 3); x < width; x++) edge(row, out, x, width);
  }
}

function edge(row: usize, out: usize, x: i32, width: i32): void {
  store<u8>(
    out + <usize>x,
    sevenOf(
      row + <usize>inside(x - 3, width),
      row + <usize>inside(x - 2, width),
      row + <usize>inside(x - 1, width),
      row + <usize>x,
      row + <usize>inside(x + 1, width),
      row + <usize>inside(x + 2, width),
      row + <usize>inside(x + 3, width),
    ),
  );
}

/** The larger sum of what the circle is lighter by, or darker by, beyond the step. */
function scoreOf(p: usize, step: i32): i32 {
  const c = <i32>load<u8>(p);
  let above: i32 = 0;
  let below: i32 = 0;
  for (let k: i32 = 0; k < 16; k++) {
    const d = <i32>load<u8>(p + offset(k)) - c;
    above += max(0, d - step);
    below += max(0, -d - step);
  }
  return max(above, below);
}

export function detect(at: usize, width: i32, height: i32, step: i32, score: usize, spots: usize): i32 {
  for (let k: i32 = 0; k < 32; k++) {
    const at = CIRCLE + ((<usize>(k & 15)) << 3);
    store<i32>(OFFSETS + ((<usize>k) << 2), load<i32>(at) + load<i32>(at, 4) * width);
  }
  const o0 = offset(0);
  const o4 = offset(4);
  const o8 = offset(8);
  const o12 = offset(12);
  const steps = i8x16.splat(<i8>step);
  const eight = i8x16.splat(8);
  const from = RADIUS - 1;
  let count: i32 = 0;
  for (let y = from; y < height - from; y++) {
    const end = width - from;
    for (let x = from; x < end; x += 16) {
      const p = at + <usize>(y * width + x);
      const c = v128.load(p);
      const high = i8x16.add_sat_u(c, steps);
      const low = i8x16.sub_sat_u(c, steps);
      // An arc of nine has one of every two that face each other.
      const n = v128.load(p + o0);
      const e = v128.load(p + o4);
      const s = v128.load(p + o8);
      const w = v128.load(p + o12);
      const lighter = v128.and(
        v128.or(i8x16.gt_u(n, high), i8x16.gt_u(s, high)),
        v128.or(i8x16.gt_u(e, high), i8x16.gt_u(w, high)),
      );
      const darker = v128.and(
        v128.or(i8x16.lt_u(n, low), i8x16.lt_u(s, low)),
        v128.or(i8x16.lt_u(e, low), i8x16.lt_u(w, low)),
      );
      if (!v128.any_true(v128.or(lighter, darker))) continue;
      // Lengths of the runs that end at each of the 16, twice around but for what no new run of nine could end in.
      let lightRun = i8x16.splat(0);
      let darkRun = i8x16.splat(0);
      let longest = i8x16.splat(0);
      for (let k: i32 = 0; k < 24; k++) {
        const v = v128.load(p + offset(k));
        const light = i8x16.gt_u(v, high);
        const dark = i8x16.lt_u(v, low);
        lightRun = v128.and(i8x16.sub(lightRun, light), light);
        darkRun = v128.and(i8x16.sub(darkRun, dark), dark);
        longest = i8x16.max_u(longest, i8x16.max_u(lightRun, darkRun));
      }
      let found = i8x16.bitmask(i8x16.gt_u(longest, eight));
      if (x + 16 > end) found &= (1 << (end - x)) - 1;
      while (found) {
        const lane = ctz<i32>(found);
        found &= found - 1;
        const spot = y * width + x + lane;
        store<u16>(score + ((<usize>spot) << 1), <u16>scoreOf(p + <usize>lane, step));
        store<i32>(spots + ((<usize>count) << 2), spot);
        count++;
      }
    }
  }
  return count;
}

/** A sum of four lanes. */
function total(v: v128): i32 {
  return i32x4.extract_lane(v, 0) + i32x4.extract_lane(v, 1) + i32x4.extract_lane(v, 2) + i32x4.extract_lane(v, 3);
}

function harris(p: usize, width: i32): f64 {
  // Of eight columns the last is not looked at.
  const seven = i16x8(-1, -1, -1, -1, -1, -1, -1, 0);
  let xx = i32x4.splat(0);
  let yy = i32x4.splat(0);
  let xy = i32x4.splat(0);
  const stride = <usize>width;
  let row = p - 3 * stride - 3;
  for (let v: i32 = 0; v < 7; v++, row += stride) {
    const gx = v128.and(i16x8.sub(v128.load_ext<u8>(row + 1), v128.load_ext<u8>(row - 1)), seven);
    const gy = v128.and(i16x8.sub(v128.load_ext<u8>(row + stride), v128.load_ext<u8>(row - stride)), seven);
    xx = i32x4.add(xx, i32x4.dot_i16x8_s(gx, gx));
    yy = i32x4.add(yy, i32x4.dot_i16x8_s(gy, gy));
    xy = i32x4.add(xy, i32x4.dot_i16x8_s(gx, gy));
  }
  const a = <f64>total(xx);
  const b = <f64>total(yy);
  const c = <f64>total(xy);
  return a * b - c * c - EDGE * (a + b) * (a + b);
}

export function maxima(
  at: usize,
  width: i32,
  height: i32,
  score: usize,
  spots: usize,
  count: i32,
  places: usize,
  keys: usize,
  room: i32,
): i32 {
  const stride = (<usize>width) << 1;
  let n: i32 = 0;
  for (let i: i32 = 0; i < count; i++) {
    const spot = load<i32>(spots + ((<usize>i) << 2));
    const q = score + ((<usize>spot) << 1);
    const s = load<u16>(q);
    if (s < load<u16>(q - 2) || s < load<u16>(q + 2)) continue;
    if (s < load<u16>(q - stride - 2) || s < load<u16>(q - stride) || s < load<u16>(q - stride + 2)) continue;
    if (s < load<u16>(q + stride - 2) || s < load<u16>(q + stride) || s < load<u16>(q + stride + 2)) continue;
    const y = spot / width;
    const x = spot - y * width;
    if (x < RADIUS || y < RADIUS || x >= width - RADIUS || y >= height - RADIUS) continue;
    const response = harris(at + <usize>spot, width);
    if (response <= 0 || n >= room) continue;
    store<f64>(keys + ((<usize>n) << 3), response);
    store<i32>(places + ((<usize>n) << 2), spot);
    n++;
  }
  for (let i: i32 = 0; i < count; i++) {
    store<u16>(score + ((<usize>load<i32>(spots + ((<usize>i) << 2))) << 1), 0);
  }
  return n;
}

function nearest(v: f64): i32 {
  return <i32>(v + copysign<f64>(0.5, v));
}

export function describe(
  at: usize,
  width: i32,
  soft: usize,
  place: i32,
  pattern: usize,
  tests: i32,
  bits: usize,
  direction: usize,
): void {
  let mx: i32 = 0;
  let my: i32 = 0;
  const p = at + <usize>place;
  for (let v: i32 = -RADIUS; v <= RADIUS; v++) {
    const reach = load<i32>(REACH + ((<usize>abs(v)) << 2));
    const row = p + <usize>(v * width);
    let sum: i32 = 0;
    for (let u: i32 = -reach; u <= reach; u++) {
      const level = <i32>load<u8>(row + <usize>u);
      mx += u * level;
      sum += level;
    }
    my += v * sum;
  }
  const x = <f64>mx;
  const y = <f64>my;
  const length = sqrt<f64>(x * x + y * y);
  const dx = length === 0 ? 1 : x / length;
  const dy = length === 0 ? 0 : y / length;
  store<f64>(direction, dx);
  store<f64>(direction, dy, 8);
  const c = dx / UNIT;
  const s = dy / UNIT;
  const middle = soft + <usize>place;
  let k = pattern;
  for (let byteAt = bits; byteAt < bits + <usize>(tests >>> 3); byteAt++) {
    let byte: u32 = 0;
    for (let bit: u32 = 0; bit < 8; bit++, k += 8) {
      const ax = <f64>load<i16>(k);
      const ay = <f64>load<i16>(k, 2);
      const bx = <f64>load<i16>(k, 4);
      const by = <f64>load<i16>(k, 6);
      const a = nearest(c * ax - s * ay) + width * nearest(s * ax + c * ay);
      const b = nearest(c * bx - s * by) + width * nearest(s * bx + c * by);
      byte |= (<u32>(load<u8>(middle + <usize>a) < load<u8>(middle + <usize>b))) << bit;
    }
    store<u8>(byteAt, <u8>byte);
  }
}
