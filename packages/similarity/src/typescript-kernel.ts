import { RADIUS } from '@vigil/contracts';
import type { Kernel, TableBuilder, Walker } from './kernel.ts';
import { CHUNK_BITS, CHUNKS, HITS_AT_ONCE, type Layout } from './layout.ts';
import { CODE_WORDS } from './permutation.ts';

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
 * The ring filter ("pigeonring": Qin and Xiao, PVLDB 2018). d[i] are the distances of the 16 chunks. If they sum to 31 or
 * less, some start i, going round, has d[i] <= 1, d[i] + d[i+1] <= 3 and d[i] + d[i+1] + d[i+2] <= 5, all at once:
 * otherwise every chunk starts a step of 1, 2 or 3 chunks that costs at least 2 a chunk; going round and round by such
 * steps, a whole round costs 32. So every
 * near code stands in a bucket that differs from the query in one bit at most, and its signature, the next two chunks,
 * passes both sums. Where buckets are keyed by fewer bits than a chunk has, d[i] counts those bits only, which lets more
 * through, never less. A code is reported at its first start that passes; no set of seen codes is needed.
 */
function createWalker(buffer: SharedArrayBuffer, layout: Layout): Walker {
  const u32 = new Uint32Array(buffer);
  const u8 = new Uint8Array(buffer);
  const { keyBits, tablesAt, tableBytes, sigAt, idsAt } = layout;
  const codesAt = layout.codesAt / 4;
  const deadAt = layout.deadAt / 4;
  const keyMask = (1 << keyBits) - 1;
  const hits = new Uint32Array(HITS_AT_ONCE);
  const q = new Uint32Array(CODE_WORDS);
  const chunks = new Uint32Array(CHUNKS);
  let scanning = true;
  // Where `next` goes on: a walk's table, flip and entry (-1: at the bucket's first), or a scan's code.
  let table = CHUNKS;
  let flip = 0;
  let entry = -1;
  let scanned = 0;
  let count = 0;

  const begin = (query: Uint32Array, at: number) => {
    for (let w = 0; w < CODE_WORDS; w++) {
      const word = query[at + w]!;
      q[w] = word;
      chunks[2 * w] = word & 0xffff;
      chunks[2 * w + 1] = word >>> 16;
    }
  };

  const distance = (code: number): number => {
    const p = codesAt + code * CODE_WORDS;
    // Unrelated codes are past the radius after half of their bits.
    let d = popcount(u32[p]! ^ q[0]!) + popcount(u32[p + 1]! ^ q[1]!);
    d += popcount(u32[p + 2]! ^ q[2]!) + popcount(u32[p + 3]! ^ q[3]!);
    if (d > RADIUS) return d;
    d += popcount(u32[p + 4]! ^ q[4]!) + popcount(u32[p + 5]! ^ q[5]!);
    return d + popcount(u32[p + 6]! ^ q[6]!) + popcount(u32[p + 7]! ^ q[7]!);
  };

  const isDead = (code: number) => (u32[deadAt + (code >>> 5)]! & (1 << (code & 31))) !== 0;

  const chunkDistance = (code: number, chunk: number): number => {
    const c = chunk & (CHUNKS - 1);
    const word = u32[codesAt + code * CODE_WORDS + (c >> 1)]!;
    return popcount(((word >>> ((c & 1) << 4)) & 0xffff) ^ chunks[c]!);
  };

  const passesBefore = (code: number, start: number): boolean => {
    for (let j = 0; j < start; j++) {
      const word = u32[codesAt + code * CODE_WORDS + (j >> 1)]!;
      const own = popcount(((word >>> ((j & 1) << 4)) ^ chunks[j]!) & keyMask);
      if (own > 1) continue;
      const two = own + chunkDistance(code, j + 1);
      if (two <= 3 && two + chunkDistance(code, j + 2) <= 5) return true;
    }
    return false;
  };

  const walk = (): number => {
    let n = 0;
    for (; table < CHUNKS; table++, flip = 0) {
      const start = tablesAt + table * tableBytes;
      const ends = start / 4;
      const sig = (start + sigAt) / 4;
      const ids = start + idsAt;
      const home = chunks[table]! & keyMask;
      const next = chunks[(table + 1) & 15]! | (chunks[(table + 2) & 15]! << 16);
      for (; flip <= keyBits; flip++, entry = -1) {
        const key = flip === 0 ? home : home ^ (1 << (flip - 1));
        const own = flip === 0 ? 0 : 1;
        const end = u32[ends + key + 1]!;
        for (let i = entry < 0 ? u32[ends + key]! : entry; i < end; i++) {
          const x = u32[sig + i]! ^ next;
          if (popcount(x) > 5 - own || popcount(x & 0xffff) > 3 - own) continue;
          const at = ids + 3 * i;
          const code = u8[at]! | (u8[at + 1]! << 8) | (u8[at + 2]! << 16);
          const d = distance(code);
          if (d > RADIUS || isDead(code) || passesBefore(code, table)) continue;
          hits[n++] = code | (d << 24);
          if (n === HITS_AT_ONCE) {
            entry = i + 1;
            return n;
          }
        }
      }
    }
    return n;
  };

  const scan = (): number => {
    let n = 0;
    while (scanned < count && n < HITS_AT_ONCE) {
      const code = scanned++;
      const d = distance(code);
      if (d <= RADIUS && !isDead(code)) hits[n++] = code | (d << 24);
    }
    return n;
  };

  return {
    hits,
    beginWalk(query, at) {
      begin(query, at);
      scanning = false;
      table = 0;
      flip = 0;
      entry = -1;
    },
    beginScan(query, at, codes) {
      begin(query, at);
      scanning = true;
      scanned = 0;
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
  return {
    count(table, from, to) {
      const ends = endsOf(table) + 2;
      for (let i = from, c = from * CHUNKS + table; i < to; i++, c += CHUNKS) u32[ends + (u16[c]! & keyMask)]!++;
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
      const second = (table + 1) % CHUNKS;
      const third = (table + 2) % CHUNKS;
      for (let i = from, c = from * CHUNKS; i < to; i++, c += CHUNKS) {
        const key = ends + (u16[c + table]! & keyMask);
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
