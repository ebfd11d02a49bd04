import { TURNS } from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { alteredText, type Outline, outlinesOf } from './outline.ts';

const WHOLE: Outline = [
  [0, 0],
  [1, 0],
  [1, 1],
  [0, 1],
];
const near = (outline: Outline, wanted: Outline) =>
  expect(outline.flat().map((v) => Math.round(v * 1e6) / 1e6 + 0)).toEqual(wanted.flat());

describe('outlines', () => {
  test('of what is not altered are the pictures themselves', () => {
    const { inUpload, inReference, mirrored, fitted } = outlinesOf({})!;
    near(inUpload, WHOLE);
    near(inReference, WHOLE);
    expect([mirrored, fitted]).toEqual([false, false]);
  });

  test('of a mirrored, cropped and inset copy', () => {
    const { inUpload, inReference, mirrored } = outlinesOf({
      turn: 'mirror',
      inset: [0.2, 0, 0.8, 1],
      cropped: [0.5, 0, 1, 1],
    })!;
    expect(mirrored).toBe(true);
    // The right half of the reference fills 0.2..0.8 of the upload the other way round; its left half would lie beyond.
    near(inUpload, [
      [1.4, 0],
      [0.2, 0],
      [0.2, 1],
      [1.4, 1],
    ]);
    const third = Math.round((1 / 6) * 1e6) / 1e6;
    near(inReference, [
      [1 + third, 0],
      [0.5 - third, 0],
      [0.5 - third, 1],
      [1 + third, 1],
    ]);
  });

  test('a quarter turn counter-clockwise puts the upload at its right place', () => {
    // The upload, turned counter-clockwise, looks like the reference: its top right corner comes to the top left.
    const { inReference } = outlinesOf({ turn: 'rot90' })!;
    expect(inReference[1]).toEqual([0, 0]);
    expect(inReference[0]).toEqual([0, 1]);
  });

  test.each(TURNS)('there and back again: %s', (turn) => {
    const { inUpload, inReference, mirrored } = outlinesOf({ turn })!;
    // Of a turn alone either is the corners in another order, and one order undoes the other.
    const place = (o: Outline) => o.map(([x, y]) => WHOLE.findIndex(([a, b]) => a === x + 0 && b === y + 0));
    expect(place(inReference).map((n) => place(inUpload)[n])).toEqual([0, 1, 2, 3]);
    expect(mirrored).toBe(['mirror', 'flip', 'transpose', 'antitranspose'].includes(turn));
  });

  test('of a fitted map follow the map, slant and all; of one that squeezes to nothing there is none', () => {
    const half = outlinesOf({ affine: [2, 0, -0.5, 0, 2, -0.5] })!;
    near(half.inUpload, [
      [0.25, 0.25],
      [0.75, 0.25],
      [0.75, 0.75],
      [0.25, 0.75],
    ]);
    expect(half.fitted).toBe(true);
    const slanted = outlinesOf({ projective: [1, 0, 0, 0, 1, 0, 0.5, 0] })!;
    near(slanted.inReference, [
      [0, 0],
      [0.666667, 0],
      [0.666667, 0.666667],
      [0, 1],
    ]);
    expect(outlinesOf({ affine: [1, 1, 0, 1, 1, 0] })).toBeNull();
    expect(outlinesOf({ inset: [0.5, 0, 0.5, 1] })).toBeNull();
  });
});

test('words', () => {
  expect(alteredText({})).toBe('as it is');
  expect(alteredText({ turn: 'mirror', speed: 1.06, cropped: [0, 0, 0.71, 1] })).toBe(
    'mirrored, 1.06 x speed, cropped to 71 %',
  );
});
