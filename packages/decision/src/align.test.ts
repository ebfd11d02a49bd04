import { type Fingerprint, FRAME_FLAT, RADIUS } from '@vigil/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { align, type QueryHit } from './align.ts';
import { queryCodes } from './query-codes.ts';
import {
  type Entry,
  film,
  fingerprintOf,
  flipped,
  key,
  randomCode,
  referenceOf,
  search,
  seeded,
  sliceOf,
} from './synthetic.ts';

const A = film(1, 90);
const B = film(2, 60);
const library: Entry[] = [
  { reference: key('a'), media: 'video', slices: referenceOf(A) },
  { reference: key('b'), media: 'video', slices: referenceOf(B) },
];
const alignAll = (slice: Fingerprint, lib = library, limit?: number) => {
  const queries = queryCodes(slice);
  return align(slice, queries, search(queries, lib), limit);
};
const lineAt = (a: { offset: number; speed: number }, t: number) => a.offset + a.speed * t;

describe('a planted line is found', () => {
  test.each([
    [12.34, 1],
    [33.21, 1.06],
    [5.5, 0.8],
    [40.7, 1.25],
  ])('offset %f at speed %f', (offset, speed) => {
    const [best] = alignAll(sliceOf((t) => A.show(offset + speed * t), [0, 20]));
    expect(best!.reference.id).toBe('a');
    expect(best!.speed).toBeCloseTo(speed, 1);
    for (const t of [0, 10, 20]) expect(Math.abs(lineAt(best!, t) - (offset + speed * t))).toBeLessThan(0.4);
    expect(best!.frames).toBeGreaterThan(30);
  });

  test('whatever the offset, among false hits and noise', () => {
    fc.assert(
      fc.property(fc.integer({ min: 0, max: 6000 }), fc.integer({ min: 1, max: 1e6 }), (hundredths, seed) => {
        const offset = hundredths / 100;
        const slice = sliceOf((t) => A.show(offset + t), [0, 12], { noise: 14, seed });
        const queries = queryCodes(slice);
        const random = seeded(seed);
        const false_ = Array.from(
          { length: 60 },
          (): QueryHit => ({
            query: Math.floor(random() * 24),
            distance: 20,
            origin: { reference: key('a'), media: 'video', time: 90 * random(), place: [0, 0, 65535, 65535] },
          }),
        );
        const [best] = align(slice, queries, [...search(queries, library.slice(0, 1)), ...false_]);
        expect(Math.abs(lineAt(best!, 6) - (offset + 6))).toBeLessThan(0.4);
      }),
      { numRuns: 25 },
    );
  });
});

describe('one hit is an alignment', () => {
  const random = seeded(5);
  const code = randomCode(random);
  const slice = fingerprintOf([{ time: 3, code }], { span: [0, 30], sampling: 'keyframes' });
  const libraryAt = (distance: number): Entry[] => [
    {
      reference: key('one'),
      media: 'video',
      slices: [fingerprintOf([{ time: 10, code: flipped(code, distance, random) }], { span: [0, 30] })],
    },
  ];

  test.each([RADIUS - 1, RADIUS])('%i bits: speed 1 through the hit', (distance) => {
    const found = alignAll(slice, libraryAt(distance));
    expect(found).toHaveLength(1);
    expect(found[0]).toMatchObject({ speed: 1, frames: 1, altered: {}, kind: 'picture' });
    expect(found[0]!.offset).toBeCloseTo(7, 5);
    expect(found[0]!.hits).toMatchObject([{ at: 3, ref: 10, distance, quality: 100 }]);
    expect(found[0]!.hits[0]!.code).toMatch(/^[0-9a-f]{64}$/);
  });

  test('32 bits are none', () => expect(alignAll(slice, libraryAt(RADIUS + 1))).toEqual([]));
  test('no hits, no alignments', () => expect(align(slice, queryCodes(slice), [])).toEqual([]));
});

test('the same footage in two references: one alignment each', () => {
  const twice: Entry[] = [...library, { reference: key('a2'), media: 'video', slices: referenceOf(A) }];
  const found = alignAll(
    sliceOf((t) => A.show(20 + t), [0, 10]),
    twice,
  );
  expect(found.map((a) => a.reference.id).sort()).toEqual(['a', 'a2']);
});

test('several references in one slice, and one of them twice, at their own offsets', () => {
  const shows = (t: number) => (t < 10 ? A.show(40 + t) : t < 20 ? B.show(5 + (t - 10)) : A.show(70 + (t - 20)));
  const found = alignAll(sliceOf(shows, [0, 30])).map((a) => `${a.reference.id} ${Math.round(a.offset)}`);
  expect(found.sort()).toEqual(['a 40', 'a 50', 'b -5']);
});

test('footage that the reference shows twice: both places', () => {
  const loop = { duration: 60, show: (t: number) => A.show(t % 30) };
  const found = alignAll(
    sliceOf((t) => A.show(8 + t), [0, 10]),
    [{ reference: key('loop'), media: 'video', slices: referenceOf(loop) }],
  );
  expect(found.map((a) => Math.round(a.offset)).sort((a, b) => a - b)).toEqual([8, 38]);
});

test('a static scene has a plausible best line, and few echoes', () => {
  const shows = (t: number) => (t < 20 ? A.show(0) : B.show(t));
  const statics = { duration: 60, show: shows };
  const found = alignAll(
    sliceOf((t) => shows(10 + t), [0, 8]),
    [{ reference: key('s'), media: 'video', slices: referenceOf(statics) }],
  );
  expect(found.length).toBeGreaterThan(0);
  expect(found.length).toBeLessThanOrEqual(3);
  expect(found[0]).toMatchObject({ speed: 1, frames: 16 });
  expect(lineAt(found[0]!, 0)).toBeGreaterThanOrEqual(-0.4);
  expect(lineAt(found[0]!, 8)).toBeLessThanOrEqual(20.4);
});

test('frames on a picture that stands belong to the line of those that move', () => {
  // The reference stands still from 10 to 16 s: one kept frame every two seconds.
  const shows = (t: number) => (t < 10 ? A.show(t) : t < 16 ? A.show(10) : A.show(t));
  const found = alignAll(
    sliceOf((t) => shows(5 + t), [0, 20]),
    [{ reference: key('h'), media: 'video', slices: referenceOf({ duration: 60, show: shows }) }],
  );
  expect(found[0]!.offset).toBeCloseTo(5, 0);
  // 28 frames move; the 12 others hit kept frames up to two seconds before. Some that move lie between two kept ones and miss.
  expect(found[0]!.frames).toBeGreaterThan(33);
});

test('turn, inversion and borders are told', () => {
  const inverted = (code: Uint8Array) => code.map((b) => b ^ 255);
  const [turned] = alignAll(sliceOf((t) => A.show(20 + t), [0, 10], { turn: 'mirror' }));
  expect(turned!.altered).toEqual({ turn: 'mirror' });
  const [negative] = alignAll(sliceOf((t) => inverted(A.show(20 + t)), [0, 10]));
  expect(negative!.altered).toEqual({ inverted: true });
  const random = seeded(3);
  const frames = Array.from({ length: 20 }, (_, k) => ({
    time: k / 2,
    code: randomCode(random),
    trimmed: A.show(20 + k / 2),
  }));
  const [boxed] = alignAll(fingerprintOf(frames, { span: [0, 10] }));
  expect(boxed!.altered.inset![1]).toBeCloseTo(0.125, 3);
  expect(boxed!.altered.cropped).toBeUndefined();
});

test('whole and trimmed codes that say the same are one alignment', () => {
  const frames = Array.from({ length: 20 }, (_, k) => ({
    time: k / 2,
    code: A.show(20 + k / 2),
    trimmed: B.show(20 + k / 2),
  }));
  const both = fingerprintOf(frames, { span: [0, 10] });
  const slices = [
    fingerprintOf(
      frames.map((f) => ({ ...f, time: f.time + 20 })),
      { span: [0, 60] },
    ),
  ];
  expect(alignAll(both, [{ reference: key('x'), media: 'video', slices }])).toHaveLength(1);
});

describe('images', () => {
  const random = seeded(8);
  const code = randomCode(random);
  const image = fingerprintOf([{ time: 0, code }], { span: [0, 0], sampling: 'still' });

  test('an image in an image: time 0', () => {
    const lib: Entry[] = [{ reference: key('i'), media: 'image', slices: [image] }];
    expect(alignAll(image, lib)).toMatchObject([{ offset: 0, speed: 1, frames: 1, referenceMedia: 'image' }]);
  });

  test('a still of a film: the time in the film', () => {
    const still = fingerprintOf([{ time: 0, code: A.show(33) }], { span: [0, 0], sampling: 'still' });
    const [found] = alignAll(still);
    expect(found).toMatchObject({ speed: 1, frames: 1, referenceMedia: 'video' });
    expect(found!.offset).toBeCloseTo(33, 0);
  });

  test('a picture in a film: time 0, however many frames show it', () => {
    const slice = sliceOf((t) => (t > 4 && t < 8 ? code : null), [0, 20]);
    const [found] = alignAll(slice, [{ reference: key('i'), media: 'image', slices: [image] }]);
    expect(found).toMatchObject({ offset: 0, speed: 1, frames: 7 });
  });
});

test('bounded: six alignments unless told otherwise, at most 96 hits each', () => {
  const many = Array.from(
    { length: 9 },
    (_, i): Entry => ({
      reference: key(`r${i}`),
      media: 'video',
      slices: referenceOf(A),
    }),
  );
  const slice = sliceOf((t) => A.show(20 + t), [0, 30], { fps: 8 });
  const found = alignAll(slice, many);
  expect(found).toHaveLength(6);
  expect(alignAll(slice, many, 2)).toHaveLength(2);
  for (const a of found) {
    expect(a.hits.length).toBeLessThanOrEqual(96);
    expect(a.frames).toBeGreaterThan(200);
    // Spread over the slice, since confirm starts from them.
    expect(a.hits.at(-1)!.at - a.hits[0]!.at).toBeGreaterThan(28);
  }
});

test('the order of the hits does not matter', () => {
  const slice = sliceOf((t) => A.show(20 + t), [0, 10]);
  const queries = queryCodes(slice);
  const hits = search(queries, library);
  expect(align(slice, queries, hits.toReversed())).toEqual(align(slice, queries, hits));
});

test('frames that propose nothing are not counted', () => {
  const flat = fingerprintOf([{ time: 0, code: A.show(20), flags: FRAME_FLAT }], { span: [0, 1] });
  expect(alignAll(flat)).toEqual([]);
});
