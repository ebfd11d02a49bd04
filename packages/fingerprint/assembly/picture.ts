// The inner loops of picture codes, four samples at a time. picture-typescript-kernel.ts says what they mean and is the oracle
// of this file: the same numbers, to the bit. Lines may be read and written for 64 bytes beyond their ends.

/** Where the first free byte lies: constants come before it. */
export function base(): usize {
  return (__heap_base + 63) & ~63;
}

export function luma(pixels: usize, channels: i32, count: i32, line: usize): void {
  if (channels === 1) {
    for (let x: i32 = 0; x < count; x += 8, pixels += 8, line += 32) {
      const v = v128.load_ext<u8>(pixels);
      v128.store(line, f32x4.convert_i32x4_s(i32x4.extend_low_i16x8_u(v)));
      v128.store(line, f32x4.convert_i32x4_s(i32x4.extend_high_i16x8_u(v)), 16);
    }
    return;
  }
  for (let x: i32 = 0; x < count; x += 4, pixels += 12, line += 16) {
    const v = v128.load(pixels);
    const redGreen = v128.swizzle(v, i8x16(0, -1, 1, -1, 3, -1, 4, -1, 6, -1, 7, -1, 9, -1, 10, -1));
    const blue = v128.swizzle(v, i8x16(2, -1, -1, -1, 5, -1, -1, -1, 8, -1, -1, -1, 11, -1, -1, -1));
    const thousandths = i32x4.add(
      i32x4.dot_i16x8_s(redGreen, i16x8(299, 587, 299, 587, 299, 587, 299, 587)),
      i32x4.dot_i16x8_s(blue, i16x8(114, 0, 114, 0, 114, 0, 114, 0)),
    );
    v128.store(line, f32x4.mul(f32x4.convert_i32x4_s(thousandths), f32x4.splat(0.001)));
  }
}

export function round(line: usize, count: i32, levels: usize): void {
  const half = f32x4.splat(0.5);
  for (let x: i32 = 0; x < count; x += 8, line += 32, levels += 8) {
    const low = i32x4.trunc_sat_f32x4_s(f32x4.add(v128.load(line), half));
    const high = i32x4.trunc_sat_f32x4_s(f32x4.add(v128.load(line, 16), half));
    const words = i16x8.narrow_i32x4_s(low, high);
    store<u64>(levels, i64x2.extract_lane(i8x16.narrow_i16x8_u(words, words), 0));
  }
}

export function add(line: usize, count: i32, weight: f32, sums: usize, fresh: i32): void {
  const w = f32x4.splat(weight);
  const end = line + ((<usize>count) << 2);
  if (fresh) {
    for (; line < end; line += 64, sums += 64) {
      v128.store(sums, f32x4.mul(w, v128.load(line)));
      v128.store(sums, f32x4.mul(w, v128.load(line, 16)), 16);
      v128.store(sums, f32x4.mul(w, v128.load(line, 32)), 32);
      v128.store(sums, f32x4.mul(w, v128.load(line, 48)), 48);
    }
    return;
  }
  for (; line < end; line += 64, sums += 64) {
    v128.store(sums, f32x4.add(v128.load(sums), f32x4.mul(w, v128.load(line))));
    v128.store(sums, f32x4.add(v128.load(sums, 16), f32x4.mul(w, v128.load(line, 16))), 16);
    v128.store(sums, f32x4.add(v128.load(sums, 32), f32x4.mul(w, v128.load(line, 32))), 32);
    v128.store(sums, f32x4.add(v128.load(sums, 48), f32x4.mul(w, v128.load(line, 48))), 48);
  }
}

export function average(pixels: usize, width: i32, factor: i32, count: i32, scale: f32, sums: usize, out: usize): void {
  const used = count * factor;
  for (let x: i32 = 0; x < used; x += 8) {
    let low = i32x4.splat(0);
    let high = low;
    let p = pixels + <usize>x;
    for (let y: i32 = 0; y < factor; y++, p += <usize>width) {
      const v = v128.load_ext<u8>(p);
      low = i32x4.add(low, i32x4.extend_low_i16x8_u(v));
      high = i32x4.add(high, i32x4.extend_high_i16x8_u(v));
    }
    const to = sums + ((<usize>x) << 2);
    v128.store(to, low);
    v128.store(to, high, 16);
  }
  let p = sums;
  for (let x: i32 = 0; x < count; x++, out += 4) {
    let sum: u32 = 0;
    for (const end = p + ((<usize>factor) << 2); p < end; p += 4) sum += load<u32>(p);
    store<f32>(out, <f32>sum * scale);
  }
}

export function weigh(sums: usize, rows: usize, out: usize): void {
  const weights = rows + 520;
  for (let o: i32 = 0; o < 64; o++, rows += 8, out += 4) {
    let p = sums + ((<usize>load<i32>(rows)) << 2);
    let w = weights + ((<usize>load<i32>(rows, 4)) << 2);
    const end = weights + ((<usize>load<i32>(rows, 12)) << 2);
    let lanes = f32x4.splat(0);
    for (; w + 16 <= end; w += 16, p += 16) lanes = f32x4.add(lanes, f32x4.mul(v128.load(p), v128.load(w)));
    let rest: f32 = 0;
    for (; w < end; w += 4, p += 4) rest += load<f32>(p) * load<f32>(w);
    const low = f32x4.extract_lane(lanes, 0) + f32x4.extract_lane(lanes, 1);
    const high = f32x4.extract_lane(lanes, 2) + f32x4.extract_lane(lanes, 3);
    store<f32>(out, low + high + rest);
  }
}

export function cosines(block: usize, waves: usize, tall: usize, out: usize): void {
  for (let i: i32 = 0; i < 16; i++) {
    const wave = waves + ((<usize>i) << 2);
    for (let j: usize = 0; j < 256; j += 64) {
      let a = f32x4.splat(0);
      let b = a;
      let c = a;
      let d = a;
      let p = block + j;
      for (let k: usize = 0; k < 64; k++, p += 256) {
        const w = f32x4.splat(load<f32>(wave + (k << 6)));
        a = f32x4.add(a, f32x4.mul(w, v128.load(p)));
        b = f32x4.add(b, f32x4.mul(w, v128.load(p, 16)));
        c = f32x4.add(c, f32x4.mul(w, v128.load(p, 32)));
        d = f32x4.add(d, f32x4.mul(w, v128.load(p, 48)));
      }
      const to = tall + ((<usize>i) << 8) + j;
      v128.store(to, a);
      v128.store(to, b, 16);
      v128.store(to, c, 32);
      v128.store(to, d, 48);
    }
  }
  for (let i: usize = 0; i < 16; i++) {
    let a = f32x4.splat(0);
    let b = a;
    let c = a;
    let d = a;
    let wave = waves;
    for (let k: usize = 0; k < 64; k++, wave += 64) {
      const w = f32x4.splat(load<f32>(tall + (i << 8) + (k << 2)));
      a = f32x4.add(a, f32x4.mul(w, v128.load(wave)));
      b = f32x4.add(b, f32x4.mul(w, v128.load(wave, 16)));
      c = f32x4.add(c, f32x4.mul(w, v128.load(wave, 32)));
      d = f32x4.add(d, f32x4.mul(w, v128.load(wave, 48)));
    }
    const to = out + (i << 6);
    v128.store(to, a);
    v128.store(to, b, 16);
    v128.store(to, c, 32);
    v128.store(to, d, 48);
  }
}

function sumOf(v: v128): f32 {
  const low = f32x4.extract_lane(v, 0) + f32x4.extract_lane(v, 1);
  return low + (f32x4.extract_lane(v, 2) + f32x4.extract_lane(v, 3));
}

export function steps(
  line: usize,
  above: usize,
  below: usize,
  count: i32,
  least: f32,
  columns: usize,
  pitch: usize,
  out: usize,
): void {
  const limit = f32x4.splat(least);
  const one = f32x4.splat(1);
  const four = f32x4.splat(4);
  let jump = f32x4.splat(0);
  let share = jump;
  let detail = jump;
  const whole = (<usize>(count & ~3)) << 2;
  for (let x: usize = 0; x < whole; x += 16) {
    const here = v128.load(line + x);
    const left = v128.load(line + x - 4);
    const up = v128.load(above + x);
    const down = f32x4.abs(f32x4.sub(here, up));
    jump = f32x4.add(jump, down);
    share = f32x4.add(share, v128.and(f32x4.gt(down, limit), one));
    const across = f32x4.abs(f32x4.sub(here, left));
    const around = f32x4.add(f32x4.add(up, v128.load(below + x)), f32x4.add(left, v128.load(line + x + 4)));
    const energy = f32x4.abs(f32x4.sub(around, f32x4.mul(four, here)));
    detail = f32x4.add(detail, energy);
    const to = columns + x;
    v128.store(to, f32x4.add(v128.load(to), across));
    const shares = to + pitch;
    v128.store(shares, f32x4.add(v128.load(shares), v128.and(f32x4.gt(across, limit), one)));
    const details = shares + pitch;
    v128.store(details, f32x4.add(v128.load(details), energy));
  }
  let jumps = sumOf(jump);
  let shared = sumOf(share);
  let detailed = sumOf(detail);
  for (let x = whole; x < (<usize>count) << 2; x += 4) {
    const here = load<f32>(line + x);
    const left = load<f32>(line + x - 4);
    const up = load<f32>(above + x);
    const down = abs<f32>(here - up);
    jumps += down;
    if (down > least) shared += 1;
    const across = abs<f32>(here - left);
    const energy = abs<f32>(up + load<f32>(below + x) + (left + load<f32>(line + x + 4)) - 4 * here);
    detailed += energy;
    const to = columns + x;
    store<f32>(to, load<f32>(to) + across);
    if (across > least) store<f32>(to + pitch, load<f32>(to + pitch) + 1);
    store<f32>(to + 2 * pitch, load<f32>(to + 2 * pitch) + energy);
  }
  store<f32>(out, jumps);
  store<f32>(out, shared, 4);
  store<f32>(out, detailed, 8);
}
