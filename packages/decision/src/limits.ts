/**
 * The numbers that evidence and decisions hang on, in bits of 256 unless said otherwise. Measured on film trailers and
 * cartoons under 22 edits: along the true line the mean distance is 16 (p95 42); along the best of all lines between
 * unrelated films it never came below 92; the same film at a wrong time gets to 59 now and then.
 */

/** A code below this quality is not searched for; below the second it is neither for nor against a copy. */
export const PROPOSE_QUALITY = 50;
export const CONFIRM_QUALITY = 20;

/** Two frames on one line agree when they are at most this far apart. */
export const AGREES = 70;
/** A stretch goes on over at most this many frames in a row that do not agree. */
export const GAP_FRAMES = 2;

/** A stretch counts when its mean is <= STRONG_MEAN over >= STRONG_FRAMES, or <= LONG_MEAN over >= LONG_FRAMES. */
export const STRONG_MEAN = 45;
export const STRONG_FRAMES = 4;
export const LONG_MEAN = 55;
export const LONG_FRAMES = 10;

/** A slice with a frame in more seconds than this, on average, may have too few for a stretch: then all must agree, and prove nothing. */
export const SPARSE_SECONDS = 2.5;

/** Pictures that differ from each other: fewer, and a still background may be all that is shared. */
export const MIN_DISTINCT = 3;
/** Seconds: nothing shorter is manifest, whatever the policy says. */
export const MIN_SECONDS = 2;
/** Seconds between two stretches on one line that are still one stretch. */
export const JOIN_GAP = 2;

/** Patches: places that agree, and cells of the picture they lie in, from which on a geometry is no accident. */
export const SOLID_INLIERS = 14;
export const SOLID_CELLS = 8;
/** The same of single pictures, whose thumbnails must agree besides. Below, no photograph had 7 of another's. */
export const STILL_INLIERS = 8;
export const STILL_CELLS = 5;
/** Seconds in one piece from which on fewer places will do: where thumbnails are within RADIUS on average, and where not. */
export const CLOSE_SECONDS = 4;
export const LONG_SECONDS = 8;

/** Speeds that are told apart, and from where on a copy is said to run at another speed than its reference. */
export const SPEED_MIN = 0.74;
export const SPEED_MAX = 1.35;
export const SPEED_STEP = 0.01;
export const SPEED_ALTERED = 0.015;

/** Correlation of 64 x 64 thumbnails: from the first on a picture is the same; below the second it is another. */
export const SAME_PICTURE = 0.7;
export const MAYBE_PICTURE = 0.5;

/** Seconds that one kept frame of a reference may stand for: references keep one every 2 s, whatever changes. */
export const LONGEST_HOLD = 2.5;
