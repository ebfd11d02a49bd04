/** Version of Vigil as a whole, as users know it. */
export const RELEASE = '0.1.0';

/** Version of everything that turns pixels into codes and codes into evidence. Raise it when results may differ. */
export const ENGINE_VERSION = '3';

/** A slice of video covers this much of the timeline, in seconds. Slices do not overlap; the last one may be shorter. */
export const SLICE_SECONDS = 30;

/** So many neighbouring slices may be read by one decoder, whose start costs as much as what it does for one of them. */
export const SLICES_IN_RUN = 4;

/** At most this many slices of one upload are in flight. Slice k, when it ends, sends slice k + this on its way. */
export const SLICES_IN_FLIGHT = 8;

/** Slice counts above this are refused as too long (48 hours). */
export const MAX_SLICES = 5760;

/**
 * The order in which the slices of one video are read: runs of SLICES_IN_RUN, coarse to fine (bit reversal), so that a copied
 * part anywhere in a long film is met early. `visitOrder(10)` is [0, 1, 2, 3, 8, 9, 4, 5, 6, 7].
 */
export function visitOrder(count: number): number[] {
  const runs = coarseToFine(Math.ceil(count / SLICES_IN_RUN));
  return runs.flatMap((run) =>
    Array.from({ length: SLICES_IN_RUN }, (_, i) => run * SLICES_IN_RUN + i).filter((n) => n < count),
  );
}

function coarseToFine(count: number): number[] {
  const bits = Math.max(0, Math.ceil(Math.log2(Math.max(1, count))));
  const order: number[] = [];
  for (let i = 0; i < 1 << bits; i++) {
    let r = 0;
    for (let b = 0; b < bits; b++) if (i & (1 << b)) r |= 1 << (bits - 1 - b);
    if (r < count) order.push(r);
  }
  return order;
}

/** [start, end) in seconds of slice `n` of media that lasts `duration` seconds. An image is one slice, [0, 0]. */
export function sliceSpan(n: number, duration: number): [number, number] {
  const last = n === sliceCount(duration) - 1;
  return [n * SLICE_SECONDS, last ? Math.max(0, duration) : (n + 1) * SLICE_SECONDS];
}

/**
 * What a closer look at slice `n` left over goes by a number of its own, beyond those of all slices: an upload is judged without it, and
 * again when it has come.
 */
export const leftOf = (n: number, slices: number): number => n + slices;
export const isLeft = (n: number, slices: number): boolean => n >= slices;
export const sliceName = (n: number, slices: number): string =>
  isLeft(n, slices) ? `slice ${n - slices}, what was left` : `slice ${n}`;

/** A tail shorter than two seconds joins the slice before it, so that no slice is too short to judge. */
export function sliceCount(duration: number): number {
  if (duration <= 0) return 1;
  const whole = Math.floor(duration / SLICE_SECONDS);
  return Math.max(1, whole + (duration - whole * SLICE_SECONDS >= 2 ? 1 : 0));
}
