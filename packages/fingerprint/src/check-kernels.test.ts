import { expect, test } from 'vitest';
import { describeWith } from '../../../test/support/require.ts';
import { checkKernels } from './check-kernels.ts';
import { openWasmKernel as openPatches } from './patch-wasm-kernel.ts';
import { openWasmKernel as openPictures } from './picture-wasm-kernel.ts';

test('says that they were not built', () => {
  expect(checkKernels({ pictures: () => null, patches: openPatches })).toBe('missing');
});

describeWith('wasm', openPictures() !== null, 'the kernels, built by npm run build:wasm', () => {
  test('are as their twins', () => {
    expect(checkKernels()).toBeNull();
  });

  test('of other sources are found out: another result, another signature, another file', () => {
    const rounding = () => ({ ...openPictures()!, round: () => undefined });
    expect(checkKernels({ pictures: rounding, patches: openPatches })).toContain('pictures');
    const describing = () => ({ ...openPatches()!, describe: () => undefined });
    expect(checkKernels({ pictures: openPictures, patches: describing })).toContain('patches');
    const renamed = () => ({ ...openPatches()!, maxima: undefined as never });
    expect(checkKernels({ pictures: openPictures, patches: renamed })).toContain('a kernel fails');
    const broken = () => openPictures(new URL('./check-kernels.ts', import.meta.url));
    expect(checkKernels({ pictures: broken, patches: openPatches })).toContain('a kernel fails');
  });
});
