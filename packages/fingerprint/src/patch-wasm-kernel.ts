import { openWasm } from './open-wasm.ts';
import type { PatchKernel } from './patch-kernel.ts';

/** What assembly/patch.ts exports. Addresses are bytes from the start of the memory. */
interface Exports {
  interpolate(
    from: number,
    width: number,
    to: number,
    toWidth: number,
    toHeight: number,
    taps: number,
    lines: number,
  ): void;
  gather(line: number, count: number, weight: number, sums: number): void;
  squeeze(sums: number, count: number, to: number, whole: number, out: number): void;
  blur(at: number, width: number, height: number, soft: number, tall: number): void;
  detect(at: number, width: number, height: number, step: number, score: number, spots: number): number;
  maxima(
    at: number,
    width: number,
    height: number,
    score: number,
    spots: number,
    count: number,
    places: number,
    keys: number,
    room: number,
  ): number;
  describe(
    at: number,
    width: number,
    soft: number,
    place: number,
    pattern: number,
    tests: number,
    bits: number,
    direction: number,
  ): void;
}

const ARTEFACT = new URL('../build/patch.wasm', import.meta.url);

/**
 * The inner loops of assembly/patch.ts, or null where they were not built (`npm run build:wasm`).
 * @throws WebAssembly.CompileError when the artefact is there and broken
 */
export function openWasmKernel(artefact: URL = ARTEFACT): PatchKernel | null {
  const opened = openWasm<Exports>(artefact);
  if (!opened) return null;
  const { wasm, base, reserve } = opened;
  return {
    name: 'wasm',
    base,
    reserve,
    interpolate: (from, to, taps, lines) =>
      wasm.interpolate(from.at, from.width, to.at, to.width, to.height, taps, lines),
    gather: wasm.gather,
    squeeze: wasm.squeeze,
    blur: ({ at, width, height }, soft, tall) => wasm.blur(at, width, height, soft, tall),
    detect: ({ at, width, height }, step, score, spots) => wasm.detect(at, width, height, step, score, spots),
    maxima: ({ at, width, height }, score, spots, count, places, keys, room) =>
      wasm.maxima(at, width, height, score, spots, count, places, keys, room),
    describe: ({ at, width }, soft, place, pattern, tests, bits, direction) =>
      wasm.describe(at, width, soft, place, pattern, tests, bits, direction),
  };
}
