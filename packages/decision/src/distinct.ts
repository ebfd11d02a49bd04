import { codeFromHex, hamming, RADIUS } from '@vigil/contracts';

/** A picture of a reference that an upload shows: seconds in the upload, the reference's code in hex. */
export interface Picture {
  at: number;
  code: string;
}

/** Pictures that a segment carries, and those of a set that are compared with each other. */
const MAX_CARRIED = 16;
const MAX_COMPARED = 64;
/** Nobody asks for more that differ; each more is compared with all of them, and days of film show a hundred thousand. */
const MAX_COUNTED = 256;

/** Greedily in the order given, at most so many: pictures that lie more than RADIUS from each other. */
export function differing(pictures: readonly Picture[], most = Number.POSITIVE_INFINITY): Picture[] {
  const kept: { picture: Picture; code: Uint8Array }[] = [];
  for (const picture of pictures) {
    if (kept.length >= most) break;
    const code = codeFromHex(picture.code);
    if (kept.every((k) => hamming(k.code, code) > RADIUS)) kept.push({ picture, code });
  }
  return kept.map((k) => k.picture);
}

/**
 * How many pictures differ from each other, up to 256. Greedy counts depend on where they start, and one more picture can lower
 * them; whether there are *three* is looked up exactly, since rules that may only grow truer ask for three.
 */
export function countDistinct(pictures: readonly Picture[]): number {
  const greedy = differing(pictures, MAX_COUNTED).length;
  return greedy < 3 && hasTriple(pictures) ? 3 : greedy;
}

function hasTriple(pictures: readonly Picture[]): boolean {
  const codes = spread(pictures, MAX_COMPARED).map((p) => codeFromHex(p.code));
  const differ = (i: number, j: number) => hamming(codes[i]!, codes[j]!) > RADIUS;
  for (let i = 0; i < codes.length; i++)
    for (let j = i + 1; j < codes.length; j++)
      if (differ(i, j)) for (let k = j + 1; k < codes.length; k++) if (differ(i, k) && differ(j, k)) return true;
  return false;
}

/** At most 16 that differ, over all of them. */
export const carried = (pictures: readonly Picture[]): Picture[] => spread(differing(spread(pictures, MAX_COUNTED)));

/** At most `n` of them, evenly chosen. */
export function spread<T>(pictures: readonly T[], n = MAX_CARRIED): T[] {
  if (pictures.length <= n) return [...pictures];
  return Array.from({ length: n }, (_, k) => pictures[Math.floor((k * pictures.length) / n)]!);
}
