import { readFileSync } from 'node:fs';

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

/** What every kernel of ours exports. Addresses are bytes from the start of the memory. */
interface Exports {
  memory: Memory;
  /** Where the first free byte lies. */
  base(): number;
}

export interface Opened<E> {
  wasm: E;
  base: number;
  /** At least so many bytes; views of what was there before are void. */
  reserve(bytes: number): ArrayBuffer;
}

/**
 * An instance of a kernel of its own, or null where it was not built (`npm run build:wasm`).
 * @throws WebAssembly.CompileError when the artefact is there and broken
 */
export function openWasm<E>(artefact: URL): Opened<E> | null {
  const module = compiled(artefact);
  if (!module) return null;
  const wasm = new WebAssembly.Instance(module, {}).exports as E & Exports;
  return {
    wasm,
    base: wasm.base(),
    reserve(bytes) {
      const more = Math.ceil((bytes - wasm.memory.buffer.byteLength) / PAGE);
      if (more > 0) wasm.memory.grow(more);
      return wasm.memory.buffer;
    },
  };
}

/** Of this thread: several kernels may be opened from one artefact, each with a memory of its own. */
const modules = new Map<string, object>();

function compiled(artefact: URL): object | null {
  const known = modules.get(artefact.href);
  if (known) return known;
  const bytes = read(artefact);
  if (!bytes) return null;
  const module = new WebAssembly.Module(bytes);
  modules.set(artefact.href, module);
  return module;
}

function read(artefact: URL): Uint8Array | null {
  try {
    return readFileSync(artefact);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === 'ENOENT') return null;
    throw error;
  }
}
