import { CODE_BYTES, type Fingerprint, FRAME_FLAT, FRAME_PAGE, TURNS, type Turn, tableOf } from '@vigil/contracts';
import { CONFIRM_QUALITY } from './limits.ts';
import { isWhole, type Place, placeAt, WHOLE } from './places.ts';

const WORDS = CODE_BYTES / 4;

/** The whole and the trimmed code of each frame under one turn; words of 32 bits, so that comparing is quick. */
export interface Pictures {
  time: Float64Array;
  /** 0: nothing in it to compare, neither for nor against. */
  eligible: Uint8Array;
  page: Uint8Array;
  /** Position in `words` (in codes), or -1. */
  whole: Int32Array;
  trimmed: Int32Array;
  words: Uint32Array;
  trimmedPlace: Place[];
}

export function picturesOf(fingerprint: Fingerprint, turn: Turn = 'none', inverted = false): Pictures {
  const { frames } = fingerprint;
  const table = tableOf(fingerprint, 'picture');
  const n = frames.time.length;
  const out: Pictures = {
    time: frames.time,
    eligible: new Uint8Array(n),
    page: frames.flags.map((f) => (f & FRAME_PAGE ? 1 : 0)),
    whole: new Int32Array(n).fill(-1),
    trimmed: new Int32Array(n).fill(-1),
    words: new Uint32Array(table.bits.slice().buffer),
    trimmedPlace: Array.from({ length: n }, () => WHOLE),
  };
  if (inverted) for (let i = 0; i < out.words.length; i++) out.words[i] = ~out.words[i]!;
  const wanted = TURNS.indexOf(turn);
  for (let i = 0; i < table.count; i++) {
    const f = table.frame[i]!;
    if (f >= n || table.turn[i] !== wanted || table.quality[i]! < CONFIRM_QUALITY) continue;
    if (frames.flags[f]! & FRAME_FLAT) continue;
    const place = placeAt(table.place, i);
    if (isWhole(place)) out.whole[f] = i;
    else {
      out.trimmed[f] = i;
      out.trimmedPlace[f] = place;
    }
    out.eligible[f] = 1;
  }
  return out;
}

function bits(v: number): number {
  let x = v - ((v >>> 1) & 0x55555555);
  x = (x & 0x33333333) + ((x >>> 2) & 0x33333333);
  return Math.imul((x + (x >>> 4)) & 0x0f0f0f0f, 0x01010101) >>> 24;
}

function codeDistance(a: Uint32Array, i: number, b: Uint32Array, j: number): number {
  let d = 0;
  for (let k = 0; k < WORDS; k++) d += bits(a[i * WORDS + k]! ^ b[j * WORDS + k]!);
  return d;
}

/** Which codes of two frames were the closest: 0 none; 1 whole/whole; 2 trimmed/whole; 3 whole/trimmed; 4 both trimmed. */
export type Fit = 0 | 1 | 2 | 3 | 4;

/** Least distance of two frames over their whole and trimmed codes; 256 when one of them has none. */
export function frameDistance(a: Pictures, i: number, b: Pictures, j: number): { distance: number; fit: Fit } {
  let distance = 256;
  let fit: Fit = 0;
  const look = (x: number, y: number, name: Fit) => {
    if (x < 0 || y < 0) return;
    const d = codeDistance(a.words, x, b.words, y);
    if (d < distance) {
      distance = d;
      fit = name;
    }
  };
  look(a.whole[i]!, b.whole[j]!, 1);
  look(a.trimmed[i]!, b.whole[j]!, 2);
  look(a.whole[i]!, b.trimmed[j]!, 3);
  look(a.trimmed[i]!, b.trimmed[j]!, 4);
  return { distance, fit };
}

/** The bytes of a frame's code, trimmed where it was trimmed. */
export function codeBytes(p: Pictures, frame: number): Uint8Array | null {
  const i = p.trimmed[frame]! >= 0 ? p.trimmed[frame]! : p.whole[frame]!;
  return i < 0 ? null : new Uint8Array(p.words.buffer, i * CODE_BYTES, CODE_BYTES);
}
