import { readFileSync } from 'node:fs';
import type { Kernel, Memory, TableBuilder, Walker } from './kernel.ts';
import {
  BLOCK,
  BOUNDS_AT,
  CHUNK_BITS,
  CHUNKS,
  HITS_AT,
  HITS_AT_ONCE,
  KERNEL,
  type Layout,
  QUERIES_AT,
  QUERIES_AT_ONCE,
  RULE_AT,
  SCRATCH_BYTES,
  STATE_AT,
  WIDE_BLOCK,
} from './layout.ts';
import { CODE_WORDS } from './permutation.ts';
import { checkTables, type Rule } from './rules.ts';

/** What assembly/walk.ts exports. Addresses are bytes from the start of the memory. */
interface Exports {
  kernel?(): number;
  walk(
    scratch: number,
    count: number,
    codes: number,
    dead: number,
    tables: number,
    tableBytes: number,
    sigAt: number,
    idsAt: number,
    keyBits: number,
  ): number;
  scan(scratch: number, count: number, codes: number, dead: number, codeCount: number): number;
  count(codes: number, ends: number, keyBits: number, chunk: number, from: number, to: number): void;
  sum(ends: number, keyBits: number): void;
  scatter(
    codes: number,
    ends: number,
    sig: number,
    ids: number,
    keyBits: number,
    chunk: number,
    from: number,
    to: number,
  ): void;
}

/** As much of it as is used here; neither es2024 nor Node's types declare it. */
interface WebAssemblyApi {
  Module: new (bytes: Uint8Array) => object;
  Instance: new (module: object, imports: { env: { memory: Memory } }) => { exports: unknown };
  Memory: new (limits: { initial: number; maximum: number; shared: true }) => Memory;
}
const { WebAssembly } = globalThis as unknown as { WebAssembly: WebAssemblyApi };

const PAGE = 65_536;
const FIRST = 0xffffffff;
const ARTEFACT = new URL('../build/walk.wasm', import.meta.url);

/**
 * The inner loops of assembly/walk.ts, or null where they were not built (`npm run build:wasm`).
 * @throws WebAssembly.CompileError when the artefact is there and broken, Error when it was built from other sources
 */
export function openWasmKernel(artefact: URL = ARTEFACT): Kernel | null {
  const bytes = read(artefact);
  if (!bytes) return null;
  const module = new WebAssembly.Module(bytes);
  const instances = new WeakMap<Memory, Exports>();
  const pagesOf = (bytes: number): Memory => {
    const pages = Math.max(1, Math.ceil(bytes / PAGE));
    return new WebAssembly.Memory({ initial: pages, maximum: pages, shared: true });
  };

  const exportsOver = (memory: Memory): Exports => {
    let found = instances.get(memory);
    if (!found) {
      found = new WebAssembly.Instance(module, { env: { memory } }).exports as Exports;
      instances.set(memory, found);
    }
    return found;
  };

  // One that takes fewer arguments would not say so, and search other tables than there are.
  if (exportsOver(pagesOf(1)).kernel?.() !== KERNEL)
    throw new Error(`${artefact.pathname} was built from other sources; build it: npm run build:wasm`);

  return {
    name: 'wasm',
    allocate: pagesOf,
    walker: (memory, layout, slot) => createWalker(exportsOver(memory), memory, layout, slot),
    builder: (memory, layout) => createBuilder(exportsOver(memory), layout),
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

function createWalker(wasm: Exports, memory: Memory, layout: Layout, slot: number): Walker {
  const scratch = slot * SCRATCH_BYTES;
  const queries = new Uint32Array(memory.buffer, scratch + QUERIES_AT, QUERIES_AT_ONCE * CODE_WORDS);
  const state = new Uint32Array(memory.buffer, scratch + STATE_AT, 4);
  const inForce = new Uint32Array(memory.buffer, scratch + RULE_AT, 5);
  const hits = new Uint32Array(memory.buffer, scratch + HITS_AT, 2 * HITS_AT_ONCE);
  const { codesAt, deadAt, tablesAt, tableBytes, sigAt, idsAt, keyBits } = layout;
  let scanning = true;
  let through = true;
  let asked = 0;
  let codes = 0;

  const begin = (from: Uint32Array, howMany: number, rule: Rule, entry: number) => {
    inForce.set([rule.radius, rule.own, rule.two, rule.three, rule.step]);
    queries.set(from.subarray(0, howMany * CODE_WORDS));
    state.set([0, 0, 0, entry]);
    asked = howMany;
    through = false;
  };

  return {
    hits,
    beginWalk(from, howMany, rule) {
      checkTables(layout, rule);
      begin(from, howMany, rule, FIRST);
      scanning = false;
    },
    beginScan(from, howMany, rule, codeCount) {
      begin(from, howMany, rule, 0);
      scanning = true;
      codes = codeCount;
    },
    next() {
      if (through) return 0;
      const n = scanning
        ? wasm.scan(scratch, asked, codesAt, deadAt, codes)
        : wasm.walk(scratch, asked, codesAt, deadAt, tablesAt, tableBytes, sigAt, idsAt, keyBits);
      through = n < HITS_AT_ONCE;
      return n;
    },
  };
}

function createBuilder(wasm: Exports, layout: Layout): TableBuilder {
  const { codesAt, tablesAt, tableBytes, sigAt, idsAt, keyBits } = layout;
  const endsOf = (table: number) => tablesAt + table * tableBytes;
  const step = CHUNKS / layout.tables;
  return {
    count: (table, from, to) => wasm.count(codesAt, endsOf(table), keyBits, table * step, from, to),
    sum: (table) => wasm.sum(endsOf(table), keyBits),
    scatter(table, from, to) {
      const ends = endsOf(table);
      wasm.scatter(codesAt, ends, ends + sigAt, ends + idsAt, keyBits, table * step, from, to);
    },
  };
}

if (BOUNDS_AT + Math.max(BLOCK * (CHUNK_BITS + 1), WIDE_BLOCK) * 8 > HITS_AT)
  throw new Error('the bounds do not fit the scratch');

let opened: Kernel | null = null;
let looked = false;

/** The process's WASM kernel, opened once; null where it was not built. */
export function wasmKernel(): Kernel | null {
  if (!looked) opened = openWasmKernel();
  looked = true;
  return opened;
}
