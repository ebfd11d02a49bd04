import { readFileSync } from 'node:fs';
import { CODE_BITS, codeFromHex, codeToHex, hamming, TURNS, type Turn } from '@vigil/contracts';
import fc from 'fast-check';
import sharp from 'sharp';
import { describe, expect, it } from 'vitest';
import { codeOf, levelsOf, pdqBlock, pdqTurns, thumbnailOf, turnedCodes } from './pdq.ts';
import { lumaOf, tentRows } from './pdq-filter.ts';

// Real: everything. The vectors were computed by Meta's own code; see seeds/vectors/README.md.
const folder = new URL('../../../seeds/vectors/', import.meta.url);
const { vectors } = JSON.parse(readFileSync(new URL('vectors.json', folder), 'utf8')) as {
  vectors: { file: string; lossless: boolean; hash: string; quality: number; turned: Record<Turn, string> }[];
};

/** The definition, word for word: running sums over whole pictures, two passes, then one sample in n / 64. */
function literalBlock(luma: Uint8Array | Float32Array, width: number, height: number): Float32Array {
  const box = (from: Float64Array, to: Float64Array, start: number, step: number, n: number) => {
    const size = Math.floor((n + 127) / 128);
    const half = Math.floor((size + 2) / 2);
    for (let o = 0; o < n; o++) {
      let sum = 0;
      let count = 0;
      for (let x = o - (size - half); x < o + half; x++) {
        if (x < 0 || x >= n) continue;
        sum += from[start + x * step]!;
        count++;
      }
      to[start + o * step] = sum / count;
    }
  };
  const a = Float64Array.from(luma);
  const b = new Float64Array(a.length);
  for (let pass = 0; pass < 2; pass++) {
    for (let y = 0; y < height; y++) box(a, b, y * width, 1, width);
    for (let x = 0; x < width; x++) box(b, a, x, width, height);
  }
  const at = (k: number, n: number) => Math.floor(((k + 0.5) * n) / 64);
  return Float32Array.from({ length: 4096 }, (_, i) => a[at(i >> 6, height) * width + at(i & 63, width)]!);
}

/** The windows of both passes, one after the other, over one line of n samples. */
function literalRows(n: number): { start: number; weights: Float32Array }[] {
  const size = Math.floor((n + 127) / 128);
  const half = Math.floor((size + 2) / 2);
  const windowOf = (o: number) => [Math.max(0, o - (size - half)), Math.min(n - 1, o + half - 1)] as const;
  return Array.from({ length: 64 }, (_, k) => {
    const [first, last] = windowOf(Math.floor(((k + 0.5) * n) / 64));
    const [start, end] = [windowOf(first)[0], windowOf(last)[1]];
    const weights = new Float64Array(end - start + 1);
    for (let m = first; m <= last; m++) {
      const [from, to] = windowOf(m);
      for (let x = from; x <= to; x++) weights[x - start]! += 1 / (last - first + 1) / (to - from + 1);
    }
    return { start, weights: Float32Array.from(weights) };
  });
}

/** Numerical Recipes' generator: pictures that are the same everywhere. */
function noise(count: number, seed: number): Uint8Array {
  let s = seed >>> 0;
  return Uint8Array.from({ length: count }, () => {
    s = (Math.imul(s, 1664525) + 1013904223) >>> 0;
    return s >>> 24;
  });
}

/** Discs and slow waves: something whose turned copies can be told apart. */
function scene(width: number, height: number, seed: number): Uint8Array {
  const r = noise(60, seed);
  return Uint8Array.from({ length: width * height }, (_, i) => {
    const u = (i % width) / width;
    const v = Math.floor(i / width) / height;
    let level = 128 + 60 * Math.sin((r[0]! / 20) * u + (r[1]! / 20) * v + r[2]!);
    for (let k = 3; k < 60; k += 4) {
      if ((u - r[k]! / 256) ** 2 + (v - r[k + 1]! / 256) ** 2 < (0.03 + r[k + 2]! / 1200) ** 2) level = r[k + 3]!;
    }
    return Math.round(level);
  });
}

function turn(luma: Uint8Array, width: number, height: number, how: Turn) {
  const swap = ['rot90', 'rot270', 'transpose', 'antitranspose'].includes(how);
  const w = swap ? height : width;
  const h = swap ? width : height;
  const source: Record<Turn, (x: number, y: number) => [number, number]> = {
    none: (x, y) => [x, y],
    rot90: (x, y) => [width - 1 - y, x],
    rot180: (x, y) => [width - 1 - x, height - 1 - y],
    rot270: (x, y) => [y, height - 1 - x],
    mirror: (x, y) => [width - 1 - x, y],
    flip: (x, y) => [x, height - 1 - y],
    transpose: (x, y) => [y, x],
    antitranspose: (x, y) => [width - 1 - y, height - 1 - x],
  };
  const out = Uint8Array.from({ length: w * h }, (_, i) => {
    const [x, y] = source[how](i % w, Math.floor(i / w));
    return luma[y * width + x]!;
  });
  return { luma: out, width: w, height: h };
}

describe('PDQ against the golden vectors', () => {
  it.each(vectors)('$file', async ({ file, lossless, hash, quality, turned }) => {
    const image = sharp(readFileSync(new URL(file, folder)), { ignoreIcc: true }).toColourspace('srgb');
    const { data, info } = await image.raw({ depth: 'uchar' }).toBuffer({ resolveWithObject: true });
    const block = pdqBlock(lumaOf(data, info.width, info.height, info.channels), info.width, info.height);
    const allowed = lossless ? 2 : 10;
    expect(hamming(codeOf(block.dct), codeFromHex(hash))).toBeLessThanOrEqual(allowed);
    expect(Math.abs(block.quality - quality)).toBeLessThanOrEqual(1);
    for (const code of turnedCodes(block.dct)) {
      expect(hamming(code.bits, codeFromHex(turned[TURNS[code.turn]!]))).toBeLessThanOrEqual(allowed);
    }
  });
});

describe('PDQ', () => {
  it('filters by sparse matrices exactly as the literal filter does', () => {
    const size = fc.integer({ min: 5, max: 300 });
    fc.assert(
      fc.property(size, size, fc.integer(), (width, height, seed) => {
        const luma = noise(width * height, seed);
        const { block64 } = pdqBlock(luma, width, height);
        const literal = literalBlock(luma, width, height);
        for (let i = 0; i < 4096; i++) expect(Math.abs(block64[i]! - literal[i]!)).toBeLessThan(0.001);
      }),
      { numRuns: 25, seed: 20 },
    );
    for (const [width, height] of [
      [1000, 129],
      [128, 897],
    ] as const) {
      const luma = noise(width * height, width);
      const { block64 } = pdqBlock(luma, width, height);
      literalBlock(luma, width, height).forEach((v, i) => {
        expect(Math.abs(block64[i]! - v)).toBeLessThan(0.001);
      });
    }
  });

  it('weighs every sample bit by bit as the two passes do', () => {
    for (const n of [...Array.from({ length: 700 }, (_, i) => i + 1), 1919, 1920, 4032, 8191, 8192, 8193, 20_000]) {
      const { start, at, weight } = tentRows(n);
      literalRows(n).forEach((row, o) => {
        expect(start[o], `${n}`).toBe(row.start);
        expect(at[o + 1]! - at[o]!, `${n}`).toBe(row.weights.length);
        expect(
          row.weights.findIndex((w, i) => w !== weight[at[o]! + i]),
          `${n}`,
        ).toBe(-1);
      });
    }
  });

  it('takes steps by the width of a picture, not by its square, and keeps nothing of the very widest', () => {
    const n = 3_125_000;
    const widest = tentRows(n);
    for (const o of [0, 31, 63]) {
      const row = widest.weight.subarray(widest.at[o], widest.at[o + 1]);
      expect(row.reduce((sum, w) => sum + w, 0)).toBeCloseTo(1, 3);
    }
    expect(tentRows(n)).not.toBe(widest);
    expect(tentRows(500)).toBe(tentRows(500));
  });

  it('codes a region as it codes the same pixels cut out, whatever the stride', () => {
    const luma = scene(200, 160, 3);
    const cut = new Uint8Array(120 * 80);
    for (let y = 0; y < 80; y++) cut.set(luma.subarray((y + 40) * 200 + 50, (y + 40) * 200 + 170), y * 120);
    const region = { left: 50 / 200, top: 40 / 160, right: 170 / 200, bottom: 120 / 160 };
    expect(pdqBlock(luma, 200, 160, 200, region).dct).toEqual(pdqBlock(cut, 120, 80).dct);
    expect(pdqBlock(luma.subarray(40 * 200 + 50), 120, 80, 200).dct).toEqual(pdqBlock(cut, 120, 80).dct);
  });

  it('codes a turned picture without turning it, bit by bit', () => {
    for (const [width, height, seed] of [
      [320, 200, 1],
      [257, 301, 2],
      [90, 90, 3],
      [1000, 64, 4],
    ] as const) {
      const luma = scene(width, height, seed);
      const { block, codes } = pdqTurns(luma, width, height, TURNS);
      expect(codes.map((code) => TURNS[code.turn])).toEqual([...TURNS]);
      expect(block.dct).toEqual(pdqBlock(luma, width, height).dct);
      const really = TURNS.map((how) => turn(luma, width, height, how));
      const expected = really.map((picture) => codeOf(pdqBlock(picture.luma, picture.width, picture.height).dct));
      codes.forEach(({ bits }, k) => {
        expect(hamming(bits, expected[k]!)).toBeLessThanOrEqual(2);
      });
      // Meta's way, from one transform, is off by what the filter leans, but never mistakes one turn for another.
      turnedCodes(block.dct).forEach(({ bits }, k) => {
        const distances = expected.map((code) => hamming(bits, code));
        expect(distances.indexOf(Math.min(...distances))).toBe(k);
      });
    }
  });

  it('gives an inverted picture the complement of its code', () => {
    const luma = scene(128, 96, 9);
    const inverted = luma.map((v) => 255 - v);
    const distance = hamming(codeOf(pdqBlock(luma, 128, 96).dct), codeOf(pdqBlock(inverted, 128, 96).dct));
    expect(distance).toBeGreaterThanOrEqual(CODE_BITS - 2);
  });

  it('sets half of the bits, and none where there is nothing to see', () => {
    const code = codeToHex(codeOf(pdqBlock(scene(100, 100, 4), 100, 100).dct));
    expect([...code].reduce((n, c) => n + Number.parseInt(c, 16).toString(2).replaceAll('0', '').length, 0)).toBe(128);
    expect(codeToHex(codeOf(pdqBlock(new Uint8Array(4 * 90).fill(7), 4, 90).dct))).toBe('0'.repeat(64));
    expect(pdqBlock(new Uint8Array(4 * 90), 4, 90).quality).toBe(0);
  });

  it('averages thumbnails over equal areas', () => {
    const halves = Uint8Array.from({ length: 96 * 65 }, (_, i) => (i % 96 < 48 ? 10 : 210));
    const thumbnail = thumbnailOf(halves, 96, 65);
    expect(thumbnail).toHaveLength(4096);
    expect([thumbnail[0], thumbnail[31], thumbnail[32], thumbnail[63], thumbnail[4095]]).toEqual([
      10, 10, 210, 210, 210,
    ]);
  });

  it('takes luma from grey, grey with alpha, RGB and RGBA', () => {
    const levels = (channels: number, ...pixels: number[]) => {
      const count = pixels.length / channels;
      return [...levelsOf(lumaOf(Uint8Array.from(pixels), count, 1, channels), count, 1)];
    };
    expect(levels(1, 1, 2)).toEqual([1, 2]);
    expect(levels(2, 1, 99, 2, 99)).toEqual([1, 2]);
    expect(levels(3, 100, 0, 0, 0, 100, 0, 255, 255, 255)).toEqual([30, 59, 255]);
    expect(levels(4, 0, 0, 100, 77)).toEqual([11]);
  });
});
