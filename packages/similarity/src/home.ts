import type { CodeKind, ReferenceKey } from '@vigil/contracts';
import type { Kernel, Memory, TableBuilder, Walker } from './kernel.ts';
import { type Layout, layoutOf } from './layout.ts';
import { CODE_WORDS } from './permutation.ts';

/** A version of a reference, and its batches as a list. Libraries of single pictures have millions of these: keep both lean. */
export interface Known extends ReferenceKey {
  first: Batch | null;
  /** The next version of the same id. */
  other: Known | null;
}

/** The codes of one kind that one slice of a reference brought. They stay together, in one home, in their order. */
export interface Batch {
  readonly owner: Known;
  readonly slice: number;
  readonly media: 'image' | 'video';
  readonly kind: CodeKind;
  readonly count: number;
  home: Home | null;
  /** The first one's number in `home`; the others follow. */
  start: number;
  removed: boolean;
  /** The next of the same owner, in no order. */
  next: Batch | null;
}

export function* batchesOf(known: Known): Generator<Batch> {
  for (let batch = known.first; batch; batch = batch.next) yield batch;
}

/** Shared memory with codes in it, and whose they are. */
export interface Home {
  /** No two homes of a process have the same. */
  readonly id: number;
  readonly layout: Layout;
  readonly memory: Memory;
  readonly codes: Uint32Array;
  readonly dead: Uint32Array;
  readonly time: Uint32Array;
  readonly place: Uint16Array;
  readonly walker: Walker;
  readonly builder: TableBuilder;
  /**
   * In order of place, and where each begins; those that were removed may be among them. Both stay when the batches move
   * on to another home: a search under way still has to say what it found here.
   */
  batches: Batch[];
  starts: number[];
  /** Codes in it, and how many of them are removed. */
  count: number;
  removed: number;
}

/** All that an index holds. */
export interface Contents {
  known: readonly Known[];
  homes: readonly { kind: CodeKind; home: Home }[];
}

let homes = 0;

/** An empty home for up to `capacity` codes. `tables` is 16 or 8 for a segment (`tablesOf`) and 0 for a head; `slots`: threads that search it. */
export function createHome(kernel: Kernel, capacity: number, tables: 0 | 8 | 16, slots = 1): Home {
  const layout = layoutOf(capacity, tables, slots);
  return homeOver(kernel, kernel.allocate(layout.bytes), layout, 0);
}

/** @param slot which of the layout's scratches the walker may use */
export function homeOver(kernel: Kernel, memory: Memory, layout: Layout, slot: number): Home {
  const { buffer } = memory;
  const n = layout.codes;
  return {
    id: homes++,
    layout,
    memory,
    codes: new Uint32Array(buffer, layout.codesAt, n * CODE_WORDS),
    dead: new Uint32Array(buffer, layout.deadAt, Math.ceil(n / 32)),
    time: new Uint32Array(buffer, layout.timeAt, n),
    place: new Uint16Array(buffer, layout.placeAt, 4 * n),
    walker: kernel.walker(memory, layout, slot),
    builder: kernel.builder(memory, layout),
    batches: [],
    starts: [],
    count: 0,
    removed: 0,
  };
}

/** Copies `count` codes with their origins. */
export function copyCodes(from: Home, start: number, to: Home, at: number, count: number): void {
  const end = start + count;
  to.codes.set(from.codes.subarray(start * CODE_WORDS, end * CODE_WORDS), at * CODE_WORDS);
  to.time.set(from.time.subarray(start, end), at);
  to.place.set(from.place.subarray(4 * start, 4 * end), 4 * at);
}

/** From here on no search finds codes [start, start + count), in whatever thread: the bits are looked at in the walk. */
export function bury(home: Home, start: number, count: number): void {
  for (let i = start; i < start + count; i++) Atomics.or(home.dead, i >>> 5, 1 << (i & 31));
  home.removed += count;
}

/** Whose a code is, and which of that batch's it is. */
export function ownerOf(home: Home, code: number): { batch: Batch; position: number } {
  let low = 0;
  let high = home.starts.length - 1;
  while (low < high) {
    const middle = (low + high + 1) >>> 1;
    if (home.starts[middle]! <= code) low = middle;
    else high = middle - 1;
  }
  const batch = home.batches[low];
  const position = code - home.starts[low]!;
  if (!batch || position < 0 || position >= batch.count) throw new Error(`code ${code} is nobody's`);
  return { batch, position };
}

/** Batch of codes [start, ...) of the home, behind all that are there. */
export function settle(home: Home, batch: Batch, start: number): void {
  batch.home = home;
  batch.start = start;
  home.batches.push(batch);
  home.starts.push(start);
}
