import { emptyTable, type Fingerprint, FRAME_PAGE, tableOf } from '@vigil/contracts';
import { expect, test } from 'vitest';
import { INDEX_BUDGET, indexedCodes } from './indexed-codes.ts';

/** Picture codes with so many bits set, the first ones; patches of a frame, best last. */
function filmOf(
  frames: { time: number; bits: number; flags?: number; patches?: number; place?: number }[],
): Fingerprint {
  const bits = frames.flatMap((f) =>
    Array.from({ length: 32 }, (_, byte) => Math.max(0, 2 ** Math.min(8, f.bits - 8 * byte) - 1) & 255),
  );
  const patched = frames.flatMap((f, frame) => Array.from({ length: f.patches ?? 0 }, (_, k) => ({ frame, k })));
  return {
    engine: 'test',
    mode: 'fast',
    sampling: 'every-frame',
    span: [0, 30],
    width: 640,
    height: 360,
    frames: {
      time: Float64Array.from(frames, (f) => f.time),
      quality: new Uint8Array(frames.length).fill(100),
      flags: Uint8Array.from(frames, (f) => f.flags ?? 0),
    },
    tables: [
      {
        ...emptyTable('picture'),
        count: frames.length,
        bits: Uint8Array.from(bits),
        frame: Uint16Array.from(frames, (_, i) => i),
        place: Uint16Array.from(frames.flatMap((f) => [0, f.place ?? 0, 65535, 65535])),
        turn: new Uint8Array(frames.length),
        quality: new Uint8Array(frames.length).fill(100),
      },
      {
        ...emptyTable('patch'),
        count: patched.length,
        bits: new Uint8Array(32 * patched.length),
        frame: Uint16Array.from(patched, (p) => p.frame),
        place: new Uint16Array(4 * patched.length),
        turn: new Uint8Array(patched.length),
        quality: Uint8Array.from(patched, (p) => p.k),
      },
    ],
    thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
  };
}

const framesOf = (codes: Fingerprint, kind: 'picture' | 'patch') => [...new Set(tableOf(codes, kind).frame)];

test('a picture is kept when it is more than 50 bits from the last one kept, and after 2 s', () => {
  const film = filmOf([
    { time: 0, bits: 0 },
    { time: 0.1, bits: 50 },
    { time: 0.2, bits: 51 },
    { time: 0.3, bits: 100 },
    { time: 2.1, bits: 52 },
    { time: 2.2, bits: 52 },
    { time: 4.1, bits: 52 },
  ]);
  const kept = indexedCodes(film);
  // 2.1 s is 1.9 s after the last one kept.
  expect(framesOf(kept, 'picture')).toEqual([0, 2, 5]);
  expect(kept.frames).toBe(film.frames);
  expect([...tableOf(kept, 'picture').bits.subarray(32, 64)]).toEqual([
    ...tableOf(film, 'picture').bits.subarray(64, 96),
  ]);
});

test('trimmed pictures are a row of their own; a page keeps nothing out', () => {
  const film = filmOf([
    { time: 0, bits: 0, flags: FRAME_PAGE },
    { time: 0.1, bits: 10 },
    { time: 0.1, bits: 12, place: 9000 },
    { time: 0.2, bits: 14 },
    { time: 0.2, bits: 90, place: 9000 },
  ]);
  expect(framesOf(indexedCodes(film), 'picture')).toEqual([1, 2, 4]);
});

test('patches: the best of one frame a period', () => {
  const film = filmOf([
    { time: 0, bits: 0 },
    { time: 0.5, bits: 60, patches: 5 },
    { time: 1.5, bits: 120, patches: 5 },
    { time: 2, bits: 0, patches: 2 },
    { time: 4.5, bits: 60, patches: 5 },
  ]);
  const few = indexedCodes(film, { ...INDEX_BUDGET, patchSeconds: 2, patches: 3 });
  expect(framesOf(few, 'patch')).toEqual([1, 3, 4]);
  expect([...tableOf(few, 'patch').quality]).toEqual([2, 3, 4, 0, 1, 2, 3, 4]);
  expect(framesOf(indexedCodes(film, { ...INDEX_BUDGET, patchSeconds: 4 }), 'patch')).toEqual([1, 4]);
});

test('patches at a cut are kept beside those of the clock', () => {
  const film = filmOf([
    { time: 0, bits: 0, patches: 5 },
    { time: 0.9, bits: 100, patches: 5 },
    { time: 1.31, bits: 0, patches: 5 },
    { time: 3.31, bits: 0, patches: 5 },
  ]);
  expect(framesOf(indexedCodes(film), 'patch')).toEqual([0, 1, 2, 3]);
});

test('of an image everything', () => {
  const image: Fingerprint = { ...filmOf([{ time: 0, bits: 3, patches: 200 }]), sampling: 'still' };
  expect(indexedCodes(image)).toBe(image);
});
