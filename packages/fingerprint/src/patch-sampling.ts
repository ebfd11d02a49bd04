/** Which frames get patch codes, how many, and which codes a library does without (MATCHING.md, 4 to 6). */
import { CODE_BYTES, hamming, RADIUS } from '@vigil/contracts/codes';
import { type CodeTable, emptyTable, FRAME_FLAT, FRAME_PAGE } from '@vigil/contracts/fingerprint';
import type { CodedFrame } from './frame-codes.ts';
import { type PatchCodes, patchCodes } from './patch-codes.ts';
import { withoutCommon } from './patch-common.ts';

/** Codes a frame. */
export const PATCHES = {
  still: { reference: 200, upload: 400 },
  video: { reference: 60, upload: 300 },
};

/** Beyond these, of an upload's picture, from between what crowds: letters put over all of a picture take every code else. */
export const PATCH_GAPS = { still: 300, video: 150 };

/** Of references more are taken, by this share, because codes that are everybody's are dropped. */
const SPARE = 0.1;

/**
 * A reference's frames are coded by the clock, so often: the first kept one of each period. And at cuts, where a kept frame differs by
 * so many bits from the one before it: encoders put their keyframes there, and an upload's keyframe then meets the very frame that it
 * shows, not one up to a second off. However much it flickers, CUT_SECONDS lie between two.
 */
export const REFERENCE_PATCH_SECONDS = 2;
export const CUT_BITS = 92;
export const CUT_SECONDS = 0.4;

/** Of an upload's slice at most so many frames, evenly chosen: keyframes; frames read densely; frames read again to confirm. */
export const MOST_PATCHED = { keyframes: 30, dense: 20, again: 12 };

/**
 * Seconds after which a frame is chosen though it does not differ: what moves before a still camera, or below a caption, is too small
 * for a code of the whole picture, and meets the reference's patched frames only near their instants. Keyframes are searched for most
 * and chosen by what they show alone.
 */
export const PATCH_AGAIN_SECONDS = { keyframes: Number.POSITIVE_INFINITY, dense: 4, again: 2 };

/** Patch codes of one frame; none of one that is flat or a page, whose corners are everybody's. */
export function patchesOf(
  luma: Uint8Array,
  width: number,
  height: number,
  coded: CodedFrame,
  options: { kind: 'reference' | 'upload'; media: 'still' | 'video' },
): PatchCodes | null {
  if (!isPatchable(coded)) return null;
  const { kind, media } = options;
  const count = PATCHES[media][kind];
  if (kind === 'upload') return patchCodes(luma, width, height, { count, gaps: PATCH_GAPS[media], kind });
  return withoutCommon(patchCodes(luma, width, height, { count: Math.ceil(count * (1 + SPARE)), kind }), count);
}

export function isPatchable({ flags }: CodedFrame): boolean {
  return (flags & (FRAME_FLAT | FRAME_PAGE)) === 0;
}

/**
 * Indices of frames each of which differs from the one chosen before it, or lies `again` seconds after it; when there are too many,
 * as many evenly.
 */
export function chooseFrames(
  frames: readonly { time: number; coded: CodedFrame }[],
  most: number,
  again = Number.POSITIVE_INFINITY,
): number[] {
  const news: number[] = [];
  let last: { bits: Uint8Array; time: number } | null = null;
  frames.forEach(({ time, coded }, i) => {
    const bits = coded.codes[0]?.bits;
    if (!bits || !isPatchable(coded)) return;
    if (last && time - last.time < again && hamming(bits, last.bits) <= RADIUS) return;
    last = { bits, time };
    news.push(i);
  });
  if (news.length <= most) return news;
  return Array.from({ length: most }, (_, k) => news[Math.floor(((k + 0.5) * news.length) / most)]!);
}

/** The frames' patch codes as a table of a Fingerprint; null when there are none. */
export function patchTable(frames: readonly { coded: CodedFrame }[]): CodeTable | null {
  const count = frames.reduce((n, { coded }) => n + (coded.patches?.count ?? 0), 0);
  if (count === 0) return null;
  const table = {
    ...emptyTable('patch'),
    count,
    bits: new Uint8Array(count * CODE_BYTES),
    frame: new Uint16Array(count),
    place: new Uint16Array(count * 4),
    turn: new Uint8Array(count),
    quality: new Uint8Array(count),
  };
  let row = 0;
  frames.forEach(({ coded: { patches } }, n) => {
    if (!patches) return;
    table.bits.set(patches.bits, row * CODE_BYTES);
    table.frame.fill(n, row, row + patches.count);
    table.quality.set(patches.rank, row);
    for (let i = 0; i < patches.count; i++, row++) {
      table.place.set([patches.x[i]!, patches.y[i]!, patches.diameter[i]!, patches.angle[i]!], 4 * row);
    }
  });
  return table;
}
