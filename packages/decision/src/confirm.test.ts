import { type Alignment, type Fingerprint, FRAME_FLAT, Policy, RADIUS } from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { align } from './align.ts';
import { confirm, reachOf } from './confirm.ts';
import { decideAll } from './decide.ts';
import { queryCodes } from './query-codes.ts';
import { isProof } from './solid.ts';
import {
  alignmentThrough,
  type Film,
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

const A = film(1, 120);
const B = film(2, 60);
const slicesOfA = referenceOf(A);

/** As the pipeline does it: propose from a few frames, then look closely. */
function run(slice: Fingerprint, source: Film = A, slices = source === A ? slicesOfA : referenceOf(source)) {
  const queries = queryCodes(slice);
  const lib = [{ reference: key('r'), media: 'video' as const, slices }];
  return align(slice, queries, search(queries, lib)).map((a) => {
    const [from, to] = reachOf(a, slice.span);
    return confirm(
      slice,
      a,
      slices.filter((s) => s.span[1] >= from && s.span[0] <= to),
    );
  });
}

describe('one hit grows to the whole copy', () => {
  test.each([1, 0.8, 1.06, 1.25])('at speed %f', (speed) => {
    const slice = sliceOf((t) => A.show(40 + speed * t), [0, 20]);
    // A keyframe that hit: the kept frame of the reference lies a little before.
    const found = confirm(slice, alignmentThrough(7.5, 40 + speed * 7.5 - 0.04), slicesOfA);
    expect(found!.segments).toHaveLength(1);
    const [s] = found!.segments;
    expect(s!.upload).toEqual([0, 20]);
    expect(Math.abs(s!.reference[0] - 40)).toBeLessThan(0.25);
    expect(Math.abs(s!.reference[1] - (40 + 20 * speed))).toBeLessThan(0.3);
    expect(Math.abs(s!.speed - speed)).toBeLessThan(0.015);
    expect(s).toMatchObject({ timed: true, frames: { matched: 40, eligible: 40 } });
    expect(s!.distinct).toBeGreaterThan(8);
    expect(s!.distance.mean).toBeLessThan(30);
    if (speed === 1) expect(found!.altered).toEqual({});
    else expect(found!.altered.speed).toBeCloseTo(speed, 1);
    expect(found!.longest).toBe(20);
    expect(found!.share.upload).toBe(1);
    expect(found!.confidence).toBeGreaterThan(0.7);
  });
});

test('a piece inside foreign footage: its ends within half a second', () => {
  const shows = (t: number) => (t >= 8.2 && t < 19.7 ? A.show(30 + t) : null);
  const [found] = run(sliceOf(shows, [0, 30]));
  expect(found!.segments).toHaveLength(1);
  const [s] = found!.segments;
  expect(Math.abs(s!.upload[0] - 8.2)).toBeLessThan(0.5);
  expect(Math.abs(s!.upload[1] - 19.7)).toBeLessThan(0.5);
  expect(Math.abs(s!.offset - 30)).toBeLessThan(0.2);
});

test('two pieces on one line are two segments', () => {
  const shows = (t: number) => (t < 10 || t >= 16 ? A.show(30 + t) : null);
  const [found] = run(sliceOf(shows, [0, 30]));
  expect(found!.segments.map((s) => s.upload.map(Math.round))).toEqual([
    [0, 10],
    [16, 30],
  ]);
  expect(found!.longest).toBeCloseTo(14, 0);
  expect(found!.total).toBeCloseTo(24, 0);
});

test.each([
  [2, 1],
  [3, 2],
])('%i foreign frames in a row: %i segment(s)', (bad, segments) => {
  const shows = (t: number) => (t >= 10 && t < 10 + bad / 2 ? null : A.show(30 + t));
  const [found] = run(sliceOf(shows, [0, 20]));
  expect(found!.segments).toHaveLength(segments);
});

test('frames with nothing in them count neither way', () => {
  const slice = sliceOf((t) => A.show(30 + t), [0, 20]);
  for (let i = 16; i < 26; i++) slice.frames.flags[i] = FRAME_FLAT;
  const [found] = run(slice);
  expect(found!.segments).toMatchObject([{ upload: [0, 20], frames: { matched: 30, eligible: 30 } }]);
});

test('frames below quality 20 count neither way, those at 20 do', () => {
  const at = (quality: number) => {
    const slice = sliceOf((t) => A.show(30 + t), [0, 20]);
    slice.tables[0]!.quality.fill(quality, 10, 20);
    return run(slice)[0]!.segments[0]!.frames.eligible;
  };
  expect(at(19)).toBe(30);
  expect(at(20)).toBe(40);
});

describe('the line between enough and too little', () => {
  const random = seeded(9);
  // Two pictures a second, each known: distances are what was planted.
  const pictures = Array.from({ length: 100 }, () => randomCode(random));
  const slices = [
    fingerprintOf(
      pictures.map((code, k) => ({ time: k / 2, code })),
      { span: [0, 50], sampling: 'every-frame' },
    ),
  ];
  const confirmed = (n: number, mean: number) => {
    const shows = Array.from({ length: n }, (_, k) => pictures[40 + k]!);
    const rest = Math.round(mean * n) - 20;
    const slice = fingerprintOf(
      shows.map((code, k) => {
        const share = Math.floor(rest / (n - 1)) + (k <= rest % (n - 1) ? 1 : 0);
        return { time: k / 2, code: flipped(code, k === 0 ? 20 : share, random) };
      }),
      { span: [0, n / 2] },
    );
    return confirm(slice, alignmentThrough(0, 20), slices);
  };

  test.each([
    [4, 45, true],
    [4, 45.25, false],
    [3, 30, false],
    [9, 46, false],
    [10, 46, true],
    [10, 55, true],
    [10, 55.1, false],
  ])('%i frames, mean %f: %s', (n, mean, enough) => {
    const found = confirmed(n, mean);
    expect(found !== null).toBe(enough);
    if (found) expect(found.segments[0]!.distance.mean).toBeCloseTo(mean, 1);
  });
});

describe('a picture every ten seconds or less often', () => {
  const sparse = (every: number, shows: (t: number) => Uint8Array | null = (t) => A.show(40 + t), noise = 8) =>
    sliceOf(shows, [0, 30], { fps: 1 / every, noise });

  test.each([
    [10, 3, [0, 20.3]],
    [15, 2, [0, 15.3]],
    [30, 1, [0, 0.3]],
  ])('every %i s: all %i agree, which is found and proves nothing', (every, frames, upload) => {
    const [found] = run(sparse(every));
    expect(found!.segments).toMatchObject([
      { upload, frames: { matched: frames, eligible: frames }, distinct: frames, timed: false },
    ]);
    expect(found!.segments.some(isProof)).toBe(false);
  });

  test('a whole film so given goes to a person', () => {
    const slices = [0, 30].map((from) => sliceOf((t) => A.show(40 + t), [from, from + 30], { fps: 0.1, noise: 8 }));
    const found = slices.flatMap((slice) => run(slice).flatMap((e) => e ?? []));
    const about = { account: null, kind: 'video' as const, duration: 60 };
    const policy = Policy.parse({});
    expect(decideAll(found, { upload: 60, reference: () => 120 }, () => policy, about)).toMatchObject([
      { certain: false, decision: { rule: 'film-static', action: 'review', manifest: false } },
    ]);
  });

  test.each<[string, Fingerprint]>([
    ['one of three is foreign', sparse(10, (t) => (t < 20 ? A.show(40 + t) : null))],
    ['they agree, but not closely', sparse(10, undefined, 44)],
    ['three frames of a second are no few frames of a slice', sliceOf((t) => A.show(40 + t), [0, 1.5])],
  ])('nothing: %s', (_, slice) => expect(run(slice).every((e) => e === null)).toBe(true));
});

describe('what is not a copy', () => {
  test('another film', () =>
    expect(
      confirm(
        sliceOf((t) => B.show(t), [0, 30]),
        alignmentThrough(10, 40),
        slicesOfA,
      ),
    ).toBeNull());
  test('one picture of the film in another film', () => {
    const slice = sliceOf((t) => (t === 10 ? A.show(40) : null), [0, 30]);
    expect(run(slice).every((e) => e === null)).toBe(true);
  });
  test('no reference to compare with', () =>
    expect(
      confirm(
        sliceOf((t) => A.show(t), [0, 30]),
        alignmentThrough(10, 40),
        [],
      ),
    ).toBeNull());
  test('an empty slice', () =>
    expect(confirm(fingerprintOf([], { span: [0, 30] }), alignmentThrough(10, 40), slicesOfA)).toBeNull());
});

describe('what hardly changes', () => {
  test('one picture for half a minute is one picture, and its time a guess', () => {
    const still = film(7, 60, { still: true, shot: 60 });
    const [found] = run(
      sliceOf((t) => still.show(t), [0, 30]),
      still,
    );
    expect(found!.segments).toMatchObject([{ distinct: 1, timed: false, upload: [0, 30] }]);
  });

  /** One background; what moves before it changes `bits` bits of the picture from any second to the next. */
  const calm = (seed: number, bits: number): Film => {
    const background = randomCode(seeded(5));
    const r = seeded(seed);
    const codes = Array.from({ length: 60 }, () => flipped(background, bits, r));
    return { duration: 60, show: (t) => codes[Math.min(59, Math.max(0, Math.floor(t)))]! };
  };

  test('a calm film agrees best at its own time, which is no guess', () => {
    const studio = calm(1, 19);
    const [found] = run(
      sliceOf((t) => studio.show(20 + t), [0, 20], { noise: 6 }),
      studio,
    );
    expect(found!.segments[0]).toMatchObject({ timed: true });
    expect(found!.segments[0]!.offset).toBeCloseTo(20, 0);
  });

  test('another recording before the same background agrees at any time', () => {
    const [found] = run(
      sliceOf((t) => calm(2, 12).show(t), [0, 30], { noise: 4 }),
      calm(1, 12),
    );
    expect(found!.segments[0]).toMatchObject({ timed: false });
  });

  test('four pictures are four, and carried along', () => {
    const slow = film(7, 60, { shot: 5, drift: 0 });
    const [found] = run(
      sliceOf((t) => slow.show(20 + t), [0, 20]),
      slow,
    );
    const [s] = found!.segments;
    expect(s).toMatchObject({ distinct: 4, timed: true });
    expect(s!.pictures!.map((p) => Math.floor(p.at / 5))).toEqual([0, 1, 2, 3]);
  });
});

describe('alterations', () => {
  test('mirrored and inverted', () => {
    const mirrored = run(sliceOf((t) => A.show(30 + t), [0, 20], { turn: 'mirror' }));
    expect(mirrored[0]!.altered).toEqual({ turn: 'mirror' });
    const negative = run(sliceOf((t) => A.show(30 + t).map((b) => b ^ 255), [0, 20]));
    expect(negative[0]!.altered).toEqual({ inverted: true });
  });

  const random = seeded(4);
  const boxed = (start: number) =>
    Array.from({ length: 40 }, (_, k) => ({
      time: start + k / 2,
      code: randomCode(random),
      trimmed: flipped(A.show(30 + k / 2), 8, random),
    }));

  test('borders added: inset', () => {
    const [found] = run(fingerprintOf(boxed(0), { span: [0, 20] }));
    expect(found!.altered.inset!.map((v) => Math.round(8 * v))).toEqual([0, 1, 8, 7]);
    expect(found!.altered.cropped).toBeUndefined();
  });

  test('borders removed: cropped', () => {
    const [found] = run(
      sliceOf((t) => A.show(30 + t), [0, 20]),
      A,
      [fingerprintOf(boxed(50), { span: [50, 70], sampling: 'every-frame' })],
    );
    expect(found!.altered.cropped).toBeDefined();
    expect(found!.altered.inset).toBeUndefined();
  });

  test('the same borders on both sides are no alteration', () => {
    const [found] = run(fingerprintOf(boxed(0), { span: [0, 20] }), A, [
      fingerprintOf(boxed(50), { span: [50, 70], sampling: 'every-frame' }),
    ]);
    expect(found!.altered).toEqual({});
  });
});

test('a copy over the border of two reference slices is one segment', () => {
  const [found] = run(sliceOf((t) => A.show(25 + t), [0, 12]));
  expect(found!.segments).toMatchObject([{ upload: [0, 12] }]);
});

test('a copy that runs beyond the reference ends with it', () => {
  const [found] = run(sliceOf((t) => (t < 10 ? A.show(110 + t) : null), [0, 20]));
  expect(found!.segments[0]!.upload[1]).toBeCloseTo(10, 0);
  expect(found!.segments[0]!.reference[1]).toBeLessThanOrEqual(120);
});

describe('images', () => {
  const random = seeded(11);
  const code = randomCode(random);
  const picture = (seed: number) => {
    const r = seeded(seed);
    const coarse = Array.from({ length: 64 }, () => 255 * r());
    return Uint8Array.from({ length: 4096 }, (_, i) => coarse[8 * (i >> 9) + ((i & 63) >> 3)]!);
  };
  const thumbnails = (luma: Uint8Array) => ({ time: new Float64Array(1), luma });
  const image = (bits: Uint8Array, luma?: Uint8Array, turn?: 'rot90') =>
    fingerprintOf([{ time: 0, code: bits }], {
      span: [0, 0],
      sampling: 'still',
      ...(turn && { turn }),
      ...(luma && { thumbnails: thumbnails(luma) }),
    });
  const toImage = (altered: Alignment['altered'] = {}): Alignment => ({
    ...alignmentThrough(0, 0),
    referenceMedia: 'image',
    altered,
  });

  test.each([
    [RADIUS - 1, true],
    [RADIUS, true],
    [RADIUS + 1, false],
  ])('%i bits: %s', (bits, same) => {
    const found = confirm(image(flipped(code, bits, random), picture(1)), toImage(), [image(code, picture(1))]);
    expect(found !== null).toBe(same);
    if (!found) return;
    expect(found).toMatchObject({ altered: {}, longest: 0, total: 0, share: { upload: 1, reference: 1 } });
    expect(found.segments).toMatchObject([
      { upload: [0, 0], reference: [0, 0], distance: { mean: bits }, distinct: 1 },
    ]);
    expect(found.segments[0]!.correlation).toBeCloseTo(1, 5);
  });

  test('alike codes of pictures that are not alike', () => {
    expect(confirm(image(code, picture(1)), toImage(), [image(code, picture(2))])).toBeNull();
  });

  test('the thumbnail is turned and inverted as the code was', () => {
    const luma = picture(3);
    // The upload stands so that turning it counter-clockwise gives the reference: [y][x] of the result is [x][63 - y].
    const upload = new Uint8Array(4096);
    for (let y = 0; y < 64; y++) for (let x = 0; x < 64; x++) upload[64 * x + (63 - y)] = 255 - luma[64 * y + x]!;
    const found = confirm(
      image(
        code.map((b) => b ^ 255),
        upload,
        'rot90',
      ),
      toImage({ turn: 'rot90', inverted: true }),
      [image(code, luma)],
    );
    expect(found!.segments[0]!.correlation).toBeGreaterThan(0.99);
    expect(found!.altered).toEqual({ turn: 'rot90', inverted: true });
  });

  test('without thumbnails the codes stand alone', () => {
    const found = confirm(image(code), toImage(), [image(code)]);
    expect(found!.segments[0]!.correlation).toBeUndefined();
  });

  test('a still of a film: where in the film', () => {
    const still = image(flipped(A.show(64), 10, random));
    const [found] = run(still);
    expect(found!.segments[0]!.upload).toEqual([0, 0]);
    expect(found!.segments[0]!.reference[0]).toBeCloseTo(64, 0);
  });

  test('a picture in a film: when in the upload', () => {
    const slice = sliceOf((t) => (t >= 5 && t < 9 ? code : null), [0, 20]);
    const found = confirm(slice, toImage(), [image(code)]);
    expect(found!.segments).toHaveLength(1);
    expect(found!.segments[0]).toMatchObject({ reference: [0, 0], distinct: 1, timed: false, frames: { matched: 8 } });
    expect(found!.segments[0]!.upload[0]).toBeCloseTo(4.75, 5);
    expect(found!.segments[0]!.upload[1]).toBeCloseTo(8.75, 5);
  });
});
