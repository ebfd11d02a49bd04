/**
 * The code space: 256 bits, compared by Hamming distance, one radius for every kind.
 * A code is 32 bytes; bit i of the code is bit (i & 7) of byte (i >> 3). For `picture` codes bit i = 16 * row + column of
 * the 16 x 16 DCT block, as Meta's PDQ defines it. `codeToHex` prints it in PDQ's exchange form (most significant first).
 */
export const CODE_BITS = 256;
export const CODE_BYTES = 32;

/** Two codes are a hit when their distance is <= RADIUS. The one place where this number stands. */
export const RADIUS = 31;

export const CODE_KINDS = ['picture', 'patch', 'sound'] as const;
export type CodeKind = (typeof CODE_KINDS)[number];

/**
 * The eight ways to turn a picture. A code carries the turn that was applied to its picture *before* coding, so a hit of
 * an upload's code with turn t says: the upload, turned by t, looks like the reference. Order is the wire format.
 * rot90 turns counter-clockwise; `mirror` swaps left and right; `flip` swaps top and bottom; `transpose` reflects about
 * the main diagonal; `antitranspose` about the other one.
 */
export const TURNS = ['none', 'rot90', 'rot180', 'rot270', 'mirror', 'flip', 'transpose', 'antitranspose'] as const;
export type Turn = (typeof TURNS)[number];

const POPCOUNT = Uint8Array.from({ length: 256 }, (_, i) => {
  let n = 0;
  for (let v = i; v; v >>= 1) n += v & 1;
  return n;
});

/**
 * Bits that differ between two 32-byte codes that start at `ai` and `bi`. Of codes that are further apart than `most` all that is
 * said is a number above it: most codes that are compared have nothing to do with each other, which half of the bytes show.
 */
export function hamming(a: Uint8Array, b: Uint8Array, ai = 0, bi = 0, most = CODE_BITS): number {
  let n = 0;
  for (let k = 0; k < CODE_BYTES && n <= most; k += 4) {
    n +=
      POPCOUNT[a[ai + k]! ^ b[bi + k]!]! +
      POPCOUNT[a[ai + k + 1]! ^ b[bi + k + 1]!]! +
      POPCOUNT[a[ai + k + 2]! ^ b[bi + k + 2]!]! +
      POPCOUNT[a[ai + k + 3]! ^ b[bi + k + 3]!]!;
  }
  return n;
}

export function codeToHex(code: Uint8Array, at = 0): string {
  let s = '';
  for (let k = CODE_BYTES - 1; k >= 0; k--) s += code[at + k]!.toString(16).padStart(2, '0');
  return s;
}

/** @throws RangeError when the text is not 64 hexadecimal digits. */
export function codeFromHex(hex: string): Uint8Array {
  if (!/^[0-9a-f]{64}$/i.test(hex)) throw new RangeError('a code is written as 64 hexadecimal digits');
  const code = new Uint8Array(CODE_BYTES);
  for (let k = 0; k < CODE_BYTES; k++) code[CODE_BYTES - 1 - k] = Number.parseInt(hex.slice(2 * k, 2 * k + 2), 16);
  return code;
}
