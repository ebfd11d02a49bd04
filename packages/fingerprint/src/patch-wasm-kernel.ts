import { readFileSync } from 'node:fs';
import type { PatchKernel } from './patch-kernel.ts';

/** What assembly/patch.ts exports. Addresses are bytes from the start of the memory. */
interface Exports {
  memory: Memory;
  base(): number;
  interpolate(
    from: number,
    width: number,
    to: number,
    toWidth: number,
    toHeight: number,
    taps: number,
    lines: number,
  ): void;
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

/** As much of it as is used here; neither es2024 nor Node's types declare it. */
interface Memory {
  readonly buffer: ArrayBuffer;
  grow(pages: number): number;
}
interface WebAssemblyApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: object) => { exports: unknown };
}
const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };

const PAGE = 65_536;
const ARTEFACT = new URL('../build/patch.wasm', import.meta.url);

/**
 * The inner loops of assembly/patch.ts, or null where they were not built (`npm run build:wasm`).
 * @throws WebAssembly.CompileError when the artefact is there and broken
 */
export function openWasmKernel(artefact: URL = ARTEFACT): PatchKernel | null {
  const bytes = read(artefact);
  if (!bytes) return null;
  const wasm = new WebAssembly.Instance(new WebAssembly.Module(bytes), {}).exports as Exports;
  return {
    name: 'wasm',
    base: wasm.base(),
    reserve(bytes) {
      const more = Math.ceil((bytes - wasm.memory.buffer.byteLength) / PAGE);
      if (more > 0) wasm.memory.grow(more);
      return wasm.memory.buffer;
    },
    interpolate: (from, to, taps, lines) =>
      wasm.interpolate(from.at, from.width, to.at, to.width, to.height, taps, lines),
    blur: ({ at, width, height }, soft, tall) => wasm.blur(at, width, height, soft, tall),
    detect: ({ at, width, height }, step, score, spots) => wasm.detect(at, width, height, step, score, spots),
    maxima: ({ at, width, height }, score, spots, count, places, keys, room) =>
      wasm.maxima(at, width, height, score, spots, count, places, keys, room),
    describe: ({ at, width }, soft, place, pattern, tests, bits, direction) =>
      wasm.describe(at, width, soft, place, pattern, tests, bits, direction),
  };
}

function read(artefact: URL): Uint8Array | null {
  try {
    return readFileSync(artefact);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
