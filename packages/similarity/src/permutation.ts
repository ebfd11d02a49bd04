import { CODE_BITS, CODE_BYTES } from '@vigil/contracts/codes';

/** 32-bit words of a code. */
export const CODE_WORDS = CODE_BYTES / 4;

/** Part of the index's format: a snapshot made under another order cannot be read. */
export const PERMUTATION_SEED = 0x5649474c;

/**
 * Neighbouring bits of real codes agree with each other (PDQ's are neighbours in frequency), which fills some buckets
 * and empties others. One fixed shuffle at insert and query spreads them; distances do not change.
 * BIT_ORDER[to] = from: Fisher-Yates, from the last place down, drawing with xorshift32 from PERMUTATION_SEED.
 */
export const BIT_ORDER: Readonly<Uint8Array> = shuffled();

function shuffled(): Uint8Array {
  const order = Uint8Array.from({ length: CODE_BITS }, (_, i) => i);
  let s = PERMUTATION_SEED;
  for (let i = CODE_BITS - 1; i > 0; i--) {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    const j = (s >>> 0) % (i + 1);
    const held = order[i]!;
    order[i] = order[j]!;
    order[j] = held;
  }
  return order;
}

/** For byte k of value v, the eight words that its bits become, at (k * 256 + v) * CODE_WORDS. */
const SPREAD = spreadTable();

function spreadTable(): Uint32Array {
  const table = new Uint32Array(CODE_BYTES * 256 * CODE_WORDS);
  BIT_ORDER.forEach((from, to) => {
    const base = (from >> 3) * 256;
    const mask = 1 << (from & 7);
    for (let v = 0; v < 256; v++) if (v & mask) table[(base + v) * CODE_WORDS + (to >> 5)]! |= 1 << (to & 31);
  });
  return table;
}

/** Writes code `from` of `bits` (32 bytes a code), its bits in BIT_ORDER, as eight words at `to[at]`. */
export function permuteCode(bits: Uint8Array, from: number, to: Uint32Array, at: number): void {
  let a = 0;
  let b = 0;
  let c = 0;
  let d = 0;
  let e = 0;
  let f = 0;
  let g = 0;
  let h = 0;
  const start = from * CODE_BYTES;
  for (let k = 0; k < CODE_BYTES; k++) {
    const s = (k * 256 + bits[start + k]!) * CODE_WORDS;
    a |= SPREAD[s]!;
    b |= SPREAD[s + 1]!;
    c |= SPREAD[s + 2]!;
    d |= SPREAD[s + 3]!;
    e |= SPREAD[s + 4]!;
    f |= SPREAD[s + 5]!;
    g |= SPREAD[s + 6]!;
    h |= SPREAD[s + 7]!;
  }
  to[at] = a;
  to[at + 1] = b;
  to[at + 2] = c;
  to[at + 3] = d;
  to[at + 4] = e;
  to[at + 5] = f;
  to[at + 6] = g;
  to[at + 7] = h;
}
