import {
  type Altered,
  type CodeKind,
  type Evidence,
  type ReferenceKey,
  referenceKey,
  type Segment,
  type Span,
} from '@vigil/contracts';
import { confidenceOf } from './confidence.ts';
import { carried, countDistinct } from './distinct.ts';
import { cut, outside } from './exclude.ts';
import { JOIN_GAP, SPEED_ALTERED, STRONG_MEAN } from './limits.ts';
import { at, covered, meeting } from './line.ts';
import { RANKS, rankOf } from './solid.ts';

/** Seconds in the reference, and share, by which two stretches on one line may disagree where they meet. */
const LINE_TOLERANCE = 0.6;
const SPEED_TOLERANCE = 0.04;
/** Bits by which a stretch is clearly closer than another of the same seconds. */
const ECHO_BITS = 12;

interface Part {
  kind: CodeKind;
  segment: Segment;
  altered: Altered;
}

/** One stretch, and what it was joined from, in order of time. */
interface Union extends Part {
  of: readonly Part[];
}

/** What all slices of an upload say of one reference. */
export interface Joined {
  evidence: Evidence;
  /** The same without what lies in spans of the reference, in seconds; itself where none of it does, null where all of it does. */
  without(spans: readonly Span[]): Evidence | null;
}

/** Lengths in seconds; 0 where unknown, and of images. */
export interface Lengths {
  upload: number;
  reference(key: ReferenceKey): number;
}

/**
 * Joins the evidence of all slices of one upload, reference by reference and turn by turn: stretches on one line in time
 * that touch or nearly do become one over slice borders. The order of the input does not matter, nor do repetitions.
 *
 * What whole pictures and patches found is one: the same seconds count once, for the nearer one.
 *
 * More input never takes anything away from what a stretch proves: strong stretches (mean <= STRONG_MEAN, and no patches
 * or enough of them) are joined with strong ones only, so that a later, weaker neighbour cannot pull one over the line.
 * What decide.ts says is `certain` rests on it.
 */
export const join = (slices: readonly Evidence[], lengths: Lengths): Evidence[] =>
  joined(slices, lengths).map((x) => x.evidence);

/** As `join`; parts of the reference can still be left out. */
export function joined(slices: readonly Evidence[], lengths: Lengths): Joined[] {
  const groups = new Map<string, Evidence[]>();
  for (const e of slices) {
    const { turn = 'none', inverted = false } = e.altered;
    const key = `${referenceKey(e.reference)} ${turn} ${inverted}`;
    const group = groups.get(key);
    if (group) group.push(e);
    else groups.set(key, [e]);
  }
  return [...groups.entries()]
    .map(([key, group]) => ({ key, found: joinGroup(group, lengths) }))
    .sort((a, b) => b.found.evidence.confidence - a.found.evidence.confidence || (a.key < b.key ? -1 : 1))
    .map((x) => x.found);
}

function joinGroup(group: readonly Evidence[], lengths: Lengths): Joined {
  const parts = partsOf(group);
  const unions = withoutEchoes(
    RANKS.flatMap((rank) => linkedSets(parts.filter((p) => rankOf(p.segment) === rank)).map(union)),
  );
  const evidence = evidenceOf(unions, group, lengths);
  return {
    evidence,
    without(spans) {
      const left = unions.flatMap((u) => rest(u, spans));
      if (left.length === 0) return null;
      const whole = left.length === unions.length && left.every((part, i) => part === unions[i]);
      return whole ? evidence : evidenceOf(left, group, lengths);
    },
  };
}

/**
 * What is left of a stretch: its parts are cut, not the whole, since they know more of the pictures that they show, and
 * joined again, but not over what was cut out. Echoes are gone by then: one of an excluded scene must not count because
 * what explains it does not.
 */
function rest(whole: Union, spans: readonly Span[]): Part[] {
  const left = outside(whole.segment.reference, spans);
  if (left.length === 1 && left[0] === whole.segment.reference) return [whole];
  return left.flatMap((span) => {
    const parts = whole.of
      .flatMap((part) => {
        const segment = cut(part.segment, span);
        return segment ? [{ ...part, segment, cut: segment !== part.segment }] : [];
      })
      .sort(byTime);
    // Whether a cut part's time means anything may rest on what was cut off: it must not speak for neighbours of which it does not.
    const own = parts.filter((p) => !p.cut || !p.segment.timed);
    const timed = new Set(
      linkedSets(own)
        .filter((set) => set.some((p) => p.segment.timed))
        .flat(),
    );
    const untimed = new Set(own.filter((p) => !timed.has(p)));
    return [...linkedSets(parts.filter((p) => !untimed.has(p))), ...linkedSets([...untimed])].map(union);
  });
}

function evidenceOf(stretches: readonly Part[], group: readonly Evidence[], lengths: Lengths): Evidence {
  const parts = stretches.toSorted(byTime);
  const first = group[0]!;
  const total = covered(parts.map((p) => p.segment.upload));
  const length = lengths.reference(first.reference);
  const shown = covered(parts.map((p) => p.segment.reference));
  const still = parts.every(({ segment: { upload } }) => upload[0] === 0 && upload[1] === 0);
  const longest = parts.reduce((a, b) => (stronger(b.segment, a.segment) ? b : a));
  const { speed: _, ...altered } = longest.altered;
  const segments = parts.map((p) => p.segment);
  return {
    reference: first.reference,
    referenceMedia: first.referenceMedia,
    kind: longest.kind,
    altered: {
      ...altered,
      ...(Math.abs(longest.segment.speed - 1) > SPEED_ALTERED && { speed: longest.segment.speed }),
    },
    segments,
    longest: seconds(longest.segment),
    total,
    share: {
      upload: still
        ? Math.max(...group.map((e) => e.share.upload))
        : lengths.upload > 0
          ? clamp(total / lengths.upload)
          : 0,
      reference:
        first.referenceMedia === 'image'
          ? Math.max(...group.map((e) => e.share.reference))
          : length > 0
            ? clamp(shown / length)
            : 0,
    },
    confidence: confidenceOf(segments),
  };
}

const clamp = (share: number): number => Math.min(1, share);
const seconds = (s: Segment): number => s.upload[1] - s.upload[0];

const order = (s: Segment): number[] => [
  s.upload[0],
  s.upload[1],
  s.reference[0],
  s.reference[1],
  s.distance.mean,
  s.frames.matched,
  s.frames.eligible,
  s.distinct,
  s.offset,
  s.speed,
  s.inliers ?? -1,
  s.cells ?? -1,
];

function byTime(a: Part, b: Part): number {
  const [x, y] = [order(a.segment), order(b.segment)];
  for (let i = 0; i < x.length; i++) if (x[i] !== y[i]) return x[i]! - y[i]!;
  if (a.segment === b.segment) return 0;
  const [p, q] = [a, b].map(({ kind, segment, altered }) => JSON.stringify([kind, segment, altered]));
  return p! < q! ? -1 : 1;
}

/** Every segment once, in order of time. */
function partsOf(group: readonly Evidence[]): Part[] {
  const unique = new Map<string, Part>();
  for (const e of group) {
    for (const segment of e.segments) {
      const part = { kind: e.kind, segment, altered: sorted(e.altered) };
      unique.set(JSON.stringify([order(segment), segment.timed, part.kind, part.altered]), part);
    }
  }
  return [...unique.values()].sort(byTime);
}

/** The same alteration, spelled the same way. */
const sorted = (a: Altered): Altered => Object.fromEntries(Object.entries(a).sort(([x], [y]) => (x < y ? -1 : 1)));

/** Parts in order of time, in sets of those that are linked, directly or by others. More parts can only link more. */
function linkedSets<P extends Part>(parts: readonly P[]): P[][] {
  const root = parts.map((_, i) => i);
  const find = (i: number): number => {
    let r = i;
    while (root[r] !== r) r = root[r]!;
    root[i] = r;
    return r;
  };
  let open: number[] = [];
  for (const [j, part] of parts.entries()) {
    open = open.filter((i) => part.segment.upload[0] - parts[i]!.segment.upload[1] <= JOIN_GAP);
    for (const i of open) if (linked(parts[i]!.segment, part.segment)) root[find(j)] = find(i);
    open.push(j);
  }
  const sets = new Map<number, P[]>();
  for (const [i, part] of parts.entries()) {
    const set = sets.get(find(i));
    if (set) set.push(part);
    else sets.set(find(i), [part]);
  }
  return [...sets.values()];
}

/** Do two stretches lie on one line, where they meet? `a` starts first. */
function linked(a: Segment, b: Segment): boolean {
  if (isStill(a) || isStill(b))
    return isStill(a) && isStill(b) && Math.abs(a.reference[0] - b.reference[0]) <= LINE_TOLERANCE;
  const meet = Math.max(b.upload[0], Math.min(a.upload[1], b.upload[1]));
  return Math.abs(at(a, meet) - at(b, meet)) <= LINE_TOLERANCE && Math.abs(a.speed - b.speed) <= SPEED_TOLERANCE;
}

/** One picture of the reference, not a stretch of it. */
const isStill = (s: Segment): boolean => s.reference[0] === s.reference[1];

/** One stretch from several, which are in order of time. */
function union(set: readonly Part[]): Union {
  if (set.length === 1) return { ...set[0]!, of: set };
  const segments = set.map((p) => p.segment);
  const longest = set.reduce((a, b) => (stronger(b.segment, a.segment) ? b : a));
  const counts = fresh(segments);
  const matched = counts.reduce((n, c) => n + c.matched, 0);
  const pictures = segments.flatMap((s) => s.pictures ?? []).sort((a, b) => a.at - b.at || (a.code < b.code ? -1 : 1));
  const correlations = segments.flatMap((s) => (s.correlation === undefined ? [] : [s.correlation]));
  const shown = carried(pictures);
  return {
    of: set,
    kind: longest.kind,
    altered: longest.altered,
    segment: {
      upload: [Math.min(...segments.map((s) => s.upload[0])), Math.max(...segments.map((s) => s.upload[1]))],
      reference: [Math.min(...segments.map((s) => s.reference[0])), Math.max(...segments.map((s) => s.reference[1]))],
      ...lineOf(segments, longest.segment),
      frames: {
        matched: Math.round(matched),
        eligible: Math.max(Math.round(matched), Math.round(counts.reduce((n, c) => n + c.eligible, 0))),
      },
      distance: {
        mean: segments.reduce((sum, s, i) => sum + s.distance.mean * counts[i]!.matched, 0) / matched,
        worst: Math.max(...segments.map((s) => s.distance.worst)),
      },
      distinct: Math.max(countDistinct(pictures), ...segments.map((s) => s.distinct)),
      ...(shown.length > 0 && { pictures: shown }),
      timed: segments.some((s) => s.timed),
      ...(correlations.length > 0 && { correlation: Math.max(...correlations) }),
      ...mostPlaces(segments),
    },
  };
}

/** Of patches: what the best of them rest on. Slices see the same places again, so they are not added up. */
function mostPlaces(segments: readonly Segment[]): Pick<Segment, 'inliers' | 'cells'> {
  const most = (values: readonly (number | undefined)[]) => Math.max(...values.map((v) => v ?? -1));
  const inliers = most(segments.map((s) => s.inliers));
  const cells = most(segments.map((s) => s.cells));
  return { ...(inliers >= 0 && { inliers }), ...(cells >= 0 && { cells }) };
}

/**
 * Without stretches that another one explains wholly: a cartoon's cycles or the next shot of the same set agree half-way
 * elsewhere; a scene that hardly moves agrees at other speeds too. What is left proves no less than before.
 */
function withoutEchoes(parts: readonly Union[]): Union[] {
  const explains = (a: Segment, b: Segment) =>
    a.upload[0] <= b.upload[0] &&
    a.upload[1] >= b.upload[1] &&
    a.distinct >= b.distinct &&
    (a.timed || !b.timed) &&
    rankOf(a) <= rankOf(b) &&
    (a.distance.mean <= b.distance.mean - ECHO_BITS || (samePlace(a, b) && closer(a, b)));
  const inTime = parts.toSorted(byTime);
  return Array.from(meeting(inTime.map((p) => p.segment.upload)), ([b, others]) =>
    others.some((a) => explains(inTime[a]!.segment, inTime[b]!.segment)) ? [] : [inTime[b]!],
  ).flat();
}

/** At least half of what `b` shows of the reference, `a` shows too. */
function samePlace(a: Segment, b: Segment): boolean {
  const both = Math.min(a.reference[1], b.reference[1]) - Math.max(a.reference[0], b.reference[0]);
  return both > 0 && 2 * both >= b.reference[1] - b.reference[0];
}

/** Longer and about as near, or nearer. */
function closer(a: Segment, b: Segment): boolean {
  const [x, y] = [a.distance.mean, b.distance.mean];
  return x < y || (seconds(a) > seconds(b) && x <= y + ECHO_BITS / 2 && (x <= STRONG_MEAN || y > STRONG_MEAN));
}

const stronger = (a: Segment, b: Segment): boolean =>
  seconds(a) > seconds(b) || (seconds(a) === seconds(b) && a.distance.mean < b.distance.mean);

/** Frames that each stretch, in order of time, adds: the same seconds seen under two alignments count once, for the nearer one. */
function fresh(segments: readonly Segment[]): { matched: number; eligible: number }[] {
  return Array.from(meeting(segments.map((s) => s.upload)), ([i, others]) => {
    const s = segments[i]!;
    const taken = others.flatMap((j): [number, number][] => {
      const t = segments[j]!;
      const better = t.distance.mean < s.distance.mean || (t.distance.mean === s.distance.mean && j < i);
      if (!better) return [];
      return [[Math.max(t.upload[0], s.upload[0]), Math.min(t.upload[1], s.upload[1])]];
    });
    const share = seconds(s) > 0 ? 1 - covered(taken) / seconds(s) : taken.length > 0 ? 0 : 1;
    return { matched: s.frames.matched * share, eligible: s.frames.eligible * share };
  });
}

/** The longest one's line; over several slices, through both ends, which fixes the speed better. Speed 1 stays 1. */
function lineOf(segments: readonly Segment[], longest: Segment): { offset: number; speed: number } {
  if (isStill(longest)) return { offset: longest.offset, speed: longest.speed };
  if (longest.speed === 1) {
    const even = segments.filter((s) => s.speed === 1);
    const weight = even.reduce((n, s) => n + seconds(s), 0);
    return { offset: even.reduce((n, s) => n + s.offset * seconds(s), 0) / weight, speed: 1 };
  }
  const first = segments[0]!;
  const last = segments.reduce((a, b) => (b.upload[1] > a.upload[1] ? b : a));
  const [u0, u1] = [first.upload[0], last.upload[1]];
  const speed = (at(last, u1) - at(first, u0)) / (u1 - u0);
  return { speed, offset: at(first, u0) - speed * u0 };
}
