import { CODE_BYTES, type Fingerprint, FRAME_FLAT, FRAME_PAGE, TURNS, tableOf } from '@vigil/contracts';
import type { QueryCodes } from './query-codes.ts';

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
  const n = 2 * fit.length;
  const out: QueryCodes = {
    bits: new Uint8Array(n * CODE_BYTES),
    frame: new Uint16Array(n),
    turn: new Uint8Array(n),
    place: new Uint16Array(4 * n),
    quality: new Uint8Array(n),
    inverted: new Uint8Array(n),
  };
  for (let q = 0; q < n; q++) {
    const i = fit[q % fit.length]!;
    const code = table.bits.subarray(i * CODE_BYTES, (i + 1) * CODE_BYTES);
    const place = table.place.subarray(4 * i, 4 * i + 4);
    out.frame[q] = table.frame[i]!;
    out.quality[q] = table.quality[i]!;
    if (q < fit.length) {
      out.bits.set(code, q * CODE_BYTES);
      out.place.set(place, 4 * q);
    } else {
      out.bits.set(code.subarray(HALF), q * CODE_BYTES);
      out.bits.set(code.subarray(0, HALF), q * CODE_BYTES + HALF);
      out.place.set([65535 - place[0]!, place[1]!, place[2]!, (32768 - place[3]! + 65536) % 65536], 4 * q);
      out.turn[q] = MIRROR;
    }
  }
  return out;
}
