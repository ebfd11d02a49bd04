// The inner loops over one home's memory: layout.ts says what lies where, typescript-kernel.ts says what they mean.
// That file is the oracle of this one: the same hits in the same order, the same tables to the bit.

/** layout.ts has the same number: a kernel that was built from other sources is refused. */
const KERNEL: u32 = 3;
const CHUNKS: u32 = 16;
const HITS_AT_ONCE: u32 = 1024;
/** Buckets whose bounds are kept at once: of 16 queries by 17 buckets each, or of 256 by one. */
const BLOCK: u32 = 16;
const WIDE_BLOCK: u32 = 256;
/** In a thread's scratch: 1024 queries at 0, and behind them */
const STATE_AT: usize = 32768;
const RULE_AT: usize = 32800;
const BOUNDS_AT: usize = 32832;
const HITS_AT: usize = 36864;
const WAITING_AT: usize = 45056;
const WAITING: u32 = 256;
const FIRST: u32 = 0xffffffff;

export function kernel(): u32 {
  return KERNEL;
}

// The rule of the search that is under way (rules.ts), behind its state.
function radiusOf(scratch: usize): u32 {
  return load<u32>(scratch, RULE_AT);
}
function mostOwn(scratch: usize): u32 {
  return load<u32>(scratch, RULE_AT + 4);
}
function mostTwo(scratch: usize): u32 {
  return load<u32>(scratch, RULE_AT + 8);
}
function mostThree(scratch: usize): u32 {
  return load<u32>(scratch, RULE_AT + 12);
}
function stepOf(scratch: usize): u32 {
  return load<u32>(scratch, RULE_AT + 16);
}

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

/** Where chunk i of a code lies, going round. */
function chunkAt(code: usize, i: u32): usize {
  return code + ((<usize>(i & (CHUNKS - 1))) << 1);
}

function chunkDistance(code: usize, query: usize, i: u32): u32 {
  return popcnt<u32>(<u32>load<u16>(chunkAt(code, i)) ^ <u32>load<u16>(chunkAt(query, i)));
}

/** The first start that passes, which is the one that reports the code; CHUNKS when none does. */
function firstStart(scratch: usize, code: usize, query: usize): u32 {
  const step = stepOf(scratch);
  for (let i: u32 = 0; i < CHUNKS; i += step) {
    const own = chunkDistance(code, query, i);
    if (own > mostOwn(scratch)) continue;
    const two = own + chunkDistance(code, query, i + 1);
    if (two <= mostTwo(scratch) && two + chunkDistance(code, query, i + 2) <= mostThree(scratch)) return i;
  }
  return CHUNKS;
}

/** Which of four signatures are at most `limits` bits from the query's. */
function near(signatures: v128, query: v128, limits: v128): v128 {
  const bytes = i8x16.popcnt(v128.xor(signatures, query));
  const chunks = i16x8.extadd_pairwise_i8x16_u(bytes);
  return i32x4.le_s(i32x4.dot_i16x8_s(chunks, i16x8.splat(1)), limits);
}

/**
 * Goes on with the `count` queries in `scratch` from the state there: chunk, query, flip, entry (0, 0, 0, FIRST to begin).
 * Returns the number of hits that it left at HITS_AT; fewer than HITS_AT_ONCE means that it is through.
 */
export function walk(
  scratch: usize,
  count: u32,
  codes: usize,
  dead: usize,
  tables: usize,
  tableBytes: usize,
  sigAt: usize,
  idsAt: usize,
  keyBits: u32,
): u32 {
  const flips: u32 = mostOwn(scratch) === 0 ? 1 : keyBits + 1;
  const block = flips === 1 ? WIDE_BLOCK : BLOCK;
  const three = mostThree(scratch);
  const step = stepOf(scratch);
  let t = load<u32>(scratch, STATE_AT);
  let q = load<u32>(scratch, STATE_AT + 4);
  let flip = load<u32>(scratch, STATE_AT + 8);
  let entry = load<u32>(scratch, STATE_AT + 12);
  let n: u32 = 0;
  let waiting: u32 = 0;

  for (; t < CHUNKS; t += step, q = 0) {
    const ends = tables + <usize>(t / step) * tableBytes;
    const sig = ends + sigAt;
    const ids = ends + idsAt;
    for (; q < count; q++, flip = 0) {
      if ((q & (block - 1)) === 0 && flip === 0 && entry === FIRST)
        fetch(scratch, q, min(q + block, count), t, ends, sig, keyBits, flips);
      const nexts = i32x4.splat(nextOf(scratch, q, t));
      const bounds = scratch + BOUNDS_AT + ((<usize>((q & (block - 1)) * flips)) << 3);
      for (; flip < flips; flip++, entry = FIRST) {
        const limits = i32x4.splat(three - <u32>(flip !== 0));
        const last = load<u32>(bounds + ((<usize>flip) << 3), 4);
        const first = entry === FIRST ? load<u32>(bounds + ((<usize>flip) << 3)) : entry;
        for (let i = first & ~15; i < last; i += 16) {
          // Sixteen entries, one line of the cache. Those of its neighbours at both ends of a bucket are masked out.
          const p = sig + ((<usize>i) << 2);
          const a = near(v128.load(p), nexts, limits);
          const b = near(v128.load(p, 16), nexts, limits);
          const c = near(v128.load(p, 32), nexts, limits);
          const d = near(v128.load(p, 48), nexts, limits);
          if (!v128.any_true(v128.or(v128.or(a, b), v128.or(c, d)))) continue;
          let mask: u32 =
            i32x4.bitmask(a) | (i32x4.bitmask(b) << 4) | (i32x4.bitmask(c) << 8) | (i32x4.bitmask(d) << 12);
          if (last - i < 16) mask &= (1 << (last - i)) - 1;
          if (i < first) mask &= 0xffff << (first - i);
          // Two at once, there or not: how many there are cannot be foreseen, and a branch would be guessed wrongly.
          waiting = put(scratch, waiting, i, mask, q, flip);
          mask &= mask - 1;
          waiting = put(scratch, waiting, i, mask, q, flip);
          mask &= mask - 1;
          for (; mask; mask &= mask - 1) waiting = put(scratch, waiting, i, mask, q, flip);
          if (waiting + 16 < WAITING) continue;
          n = verify(scratch, waiting, n, t, codes, dead, sig, ids);
          if (n === HITS_AT_ONCE) return n;
          waiting = 0;
        }
      }
      // The bounds are of this block: none of its candidates may outlast it, for a walk goes on behind one of them.
      if (((q + 1) & (block - 1)) !== 0 && q + 1 < count) continue;
      n = verify(scratch, waiting, n, t, codes, dead, sig, ids);
      if (n === HITS_AT_ONCE) return n;
      waiting = 0;
    }
  }
  keep(scratch, t, 0, 0, FIRST);
  return n;
}

/** The two chunks of a query that come after chunk t, as an entry of table t has them. */
function nextOf(scratch: usize, q: u32, t: u32): u32 {
  const query = scratch + ((<usize>q) << 5);
  return <u32>load<u16>(chunkAt(query, t + 1)) | ((<u32>load<u16>(chunkAt(query, t + 2))) << 16);
}

/** Puts the first entry of `mask` among those that wait, if there is one. Returns how many wait. */
function put(scratch: usize, waiting: u32, i: u32, mask: u32, q: u32, flip: u32): u32 {
  const p = scratch + WAITING_AT + <usize>waiting * 12;
  store<u32>(p, i + ctz<u32>(mask));
  store<u32>(p, q | (flip << 16), 4);
  return waiting + <u32>(mask !== 0);
}

/**
 * Compares the entries that wait with their queries in full: first the ids of all, then the codes of all, since loads that
 * do not wait for each other overlap. Returns the number of hits; at HITS_AT_ONCE the walk goes on behind the last.
 */
function verify(
  scratch: usize,
  waiting: u32,
  found: u32,
  t: u32,
  codes: usize,
  dead: usize,
  sig: usize,
  ids: usize,
): u32 {
  const most = mostTwo(scratch);
  const radius = radiusOf(scratch);
  const first = scratch + WAITING_AT;
  let kept = first;
  for (let p = first, end = first + <usize>waiting * 12; p < end; p += 12) {
    const k = load<u32>(p);
    const where = load<u32>(p, 4);
    const two = popcnt<u32>((load<u32>(sig + ((<usize>k) << 2)) ^ nextOf(scratch, where & 0xffff, t)) & 0xffff);
    store<u32>(kept, k);
    store<u32>(kept, where, 4);
    store<u32>(kept, load<u32>(ids + <usize>k * 3) & 0xffffff, 8);
    kept += select<usize>(12, 0, two + <u32>(where >>> 16 !== 0) <= most);
  }
  let n = found;
  for (let p = first; p < kept; p += 12) {
    const id = load<u32>(p, 8);
    const q = load<u32>(p, 4) & 0xffff;
    const query = scratch + ((<usize>q) << 5);
    const code = codes + ((<usize>id) << 5);
    const far = distance(code, query);
    if (far > radius || isDead(dead, id) || firstStart(scratch, code, query) !== t) continue;
    const hit = scratch + HITS_AT + ((<usize>n) << 3);
    store<u32>(hit, id | (far << 24));
    store<u32>(hit, q, 4);
    n++;
    if (n < HITS_AT_ONCE) continue;
    keep(scratch, t, q, load<u32>(p, 4) >>> 16, load<u32>(p) + 1);
    break;
  }
  return n;
}

/**
 * The bounds of all buckets of queries [from, to) in table t, then a touch of each one's signatures: loads that do not
 * wait for each other overlap.
 */
function fetch(scratch: usize, from: u32, to: u32, t: u32, ends: usize, sig: usize, keyBits: u32, flips: u32): void {
  const keyMask: u32 = (1 << keyBits) - 1;
  let bounds = scratch + BOUNDS_AT;
  for (let q = from; q < to; q++) {
    const key = <u32>load<u16>(chunkAt(scratch + ((<usize>q) << 5), t)) & keyMask;
    store<u64>(bounds, load<u64>(ends + ((<usize>key) << 2)));
    bounds += 8;
    for (let f: u32 = 0; f + 1 < flips; f++, bounds += 8) {
      store<u64>(bounds, load<u64>(ends + ((<usize>(key ^ (1 << f))) << 2)));
    }
  }
  let touched: u32 = 0;
  for (let p = scratch + BOUNDS_AT; p < bounds; p += 8) {
    // Two lines at 1e6 codes, ten at 1e7. Past 64 the hardware has seen where it goes.
    const first = load<u32>(p);
    const last = load<u32>(p, 4);
    touched ^= load<u32>(sig + ((<usize>first) << 2)) ^ load<u32>(sig + ((<usize>(last - 1)) << 2));
    const enough = min(last, first + 1024);
    for (let i = (first & ~15) + 16; i + 16 < enough; i += 16) touched ^= load<u32>(sig + ((<usize>i) << 2));
  }
  // Stored, so that the touching is not optimised away.
  store<u32>(scratch, touched, STATE_AT + 16);
}

function keep(scratch: usize, chunk: u32, query: u32, flip: u32, entry: u32): void {
  store<u32>(scratch, chunk, STATE_AT);
  store<u32>(scratch, query, STATE_AT + 4);
  store<u32>(scratch, flip, STATE_AT + 8);
  store<u32>(scratch, entry, STATE_AT + 12);
}

/** Compares the `count` queries with codes [0, codeCount), from the query and code in the state; returns as `walk` does. */
export function scan(scratch: usize, count: u32, codes: usize, dead: usize, codeCount: u32): u32 {
  const radius = radiusOf(scratch);
  const hits = scratch + HITS_AT;
  let n: u32 = 0;
  let q = load<u32>(scratch, STATE_AT + 4);
  let id = load<u32>(scratch, STATE_AT + 12);
  for (; q < count; q++, id = 0) {
    const query = scratch + ((<usize>q) << 5);
    for (; id < codeCount && n < HITS_AT_ONCE; id++) {
      const code = codes + ((<usize>id) << 5);
      const far = distance(code, query);
      if (far > radius || isDead(dead, id)) continue;
      if (firstStart(scratch, code, query) === CHUNKS) continue;
      store<u32>(hits + ((<usize>n) << 3), id | (far << 24));
      store<u32>(hits + ((<usize>n) << 3), q, 4);
      n++;
    }
    if (n === HITS_AT_ONCE) break;
  }
  keep(scratch, 0, q, 0, id);
  return n;
}

/** Counts the keys of a chunk of codes [from, to) two places late in `ends`. */
export function count(codes: usize, ends: usize, keyBits: u32, chunk: u32, from: u32, to: u32): void {
  const keyMask: u32 = (1 << keyBits) - 1;
  const end = codes + ((<usize>to) << 5);
  for (let p = codes + ((<usize>from) << 5); p < end; p += 32) {
    const at = ends + 8 + ((<usize>(<u32>load<u16>(p + ((<usize>chunk) << 1)) & keyMask)) << 2);
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
  chunk: u32,
  from: u32,
  to: u32,
): void {
  const keyMask: u32 = (1 << keyBits) - 1;
  const own = (<usize>chunk) << 1;
  const second = (<usize>((chunk + 1) & (CHUNKS - 1))) << 1;
  const third = (<usize>((chunk + 2) & (CHUNKS - 1))) << 1;
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
