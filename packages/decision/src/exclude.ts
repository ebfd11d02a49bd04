import type { Evidence, Segment, Span } from '@vigil/contracts';
import { countDistinct } from './distinct.ts';
import { covered } from './line.ts';

/**
 * The evidence without what lies in spans of its reference (seconds); itself when there are none, null when nothing is left. What
 * is left of a cut stretch keeps the pictures that it is known to show, and its share of the frames. A joined stretch knows few of
 * them: where the slices are at hand, `Joined.without` cuts those.
 */
export function withoutSpans(evidence: Evidence, spans: readonly Span[]): Evidence | null {
  if (spans.length === 0) return evidence;
  const segments = evidence.segments.flatMap((s) => outside(s.reference, spans).flatMap((rest) => cut(s, rest) ?? []));
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

/** What is left of a span without the others, itself where they do not meet; one without length is left or gone as a whole. */
export function outside(span: Span, others: readonly Span[]): Span[] {
  if (span[0] === span[1]) return others.some((o) => o[0] <= span[0] && span[0] <= o[1]) ? [] : [span];
  let rest: Span[] = [span];
  for (const [a, b] of others) {
    rest = rest.flatMap((one): Span[] => {
      const [x, y] = one;
      if (b <= x || a >= y) return [one];
      return [...(a > x ? [[x, a] satisfies Span] : []), ...(b < y ? [[b, y] satisfies Span] : [])];
    });
  }
  return rest;
}

/** What of a stretch lies in a span of its reference: the stretch itself when all of it does, null when nothing does. */
export function cut(s: Segment, span: Span): Segment | null {
  const [r0, r1] = s.reference;
  const rest: Span = [Math.max(r0, span[0]), Math.min(r1, span[1])];
  if (rest[0] === r0 && rest[1] === r1) return s;
  if (rest[1] <= rest[0]) return null;
  const onUpload = (t: number) => s.upload[0] + ((t - r0) / (r1 - r0)) * (s.upload[1] - s.upload[0]);
  const upload: [number, number] = [onUpload(rest[0]), onUpload(rest[1])];
  // At least one: where stretches are joined, their frames weigh how near they are.
  const frames = (n: number) => Math.max(1, Math.round((n * (rest[1] - rest[0])) / (r1 - r0)));
  const pictures = (s.pictures ?? []).filter((p) => p.at >= upload[0] && p.at <= upload[1]);
  return {
    ...s,
    upload,
    reference: rest,
    frames: { matched: frames(s.frames.matched), eligible: frames(s.frames.eligible) },
    distinct: countDistinct(pictures),
    ...(s.pictures && { pictures }),
  };
}
