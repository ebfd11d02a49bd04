/**
 * How the codes of one home (a segment, or the head) lie in one stretch of shared memory. Little-endian; offsets in bytes.
 *
 * scratch   SCRATCH_BYTES for each thread that may search it: queries, state, rule, bucket bounds, hits and what waits
 * codes     32 B a code, bits in BIT_ORDER; chunk i of a code is its 16 bits from byte 2i on
 * dead      a bit a code, set when it was removed
 * time      u32 a code, ten-thousandths of a second
 * place     4 x u16 a code
 * tables    a segment has one for each start of its rule, 16 or 8: for every value of the chunk's low `keyBits` bits, a bucket
 *   ends    u32, 2^keyBits + 2 of them: bucket k is entries [ends[k], ends[k + 1])
 *   sig     u32 an entry: the next chunk, and in the upper half the one after it, going round
 *   ids     3 bytes an entry: which code
 */
export interface Layout {
  readonly codes: number;
  readonly keyBits: number;
  readonly tables: number;
  readonly codesAt: number;
  readonly deadAt: number;
  readonly timeAt: number;
  readonly placeAt: number;
  readonly tablesAt: number;
  /** From one table to the next, and inside a table. */
  readonly tableBytes: number;
  readonly sigAt: number;
  readonly idsAt: number;
  readonly bytes: number;
}

/** Of what assembly/walk.ts agrees on with its callers, constants and arguments: one more with each change of either. */
export const KERNEL = 3;

export const CHUNKS = 16;
export const CHUNK_BITS = 16;

/** An id is three bytes, and a hit packs it with its distance into 32 bits. */
export const MAX_SEGMENT_CODES = 1 << 24;

/** Queries that a walk takes at once: enough of them share the pages and lines of one table before the next one's turn. */
export const QUERIES_AT_ONCE = 1024;
/** Hits that a walk hands over at once, two words each; it is called again for more. */
export const HITS_AT_ONCE = 1024;
/** Queries whose bucket bounds are fetched together: where one bit of a chunk may differ, and where none may. */
export const BLOCK = 16;
export const WIDE_BLOCK = 256;

/** Entries that a walk has sieved out before it compares their codes, all together: three words each. */
export const WAITING = 256;

/** In a thread's scratch: */
export const QUERIES_AT = 0;
export const STATE_AT = QUERIES_AT + QUERIES_AT_ONCE * 32;
export const RULE_AT = STATE_AT + 32;
export const BOUNDS_AT = RULE_AT + 32;
export const HITS_AT = BOUNDS_AT + 4032;
export const WAITING_AT = HITS_AT + HITS_AT_ONCE * 8;
export const SCRATCH_BYTES = WAITING_AT + WAITING * 12;

const aligned = (n: number) => Math.ceil(n / 64) * 64;

/** Buckets of 8 to 16 entries, so that the ends cost at most 8 bytes a code, until the chunk's 16 bits are used up. */
export function keyBitsFor(codes: number): number {
  return Math.min(CHUNK_BITS, Math.max(4, Math.floor(Math.log2(Math.max(1, codes))) - 3));
}

/** @throws RangeError when more codes are asked for than an id can name */
export function layoutOf(codes: number, tables: 0 | 8 | 16, slots: number): Layout {
  if (!Number.isInteger(codes) || codes < 0 || codes > MAX_SEGMENT_CODES) {
    throw new RangeError(`a segment holds 0 to ${MAX_SEGMENT_CODES} codes, not ${codes}`);
  }
  const keyBits = keyBitsFor(codes);
  const codesAt = slots * SCRATCH_BYTES;
  const deadAt = aligned(codesAt + codes * 32);
  const timeAt = aligned(deadAt + Math.ceil(codes / 32) * 4);
  const placeAt = aligned(timeAt + codes * 4);
  const tablesAt = aligned(placeAt + codes * 8);
  const sigAt = aligned(((1 << keyBits) + 2) * 4);
  const idsAt = aligned(sigAt + codes * 4);
  // One byte more than the ids take: the kernel reads an id as the low three bytes of four.
  const tableBytes = aligned(idsAt + codes * 3 + 1);
  const bytes = tablesAt + tables * tableBytes;
  return { codes, keyBits, tables, codesAt, deadAt, timeAt, placeAt, tablesAt, tableBytes, sigAt, idsAt, bytes };
}
