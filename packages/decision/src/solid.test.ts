import { type Alignment, FRAME_FLAT, FRAME_FOUND, FRAME_PAGE, isFit, type Segment } from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { queryCodes } from './query-codes.ts';
import { addsTo, hasRoom, isHalfSeen, leftOver, provesAll } from './solid.ts';
import { evidenceWith, fingerprintOf, randomCode, seeded, segmentAt } from './synthetic.ts';

const random = seeded(1);
const SPAN: [number, number] = [30, 40];
/** Two frames a second; `flags` of the first and the last one. */
function sliceOf(flags = 0, sampling: 'dense' | 'still' = 'dense') {
  const times = sampling === 'still' ? [0] : Array.from({ length: 20 }, (_, k) => SPAN[0] + k / 2);
  const frames = times.map((time, k) => ({
    time,
    code: randomCode(random),
    flags: k === 0 || k === times.length - 1 ? flags : 0,
  }));
  return fingerprintOf(frames, { span: sampling === 'still' ? [0, 0] : SPAN, sampling });
}

const segment = (more: Partial<Segment> = {}): Segment => segmentAt(...SPAN, 60, more);
const evidence = (segments: Segment[], referenceMedia: 'image' | 'video' = 'video') =>
  evidenceWith(segments, { referenceMedia });

describe('all of a slice is proved', () => {
  test('by one close stretch of pictures that differ, or by many patches as close', () => {
    expect(provesAll(evidence([segment()]), sliceOf())).toBe(true);
    expect(provesAll(evidence([segment({ inliers: 20, cells: 12 })]), sliceOf())).toBe(true);
  });

  test.each<[string, Partial<Segment>]>([
    ['it ends before the last frame', { upload: [30, 39.2] }],
    ['it begins after the first one', { upload: [30.25, 40] }],
    ['it is not near', { distance: { mean: 50, worst: 70 } }],
    ['hardly anything in it changes', { distinct: 2 }],
    ['it would agree at other times as well', { timed: false }],
    ['it rests on few patches', { inliers: 9, cells: 12 }],
  ])('not when %s', (_, more) => {
    expect(provesAll(evidence([segment(more)]), sliceOf())).toBe(false);
  });

  test.each([FRAME_FLAT, FRAME_PAGE])('frames that nothing is looked for by may lie outside (flag %i)', (flag) => {
    expect(provesAll(evidence([segment({ upload: [30.25, 39.25] })]), sliceOf(flag))).toBe(true);
  });

  test('not by two stretches, one of which may be another place of the reference', () => {
    const halves = [segment({ upload: [30, 35] }), segment({ upload: [35, 40], reference: [10, 15], offset: -25 })];
    expect(provesAll(evidence(halves), sliceOf())).toBe(false);
  });
});

describe('all of a picture is proved', () => {
  const still = (more: Partial<Segment> = {}) =>
    segment({ upload: [0, 0], reference: [0, 0], timed: false, distinct: 1, ...more });

  test('when it is the same beyond doubt', () => {
    expect(provesAll(evidence([still({ correlation: 0.95 })], 'image'), sliceOf(0, 'still'))).toBe(true);
    expect(provesAll(evidence([still({ correlation: 0.8 })], 'image'), sliceOf(0, 'still'))).toBe(false);
    expect(provesAll(evidence([still()], 'image'), sliceOf(0, 'still'))).toBe(false);
  });

  test('never of a picture in a film, nor of a still of one: where else it is shown is worth knowing', () => {
    expect(provesAll(evidence([still({ correlation: 0.99 })], 'image'), sliceOf())).toBe(false);
    expect(provesAll(evidence([still({ correlation: 0.99 })], 'video'), sliceOf(0, 'still'))).toBe(false);
  });
});

describe('a slice that was read densely is read once more', () => {
  const aligned = (more: Partial<Alignment>): Alignment[] => [
    {
      ...{ reference: { id: 'r', version: 1 }, kind: 'patch', referenceMedia: 'video', altered: {} },
      ...{ offset: 0, speed: 1, frames: 3, hits: [], inliers: 20, cells: 10, ...more },
    },
  ];
  const half = segment({ upload: [30, 33], inliers: 20, cells: 10 });

  test('where many places agree and the thumbnails follow for a part of it, or not at all', () => {
    expect(isHalfSeen(sliceOf(), aligned({}), [])).toBe(true);
    expect(isHalfSeen(sliceOf(), aligned({ inliers: 5 }), [evidence([half])])).toBe(true);
  });

  test.each<[string, Partial<Alignment>, Segment[]]>([
    ['all of it is proved', {}, [segment()]],
    ['two shots leave no room', {}, [segment({ upload: [30, 35] }), segment({ upload: [35, 40], offset: -25 })]],
    ['few places agree', { inliers: 13 }, []],
    ['they lie together', { cells: 7 }, [segment({ upload: [30, 33], inliers: 5, cells: 4 })]],
    ['it is a picture that is shown in it', { referenceMedia: 'image' }, []],
  ])('not where %s', (_, more, segments) => {
    expect(isHalfSeen(sliceOf(), aligned(more), segments.length > 0 ? [evidence(segments)] : [])).toBe(false);
  });

  test('nor where the places are those of a picture that is shown in it', () => {
    const picture = evidence([segment({ inliers: 60, cells: 30, upload: [30, 33] })], 'image');
    expect(isHalfSeen(sliceOf(), aligned({ referenceMedia: 'image' }), [picture])).toBe(false);
  });

  test('nor a still', () => {
    expect(isHalfSeen(sliceOf(0, 'still'), aligned({}), [])).toBe(false);
  });
});

test('there is room for another shot where fit frames of two seconds are unexplained; an echo adds nothing', () => {
  const upload = sliceOf();
  const [most, all] = [evidence([segment({ upload: [30, 37.4] })]), evidence([segment({ upload: [30, 38.4] })])];
  expect([hasRoom(upload, [most]), hasRoom(upload, [all]), hasRoom(upload, [])]).toEqual([true, false, true]);
  expect(hasRoom(sliceOf(0, 'still'), [])).toBe(false);
  expect(addsTo([all], most, upload)).toBe(false);
  expect(addsTo([most], all, upload)).toBe(true);
});

describe('what is left of a slice', () => {
  test('is the frames in which nothing was found; the others stay, and nothing is looked for by them', () => {
    const upload = sliceOf(FRAME_FLAT);
    const left = leftOver(upload, [evidence([segment({ upload: [30, 35] })])])!;
    const fit = [...left.frames.time].filter((_, n) => isFit(left, n));
    // The last one is flat.
    expect(fit).toEqual([35.5, 36, 36.5, 37, 37.5, 38, 38.5, 39]);
    expect(queryCodes(left).frame.every((frame) => left.frames.time[frame]! > 35)).toBe(true);
    expect(queryCodes(left).frame).toHaveLength(2 * fit.length);
    expect(left.tables).toBe(upload.tables);
    expect([...upload.frames.flags].every((flag) => (flag & FRAME_FOUND) === 0)).toBe(true);
  });

  test('is nothing where nothing was found, or hardly any room is left', () => {
    expect(leftOver(sliceOf(), [])).toBeNull();
    expect(leftOver(sliceOf(), [evidence([segment({ upload: [30, 39] })])])).toBeNull();
  });
});
