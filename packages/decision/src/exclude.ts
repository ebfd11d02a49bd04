import type { Evidence, Policy, Segment } from '@vigil/contracts';
import { countDistinct } from './distinct.ts';
import { covered } from './line.ts';

type Span = readonly [number, number];

/**
 * The evidence without what lies in excluded parts of its reference; null when nothing is left. What is left of a cut
 * stretch keeps the pictures that it is known to show, and its share of the frames.
 */
export function withoutExcluded(evidence: Evidence, excluded: Policy['excluded']): Evidence | null {
  const spans = excluded.filter((x) => x.reference === evidence.reference.id).map((x) => x.span);
  if (spans.length === 0) return evidence;
  const segments = evidence.segments.flatMap((s) => outside(s.reference, spans).map((rest) => cut(s, rest)));
  if (segments.length === 0) return null;
  const total = covered(segments.map((s) => s.upload));
  const shown = covered(segments.map((s) => s.reference));
  const before = covered(evidence.segments.map((s) => s.reference));
  const scaled = (share: number, now: number, then: number) => (then > 0 ? (share * now) / then : share);
  return {
    ...evidence,
    segments,
    longest: Math.max(...segments.map((s) => s.upload[1] - s.upload[0])),
    total,
    share: {
      upload: scaled(evidence.share.upload, total, evidence.total),
      reference: scaled(evidence.share.reference, shown, before),
    },
  };
}

/** What is left of a span without the others; a span without length is left or gone as a whole. */
function outside(span: Span, others: readonly Span[]): Span[] {
  if (span[0] === span[1]) return others.some((o) => o[0] <= span[0] && span[0] <= o[1]) ? [] : [span];
  let rest: Span[] = [span];
  for (const [a, b] of others) {
    rest = rest.flatMap(([x, y]): Span[] => {
      if (b <= x || a >= y) return [[x, y]];
      return [...(a > x ? [[x, a] as const] : []), ...(b < y ? [[b, y] as const] : [])];
    });
  }
  return rest;
}

function cut(s: Segment, rest: Span): Segment {
  if (rest[0] === s.reference[0] && rest[1] === s.reference[1]) return s;
  const [r0, r1] = s.reference;
  const onUpload = (t: number) => s.upload[0] + ((t - r0) / (r1 - r0)) * (s.upload[1] - s.upload[0]);
  const upload: [number, number] = [onUpload(rest[0]), onUpload(rest[1])];
  const share = (rest[1] - rest[0]) / (r1 - r0);
  const pictures = (s.pictures ?? []).filter((p) => p.at >= upload[0] && p.at <= upload[1]);
  return {
    ...s,
    upload,
    reference: [rest[0], rest[1]],
    frames: { matched: Math.round(s.frames.matched * share), eligible: Math.round(s.frames.eligible * share) },
    distinct: countDistinct(pictures),
    ...(s.pictures && { pictures }),
  };
}
