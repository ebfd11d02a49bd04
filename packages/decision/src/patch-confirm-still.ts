import type { Alignment, Evidence, Fingerprint, Region, Segment } from '@vigil/contracts';
import { confidenceOf } from './confidence.ts';
import { DRAWN_SHARE, levelsOf, PHOTOGRAPHIC_LEVELS, PLAIN } from './drawn.ts';
import { GAP_FRAMES, SOLID_INLIERS } from './limits.ts';
import { covered } from './line.ts';
import { guided } from './patch-guided.ts';
import { agreementOf, bitsOf, mapOf, thumbnailsOf, viewsOf } from './patch-views.ts';
import { areaOf } from './places.ts';

/** Seconds around a still's place in a film that are looked at. */
const AROUND = 2;
/** Places and cells below which a single picture is an accident, whatever the thumbnails say. */
const MIN_INLIERS = 6;
const MIN_CELLS = 4;
/**
 * So many places need only not be contradicted; fewer must be borne out by the thumbnails. And closely so, of fewer than SOLID_INLIERS,
 * unless so large a share of what the upload shows is there within RADIUS. Of 528 pictures against each other, without the drawn ones: at
 * most 11 places in 5 cells, .02 of the patches, a correlation of .76 (a blurred photograph of 106 x 150); two made landscapes with the
 * same sun: 12 in 8, .02, .72. Copies of few places: .06 to .28, .89 and more.
 */
const MANY_INLIERS = 10;
const MANY_CELLS = 7;
const NOT_CONTRADICTED = 0.35;
const BORNE_OUT = 0.7;
const CLOSELY = 0.85;
const CLOSE_SHARE = 0.06;
/** Least correlation of what is photographed on a plain ground. */
const ON_PLAIN = 0.85;

interface Seen {
  index: number;
  at: number;
  ref: number;
  correlation: number;
}

/** An image on either side (or both): enough places agree, spread enough, and the thumbnails do not contradict. */
export function confirmPatchesStill(
  upload: Fingerprint,
  alignment: Alignment,
  reference: readonly Fingerprint[],
): Evidence | null {
  const rough = mapOf(alignment.altered);
  const still = upload.sampling === 'still';
  // Two pictures have all their patches here: with the geometry known, more of them can be told to agree, or not.
  const closer = still && alignment.referenceMedia === 'image' && rough ? guided(upload, reference[0]!, rough) : null;
  const fitted = closer && closer.inliers >= (alignment.inliers ?? 0) ? closer : null;
  const { inliers = 0, cells = 0 } = fitted ?? alignment;
  const map = fitted?.map ?? rough;
  const views = map && viewsOf(map);
  if (!views || inliers < MIN_INLIERS || cells < MIN_CELLS) return null;
  const isClose = !closer || closer.agreeing >= CLOSE_SHARE * closer.visible;
  const isMany = inliers >= MANY_INLIERS && cells >= MANY_CELLS;
  const isDoubtful = !isClose && inliers < SOLID_INLIERS;
  const least = isDoubtful ? CLOSELY : isMany ? NOT_CONTRADICTED : BORNE_OUT;
  const theirs = thumbnailsOf(reference)
    .filter((t) => alignment.referenceMedia === 'image' || Math.abs(t.time - alignment.offset) <= AROUND)
    .map((t) => ({ time: t.time, view: views.reference(t.luma), least: leastFor(t.luma) }));
  const mine = thumbnailsOf([upload]);
  function leastFor(luma: Uint8Array): number {
    if (views!.plain(luma) < PLAIN) return least;
    if (levelsOf(luma) >= PHOTOGRAPHIC_LEVELS) return Math.max(least, ON_PLAIN);
    const all = closer !== null && closer.agreeing >= DRAWN_SHARE * closer.visible;
    return all ? Math.max(least, ON_PLAIN) : Number.POSITIVE_INFINITY;
  }
  const seen: Seen[] = [];
  for (const [index, { time, luma }] of mine.entries()) {
    const view = views.upload(luma);
    let best: Seen | null = null;
    for (const t of theirs) {
      if (!view || !t.view) continue;
      const correlation = agreementOf(view, t.view);
      if (correlation >= t.least && (!best || correlation > best.correlation))
        best = { index, at: time, ref: alignment.referenceMedia === 'image' ? 0 : t.time, correlation };
    }
    if (best) seen.push(best);
  }
  if (seen.length === 0) return null;
  const segments = (still ? [seen] : runsOf(seen)).map((run) => segmentOf(run, still ? [0, 0] : spanOf(run, upload)));
  for (const s of segments) Object.assign(s, { inliers, cells });
  const total = covered(segments.map((s) => s.upload));
  const length = upload.span[1] - upload.span[0];
  const { altered } = alignment;
  return {
    reference: alignment.reference,
    referenceMedia: alignment.referenceMedia,
    kind: 'patch',
    altered,
    segments,
    longest: Math.max(...segments.map((s) => s.upload[1] - s.upload[0])),
    total,
    share: {
      upload: still ? shareOf(altered.inset) : length > 0 ? Math.min(1, total / length) : 0,
      reference: alignment.referenceMedia === 'image' ? shareOf(altered.cropped) : 0,
    },
    confidence: confidenceOf(segments),
  };
}

const shareOf = (part: Region | undefined): number => (part ? areaOf(part) : 1);

function runsOf(seen: readonly Seen[]): Seen[][] {
  const runs: Seen[][] = [];
  for (const one of seen) {
    const run = runs.at(-1);
    if (run && one.index - run.at(-1)!.index <= GAP_FRAMES + 1) run.push(one);
    else runs.push([one]);
  }
  return runs;
}

function spanOf(run: readonly Seen[], upload: Fingerprint): [number, number] {
  const { time } = upload.thumbnails;
  const [first, last] = [run[0]!, run.at(-1)!];
  const half = (index: number, step: number): number => {
    const next = time[index + step];
    return next === undefined ? 0 : Math.min(0.3, Math.abs(next - time[index]!) / 2);
  };
  return [
    first.index === 0 ? upload.span[0] : first.at - half(first.index, -1),
    last.index === time.length - 1 ? upload.span[1] : last.at + half(last.index, 1),
  ];
}

function segmentOf(run: readonly Seen[], span: [number, number]): Segment {
  const best = run.reduce((a, b) => (b.correlation > a.correlation ? b : a));
  const mean = run.reduce((s, r) => s + r.correlation, 0) / run.length;
  return {
    upload: span,
    reference: [best.ref, best.ref],
    offset: best.ref,
    speed: 1,
    frames: { matched: run.length, eligible: run.length },
    distance: { mean: bitsOf(mean), worst: bitsOf(Math.min(...run.map((r) => r.correlation))) },
    distinct: 1,
    timed: false,
    correlation: mean,
  };
}
