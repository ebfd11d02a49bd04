import { type Alignment, type Fingerprint, FRAME_PAGE, Policy } from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { decide, manifestAlready } from './decide.ts';
import { join } from './join.ts';
import { confirm } from './kinds.ts';
import { type Affine, apply } from './patch-geometry.ts';
import { film, fingerprintOf, key, randomCode, referenceOf, seeded } from './synthetic.ts';
import { affineOf, type Texture, textureOf, withThumbnails } from './synthetic-patches.ts';

const policy = Policy.parse({});
const DURATION = 90;
const A = textureOf(1);
const foreign = textureOf(2);

/** References show codes and pictures; the picture says nothing of the code, so only thumbnails can confirm. */
const reference = (show: Texture, still = false): Fingerprint[] =>
  referenceOf(film(1, DURATION, { still })).map((slice) => {
    const times = Array.from({ length: 60 }, (_, k) => slice.span[0] + k / 2 + 0.07).filter((t) => t < slice.span[1]);
    return withThumbnails(slice, times, show);
  });
const library = reference(A);

interface Cut {
  affine?: Affine;
  offset?: number;
  speed?: number;
  show?: Texture;
  span?: [number, number];
  /** [from, to) of the upload that shows the reference. */
  part?: [number, number];
  flags?: number;
  /** Thumbnails of the upload a second; its frames are two. */
  rate?: number;
}

function uploadOf({
  affine = affineOf({}),
  offset = 20,
  speed = 1,
  show = A,
  span = [0, 20],
  part = span,
  flags = 0,
  rate = 2,
}: Cut) {
  const random = seeded(7);
  const times = Array.from({ length: Math.round(2 * (span[1] - span[0])) }, (_, k) => span[0] + k / 2);
  const frames = times.map((time) => ({ time, code: randomCode(random), flags }));
  const noise = () => 24 * (random() - 0.5);
  const shown: Texture = (x, y, t) => {
    const [u, v] = apply(affine, x, y);
    const inside = u >= 0 && v >= 0 && u <= 1 && v <= 1 && t >= part[0] && t < part[1];
    return noise() + (inside ? 0.8 * show(u, v, offset + speed * t) + 20 : foreign(x, y, t));
  };
  const pictured = Array.from({ length: Math.round(rate * (span[1] - span[0])) }, (_, k) => span[0] + k / rate);
  return withThumbnails(fingerprintOf(frames, { span }), pictured, shown);
}

const alignmentOf = (
  { affine = affineOf({}), offset = 20, speed = 1, span = [0, 20] }: Cut,
  more: Partial<Alignment> = {},
): Alignment => ({
  reference: key('a'),
  kind: 'patch',
  referenceMedia: 'video',
  altered: { affine: affine.slice(0, 6) as number[] },
  // As rough as a vote leaves them.
  offset: offset + 0.9,
  speed: Math.abs(speed - 1) < 0.1 ? 1 : speed,
  frames: 5,
  inliers: 20,
  cells: 12,
  hits: [0.2, 0.5, 0.8].map((s) => {
    const at = span[0] + s * (span[1] - span[0]);
    return { at, ref: offset + speed * at + 0.7, distance: 20, quality: 100, code: '00'.repeat(32) };
  }),
  ...more,
});
const evidenceOf = (cut: Cut, more: Partial<Alignment> = {}, lib = library) =>
  confirm(uploadOf(cut), alignmentOf(cut, more), lib);

describe('the same film under a geometry', () => {
  test.each<[string, Cut]>([
    ['as it is', {}],
    ['crop 40 %', { affine: affineOf({ scale: 0.6, centre: [0.45, 0.6] }) }],
    ['rotated', { affine: affineOf({ degrees: 5, scale: 0.9 }) }],
    ['inset of half', { affine: affineOf({ scale: 2, centre: [0.4, 0.6] }) }],
    ['mirrored, cropped, faster', { affine: affineOf({ mirror: true, scale: 0.8 }), speed: 1.06 }],
    ['slower', { speed: 0.8 }],
    ['turned by a quarter', { affine: affineOf({ degrees: 90 }) }],
  ])('%s', (_, cut) => {
    const found = evidenceOf(cut)!;
    expect(found).toMatchObject({ kind: 'patch', referenceMedia: 'video' });
    expect(found.segments).toHaveLength(1);
    const [segment] = found.segments;
    expect(segment).toMatchObject({ upload: [0, 20], timed: true, inliers: 20, cells: 12 });
    const middle = segment!.offset + segment!.speed * 10;
    expect(Math.abs(middle - (20 + (cut.speed ?? 1) * 10))).toBeLessThan(0.3);
    expect(segment!.distinct).toBeGreaterThanOrEqual(3);
    expect(segment!.correlation).toBeGreaterThan(0.85);
    const [joined] = join([found], { upload: 20, reference: () => DURATION });
    expect(decide(joined!, policy, { account: null, kind: 'video', duration: 20 })).toMatchObject({
      action: 'takedown',
      rule: 'film-contiguous',
    });
  });

  test('a part of the slice: its ends', () => {
    const [segment] = evidenceOf({ part: [6, 13], affine: affineOf({ scale: 0.7 }) })!.segments;
    expect(Math.abs(segment!.upload[0] - 6)).toBeLessThan(0.6);
    expect(Math.abs(segment!.upload[1] - 13)).toBeLessThan(0.6);
  });
});

describe('a fight, other after a quarter of a second', () => {
  const fight = textureOf(4, { shot: 0.3 });
  const lib = reference(fight);
  // Half-way between the reference's thumbnails.
  const cut = { show: fight, offset: 20.32 };

  test('agrees where the upload has thumbnails of the very instants of the reference', () => {
    const [segment] = evidenceOf({ ...cut, rate: 8 }, {}, lib)!.segments;
    expect(segment).toMatchObject({ upload: [0, 20], timed: true });
    expect(segment!.correlation).toBeGreaterThan(0.9);
    expect(Math.abs(segment!.offset - 20.32)).toBeLessThan(0.15);
  });
  test('and is lost where it has none', () => expect(evidenceOf(cut, {}, lib)).toBeNull());
  test('another fight is nothing, however many thumbnails there are', () =>
    expect(evidenceOf({ ...cut, show: textureOf(5, { shot: 0.3 }), rate: 8 }, {}, lib)).toBeNull());
});

test('where the camera moves, the map is settled by the instants that lie on the line', () => {
  const still = textureOf(6, { shot: 2 });
  const swaying: Texture = (x, y, t) => still(x + 0.12 * Math.sin(2.9 * t), y + 0.1 * Math.cos(2.1 * t), t);
  const lib = reference(swaying);
  const upload = uploadOf({ show: swaying, rate: 8 });
  const askew = alignmentOf({}, { altered: { affine: [1.05, 0.03, -0.07, -0.02, 0.94, 0.06] } });
  const [segment] = confirm(upload, askew, lib)!.segments;
  expect(segment).toMatchObject({ upload: [0, 20], timed: true });
  expect(segment!.correlation).toBeGreaterThan(0.9);
  // Few places may be an accident, which is not to be brought nearer.
  const [few] = confirm(upload, { ...askew, inliers: 7 }, lib)?.segments ?? [];
  expect(few?.correlation ?? 0).toBeLessThan(0.9);
});

describe('what does not hold', () => {
  test.each<[string, Cut, Partial<Alignment>]>([
    ['another film', { show: foreign }, {}],
    ['the right film, far off in time', { offset: 20 }, { offset: 41, hits: [] }],
    ['the wrong place in the picture', {}, { altered: { affine: [...affineOf({ centre: [0.7, 0.5], scale: 0.6 })] } }],
    ['pages of text', { flags: FRAME_PAGE }, {}],
    ['a map that squeezes', {}, { altered: { affine: [1, 0, 0, 0, 0.4, 0.3] } }],
    ['no geometry', {}, { altered: {} }],
    ['hardly any overlap', {}, { altered: { affine: [1, 0, 0.95, 0, 1, 0.9] } }],
  ])('%s', (_, cut, more) => expect(evidenceOf(cut, more)).toBeNull());

  test('without thumbnails nothing is said', () => {
    const bare = library.map((s) => ({ ...s, thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) } }));
    expect(evidenceOf({}, {}, bare)).toBeNull();
    expect(confirm(uploadOf({}), alignmentOf({}), [])).toBeNull();
  });
});

test('a still background carries no takedown, however many places agree', () => {
  const still = textureOf(3, { still: true });
  const lib = reference(still, true);
  const found = evidenceOf({ show: still }, { inliers: 200, cells: 60 }, lib)!;
  expect(found.segments[0]).toMatchObject({ timed: false });
  const [joined] = join([found], { upload: 20, reference: () => DURATION });
  expect(decide(joined!, policy, { account: null, kind: 'video', duration: 20 })).toMatchObject({
    action: 'review',
    rule: 'film-static',
  });
  expect(manifestAlready(joined!, policy)).toBe(false);
});

test('few places: a short piece is possible, a long one manifest', () => {
  const about = (duration: number) => ({ account: null, kind: 'video' as const, duration });
  for (const [seconds, action] of [
    [3, 'review'],
    [20, 'takedown'],
  ] as const) {
    const found = evidenceOf({ part: [0, seconds] }, { inliers: 9, cells: 9 })!;
    const [joined] = join([found], { upload: 20, reference: () => DURATION });
    expect(decide(joined!, policy, about(20)).action).toBe(action);
    expect(manifestAlready(joined!, policy, about(20))).toBe(action === 'takedown');
  }
});

describe('one picture', () => {
  const image = (show: Texture): Fingerprint =>
    withThumbnails(
      fingerprintOf([{ time: 0, code: randomCode(seeded(5)) }], { span: [0, 0], sampling: 'still' }),
      [0],
      show,
    );
  const affine = affineOf({ scale: 0.7, centre: [0.45, 0.5] });
  const crop = (show: Texture) => image((x, y, t) => show(...apply(affine, x, y), t));
  const about = (inliers: number, cells: number): Alignment => ({
    ...alignmentOf({ affine }, { inliers, cells, referenceMedia: 'image', offset: 0, hits: [] }),
  });
  const judged = (upload: Fingerprint, inliers: number, cells: number) => {
    const found = confirm(upload, about(inliers, cells), [image(A)]);
    return (
      found &&
      decide(join([found], { upload: 0, reference: () => 0 })[0]!, policy, {
        account: null,
        kind: 'image',
        duration: 0,
      })
    );
  };

  test('a crop is the same image', () => {
    const decision = judged(crop(A), 30, 20)!;
    expect(decision).toMatchObject({ action: 'takedown', rule: 'same-image' });
    expect(decision.evidence.share.upload).toBe(1);
  });
  test('few places are for a person to see', () =>
    expect(judged(crop(A), 7, 5)).toMatchObject({ action: 'review', rule: 'image-alike' }));
  test('too few, or all in one corner, are nothing', () => {
    expect(judged(crop(A), 5, 5)).toBeNull();
    expect(judged(crop(A), 30, 3)).toBeNull();
  });
  test('another picture is nothing, however many places agree', () => expect(judged(crop(foreign), 30, 20)).toBeNull());
  test('what was drawn in few levels shares its boxes and letters with others, and is nothing', () => {
    const drawn: Texture = (x, y) => 40 + 60 * (Math.floor(3 * x) % 2) + 80 * (Math.floor(4 * y) % 2);
    const found = confirm(
      image((x, y, t) => drawn(...apply(affine, x, y), t)),
      about(40, 20),
      [image(drawn)],
    );
    expect(found).toBeNull();
  });
  test('shown in a film: when', () => {
    const random = seeded(1);
    const times = Array.from({ length: 40 }, (_, k) => k / 2);
    const frames = times.map((time) => ({ time, code: randomCode(random) }));
    const shown: Texture = (x, y, t) => (t >= 5 && t < 9 ? A(...apply(affine, x, y), 0) : foreign(x, y, t));
    const upload = withThumbnails(fingerprintOf(frames, { span: [0, 20] }), times, shown);
    const found = confirm(upload, about(30, 20), [image(A)])!;
    expect(found.segments).toHaveLength(1);
    expect(found.segments[0]!.upload[0]).toBeCloseTo(4.75, 1);
    expect(found.segments[0]!.upload[1]).toBeCloseTo(8.75, 1);
  });
});
