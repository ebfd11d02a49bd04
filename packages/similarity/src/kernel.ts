import type { Layout } from './layout.ts';
import type { Rule } from './rules.ts';

/**
 * Searches one home on behalf of one thread. `begin*` takes queries [0, count) of `queries`, eight permuted words each, at
 * most QUERIES_AT_ONCE; `next` fills `hits` with up to HITS_AT_ONCE further hits and says how many; 0 says that there are
 * no more. A hit, as the rule says, is two words: `id | distance << 24`, and the query. Removed codes are not hits. Two
 * kernels give the same hits in the same order.
 */
export interface Walker {
  readonly hits: Uint32Array;
  /** By the tables, table by table. Only where the layout has them and they are built. */
  beginWalk(queries: Uint32Array, count: number, rule: Rule): void;
  /** Over codes [0, codes), query by query. */
  beginScan(queries: Uint32Array, count: number, rule: Rule, codes: number): void;
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
