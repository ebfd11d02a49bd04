import { createHash } from 'node:crypto';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeWith } from '../../../test/support/require.ts';
import { createPatchCoder, PATCH_SHAPE, type PatchKind } from './patch-codes.ts';
import { PADDING, type PatchKernel } from './patch-kernel.ts';
import { PATTERN } from './patch-pattern.ts';
import { buildPyramid } from './patch-pyramid.ts';
import { typescriptKernel } from './patch-typescript-kernel.ts';
import { openWasmKernel } from './patch-wasm-kernel.ts';

const wasm = openWasmKernel();

test('says that it was not built rather than fail', () => {
  expect(openWasmKernel(new URL('file:///nowhere/patch.wasm'))).toBe(null);
});

describeWith('wasm', wasm !== null, 'the WASM kernel of patches, built by npm run build:wasm', () => {
  interface Made {
    width: number;
    height: number;
    luma: Uint8Array;
  }

  /** Blocks, spots and noise up to the last level of contrast: each share of them as likely. */
  const picture: fc.Arbitrary<Made> = fc
    .record({
      width: fc.integer({ min: 1, max: 330 }),
      height: fc.integer({ min: 1, max: 260 }),
      seed: fc.nat(),
      grain: fc.integer({ min: 0, max: 255 }),
      block: fc.integer({ min: 1, max: 40 }),
    })
    .map(({ width, height, seed, grain, block }) => {
      let state = seed >>> 0;
      const random = () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state >>> 8;
      };
      const shades = Uint8Array.from({ length: 997 }, random);
      const luma = new Uint8Array(width * height).map((_, i) => {
        const [x, y] = [Math.floor((i % width) / block), Math.floor(i / width / block)];
        const shade = shades[(x * 31 + y * 57) % 997]!;
        return Math.max(0, Math.min(255, shade + (grain ? (random() % (2 * grain)) - grain : 0)));
      });
      return { width, height, luma };
    });

  /** All that a kernel makes of a picture, level by level. */
  function traces(kernel: PatchKernel, { luma, width, height }: Made, kind: PatchKind, step: number) {
    const { levels, end } = buildPyramid(kernel, luma, width, height, PATCH_SHAPE[kind]);
    return levels.map((level) => {
      const pixels = level.width * level.height;
      const score = end;
      const after = (at: number) => Math.ceil(at / PADDING) * PADDING;
      const spots = after(score + 2 * pixels);
      const places = after(spots + 4 * pixels);
      const keys = after(places + 4 * pixels);
      const direction = keys + 8 * pixels;
      const pattern = direction + 16;
      const bits = pattern + 2 * PATTERN.length;
      const memory = kernel.reserve(bits + 32);
      const part = (at: number, bytes: number) =>
        createHash('md5')
          .update(new Uint8Array(memory, at, bytes))
          .digest('hex');
      new Uint8Array(memory, score, 2 * pixels).fill(0);
      new Int16Array(memory, pattern, PATTERN.length).set(PATTERN);
      const planes = [part(level.at, pixels), part(level.soft, pixels)];
      const count = kernel.detect(level, step, score, spots);
      const corners = [part(score, 2 * pixels), part(spots, 4 * count)];
      const n = kernel.maxima(level, score, spots, count, places, keys, pixels);
      const best = [part(score, 2 * pixels), part(places, 4 * n), part(keys, 8 * n)];
      const found = new Int32Array(memory.slice(places, places + 4 * n));
      const codes = Array.from(found, (place) => {
        kernel.describe(level, level.soft, place, pattern, 256, bits, direction);
        return [part(bits, 32), part(direction, 16)];
      });
      return { planes, count, corners, best, codes };
    });
  }

  test('gives what its TypeScript twin gives, intermediates and codes, to the bit', () => {
    const kind = fc.constantFrom<PatchKind>('reference', 'upload');
    fc.assert(
      fc.property(picture, kind, fc.constantFrom(5, 10), (made, kind, step) => {
        expect(traces(wasm!, made, kind, step)).toEqual(traces(typescriptKernel(), made, kind, step));
      }),
      { numRuns: 25 },
    );
  });

  test('gives the same codes of a picture that both shrink', () => {
    const luma = Uint8Array.from({ length: 1201 * 803 }, (_, i) => {
      const [x, y] = [Math.floor((i % 1201) / 23), Math.floor(i / 1201 / 17)];
      return (x * 7919 + y * 104729 + ((i * 31) % 13)) % 256;
    });
    const codes = (kernel: PatchKernel) =>
      createPatchCoder(kernel).code(luma, 1201, 803, { count: 300, kind: 'upload' });
    expect(codes(wasm!).count).toBe(300);
    expect(codes(wasm!)).toEqual(codes(typescriptKernel()));
  });

  test('gives the same codes whatever it was used for before', () => {
    const [reused, twin] = [createPatchCoder(wasm!), createPatchCoder(typescriptKernel())];
    fc.assert(
      fc.property(picture, ({ luma, width, height }) => {
        const options = { count: 90, kind: 'upload' } as const;
        const fresh = createPatchCoder(openWasmKernel()!).code(luma, width, height, options);
        expect(reused.code(luma, width, height, options)).toEqual(fresh);
        expect(twin.code(luma, width, height, options)).toEqual(fresh);
      }),
      { numRuns: 12 },
    );
  });
});
