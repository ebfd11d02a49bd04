import { CODE_BYTES, type CodeTable, type Fingerprint, isFit, tableOf } from '@vigil/contracts';
import { PROPOSE_QUALITY } from './limits.ts';

/** The codes that a slice's hits refer to: `query` of a hit is an index into these columns. */
export interface QueryCodes {
  /** 32 bytes a code. */
  bits: Uint8Array;
  /** Index of the frame, turn, place (4 numbers a code), quality, as in the fingerprint's table. */
  frame: Uint16Array;
  turn: Uint8Array;
  place: Uint16Array;
  quality: Uint8Array;
  /** 1: the complement, which is the code of the picture with light and dark exchanged. */
  inverted: Uint8Array;
}

/**
 * The codes of a slice that are fit to propose a copy, each as it is and as its complement. An image that is a
 * page may propose: on 532 pictures with 96 receipts, charts, screenshots and flags among them, that cost no false match.
 */
export function queryCodes(fingerprint: Fingerprint): QueryCodes {
  const table = tableOf(fingerprint, 'picture');
  const fit: number[] = [];
  for (let i = 0; i < table.count; i++) {
    if (table.quality[i]! >= PROPOSE_QUALITY && isFit(fingerprint, table.frame[i]!)) fit.push(i);
  }
  const out = doubled(table, fit);
  const half = fit.length;
  for (let b = half * CODE_BYTES; b < out.bits.length; b++) out.bits[b]! ^= 255;
  out.inverted.fill(1, half);
  return out;
}

/** The codes of the table that are named, all of them twice over: the second half is for the caller to alter. */
export function doubled(table: CodeTable, named: readonly number[]): QueryCodes {
  const n = 2 * named.length;
  const out: QueryCodes = {
    bits: new Uint8Array(n * CODE_BYTES),
    frame: new Uint16Array(n),
    turn: new Uint8Array(n),
    place: new Uint16Array(4 * n),
    quality: new Uint8Array(n),
    inverted: new Uint8Array(n),
  };
  // Column by column and number by number: a view of each code would cost more than the code does.
  const half = named.length;
  for (let q = 0; q < half; q++) {
    const i = named[q]!;
    for (let k = 0; k < CODE_BYTES; k++) out.bits[q * CODE_BYTES + k] = table.bits[i * CODE_BYTES + k]!;
    for (let k = 0; k < 4; k++) out.place[4 * q + k] = table.place[4 * i + k]!;
    out.frame[q] = table.frame[i]!;
    out.turn[q] = table.turn[i]!;
    out.quality[q] = table.quality[i]!;
  }
  for (const column of [out.bits, out.place, out.frame, out.turn, out.quality]) column.copyWithin(column.length / 2, 0);
  return out;
}
