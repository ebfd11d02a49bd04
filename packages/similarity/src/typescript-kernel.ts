import type { Kernel, TableBuilder, Walker } from './kernel.ts';
import { CHUNK_BITS, CHUNKS, HITS_AT_ONCE, type Layout, QUERIES_AT_ONCE } from './layout.ts';
import { CODE_WORDS } from './permutation.ts';
import { checkTables, EXACT, type Rule } from './rules.ts';

/** The inner loops in plain TypeScript over typed arrays. */
export const typescriptKernel: Kernel = {
  name: 'typescript',
  allocate: (bytes) => ({ buffer: new SharedArrayBuffer(bytes) }),
  walker: (memory, layout) => createWalker(memory.buffer, layout),
  builder: (memory, layout) => createBuilder(memory.buffer, layout),
};

export function popcount(x: number): number {
  let v = x - ((x >>> 1) & 0x55555555);
  v = (v & 0x33333333) + ((v >>> 2) & 0x33333333);
  v = (v + (v >>> 4)) & 0x0f0f0f0f;
  return Math.imul(v, 0x01010101) >>> 24;
}

/**
 * By the tables: whatever passes a rule (rules.ts) at some start stands in a bucket that differs from the query in `own`
 * bits at most, and its signature, the next two chunks, passes both sums. Where buckets are keyed by fewer bits than a
 * chunk has, that lets more through, never less. A code is reported at its first start that passes; no set of seen
 * codes is needed.
 */
function createWalker(buffer: SharedArrayBuffer, layout: Layout): Walker {
  const u32 = new Uint32Array(buffer);
  const u8 = new Uint8Array(buffer);
  const { keyBits, tablesAt, tableBytes, sigAt, idsAt } = layout;
  const codesAt = layout.codesAt / 4;
  const deadAt = layout.deadAt / 4;
  const keyMask = (1 << keyBits) - 1;
  const hits = new Uint32Array(2 * HITS_AT_ONCE);
  const queries = new Uint32Array(QUERIES_AT_ONCE * CODE_WORDS);
  const chunks = new Uint16Array(queries.buffer);
  let scanning = true;
  let rule: Rule = EXACT;
  let asked = 0;
  let count = 0;
  // Where `next` goes on: the chunk of a walk's table, query, flip and entry (-1: at the bucket's first); a scan's query and code.
  let table = CHUNKS;
  let query = 0;
  let flip = 0;
  let entry = -1;

  const begin = (from: Uint32Array, howMany: number, by: Rule) => {
    rule = by;
    queries.set(from.subarray(0, howMany * CODE_WORDS));
    asked = howMany;
    table = 0;
    query = 0;
    flip = 0;
    entry = -1;
  };

  const distance = (code: number, q: number): number => {
    const p = codesAt + code * CODE_WORDS;
    // Unrelated codes are past the radius after half of their bits.
    let d = popcount(u32[p]! ^ queries[q]!) + popcount(u32[p + 1]! ^ queries[q + 1]!);
    d += popcount(u32[p + 2]! ^ queries[q + 2]!) + popcount(u32[p + 3]! ^ queries[q + 3]!);
    if (d > rule.radius) return d;
    d += popcount(u32[p + 4]! ^ queries[q + 4]!) + popcount(u32[p + 5]! ^ queries[q + 5]!);
    return d + popcount(u32[p + 6]! ^ queries[q + 6]!) + popcount(u32[p + 7]! ^ queries[q + 7]!);
  };

  const isDead = (code: number) => (u32[deadAt + (code >>> 5)]! & (1 << (code & 31))) !== 0;

  const chunkDistance = (code: number, c: number, chunk: number): number => {
    const i = chunk & (CHUNKS - 1);
    const word = u32[codesAt + code * CODE_WORDS + (i >> 1)]!;
    return popcount(((word >>> ((i & 1) << 4)) & 0xffff) ^ chunks[c + i]!);
  };

  /** The first start that passes; CHUNKS when none does. */
  const firstStart = (code: number, c: number): number => {
    for (let i = 0; i < CHUNKS; i += rule.step) {
      const own = chunkDistance(code, c, i);
      if (own > rule.own) continue;
      const two = own + chunkDistance(code, c, i + 1);
      if (two <= rule.two && two + chunkDistance(code, c, i + 2) <= rule.three) return i;
    }
    return CHUNKS;
  };

  const walk = (): number => {
    const flips = rule.own === 0 ? 0 : keyBits;
    let n = 0;
    for (; table < CHUNKS; table += rule.step, query = 0) {
      const start = tablesAt + (table / rule.step) * tableBytes;
      const ends = start / 4;
      const sig = (start + sigAt) / 4;
      const ids = start + idsAt;
      for (; query < asked; query++, flip = 0) {
        const c = query * CHUNKS;
        const home = chunks[c + table]! & keyMask;
        const next = chunks[c + ((table + 1) & 15)]! | (chunks[c + ((table + 2) & 15)]! << 16);
        for (; flip <= flips; flip++, entry = -1) {
          const key = flip === 0 ? home : home ^ (1 << (flip - 1));
          const own = flip === 0 ? 0 : 1;
          const end = u32[ends + key + 1]!;
          for (let i = entry < 0 ? u32[ends + key]! : entry; i < end; i++) {
            const x = u32[sig + i]! ^ next;
            if (popcount(x) > rule.three - own || popcount(x & 0xffff) > rule.two - own) continue;
            const at = ids + 3 * i;
            const code = u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16);
            const d = distance(code, query * CODE_WORDS);
            if (d > rule.radius || isDead(code) || firstStart(code, c) !== table) continue;
            hits[2 * n] = code | (d << 24);
            hits[2 * n + 1] = query;
            n++;
            if (n === HITS_AT_ONCE) {
              entry = i + 1;
              return n;
            }
          }
        }
      }
    }
    return n;
  };

  const scan = (): number => {
    let n = 0;
    for (; query < asked; query++, entry = 0) {
      while (entry < count && n < HITS_AT_ONCE) {
        const code = entry++;
        const d = distance(code, query * CODE_WORDS);
        if (d > rule.radius || isDead(code) || firstStart(code, query * CHUNKS) === CHUNKS) continue;
        hits[2 * n] = code | (d << 24);
        hits[2 * n + 1] = query;
        n++;
      }
      if (n === HITS_AT_ONCE) return n;
    }
    return n;
  };

  return {
    hits,
    beginWalk(from, howMany, by) {
      checkTables(layout, by);
      begin(from, howMany, by);
      scanning = false;
    },
    beginScan(from, howMany, by, codes) {
      begin(from, howMany, by);
      scanning = true;
      entry = 0;
      count = codes;
    },
    next: () => (scanning ? scan() : walk()),
  };
}

/** A counting sort. Counts stand two places late, so that scattering leaves every bucket's bounds where they belong. */
function createBuilder(buffer: SharedArrayBuffer, layout: Layout): TableBuilder {
  const u32 = new Uint32Array(buffer);
  const u8 = new Uint8Array(buffer);
  const { keyBits, codesAt, tablesAt, tableBytes, sigAt, idsAt } = layout;
  const keyMask = (1 << keyBits) - 1;
  const u16 = new Uint16Array(buffer, codesAt, layout.codes * CHUNKS);
  const endsOf = (table: number) => (tablesAt + table * tableBytes) / 4;
  const step = CHUNKS / layout.tables;
  return {
    count(table, from, to) {
      const ends = endsOf(table) + 2;
      for (let i = from, c = from * CHUNKS + table * step; i < to; i++, c += CHUNKS) u32[ends + (u16[c]! & keyMask)]!++;
    },
    sum(table) {
      const ends = endsOf(table);
      const last = ends + (1 << keyBits) + 1;
      for (let k = ends + 1; k <= last; k++) u32[k]! += u32[k - 1]!;
    },
    scatter(table, from, to) {
      const ends = endsOf(table) + 1;
      const start = tablesAt + table * tableBytes;
      const sig = (start + sigAt) / 4;
      const ids = start + idsAt;
      const [first, second, third] = [0, 1, 2].map((k) => (table * step + k) % CHUNKS) as [number, number, number];
      for (let i = from, c = from * CHUNKS; i < to; i++, c += CHUNKS) {
        const key = ends + (u16[c + first]! & keyMask);
        const at = u32[key]!;
        u32[key] = at + 1;
        u32[sig + at] = u16[c + second]! | (u16[c + third]! << CHUNK_BITS);
        const id = ids + 3 * at;
        u8[id] = i;
        u8[id + 1] = i >>> 8;
        u8[id + 2] = i >>> 16;
      }
    },
  };
}
