import type { Altered, Evidence, Segment } from '@vigil/contracts';
import { codeToHex } from '@vigil/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { join } from './join.ts';
import { meeting } from './line.ts';
import { evidenceWith, key, randomCode, seeded, segmentAt } from './synthetic.ts';

const lengths = { upload: 120, reference: () => 240 };
const random = seeded(1);
const somePictures = (n: number, from: number) =>
  Array.from({ length: n }, (_, k) => ({ at: from + k, code: codeToHex(randomCode(random)) }));

const segment = segmentAt;
const evidence = (
  segments: Segment[],
  { id = 'a', altered = {} as Altered, media = 'video' as 'image' | 'video' } = {},
): Evidence => evidenceWith(segments, { reference: key(id), referenceMedia: media, altered });

const spans = (e: Evidence) => e.segments.map((s) => s.upload);

describe('over slice borders', () => {
  test('stretches on one line that touch become one', () => {
    const [e] = join(
      [evidence([segment(12, 30, 50)]), evidence([segment(30, 60, 50.1)]), evidence([segment(60, 71, 50)])],
      lengths,
    );
    expect(spans(e!)).toEqual([[12, 71]]);
    expect(e).toMatchObject({ longest: 59, total: 59, share: { upload: 59 / 120 } });
    expect(e!.segments[0]!.reference[0]).toBeCloseTo(62, 5);
    expect(e!.segments[0]!.reference[1]).toBeCloseTo(121, 5);
    expect(e!.segments[0]!.frames).toEqual({ matched: 118, eligible: 118 });
    expect(e!.segments[0]!.offset).toBeCloseTo(50.05, 1);
    expect(e!.share.reference).toBeCloseTo(59 / 240, 3);
  });

  test.each([
    [2, 1],
    [2.1, 2],
  ])('a gap of %f s: %i stretch(es)', (gap, count) => {
    const [e] = join([evidence([segment(10, 30, 50)]), evidence([segment(30 + gap, 50, 50)])], lengths);
    expect(e!.segments).toHaveLength(count);
    expect(e!.total).toBeCloseTo(count === 1 ? 40 : 40 - gap, 5);
  });

  test.each([
    [0.5, 1],
    [0.7, 2],
  ])('lines %f s apart: %i stretch(es)', (off, count) => {
    const [e] = join([evidence([segment(10, 30, 50)]), evidence([segment(30, 50, 50 + off)])], lengths);
    expect(e!.segments).toHaveLength(count);
  });

  test('the speed is taken over the whole stretch', () => {
    const off = (from: number, speed: number) => 40 + 1.06 * from - speed * from;
    const [e] = join(
      [
        evidence([segment(0, 30, off(0, 1.055), { speed: 1.055 })]),
        evidence([segment(30, 60, off(30, 1.065), { speed: 1.065 })]),
      ],
      lengths,
    );
    expect(e!.segments).toHaveLength(1);
    expect(e!.segments[0]!.speed).toBeCloseTo(1.06, 2);
    expect(e!.altered.speed).toBeCloseTo(1.06, 2);
  });

  test('the same footage twice stays two stretches', () => {
    const [e] = join([evidence([segment(0, 20, 50), segment(0, 20, 110)])], lengths);
    expect(e!.segments).toHaveLength(2);
    expect(e).toMatchObject({ total: 20, longest: 20 });
  });
});

describe('one picture counts once', () => {
  test('a still over four slices is one picture', () => {
    const pictures = somePictures(1, 0);
    const slices = [0, 30, 60, 90].map((from) =>
      evidence([segment(from, from + 30, 50, { distinct: 1, timed: false, pictures })]),
    );
    expect(join(slices, lengths)[0]!.segments).toMatchObject([{ distinct: 1, timed: false, upload: [0, 120] }]);
  });

  test('pictures of two slices add up when they differ', () => {
    const [e] = join(
      [
        evidence([segment(26, 30, 50, { distinct: 2, pictures: somePictures(2, 26) })]),
        evidence([segment(30, 34, 50, { distinct: 2, pictures: somePictures(2, 30) })]),
      ],
      lengths,
    );
    expect(e!.segments[0]).toMatchObject({ distinct: 4 });
    expect(e!.segments[0]!.pictures!.map((p) => p.at)).toEqual([26, 27, 30, 31]);
  });

  test('no more pictures are carried than the contract allows', () => {
    const slices = [0, 30, 60].map((from) =>
      evidence([segment(from, from + 30, 50, { distinct: 16, pictures: somePictures(16, from) })]),
    );
    const [s] = join(slices, lengths)[0]!.segments;
    expect(s!.distinct).toBe(48);
    expect(s!.pictures).toHaveLength(16);
    expect(s!.pictures!.at(-1)!.at).toBeGreaterThan(60);
  });
});

test('the same seconds seen under two alignments count once, and the longer one says how it was altered', () => {
  const inset: Altered = { inset: [0, 0.1, 1, 0.9] };
  const [e, ...rest] = join(
    [
      evidence([segment(0, 30, 50)], { altered: inset }),
      evidence([segment(10, 20, 50.1, { distance: { mean: 30, worst: 60 } })]),
    ],
    lengths,
  );
  expect(rest).toEqual([]);
  expect(e!.segments).toHaveLength(1);
  expect(e!.segments[0]!.frames).toEqual({ matched: 60, eligible: 60 });
  expect(e!.segments[0]!.distance.mean).toBeCloseTo(16, 5);
  expect(e!.altered).toEqual(inset);
});

describe('the same seconds on two lines', () => {
  const near = segment(0, 20, 50, { distance: { mean: 8, worst: 20 }, distinct: 9 });
  const far = (more: Partial<Segment> = {}) =>
    segment(2, 18, 80, { distance: { mean: 40, worst: 70 }, distinct: 4, ...more });

  test('an echo is dropped', () => {
    const [e] = join([evidence([far()]), evidence([near])], lengths);
    expect(e!.segments.map((s) => s.offset)).toEqual([50]);
  });
  test('nor does a scene that hardly moves count again at another speed', () => {
    const slow = segment(2, 10, 50.4, { speed: 0.95, distance: { mean: 12, worst: 20 }, distinct: 2 });
    expect(join([evidence([near, slow])], lengths)[0]!.segments).toEqual([near]);
  });
  test.each([
    ['it is as close', { distance: { mean: 19, worst: 40 } }],
    ['it shows more pictures', { distinct: 10 }],
    ['it reaches further', { upload: [2, 20.1] as [number, number] }],
  ])('not when %s', (_, more) => {
    expect(join([evidence([far(more)]), evidence([near])], lengths)[0]!.segments).toHaveLength(2);
  });
});

describe('uploads of days', () => {
  test('spans that meet are those that all pairs show', () => {
    const span = fc.tuple(fc.integer({ min: 0, max: 20 }), fc.integer({ min: 0, max: 8 }));
    fc.assert(
      fc.property(fc.array(span), (rows) => {
        const spans = rows.map(([a, n]): [number, number] => [a, a + n]).sort((x, y) => x[0] - y[0]);
        const plain = spans.map((s, i) => [i, spans.flatMap((t, j) => (t[0] <= s[1] && t[1] >= s[0] ? [j] : []))]);
        expect([...meeting(spans)]).toEqual(plain);
      }),
    );
  });

  /** How often a join of eight stretches in each of `n` slices looks where one of them lies. */
  function looks(n: number, offset: (slice: number, k: number) => number, more: Partial<Segment>): number {
    let count = 0;
    const slices = Array.from({ length: 8 * n }, (_, i) => {
      const [slice, k] = [Math.floor(i / 8), i % 8];
      const made = segment(30 * slice, 30 * slice + 30, offset(slice, k), { timed: false, distinct: 1, ...more });
      const { upload } = made;
      const get = () => {
        count++;
        return upload;
      };
      return evidence([Object.defineProperty(made, 'upload', { get, enumerable: true })]);
    });
    join(slices, lengths);
    return count;
  }
  test.each<[string, Parameters<typeof looks>[1], Partial<Segment>]>([
    ['a picture that a film holds, at another time of it in each slice', (slice, k) => k - 30 * slice, {}],
    ['a picture of the library all day', (_, k) => k / 100, { reference: [0, 0] }],
  ])('%s: eight times as long takes not much more than eight times the looks', (_, offset, more) => {
    expect(looks(400, offset, more) / looks(50, offset, more)).toBeLessThan(16);
  });

  test('pictures that differ are counted as far as anybody asks, and carried from all of the stretch', () => {
    const slices = Array.from({ length: 30 }, (_, k) =>
      evidence([segment(30 * k, 30 * k + 30, 50, { distinct: 16, pictures: somePictures(16, 30 * k) })]),
    );
    const [s] = join(slices, lengths)[0]!.segments;
    expect(s).toMatchObject({ upload: [0, 900], distinct: 256 });
    expect(s!.pictures).toHaveLength(16);
    expect(s!.pictures!.at(-1)!.at).toBeGreaterThan(800);
  });
});

test('references and turns are apart, the surest first', () => {
  const found = join(
    [
      evidence([segment(0, 3, 5, { distinct: 1 })], { id: 'b' }),
      evidence([segment(0, 30, 50)]),
      evidence([segment(0, 30, 50)], { altered: { turn: 'mirror' } }),
      evidence([segment(30, 60, 50)], { altered: { turn: 'mirror' } }),
    ],
    lengths,
  );
  expect(found.map((e) => [e.reference.id, e.altered.turn ?? 'none', e.longest])).toEqual([
    ['a', 'mirror', 60],
    ['a', 'none', 30],
    ['b', 'none', 3],
  ]);
});

test('a weak neighbour does not pull a strong stretch over the line', () => {
  const [e] = join(
    [
      evidence([segment(0, 30, 50, { distance: { mean: 45, worst: 70 } })]),
      evidence([segment(30, 60, 50, { distance: { mean: 45.1, worst: 70 } })]),
    ],
    lengths,
  );
  expect(e!.segments.map((s) => s.distance.mean)).toEqual([45, 45.1]);
});

test('a picture in a film is one stretch over a slice border; its times in the film do not matter', () => {
  const still = { reference: [0, 0] as [number, number], offset: 0, distinct: 1, timed: false };
  const [e] = join(
    [
      evidence([segment(20, 30, 0, still)], { media: 'image' }),
      evidence([segment(30, 35, 0, still)], { media: 'image' }),
    ],
    lengths,
  );
  expect(spans(e!)).toEqual([[20, 35]]);
});

test('an image has no length and keeps its share', () => {
  const one = segment(0, 0, 0, { reference: [0, 0], distinct: 1, timed: false, correlation: 0.9 });
  const image = { ...evidence([one], { media: 'image' }), share: { upload: 0.8, reference: 1 } };
  expect(join([image, image], { upload: 0, reference: () => 0 })).toMatchObject([
    { longest: 0, total: 0, share: { upload: 0.8, reference: 1 }, segments: [{ correlation: 0.9 }] },
  ]);
});

test('nothing joins to nothing', () => expect(join([], lengths)).toEqual([]));

describe('whatever the evidence', () => {
  const arbitrary = fc.array(
    fc.record({
      id: fc.constantFrom('a', 'b'),
      turn: fc.constantFrom('none' as const, 'mirror' as const),
      slice: fc.integer({ min: 0, max: 5 }),
      from: fc.integer({ min: 0, max: 20 }),
      length: fc.integer({ min: 1, max: 10 }),
      offset: fc.constantFrom(50, 50.25, 80),
      mean: fc.constantFrom(10, 40, 50),
      distinct: fc.integer({ min: 0, max: 6 }),
    }),
    { maxLength: 14 },
  );
  const build = (rows: Parameters<Parameters<typeof arbitrary.map>[0]>[0]) =>
    rows.map((r) =>
      evidence(
        [
          segment(30 * r.slice + r.from, 30 * r.slice + r.from + r.length, r.offset, {
            distance: { mean: r.mean, worst: 60 },
            distinct: r.distinct,
          }),
        ],
        { id: r.id, altered: r.turn === 'none' ? {} : { turn: r.turn } },
      ),
    );

  test('order does not matter', () => {
    fc.assert(
      fc.property(arbitrary, fc.integer(), (rows, seed) => {
        const list = build(rows);
        const r = seeded(seed);
        const shuffled = list.map((e) => ({ e, k: r() })).sort((a, b) => a.k - b.k);
        expect(
          join(
            shuffled.map((x) => x.e),
            lengths,
          ),
        ).toEqual(join(list, lengths));
      }),
    );
  });

  test('repetition does not matter', () => {
    fc.assert(
      fc.property(arbitrary, (rows) => {
        const list = build(rows);
        expect(join([...list, ...list.toReversed()], lengths)).toEqual(join(list, lengths));
      }),
    );
  });

  test('more evidence takes nothing away', () => {
    fc.assert(
      fc.property(arbitrary, arbitrary, (some, more) => {
        const before = join(build(some), lengths);
        const after = join(build([...some, ...more]), lengths);
        for (const e of before) {
          const now = after.find((x) => x.reference.id === e.reference.id && x.altered.turn === e.altered.turn)!;
          expect(now.total).toBeGreaterThanOrEqual(e.total);
          expect(now.longest).toBeGreaterThanOrEqual(e.longest);
          expect(Math.max(...now.segments.map((s) => s.distinct))).toBeGreaterThanOrEqual(
            Math.max(...e.segments.map((s) => s.distinct)),
          );
        }
      }),
    );
  });
});
