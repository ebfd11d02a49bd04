import { expect, it } from 'vitest';
import { parseRange } from './serve-signed.ts';

it.each([
  ['bytes=0-0', 10, { start: 0, end: 1 }],
  ['bytes=3-', 10, { start: 3, end: 10 }],
  ['bytes=3-99', 10, { start: 3, end: 10 }],
  ['bytes=-3', 10, { start: 7, end: 10 }],
  ['bytes=-30', 10, { start: 0, end: 10 }],
  ['bytes=10-', 10, 'unsatisfiable'],
  ['bytes=-0', 10, 'unsatisfiable'],
  ['bytes=0-', 0, 'unsatisfiable'],
  ['bytes=5-3', 10, null],
  ['bytes=-', 10, null],
  ['bytes=0-1,3-4', 10, null],
  ['lines=0-1', 10, null],
  [undefined, 10, null],
])('reads the range %j of %i bytes', (header, size, expected) => {
  expect(parseRange(header, size)).toEqual(expected);
});
