// The inner loops of picture codes, four samples at a time. picture-typescript-kernel.ts says what they mean and is the oracle
// of this file: the same numbers, to the bit. Lines may be read and written for 64 bytes beyond their ends.

/** Where the first free byte lies: constants come before it. */
export function base(): usize {
  return (__heap_base + 63) & ~63;
}

function colour(v: v128, weight: f32): v128 {
  return f32x4.mul(f32x4.convert_i32x4_s(v), f32x4.splat(weight));
}

export function luma(pixels: usize, channels: i32, count: i32, line: usize): void {
  const zero = i32x4.splat(0);
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
    const r = v128.shuffle<u8>(v, zero, 0, 16, 16, 16, 3, 16, 16, 16, 6, 16, 16, 16, 9, 16, 16, 16);
    const g = v128.shuffle<u8>(v, zero, 1, 16, 16, 16, 4, 16, 16, 16, 7, 16, 16, 16, 10, 16, 16, 16);
    const b = v128.shuffle<u8>(v, zero, 2, 16, 16, 16, 5, 16, 16, 16, 8, 16, 16, 16, 11, 16, 16, 16);
    v128.store(line, f32x4.add(f32x4.add(colour(r, 0.299), colour(g, 0.587)), colour(b, 0.114)));
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
  if (fresh) for (; line < end; line += 16, sums += 16) v128.store(sums, f32x4.mul(w, v128.load(line)));
  else {
    for (; line < end; line += 16, sums += 16) {
      v128.store(sums, f32x4.add(v128.load(sums), f32x4.mul(w, v128.load(line))));
    }
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
