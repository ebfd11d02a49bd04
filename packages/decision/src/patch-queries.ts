import { CODE_BYTES, type Fingerprint, FRAME_UNFIT, TURNS, tableOf } from '@vigil/contracts';
import { doubled, type QueryCodes } from './query-codes.ts';

const HALF = CODE_BYTES / 2;
const MIRROR = TURNS.indexOf('mirror');

/**
 * The patch codes of a slice that are fit to propose a copy, each as it is and as the mirrored picture would have it: the
 * two halves of the code swapped, at 1 - x, turned to pi - angle. Flat frames and pages of text (all pages alike in
 * letters) propose nothing, nor do frames in which a copy was found. Inverted copies are left to picture codes: light and
 * dark exchanged turn a patch by half a turn, and the pattern is closed under reflection, not under that.
 */
export function patchQueries(fingerprint: Fingerprint): QueryCodes {
  const table = tableOf(fingerprint, 'patch');
  const fit: number[] = [];
  for (let i = 0; i < table.count; i++) {
    if (!(fingerprint.frames.flags[table.frame[i]!]! & FRAME_UNFIT)) fit.push(i);
  }
  const out = doubled(table, fit);
  const { bits, place } = out;
  for (let q = fit.length; q < out.frame.length; q++) {
    for (let at = q * CODE_BYTES, end = at + HALF; at < end; at++) {
      const left = bits[at]!;
      bits[at] = bits[at + HALF]!;
      bits[at + HALF] = left;
    }
    place[4 * q] = 65535 - place[4 * q]!;
    place[4 * q + 3] = (32768 - place[4 * q + 3]! + 65536) % 65536;
  }
  out.turn.fill(MIRROR, fit.length);
  return out;
}
