import { CODE_BYTES, hamming, RADIUS } from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { PATCH_SHAPE, type PatchCodes, patchCodes, swapHalves } from './patch-codes.ts';
import { openPatchKernel, type PatchKernel, type Plane } from './patch-kernel.ts';
import { PATTERN } from './patch-pattern.ts';
import { buildPyramid } from './patch-pyramid.ts';
import { PATCH_RADIUS, PATTERN_UNIT, typescriptKernel } from './patch-typescript-kernel.ts';

/** The pyramid of a reference, and a copy of each plane. */
function pyramidOf(luma: Uint8Array, width: number, height: number, kernel: PatchKernel = typescriptKernel()) {
  const pyramid = buildPyramid(kernel, luma, width, height, PATCH_SHAPE.reference);
  const bytes = new Uint8Array(kernel.reserve(0));
  const planes = pyramid.levels.map((level) => ({
    ...level,
    grey: bytes.slice(level.at, level.at + level.width * level.height),
    blurred: bytes.slice(level.soft, level.soft + level.width * level.height),
  }));
  return { ...pyramid, planes };
}

/** Overlapping discs and boxes in shades, from a seed: corners of every size, no noise. */
function scene(width: number, height: number, seed = 1): Uint8Array {
  let a = seed >>> 0;
  const random = () => {
    a = (Math.imul(a, 1664525) + 1013904223) >>> 0;
    return a / 2 ** 32;
  };
  const luma = new Uint8Array(width * height).fill(128);
  for (let n = 0; n < 160; n++) {
    const [x, y, r, round] = [random() * width, random() * height, 3 + random() ** 3 * width * 0.2, random() < 0.5];
    const level = Math.floor(random() * 256);
    for (let v = Math.max(0, Math.floor(y - r)); v < Math.min(height, y + r); v++) {
      for (let u = Math.max(0, Math.floor(x - r)); u < Math.min(width, x + r); u++) {
        if (!round || Math.hypot(u - x, v - y) < r) luma[v * width + u] = level;
      }
    }
  }
  return luma;
}

const mirrored = (luma: Uint8Array, width: number): Uint8Array =>
  luma.map((_, i) => luma[i - (i % width) + width - 1 - (i % width)]!);

const at = (codes: PatchCodes, i: number) => codes.bits.subarray(i * CODE_BYTES, (i + 1) * CODE_BYTES);

interface Described {
  levels: readonly Plane[];
  codeAt(l: number, x: number, y: number): { bits: Uint8Array; dx: number };
}

/** Share of `a` with a neighbour in `b`. */
function found(a: PatchCodes, b: PatchCodes): number {
  let n = 0;
  for (let i = 0; i < a.count; i++) {
    for (let j = 0; j < b.count; j++) {
      if (hamming(a.bits, b.bits, i * CODE_BYTES, j * CODE_BYTES) <= RADIUS) {
        n++;
        break;
      }
    }
  }
  return n / a.count;
}

describe('the pattern', () => {
  test('is 128 tests and their reflections, inside the disc', () => {
    expect(PATTERN).toHaveLength(1024);
    for (let k = 0; k < 512; k++) expect(PATTERN[512 + k]).toBe(k & 1 ? 0 - PATTERN[k]! : PATTERN[k]);
    for (let k = 0; k < 1024; k += 2) {
      expect(Math.hypot(PATTERN[k]!, PATTERN[k + 1]!)).toBeLessThan(PATCH_RADIUS * PATTERN_UNIT);
    }
  });
});

describe('the pyramid', () => {
  const sizes = [
    [640, 360],
    [641, 359],
    [400, 225],
    [333, 250],
    [97, 61],
    [1234, 77],
  ] as const;
  test.each(sizes)('of a mirrored picture of %i x %i is the mirrored pyramid', (width, height) => {
    const luma = scene(width, height);
    const one = pyramidOf(luma, width, height).planes;
    const two = pyramidOf(mirrored(luma, width), width, height).planes;
    expect(one).toHaveLength(8);
    one.forEach(({ grey, blurred, width }, l) => {
      expect(two[l]!.grey).toEqual(mirrored(grey, width));
      expect(two[l]!.blurred).toEqual(mirrored(blurred, width));
    });
  });

  test('averages over whole parts and keeps the area', () => {
    const luma = new Uint8Array(800 * 450).map((_, i) => ((i % 800) & 1 ? 200 : 100));
    const [first] = pyramidOf(luma, 800, 450).planes;
    expect([first!.width, first!.height]).toEqual([400, 225]);
    expect(new Set(first!.grey)).toEqual(new Set([150]));
  });
});

describe('patch codes', () => {
  test('of exactly reflected corners are the same with their halves swapped: no bit differs', () => {
    const [width, height] = [400, 225];
    const luma = scene(width, height, 3);
    const kernels = [openPatchKernel(), openPatchKernel()];
    const describer = (kernel: PatchKernel, k: number): Described => {
      const pyramid = buildPyramid(kernel, k ? mirrored(luma, width) : luma, width, height, PATCH_SHAPE.reference);
      const [direction, pattern, bits] = [pyramid.end, pyramid.end + 16, pyramid.end + 16 + 2048];
      new Int16Array(kernel.reserve(bits + CODE_BYTES), pattern, PATTERN.length).set(PATTERN);
      return {
        levels: pyramid.levels,
        codeAt(l: number, x: number, y: number) {
          const level = pyramid.levels[l]!;
          kernel.describe(level, level.soft, y * level.width + x, pattern, 256, bits, direction);
          const memory = kernel.reserve(0);
          return { bits: new Uint8Array(memory, bits, CODE_BYTES), dx: new Float64Array(memory, direction, 1)[0]! };
        },
      };
    };
    const [plain, turned] = kernels.map(describer) as [Described, Described];
    const swapped = new Uint8Array(CODE_BYTES);
    let compared = 0;
    plain.levels.forEach(({ width, height }, l) => {
      for (let y = PATCH_RADIUS; y < height - PATCH_RADIUS; y += 7) {
        for (let x = PATCH_RADIUS; x < width - PATCH_RADIUS; x += 5) {
          const a = plain.codeAt(l, x, y);
          const b = turned.codeAt(l, width - 1 - x, y);
          // Where no light lies to any side there is no direction to reflect.
          if (a.dx === 1 && b.dx === 1) continue;
          swapHalves(b.bits, 0, swapped, 0);
          expect(hamming(a.bits, swapped)).toBe(0);
          compared++;
        }
      }
    });
    expect(compared).toBeGreaterThan(2000);
  });

  test('of a mirrored picture lie mirrored, codes swapped', () => {
    const [width, height] = [640, 360];
    const luma = scene(width, height, 5);
    const options = { count: 200, kind: 'reference' } as const;
    const plain = patchCodes(luma, width, height, options);
    const turned = patchCodes(mirrored(luma, width), width, height, options);
    const back = { ...turned, bits: new Uint8Array(turned.bits.length) };
    for (let i = 0; i < turned.count; i++) swapHalves(turned.bits, i, back.bits, i);
    expect(found(plain, back)).toBeGreaterThan(0.98);
    const places = new Set(Array.from(turned.x, (x, i) => `${65535 - x} ${turned.y[i]}`));
    const there = Array.from(plain.x, (x, i) => places.has(`${x} ${plain.y[i]}`)).filter(Boolean).length;
    expect(there / plain.count).toBeGreaterThan(0.95);
  });

  test('come again from a copy of half the size, at the same places, sizes and directions', () => {
    const [width, height] = [800, 450];
    const luma = scene(width, height, 7);
    const half = new Uint8Array(400 * 225).map((_, i) => {
      const p = Math.floor(i / 400) * 2 * width + (i % 400) * 2;
      return (luma[p]! + luma[p + 1]! + luma[p + width]! + luma[p + width + 1]! + 2) >> 2;
    });
    const reference = patchCodes(luma, width, height, { count: 60, kind: 'reference' });
    const upload = patchCodes(half, 400, 225, { count: 300, kind: 'upload' });
    expect(found(reference, upload)).toBeGreaterThan(0.7);
    let [near, far] = [0, 0];
    for (let i = 0; i < reference.count; i++) {
      for (let j = 0; j < upload.count; j++) {
        if (hamming(at(reference, i), at(upload, j)) > 20) continue;
        const apart = Math.hypot(reference.x[i]! - upload.x[j]!, reference.y[i]! - upload.y[j]!);
        const turn = ((reference.angle[i]! - upload.angle[j]! + 98304) % 65536) - 32768;
        const scale = reference.diameter[i]! / upload.diameter[j]!;
        if (apart < 1000 && Math.abs(turn) < 3000 && scale > 0.75 && scale < 1.33) near++;
        else far++;
      }
    }
    expect(near).toBeGreaterThan(40);
    // Boxes have corners like those of other boxes.
    expect(far).toBeLessThan(near / 5);
  });

  test('are as many as asked for, the strongest first, spread over levels', () => {
    const codes = patchCodes(scene(640, 360, 2), 640, 360, { count: 50, kind: 'reference' });
    expect(codes.count).toBe(50);
    expect(codes.bits).toHaveLength(50 * CODE_BYTES);
    expect(codes.rank[0]).toBe(255);
    expect(Array.from(codes.rank)).toEqual(Array.from(codes.rank).sort((a, b) => b - a));
    expect(new Set(codes.diameter).size).toBeGreaterThan(4);
  });

  test('are none where there is no corner, or no room for a patch', () => {
    expect(patchCodes(new Uint8Array(400 * 225).fill(90), 400, 225, { count: 60, kind: 'reference' }).count).toBe(0);
    expect(patchCodes(scene(2000, 9), 2000, 9, { count: 60, kind: 'reference' }).count).toBe(0);
    expect(patchCodes(scene(8, 8), 8, 8, { count: 60, kind: 'upload' }).count).toBe(0);
    expect(patchCodes(scene(1, 400), 1, 400, { count: 60, kind: 'upload' }).count).toBe(0);
  });
});
