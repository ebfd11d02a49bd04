import { type Fingerprint, FRAME_FLAT } from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { confirmKeyframes, keyframesReach, openEdges, withEdges } from './confirm-keyframes.ts';
import {
  alignmentThrough,
  type Film,
  film,
  fingerprintOf,
  flipped,
  randomCode,
  referenceOf,
  seeded,
  sliceOf,
} from './synthetic.ts';

const A = film(1, 120);
const slicesOfA = referenceOf(A);
const SPAN: [number, number] = [30, 60];
const TIMES = [31, 34.2, 39.9, 41, 46.4, 50, 58.5];

interface Made {
  times?: number[];
  shows?: (t: number) => Uint8Array;
  noise?: number;
  flags?: (t: number) => number;
}

function keyframes({
  times = TIMES,
  shows = (t) => A.show(10 + t),
  noise = 12,
  flags = () => 0,
}: Made = {}): Fingerprint {
  const random = seeded(7);
  const frames = times.map((time) => ({ time, code: flipped(shows(time), noise, random), flags: flags(time) }));
  return fingerprintOf(frames, { span: SPAN, sampling: 'keyframes' });
}

const proved = (upload: Fingerprint, source: Fingerprint[] = slicesOfA, alignment = alignmentThrough(41, 51)) =>
  confirmKeyframes(upload, alignment, source);

describe('keyframes that agree, each of them, prove all of the slice', () => {
  test('with its own ends, at the time that dense reading finds', () => {
    const found = proved(keyframes())!;
    expect(found.segments).toHaveLength(1);
    expect(found).toMatchObject({ longest: 30, total: 30, kind: 'picture', altered: {} });
    expect(found.share.upload).toBe(1);
    const [s] = found.segments;
    expect(s).toMatchObject({ upload: SPAN, frames: { matched: 7, eligible: 7 }, timed: true, distinct: 7, speed: 1 });
    expect(Math.abs(s!.offset - 10)).toBeLessThan(0.15);
    expect(s!.reference[1] - s!.reference[0]).toBeCloseTo(30, 5);
  });

  test.each([0.8, 1.25])('at speed %f', (speed) => {
    const source = film(1, 120);
    const shows = (t: number) => source.show(20 + speed * (t - 30));
    const alignment = alignmentThrough(41, 20 + speed * 11, { speed, offset: 20 - speed * 30, frames: 6 });
    const [s] = proved(keyframes({ shows }), slicesOfA, alignment)!.segments;
    expect(Math.abs(s!.speed - speed)).toBeLessThan(0.015);
    expect(Math.abs(s!.reference[0] - 20)).toBeLessThan(0.3);
  });

  test('a black keyframe says nothing either way', () => {
    const flags = (t: number) => (t === 39.9 ? FRAME_FLAT : 0);
    expect(proved(keyframes({ flags }))!.segments[0]!.frames.matched).toBe(6);
  });
});

describe('they prove nothing', () => {
  const random = seeded(3);
  const foreign = (from: number, to: number) => (t: number) =>
    t >= from && t < to ? randomCode(random) : A.show(10 + t);
  const still: Film = film(5, 120, { still: true });

  test.each<[string, Fingerprint, Fingerprint[]?]>([
    ['where one shows something else', keyframes({ shows: foreign(41, 42) })],
    ['where the last one does: the copy ends before', keyframes({ shows: foreign(58, 60) })],
    ['where the first one does', keyframes({ shows: foreign(30, 32) })],
    ['where there are few', keyframes({ times: TIMES.filter((_, i) => i % 2 === 0) })],
    ['where they lie far apart', keyframes({ times: [31, 33, 35, 37, 39, 41, 52, 59] })],
    ['where they agree badly', keyframes({ noise: 45 })],
    ['where the picture stands still', keyframes({ shows: (t) => still.show(10 + t) }), referenceOf(still)],
    ['where the reference is over', keyframes({ shows: (t) => A.show(62 + t) }), slicesOfA.slice(0, 4)],
    ['of a slice that was read densely', sliceOf((t) => A.show(10 + t), SPAN)],
  ])('%s', (_, upload, source = slicesOfA) => {
    const ref = _.includes('is over') ? 103 : 51;
    expect(proved(upload, source, alignmentThrough(41, ref))).toBe(null);
  });

  test('of patches or stills', () => {
    expect(proved(keyframes(), slicesOfA, alignmentThrough(41, 51, { kind: 'patch' }))).toBe(null);
    expect(proved(keyframes(), slicesOfA, alignmentThrough(41, 51, { referenceMedia: 'image' }))).toBe(null);
  });
});

describe('the ends of a slice beyond its keyframes', () => {
  test('are open where they are long, and closed by what is read there', () => {
    const upload = keyframes({ times: [35, 38, 41, 44, 47, 50] });
    expect(keyframesReach(upload)).toBe(true);
    expect(openEdges(upload)).toEqual([
      [30, 35],
      [52.05, 60],
    ]);
    const read = (from: number, to: number, shows = (t: number): Uint8Array | null => A.show(10 + t)) =>
      sliceOf(shows, [from, to]);
    const whole = withEdges(upload, [read(30, 35), read(52.5, 60)]);
    expect(openEdges(whole)).toEqual([]);
    expect([...whole.frames.time]).toEqual([...whole.frames.time].sort((a, b) => a - b));
    expect(whole.frames.time).toHaveLength(6 + 10 + 15);
    expect(proved(whole)!.segments[0]).toMatchObject({ upload: SPAN, frames: { matched: 31, eligible: 31 } });

    const ended = withEdges(upload, [read(30, 35), read(52.5, 60, (t) => (t < 55 ? A.show(10 + t) : null))]);
    expect(proved(ended)).toBe(null);
  });

  test('are read beside black keyframes in there, in order of time', () => {
    const flags = (t: number) => (t === 30 || t === 59.4 ? FRAME_FLAT : 0);
    const upload = keyframes({ times: [30, 36, 39, 42, 45, 48, 51, 59.4], flags });
    const read = (from: number, to: number) => sliceOf((t) => A.show(10 + t), [from, to]);
    const whole = withEdges(upload, [read(30, 36), read(53.5, 60)]);
    expect([...whole.frames.time]).toEqual([...whole.frames.time].sort((a, b) => a - b));
    expect(proved(whole)!.segments[0]).toMatchObject({ upload: SPAN, frames: { matched: 6 + 12 + 13 } });
  });

  test('stay open where what is read there is black, or nothing', () => {
    const upload = keyframes({ times: [30.2, 33, 36, 39, 42, 45] });
    expect(openEdges(upload)).toEqual([[47.05, 60]]);
    const black = fingerprintOf(
      [48, 50, 52, 54, 56, 58].map((time) => ({ time, code: A.show(time), flags: FRAME_FLAT })),
      { span: [47.05, 60] },
    );
    expect(openEdges(withEdges(upload, [black]))).toEqual([[47.05, 60]]);
    expect(openEdges(withEdges(upload, [fingerprintOf([], { span: [47.05, 60] })]))).toEqual([[47.05, 60]]);
  });

  test('are closed where a keyframe is near', () => {
    expect(openEdges(keyframes())).toEqual([]);
  });
});
