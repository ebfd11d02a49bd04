import { hamming, TURNS } from '@vigil/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { alignPatches } from './patch-align.ts';
import type { Affine } from './patch-geometry.ts';
import { patchQueries } from './patch-queries.ts';
import { key, seeded } from './synthetic.ts';
import { affineOf, farthest, type Planted, sceneOf } from './synthetic-patches.ts';

const run = (plants: readonly Planted[], options?: Parameters<typeof sceneOf>[1], limit?: number) => {
  const scene = sceneOf(plants, options);
  return alignPatches(scene.fingerprint, scene.queries, scene.hits, limit);
};
const every = (step: number, to = 30) => Array.from({ length: Math.floor(to / step) }, (_, k) => k * step);
const lineAt = (a: { offset: number; speed: number }, t: number) => a.offset + a.speed * t;

describe('queries', () => {
  const { fingerprint } = sceneOf([], { codes: 5, span: [0, 2] });
  const queries = patchQueries(fingerprint);

  test('each code as it is and with its halves swapped, at the mirrored place', () => {
    const n = queries.frame.length / 2;
    expect(n).toBe(5);
    for (let i = 0; i < n; i++) {
      const [code, swapped] = [i, n + i].map((q) => queries.bits.subarray(32 * q, 32 * q + 32)) as [
        Uint8Array,
        Uint8Array,
      ];
      expect(hamming(swapped, Uint8Array.from([...code.subarray(16), ...code.subarray(0, 16)]))).toBe(0);
      const [x, y, d, a] = queries.place.subarray(4 * i, 4 * i + 4);
      expect([...queries.place.subarray(4 * (n + i), 4 * (n + i) + 4)]).toEqual([
        65535 - x!,
        y,
        d,
        (98304 - a!) % 65536,
      ]);
      expect([queries.turn[i], queries.turn[n + i]]).toEqual([0, TURNS.indexOf('mirror')]);
    }
  });

  test.each([1, 2])('frames with flag %i propose nothing', (flag) => {
    const flagged = {
      ...fingerprint,
      frames: { ...fingerprint.frames, flags: fingerprint.frames.flags.map(() => flag) },
    };
    expect(patchQueries(flagged).frame).toHaveLength(0);
  });
});

describe('a planted geometry is found', () => {
  const cases: [string, Parameters<typeof affineOf>[0]][] = [
    ['as it is', {}],
    ['crop 40 %', { scale: 0.6, centre: [0.4, 0.55] }],
    ['rotated by 5 degrees', { degrees: 5 }],
    ['inset of 60 %', { scale: 1.67 }],
    ['mirrored and cropped', { mirror: true, scale: 0.8 }],
    ['9:16 out of 16:9', { from: 9 / 16, scale: 1.7 }],
    ['4:3 out of a 2.37:1 film', { from: 4 / 3, to: 2.37, scale: 0.7 }],
    ['quarter turn', { degrees: 90, from: 9 / 16 }],
  ];
  test.each(cases)('%s', (_, about) => {
    const affine = affineOf(about);
    const [best] = run([{ affine, times: every(3), each: 3, ref: (t) => 100 + t, aspect: about.to ?? 16 / 9 }], {
      aspect: about.from ?? 16 / 9,
      accidents: 400,
    });
    expect(best).toMatchObject({ kind: 'patch', reference: key('a'), referenceMedia: 'video' });
    expect(farthest(best!.altered.affine as unknown as Affine, affine)).toBeLessThan(0.03);
    expect(best!.inliers).toBeGreaterThanOrEqual(22);
    expect(Math.abs(lineAt(best!, 15) - 115)).toBeLessThan(1);
  });

  test('whatever the map, the time and the speed, among accidents', () => {
    fc.assert(
      fc.property(
        fc.integer({ min: 1, max: 1e6 }),
        fc.integer({ min: -180, max: 180 }),
        fc.integer({ min: -10, max: 10 }),
        fc.boolean(),
        fc.constantFrom(0.8, 0.94, 1, 1.06, 1.25),
        (seed, degrees, tenths, mirror, speed) => {
          const affine = affineOf({ degrees, scale: 2 ** (tenths / 10), mirror });
          const [best] = run([{ affine, times: every(2), each: 2, ref: (t) => 200 + speed * t }], {
            seed,
            accidents: 500,
          });
          expect(best!.reference.id).toBe('a');
          expect(farthest(best!.altered.affine as unknown as Affine, affine)).toBeLessThan(0.04);
          for (const t of [0, 28]) expect(Math.abs(lineAt(best!, t) - (200 + speed * t))).toBeLessThan(2);
        },
      ),
      { numRuns: 25 },
    );
  });
});

test('a screen filmed from the side: the slant is found, and many more places agree than without it', () => {
  const [a, b, c, d, e, f] = affineOf({ scale: 0.9 });
  const slanted: Affine = [a, b, c, d, e, f, 0.35, -0.15];
  const [best] = run([{ affine: slanted, times: every(3), each: 8 }], { accidents: 200 });
  expect(best!.inliers).toBeGreaterThanOrEqual(64);
  expect(best!.altered.projective).toHaveLength(8);
  expect(farthest(best!.altered.projective as unknown as Affine, slanted)).toBeLessThan(0.02);
  const [straight] = run([{ affine: [a, b, c, d, e, f], times: every(3), each: 8 }]);
  expect(straight!.altered.projective).toBeUndefined();
});

describe('what the geometry means', () => {
  const one = (about: Parameters<typeof affineOf>[0]) =>
    run([{ affine: affineOf(about), times: every(2), each: 4 }], { aspect: about.from ?? 16 / 9 })[0]!.altered;

  test('a crop names the part of the reference', () => {
    const { cropped, inset, turn } = one({ scale: 0.5, centre: [0.3, 0.4] });
    [0.05, 0.15, 0.55, 0.65].forEach((v, k) => {
      expect(cropped![k]).toBeCloseTo(v, 1);
    });
    expect([inset, turn]).toEqual([undefined, undefined]);
  });
  test('an inset names the part of the upload', () => {
    const { cropped, inset } = one({ scale: 2 });
    [0.25, 0.25, 0.75, 0.75].forEach((v, k) => {
      expect(inset![k]).toBeCloseTo(v, 1);
    });
    expect(cropped).toBeUndefined();
  });
  test.each([
    [{ degrees: -90 }, 'rot90'],
    [{ degrees: 180 }, 'rot180'],
    [{ degrees: 90 }, 'rot270'],
    [{ mirror: true }, 'mirror'],
    [{ mirror: true, degrees: 180 }, 'flip'],
    [{ mirror: true, degrees: -90 }, 'transpose'],
    [{ mirror: true, degrees: 90 }, 'antitranspose'],
    [{ degrees: 12 }, undefined],
    [{ degrees: 40 }, undefined],
  ])('%j is %s', (about, turn) => expect(one({ ...about, scale: 1.5 }).turn).toBe(turn));
});

describe('several geometries', () => {
  test('one reference twice in a collage', () => {
    const [left, right] = [affineOf({ scale: 2, centre: [0.9, 0.5] }), affineOf({ scale: 2, centre: [0.1, 0.5] })];
    const found = run([
      { affine: left, times: every(2), each: 3, ref: (t) => 10 + t },
      { affine: right, times: every(2), each: 3, ref: (t) => 10 + t },
    ]);
    const own = found.filter((a) => a.inliers! >= 20).map((a) => a.altered.affine as unknown as Affine);
    expect(own).toHaveLength(2);
    for (const map of [left, right]) expect(Math.min(...own.map((o) => farthest(o, map)))).toBeLessThan(0.03);
  });

  test('several references at once, and one at two times', () => {
    const [a, b] = [affineOf({ scale: 2, centre: [0.9, 0.5] }), affineOf({ scale: 0.5 })];
    const found = run([
      { affine: a, times: every(2), each: 3, ref: (t) => 10 + t },
      { affine: b, times: every(2, 14), each: 3, reference: key('b'), ref: (t) => 50 + t },
      { affine: b, times: every(2, 30).filter((t) => t > 14), each: 3, reference: key('b'), ref: (t) => 500 + t },
    ]).filter((f) => f.inliers! >= 10);
    expect(found.map((f) => `${f.reference.id} ${Math.round(f.offset / 10)}`).sort()).toEqual(['a 1', 'b 5', 'b 50']);
  });
});

describe('images', () => {
  const affine = affineOf({ scale: 0.7 });
  test('a still in a still', () => {
    const [best] = run([{ affine, times: [0], each: 20, media: 'image' }], { sampling: 'still', span: [0, 0] });
    expect(best).toMatchObject({ referenceMedia: 'image', offset: 0, speed: 1, frames: 1 });
    expect(best!.inliers).toBeGreaterThanOrEqual(17);
  });
  test('a still of a film: the time in the film', () => {
    const [best] = run([{ affine, times: [0], each: 20, ref: () => 42 }], { sampling: 'still', span: [0, 0] });
    expect(best!.referenceMedia).toBe('video');
    expect(best!.offset).toBeCloseTo(42, 0);
  });
  test('a picture in a film: time 0, places counted once however many frames repeat them', () => {
    const [best] = run([{ affine, times: every(2), each: 9, media: 'image', repeat: true }]);
    expect(best).toMatchObject({ referenceMedia: 'image', offset: 0, speed: 1, frames: 15 });
    expect(best!.inliers).toBeLessThanOrEqual(9);
  });
});

describe('what is no copy', () => {
  test('a still background in every frame counts once', () => {
    const [best] = run([{ affine: affineOf({}), times: every(1), each: 6, repeat: true, ref: (t) => t }]);
    expect(best!.inliers).toBeLessThanOrEqual(6);
    expect(best!.frames).toBe(30);
  });

  test('100 000 accidental hits over 80 hours agree nowhere in 6 places', () => {
    for (const a of run([], { accidents: 100_000, seed: 11 }, 50)) expect(a.inliers).toBeLessThan(6);
  });

  test('letters in one line cover few cells', () => {
    const random = seeded(9);
    const affine: Affine = affineOf({});
    const scene = sceneOf([{ affine, times: [0], each: 400, media: 'image' }], { sampling: 'still', span: [0, 0] });
    const line = scene.hits.filter((h) => Math.abs(h.origin.place[1] / 65535 - 0.9) < 0.02 && random() < 0.9);
    const [best] = alignPatches(scene.fingerprint, scene.queries, line);
    expect(best!.inliers).toBeGreaterThan(8);
    expect(best!.cells).toBeLessThanOrEqual(10);
  });

  test('three places that agree are none', () => {
    expect(run([{ affine: affineOf({}), times: [0], each: 3 }])).toEqual([]);
  });

  test('a reflection that the code does not have is none', () => {
    const scene = sceneOf([{ affine: affineOf({ mirror: true }), times: every(2), each: 4 }]);
    const unmirrored = scene.hits.map((h) => ({ ...h, query: h.query % (scene.queries.frame.length / 2) }));
    for (const a of alignPatches(scene.fingerprint, scene.queries, unmirrored)) expect(a.inliers).toBeLessThan(8);
  });
});

test('the order of the hits does not matter', () => {
  const plants: Planted[] = [
    { affine: affineOf({ scale: 2, centre: [0.9, 0.5] }), times: every(2), each: 3 },
    { affine: affineOf({ mirror: true }), times: every(3), each: 5, reference: key('b'), ref: (t) => 77 + t },
  ];
  const { fingerprint, queries, hits } = sceneOf(plants, { accidents: 2000, references: 3, hours: 0.1 });
  const random = seeded(4);
  const shuffled = hits.map((h) => ({ h, r: random() })).sort((a, b) => a.r - b.r);
  const once = alignPatches(fingerprint, queries, hits);
  expect(once.length).toBeGreaterThanOrEqual(2);
  expect(
    alignPatches(
      fingerprint,
      queries,
      shuffled.map((s) => s.h),
    ),
  ).toEqual(once);
});

test('bounded: six unless told otherwise, at most 96 hits each', () => {
  const plants = Array.from(
    { length: 9 },
    (_, k): Planted => ({ affine: affineOf({}), times: every(0.25), each: 1, reference: key(`k${k}`) }),
  );
  const found = run(plants, { codes: 1 });
  expect(found).toHaveLength(6);
  expect(run(plants, { codes: 1 }, 2)).toHaveLength(2);
  for (const a of found) {
    expect(a.frames).toBeGreaterThan(96);
    expect(a.hits).toHaveLength(96);
  }
});
