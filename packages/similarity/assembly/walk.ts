// The inner loops over one home's memory: layout.ts says what lies where, typescript-kernel.ts says what they mean.
// That file is the oracle of this one: the same hits in the same order, the same tables to the bit.

const RADIUS: u32 = 31;
const CHUNKS: u32 = 16;
const HITS_AT_ONCE: u32 = 1024;
/** In a thread's scratch: the query is at 0. */
const STATE_AT: usize = 64;
const BOUNDS_AT: usize = 128;
const HITS_AT: usize = 4096;
const FIRST: u32 = 0xffffffff;

function distance(code: usize, query: usize): u32 {
  return <u32>(
    (popcnt<u64>(load<u64>(code) ^ load<u64>(query)) +
      popcnt<u64>(load<u64>(code, 8) ^ load<u64>(query, 8)) +
      popcnt<u64>(load<u64>(code, 16) ^ load<u64>(query, 16)) +
      popcnt<u64>(load<u64>(code, 24) ^ load<u64>(query, 24)))
  );
}

function isDead(dead: usize, id: u32): bool {
  return (load<u32>(dead + ((<usize>(id >>> 5)) << 2)) & (1 << (id & 31))) !== 0;
}

function chunkDistance(code: usize, query: usize, chunk: u32): u32 {
  const at = (<usize>(chunk & (CHUNKS - 1))) << 1;
  return popcnt<u32>(<u32>load<u16>(code + at) ^ <u32>load<u16>(query + at));
}

/** Does an earlier start than `table` pass, which then reports the code? */
function passesBefore(code: usize, query: usize, table: u32, keyMask: u32): bool {
  for (let j: u32 = 0; j < table; j++) {
    const at = (<usize>j) << 1;
    const own = popcnt<u32>((<u32>load<u16>(code + at) ^ <u32>load<u16>(query + at)) & keyMask);
    if (own > 1) continue;
    const two = own + chunkDistance(code, query, j + 1);
    if (two <= 3 && two + chunkDistance(code, query, j + 2) <= 5) return true;
  }
  return false;
}

/**
 * Goes on with the query in `scratch` from the state there (next probe, next entry; 0 and FIRST to begin).
 * Returns the number of hits that it left at HITS_AT; fewer than HITS_AT_ONCE means that it is through.
 */
export function walk(
  scratch: usize,
  codes: usize,
  dead: usize,
  tables: usize,
  tableBytes: usize,
  sigAt: usize,
  idsAt: usize,
  keyBits: u32,
): u32 {
  const flips = keyBits + 1;
  const probes = CHUNKS * flips;
  const keyMask: u32 = (1 << keyBits) - 1;
  const hits = scratch + HITS_AT;
  let probe = load<u32>(scratch, STATE_AT);
  let entry = load<u32>(scratch, STATE_AT + 4);

  if (probe === 0 && entry === FIRST) {
    // Bounds of all buckets first, then a touch of each one's signatures: loads that do not wait for each other overlap.
    let bounds = scratch + BOUNDS_AT;
    for (let t: u32 = 0, ends = tables; t < CHUNKS; t++, ends += tableBytes) {
      const key = <u32>load<u16>(scratch + ((<usize>t) << 1)) & keyMask;
      store<u64>(bounds, load<u64>(ends + ((<usize>key) << 2)));
      bounds += 8;
      for (let f: u32 = 0; f < keyBits; f++, bounds += 8) {
        store<u64>(bounds, load<u64>(ends + ((<usize>(key ^ (1 << f))) << 2)));
      }
    }
    let touched: u32 = 0;
    bounds = scratch + BOUNDS_AT;
    for (let t: u32 = 0, sig = tables + sigAt; t < CHUNKS; t++, sig += tableBytes) {
      for (let f: u32 = 0; f < flips; f++, bounds += 8) touched ^= load<u32>(sig + ((<usize>load<u32>(bounds)) << 2));
    }
    // Stored, so that the touching is not optimised away.
    store<u32>(scratch, touched, STATE_AT + 8);
  }

  let n: u32 = 0;
  for (; probe < probes; probe++, entry = FIRST) {
    const t = probe / flips;
    const own: u32 = probe === t * flips ? 0 : 1;
    const bounds = scratch + BOUNDS_AT + ((<usize>probe) << 3);
    const first = entry === FIRST ? load<u32>(bounds) : entry;
    const last = load<u32>(bounds, 4);
    if (first >= last) continue;
    const table = tables + <usize>t * tableBytes;
    const sig = table + sigAt;
    const ids = table + idsAt;
    const next: u32 =
      <u32>load<u16>(scratch + ((<usize>((t + 1) & (CHUNKS - 1))) << 1)) |
      ((<u32>load<u16>(scratch + ((<usize>((t + 2) & (CHUNKS - 1))) << 1))) << 16);
    const limit: u32 = 5 - own;
    const lowLimit: u32 = 3 - own;
    const nexts = i32x4.splat(next);
    const limits = i32x4.splat(limit);
    let i = first;
    for (; i + 8 <= last; i += 8) {
      const p = sig + ((<usize>i) << 2);
      const a = i32x4.extadd_pairwise_i16x8_u(
        i16x8.extadd_pairwise_i8x16_u(i8x16.popcnt(v128.xor(v128.load(p), nexts))),
      );
      const b = i32x4.extadd_pairwise_i16x8_u(
        i16x8.extadd_pairwise_i8x16_u(i8x16.popcnt(v128.xor(v128.load(p, 16), nexts))),
      );
      const near = i32x4.le_s(a, limits);
      const nearToo = i32x4.le_s(b, limits);
      if (!v128.any_true(v128.or(near, nearToo))) continue;
      let mask: u32 = <u32>i32x4.bitmask(near) | ((<u32>i32x4.bitmask(nearToo)) << 4);
      while (mask) {
        const k = i + ctz<u32>(mask);
        mask &= mask - 1;
        if (popcnt<u32>((load<u32>(sig + ((<usize>k) << 2)) ^ next) & 0xffff) > lowLimit) continue;
        const id = load<u32>(ids + <usize>k * 3) & 0xffffff;
        const code = codes + ((<usize>id) << 5);
        const d = distance(code, scratch);
        if (d > RADIUS || isDead(dead, id) || passesBefore(code, scratch, t, keyMask)) continue;
        store<u32>(hits + ((<usize>n) << 2), id | (d << 24));
        n++;
        if (n === HITS_AT_ONCE) {
          store<u32>(scratch, probe, STATE_AT);
          store<u32>(scratch, k + 1, STATE_AT + 4);
          return n;
        }
      }
    }
    for (; i < last; i++) {
      const x = load<u32>(sig + ((<usize>i) << 2)) ^ next;
      if (popcnt<u32>(x) > limit || popcnt<u32>(x & 0xffff) > lowLimit) continue;
      const id = load<u32>(ids + <usize>i * 3) & 0xffffff;
      const code = codes + ((<usize>id) << 5);
      const d = distance(code, scratch);
      if (d > RADIUS || isDead(dead, id) || passesBefore(code, scratch, t, keyMask)) continue;
      store<u32>(hits + ((<usize>n) << 2), id | (d << 24));
      n++;
      if (n === HITS_AT_ONCE) {
        store<u32>(scratch, probe, STATE_AT);
        store<u32>(scratch, i + 1, STATE_AT + 4);
        return n;
      }
    }
  }
  store<u32>(scratch, probes, STATE_AT);
  store<u32>(scratch, FIRST, STATE_AT + 4);
  return n;
}

/** Looks at codes [state, count) one by one; returns as `walk` does. */
export function scan(scratch: usize, codes: usize, dead: usize, count: u32): u32 {
  const hits = scratch + HITS_AT;
  let n: u32 = 0;
  let id = load<u32>(scratch, STATE_AT);
  for (; id < count && n < HITS_AT_ONCE; id++) {
    const d = distance(codes + ((<usize>id) << 5), scratch);
    if (d > RADIUS || isDead(dead, id)) continue;
    store<u32>(hits + ((<usize>n) << 2), id | (d << 24));
    n++;
  }
  store<u32>(scratch, id, STATE_AT);
  return n;
}

/** Counts the keys of chunk `table` of codes [from, to) two places late in `ends`. */
export function count(codes: usize, ends: usize, keyBits: u32, table: u32, from: u32, to: u32): void {
  const keyMask: u32 = (1 << keyBits) - 1;
  const end = codes + ((<usize>to) << 5);
  for (let p = codes + ((<usize>from) << 5); p < end; p += 32) {
    const at = ends + 8 + ((<usize>(<u32>load<u16>(p + ((<usize>table) << 1)) & keyMask)) << 2);
    store<u32>(at, load<u32>(at) + 1);
  }
}

/** Turns counts into bounds. */
export function sum(ends: usize, keyBits: u32): void {
  let total: u32 = 0;
  const end = ends + ((<usize>((1 << keyBits) + 2)) << 2);
  for (let p = ends; p < end; p += 4) {
    total += load<u32>(p);
    store<u32>(p, total);
  }
}

/** Puts codes [from, to) into their buckets; afterwards bucket k is [ends[k], ends[k + 1]). */
export function scatter(
  codes: usize,
  ends: usize,
  sig: usize,
  ids: usize,
  keyBits: u32,
  table: u32,
  from: u32,
  to: u32,
): void {
  const keyMask: u32 = (1 << keyBits) - 1;
  const own = (<usize>table) << 1;
  const second = (<usize>((table + 1) & (CHUNKS - 1))) << 1;
  const third = (<usize>((table + 2) & (CHUNKS - 1))) << 1;
  for (let i = from, p = codes + ((<usize>from) << 5); i < to; i++, p += 32) {
    const bucket = ends + 4 + ((<usize>(<u32>load<u16>(p + own) & keyMask)) << 2);
    const at = <usize>load<u32>(bucket);
    store<u32>(bucket, <u32>at + 1);
    store<u32>(sig + (at << 2), <u32>load<u16>(p + second) | ((<u32>load<u16>(p + third)) << 16));
    const id = ids + at * 3;
    store<u16>(id, <u16>i);
    store<u8>(id, <u8>(i >>> 16), 2);
  }
}
