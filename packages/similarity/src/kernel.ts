import type { Layout } from './layout.ts';

/**
 * Searches one home on behalf of one thread. `begin*` names the query (eight permuted words at `query[at]`), `next` fills
 * `hits` with up to HITS_AT_ONCE further hits and says how many; 0 says that there are no more.
 * A hit is `id | distance << 24`. Removed codes are not hits. Two kernels give the same hits in the same order.
 */
export interface Walker {
  readonly hits: Uint32Array;
  /** By the tables. Only where the layout has them and they are built. */
  beginWalk(query: Uint32Array, at: number): void;
  /** Over codes [0, count), one by one. */
  beginScan(query: Uint32Array, at: number, count: number): void;
  next(): number;
}

/** Builds the tables of one home, one table after the other: count all codes, sum, scatter all codes in order. */
export interface TableBuilder {
  count(table: number, from: number, to: number): void;
  sum(table: number): void;
  scatter(table: number, from: number, to: number): void;
}

export interface Memory {
  readonly buffer: SharedArrayBuffer;
}

/** The inner loops. `typescript` is the oracle of `wasm`. */
export interface Kernel {
  readonly name: 'wasm' | 'typescript';
  /** Zeroed shared memory. @throws RangeError when there is no such room */
  allocate(bytes: number): Memory;
  walker(memory: Memory, layout: Layout, slot: number): Walker;
  builder(memory: Memory, layout: Layout): TableBuilder;
}
