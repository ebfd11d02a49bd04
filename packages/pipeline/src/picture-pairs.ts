import type { Evidence } from '@vigil/contracts';

/** Seconds in the upload, and what the reference shows then. */
export interface PicturePair {
  upload: number;
  reference: number;
}

const MOST_SEGMENTS = 3;
/** Of the longest stretch three moments, well inside of it; of each other one, in its middle. */
const MOMENTS = [0.5, 0.15, 0.85];

/** A few moments that show, side by side, what was copied: at most five of film, one of a picture. */
export function picturePairs({ segments }: Pick<Evidence, 'segments'>): PicturePair[] {
  const length = ([from, to]: readonly [number, number]) => to - from;
  const longest = [...segments].sort((a, b) => length(b.upload) - length(a.upload)).slice(0, MOST_SEGMENTS);
  return longest.flatMap(({ upload, reference }, n) => {
    const moments = n === 0 && length(upload) > 0 ? MOMENTS : MOMENTS.slice(0, 1);
    return moments.map((share) => ({
      upload: upload[0] + share * length(upload),
      reference: reference[0] + share * length(reference),
    }));
  });
}
