/** What the picture kernel does, one sample after the other: floats of 32 bits, in lanes of four where sums are split. */
import type { PictureKernel } from './picture-kernel.ts';

/** Samples across and down that a picture is filtered to, and the coefficients that are made of them. */
export const SIDE = 64;
export const BAND = 16;

const f = Math.fround;
const THOUSANDTH = f(0.001);

export function typescriptKernel(): PictureKernel {
  let memory = new ArrayBuffer(0);
  let u8 = new Uint8Array(memory);
  let i32 = new Int32Array(memory);
  let f32 = new Float32Array(memory);

  return {
    name: 'typescript',
    base: 0,

    reserve(bytes) {
      if (bytes <= memory.byteLength) return memory;
      const before = u8;
      memory = new ArrayBuffer(Math.ceil(bytes / 8) * 8);
      u8 = new Uint8Array(memory);
      u8.set(before);
      i32 = new Int32Array(memory);
      f32 = new Float32Array(memory);
      return memory;
    },

    luma(pixels, channels, count, line) {
      const to = line >> 2;
      if (channels === 1) for (let x = 0; x < count; x++) f32[to + x] = u8[pixels + x]!;
      else {
        for (let x = 0, p = pixels; x < count; x++, p += 3) {
          f32[to + x] = (299 * u8[p]! + 587 * u8[p + 1]! + 114 * u8[p + 2]!) * THOUSANDTH;
        }
      }
    },

    round(line, count, levels) {
      const from = line >> 2;
      for (let x = 0; x < count; x++) u8[levels + x] = f(f32[from + x]! + 0.5);
    },

    add(line, count, weight, sums, fresh) {
      const w = f(weight);
      const from = line >> 2;
      const to = sums >> 2;
      for (let x = 0; x < count; x++) {
        const product = f(w * f32[from + x]!);
        f32[to + x] = fresh ? product : f32[to + x]! + product;
      }
    },

    average(pixels, width, factor, count, scale, _sums, out) {
      const by = f(scale);
      for (let x = 0; x < count; x++) {
        let sum = 0;
        for (let y = 0; y < factor; y++) {
          for (let k = 0; k < factor; k++) sum += u8[pixels + y * width + x * factor + k]!;
        }
        f32[(out >> 2) + x] = f(sum) * by;
      }
    },

    weigh(sums, rows, out) {
      const table = rows >> 2;
      const weights = table + 2 * SIDE + 2;
      const lanes = new Float32Array(4);
      for (let o = 0; o < SIDE; o++) {
        const p = (sums >> 2) + i32[table + 2 * o]!;
        const w = weights + i32[table + 2 * o + 1]!;
        const count = weights + i32[table + 2 * o + 3]! - w;
        const whole = count - (count % 4);
        lanes.fill(0);
        for (let k = 0; k < whole; k++) lanes[k % 4]! += f(f32[p + k]! * f32[w + k]!);
        let rest = 0;
        for (let k = whole; k < count; k++) rest = f(rest + f(f32[p + k]! * f32[w + k]!));
        f32[(out >> 2) + o] = f(f(lanes[0]! + lanes[1]!) + f(lanes[2]! + lanes[3]!)) + rest;
      }
    },

    steps(line, above, below, count, least, columns, pitch, out) {
      const [from, up, down, to, next] = [line >> 2, above >> 2, below >> 2, columns >> 2, pitch >> 2];
      const sums = [new Float32Array(4), new Float32Array(4), new Float32Array(4)] as const;
      const total: number[] = [];
      const whole = count - (count % 4);
      const fold = () => total.push(...sums.map((s) => f(f(s[0]! + s[1]!) + f(s[2]! + s[3]!))));
      if (whole === 0) fold();
      for (let x = 0; x < count; x++) {
        const here = f32[from + x]!;
        const left = f32[from + x - 1]!;
        const jump = Math.abs(f(here - f32[up + x]!));
        const across = Math.abs(f(here - left));
        const around = f(f(f32[up + x]! + f32[down + x]!) + f(left + f32[from + x + 1]!));
        const energy = Math.abs(f(around - f(4 * here)));
        [jump, jump > least ? 1 : 0, energy].forEach((value, k) => {
          if (x < whole) sums[k]![x % 4]! += value;
          else total[k] = f(total[k]! + value);
        });
        [across, across > least ? 1 : 0, energy].forEach((value, k) => {
          f32[to + k * next + x]! += value;
        });
        if (x === whole - 1) fold();
      }
      f32.set(total, out >> 2);
    },

    cosines(block, waves, tall, out) {
      const [from, wave, between, to] = [block >> 2, waves >> 2, tall >> 2, out >> 2];
      for (let i = 0; i < BAND; i++) {
        for (let j = 0; j < SIDE; j++) {
          let sum = 0;
          for (let k = 0; k < SIDE; k++) sum = f(sum + f(f32[wave + k * BAND + i]! * f32[from + k * SIDE + j]!));
          f32[between + i * SIDE + j] = sum;
        }
      }
      for (let i = 0; i < BAND; i++) {
        for (let j = 0; j < BAND; j++) {
          let sum = 0;
          for (let k = 0; k < SIDE; k++) sum = f(sum + f(f32[between + i * SIDE + k]! * f32[wave + k * BAND + j]!));
          f32[to + i * BAND + j] = sum;
        }
      }
    },
  };
}
