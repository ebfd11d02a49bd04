/**
 * Drawn pictures (charts, screenshots, flags, memes on a plain ground) share letters, boxes and templates and are different
 * works: another look is needed before likeness means anything.
 */

/** How many of the commonest levels are counted together. */
export const COMMONEST = 8;
/**
 * Share of a thumbnail that has one of these, from which on it may be drawn. Charts, screenshots, receipts, flags and memes on a
 * plain ground share letters, boxes and templates and agree in up to 60 places at a correlation of .99, and are different works.
 * Measured on 528 pictures: from .59 up for screenshots, charts, flags and receipts, below .56 for 95 % of photographs. Of such a
 * picture the patches prove something where the rest is a photograph (on white, say), or where nearly all of them agree.
 */
export const PLAIN = 0.55;
/** Levels around the commonest one that are its ground. */
const GROUND = 4;
/** Effective levels beside the ground: 130 to 190 of photographs on white, at most 111 of 90 charts, screenshots, flags, receipts. */
export const PHOTOGRAPHIC_LEVELS = 130;
/**
 * Share of a drawn reference's patches in view that must be found again within RADIUS. Copies as they are, as JPEG 20, WebP or grey:
 * from .56 up, median .72; other works whose whole codes or many of whose patches agree: at most .56, median .21 (and .68 of one
 * photograph on another colour).
 */
export const DRAWN_SHARE = 0.6;

/** Entropy of the levels beside the commonest, as the number of equally frequent levels that has it. */
export function levelsOf(luma: Uint8Array): number {
  const counts = countsOf(luma);
  let commonest = 0;
  for (let v = 1; v < 256; v++) if (counts[v]! > counts[commonest]!) commonest = v;
  counts.fill(0, Math.max(0, commonest - GROUND), commonest + GROUND + 1);
  const all = counts.reduce((n, c) => n + c, 0);
  let entropy = 0;
  for (const c of counts) if (c > 0) entropy -= (c / all) * Math.log(c / all);
  return all > 0 ? Math.exp(entropy) : 0;
}

export function isDrawn(luma: Uint8Array): boolean {
  const commonest = countsOf(luma)
    .sort()
    .subarray(256 - COMMONEST)
    .reduce((n, c) => n + c, 0);
  return commonest >= PLAIN * luma.length && levelsOf(luma) < PHOTOGRAPHIC_LEVELS;
}

function countsOf(luma: Uint8Array): Uint32Array {
  const counts = new Uint32Array(256);
  for (const v of luma) counts[v]!++;
  return counts;
}
