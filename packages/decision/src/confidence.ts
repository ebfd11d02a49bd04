import type { Segment } from '@vigil/contracts';

/**
 * 0..1, rising with frames that agree, with pictures among them that differ, with nearness and with correlation. It
 * orders what was found; policies do not ask for it.
 */
export function confidenceOf(segments: readonly Segment[]): number {
  return segments.reduce((best, s) => Math.max(best, confidenceOfOne(s)), 0);
}

function confidenceOfOne(s: Segment): number {
  const near = Math.min(1, Math.max(0, (80 - s.distance.mean) / 64));
  const places = s.inliers === undefined ? 1 : 1 - Math.exp(-s.inliers / 6);
  const alone = s.inliers === undefined || s.reference[0] === s.reference[1];
  if (s.correlation !== undefined && alone) return near * places * Math.min(1, Math.max(0, s.correlation));
  const many = 1 - Math.exp(-s.frames.matched / 5);
  const varied = 1 - Math.exp(-(s.distinct + 0.5) / 1.5);
  return near * places * many * varied * (s.timed ? 1 : 0.8);
}
