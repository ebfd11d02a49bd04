import { CODE_BYTES } from '@vigil/contracts/codes';

/** 32-bit words of a code. */
export const CODE_WORDS = CODE_BYTES / 4;

/**
 * Bits of real codes go together, which fills some buckets and empties others. Each chunk is of bits that go together as
 * little as may be, and so are neighbours on the ring; distances do not change. BIT_ORDER[to] = from. Learned from the
 * patch codes of 513 pictures by fingerprint/tools/learn-bit-order.ts (README, "Patches"); picture codes are even in any
 * order. Part of the format: a snapshot made under another order cannot be read.
 */
export const BIT_ORDER: Readonly<Uint8Array> = Uint8Array.from(
  Buffer.from(
    '0c1f2224354f708292989a9d9ea9eefa04101c2e424955636d7991d6d7dbdcdf' +
      '0207191a2037688687a2b5c4d5d8e2e60d141b4559606162718ea4b0d4ebf2f6' +
      '0017182a3c43484c54758da1a7a8bafd2d30333f474a57727c7d7e7f8594a3b4' +
      '0b252c393b404d5c6584a0adcbdde1e80e151d293e4452646683888ca5d1f7fe' +
      '0306121e539facaeb1b6b9c7d9e3f0f301082f32515d5f767a8b93e4e5eaf1f9' +
      '13284150696a7496b2b3bbbdbec3e9fc2138586e737778aaabc0c5c6c9cdd0ec' +
      '0f11272b3d4b4e6f7b8f95c2cacfd2f416233180899799b7ccd3dae0e7edf5ff' +
      '0934465a676b8aa6afbcbfc8cedeeffb050a26363a565b5e6c81909b9cb8c1f8',
    'hex',
  ),
);

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
