import { expect, test } from 'vitest';
import { picturePairs } from './picture-pairs.ts';

const segment = (upload: [number, number], reference: [number, number]) => ({ upload, reference }) as never;

test('of an image there is one pair, in the film where it was found', () => {
  expect(picturePairs({ segments: [segment([0, 0], [61.5, 61.5])] })).toEqual([{ upload: 0, reference: 61.5 }]);
});

test('of film three moments of the longest stretch, and one of two more; what was sped up is followed', () => {
  const segments = [
    segment([0, 10], [100, 112]),
    segment([20, 60], [0, 40]),
    segment([70, 72], [5, 7]),
    segment([80, 81], [5, 6]),
  ];
  expect(picturePairs({ segments })).toEqual([
    { upload: 40, reference: 20 },
    { upload: 26, reference: 6 },
    { upload: 54, reference: 34 },
    { upload: 5, reference: 106 },
    { upload: 71, reference: 6 },
  ]);
});
