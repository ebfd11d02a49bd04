import { CODE_BYTES, type Fingerprint, FRAME_FLAT, FRAME_PAGE, TURNS, tableOf } from '@vigil/contracts';
import { doubled, type QueryCodes } from './query-codes.ts';

const HALF = CODE_BYTES / 2;
const MIRROR = TURNS.indexOf('mirror');

/**
 * The patch codes of a slice that are fit to propose a copy, each as it is and as the mirrored picture would have it: the
 * two halves of the code swapped, at 1 - x, turned to pi - angle. Flat frames and pages of text (all pages alike in
 * letters) propose nothing. Inverted copies are left to picture codes: light and dark exchanged turn a patch by half a
 * turn, and the pattern is closed under reflection, not under that.
 */
export function patchQueries(fingerprint: Fingerprint): QueryCodes {
  const table = tableOf(fingerprint, 'patch');
  const fit: number[] = [];
  for (let i = 0; i < table.count; i++) {
    if (!(fingerprint.frames.flags[table.frame[i]!]! & (FRAME_FLAT | FRAME_PAGE))) fit.push(i);
  }
  const out = doubled(table, fit);
  for (let q = fit.length; q < out.frame.length; q++) {
    out.bits.subarray(q * CODE_BYTES, (q + 1) * CODE_BYTES).set(swapped(out.bits, q));
    const [x, y, diameter, angle] = out.place.subarray(4 * q, 4 * q + 4) as unknown as [number, number, number, number];
    out.place.set([65535 - x, y, diameter, (32768 - angle + 65536) % 65536], 4 * q);
  }
  out.turn.fill(MIRROR, fit.length);
  return out;
}

/** Code `q` with its halves exchanged. */
function swapped(bits: Uint8Array, q: number): Uint8Array {
  const at = q * CODE_BYTES;
  const code = new Uint8Array(CODE_BYTES);
  code.set(bits.subarray(at + HALF, at + CODE_BYTES));
  code.set(bits.subarray(at, at + HALF), HALF);
  return code;
}
