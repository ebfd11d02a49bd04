import { openWasm } from './open-wasm.ts';
import type { PictureKernel } from './picture-kernel.ts';

/** What assembly/picture.ts exports. Addresses are bytes from the start of the memory. */
interface Exports {
  luma(pixels: number, channels: number, count: number, line: number): void;
  round(line: number, count: number, levels: number): void;
  add(line: number, count: number, weight: number, sums: number, fresh: number): void;
  average(pixels: number, width: number, factor: number, count: number, scale: number, sums: number, out: number): void;
  weigh(sums: number, rows: number, out: number): void;
  steps(
    line: number,
    above: number,
    below: number,
    count: number,
    least: number,
    columns: number,
    pitch: number,
    out: number,
  ): void;
  cosines(block: number, waves: number, tall: number, out: number): void;
}

const ARTEFACT = new URL('../build/picture.wasm', import.meta.url);

/**
 * The inner loops of assembly/picture.ts, or null where they were not built (`npm run build:wasm`).
 * @throws WebAssembly.CompileError when the artefact is there and broken
 */
export function openWasmKernel(artefact: URL = ARTEFACT): PictureKernel | null {
  const opened = openWasm<Exports>(artefact);
  if (!opened) return null;
  const { wasm, base, reserve } = opened;
  return {
    name: 'wasm',
    base,
    reserve,
    luma: wasm.luma,
    round: wasm.round,
    add: (line, count, weight, sums, fresh) => wasm.add(line, count, weight, sums, fresh ? 1 : 0),
    average: wasm.average,
    weigh: wasm.weigh,
    steps: wasm.steps,
    cosines: wasm.cosines,
  };
}
