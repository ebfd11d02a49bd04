import { TURNS } from '@vigil/contracts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeWith } from '../../../test/support/require.ts';
import { createPdqCoder } from './pdq.ts';
import { areaRows, createPictureFilter, type Luma, tentRows, tentRowsFromTheEnd } from './pdq-filter.ts';
import type { PictureKernel } from './picture-kernel.ts';
import { SIDE, typescriptKernel } from './picture-typescript-kernel.ts';
import { openWasmKernel } from './picture-wasm-kernel.ts';
import { createTrimPlanes } from './trim-planes.ts';

// Real: both kernels. What the codes should be is tested beside pdq.ts.
const wasm = openWasmKernel();

test('says that it was not built rather than fail', () => {
  expect(openWasmKernel(new URL('file:///nowhere/picture.wasm'))).toBe(null);
});

describeWith('wasm', wasm !== null, 'the WASM kernel of pictures, built by npm run build:wasm', () => {
  interface Made {
    width: number;
    height: number;
    stride: number;
    luma: Luma;
  }

  /** Noise, as grey, as colours and as floats; wider than it is coded, at times. */
  const picture: fc.Arbitrary<Made> = fc
    .record({
      width: fc.integer({ min: 5, max: 300 }),
      height: fc.integer({ min: 5, max: 200 }),
      more: fc.nat(9),
      seed: fc.nat(),
      channels: fc.constantFrom('grey', 'rgb', 'float'),
    })
    .map(({ width, height, more, seed, channels }) => {
      let state = seed >>> 0;
      const random = () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return state >>> 24;
      };
      const pixels = (width + more) * height;
      const luma = {
        grey: () => Uint8Array.from({ length: pixels }, random),
        rgb: () => ({ rgb: Uint8Array.from({ length: 3 * pixels }, random) }),
        float: () => Float32Array.from({ length: pixels }, () => 0.99 * random() + random() / 256),
      }[channels]!();
      return { width, height, stride: width + more, luma };
    });

  const filtered = (kernel: PictureKernel, { luma, stride, width, height }: Made) => {
    const downs = [tentRows(height, 2 * height), tentRowsFromTheEnd(height), areaRows(height)];
    const part = { x: stride - width, y: 0, width, height };
    const passes = downs.map((down) => ({ down, acrosses: [tentRows(width)] }));
    const blocks = createPictureFilter(kernel).blocks(luma, stride, part, passes);
    return blocks.map(([at]) => [...new Float32Array(kernel.reserve(0), at!, SIDE * SIDE)]);
  };

  const looked = (kernel: PictureKernel, { width, height, stride, luma }: Made) => {
    const planes = createTrimPlanes(kernel);
    const levels = createPdqCoder(kernel).levels(luma, stride * height);
    const plane = planes.shrink(levels, stride, height, 2);
    const others = [1, 3, 5].map((factor) => planes.shrink(levels, stride, height, factor));
    const box = { x0: 1, y0: 0, x1: Math.min(plane.width, (width >> 1) + 1), y1: plane.height };
    return { plane, others, steps: box.x1 > 3 && box.y1 > 2 ? planes.steps([plane, plane], box, 6) : null };
  };

  test('gives what its TypeScript twin gives, sums, coefficients and codes, to the bit', () => {
    fc.assert(
      fc.property(picture, (made) => {
        const { luma, width, height, stride } = made;
        const options = { stride, region: { left: 0.1, top: 0, right: 0.9, bottom: 1 } };
        const of = (kernel: PictureKernel) => {
          const coder = createPdqCoder(kernel);
          return {
            sums: filtered(kernel, made),
            whole: coder.turns(luma, width, height, TURNS, { stride, thumbnail: true }),
            part: coder.turns(luma, width, height, TURNS, options),
            thumbnail: coder.thumbnail(luma, width, height, stride),
            levels: coder.levels(luma, stride * height),
            borders: looked(kernel, made),
          };
        };
        expect(of(wasm!)).toEqual(of(typescriptKernel()));
      }),
      { numRuns: 25 },
    );
  });

  test('gives the same whatever it was used for before', () => {
    const luma = Uint8Array.from({ length: 90 * 70 }, (_, i) => (i * 7919) % 251);
    const fresh = createPdqCoder(openWasmKernel()!).turns(luma, 90, 70, TURNS);
    const used = createPdqCoder(wasm!);
    used.turns({ rgb: new Uint8Array(3 * 1000 * 800).fill(200) }, 1000, 800, TURNS);
    expect(used.turns(luma, 90, 70, TURNS)).toEqual(fresh);
  });
});
