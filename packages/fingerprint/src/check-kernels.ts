import { createPatchCoder } from './patch-codes.ts';
import { typescriptKernel as slowPatches } from './patch-typescript-kernel.ts';
import { openWasmKernel as openPatches } from './patch-wasm-kernel.ts';
import { createPdqCoder } from './pdq.ts';
import { typescriptKernel as slowPictures } from './picture-typescript-kernel.ts';
import { openWasmKernel as openPictures } from './picture-wasm-kernel.ts';
import { createTrimPlanes } from './trim-planes.ts';

const [WIDTH, HEIGHT] = [160, 120];

/**
 * Runs the WASM kernels beside their twins on one picture. Built from other sources than these they make other codes, or fail, and
 * every picture would be rejected as corrupt. `missing`: not built, so that the slow twins do the work; null: all is well.
 * @param kernels tests give others
 */
export function checkKernels(kernels = { pictures: openPictures, patches: openPatches }): 'missing' | string | null {
  try {
    const [pictures, patches] = [kernels.pictures(), kernels.patches()];
    if (!pictures || !patches) return 'missing';
    const luma = madePicture();
    const rgb = luma.subarray(0, 3 * WIDTH * Math.floor(HEIGHT / 3));
    const turns = (kernel: typeof pictures) => {
      const coder = createPdqCoder(kernel);
      const levels = coder.levels({ rgb }, rgb.length / 3);
      const coded = coder.turns(luma, WIDTH, HEIGHT, ['none', 'mirror'], { thumbnail: true });
      return [coded, new Uint8Array(levels), createTrimPlanes(kernel).shrink(luma, WIDTH, HEIGHT, 3).data];
    };
    const codes = (kernel: typeof patches) =>
      createPatchCoder(kernel).code(luma, WIDTH, HEIGHT, { count: 40, kind: 'upload' });
    if (!same(turns(pictures), turns(slowPictures()))) return 'the kernel of pictures makes other codes than its twin';
    if (!same(codes(patches), codes(slowPatches()))) return 'the kernel of patches makes other codes than its twin';
    return null;
  } catch (error) {
    return `a kernel fails: ${String(error)}`;
  }
}

/** Blocks of many shades: something to be coded, and corners. */
function madePicture(): Uint8Array {
  let state = 7;
  const shades = Uint8Array.from({ length: 499 }, () => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state >>> 24;
  });
  return Uint8Array.from({ length: WIDTH * HEIGHT }, (_, i) => {
    const [x, y] = [Math.floor((i % WIDTH) / 11), Math.floor(i / WIDTH / 11)];
    return shades[(x * 31 + y * 57) % 499]!;
  });
}

const same = (a: unknown, b: unknown): boolean => asText(a) === asText(b);
const asText = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (ArrayBuffer.isView(v) ? [...(v as Uint8Array)] : v));
