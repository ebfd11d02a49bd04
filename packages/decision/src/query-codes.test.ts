import { CODE_BYTES, FRAME_FLAT, FRAME_PAGE, hamming } from '@vigil/contracts';
import { expect, test } from 'vitest';
import { queryCodes } from './query-codes.ts';
import { fingerprintOf, INSET, randomCode, seeded } from './synthetic.ts';

const random = seeded(1);
const code = () => randomCode(random);

test('quality 50 proposes, 49 does not', () => {
  const frames = [49, 50, 51].map((quality, i) => ({ time: i, code: code(), quality }));
  const queries = queryCodes(fingerprintOf(frames, { span: [0, 3] }));
  expect([...queries.frame]).toEqual([1, 2, 1, 2]);
  expect([...queries.inverted]).toEqual([0, 0, 1, 1]);
});

test('frames with nothing in them propose nothing, nor do pages of a film', () => {
  const frames = [0, FRAME_FLAT, FRAME_PAGE].map((flags, i) => ({ time: i, code: code(), flags }));
  expect([...queryCodes(fingerprintOf(frames, { span: [0, 3] })).frame]).toEqual([0, 0]);
  expect([...queryCodes(fingerprintOf(frames, { span: [0, 0], sampling: 'still' })).frame]).toEqual([0, 2, 0, 2]);
});

test('each code comes as it is and as its complement, place and turn along with it', () => {
  const one = { time: 0, code: code(), trimmed: code() };
  const queries = queryCodes(fingerprintOf([one], { span: [0, 1], turn: 'mirror' }));
  expect(queries.frame).toHaveLength(4);
  expect([...queries.turn]).toEqual([4, 4, 4, 4]);
  expect([...queries.place.subarray(4, 8)]).toEqual([...INSET]);
  expect([...queries.place.subarray(12, 16)]).toEqual([...INSET]);
  expect(hamming(queries.bits, one.trimmed, CODE_BYTES, 0)).toBe(0);
  expect(hamming(queries.bits, queries.bits, 0, 2 * CODE_BYTES)).toBe(256);
});

test('an empty slice has no codes', () => {
  expect(queryCodes(fingerprintOf([], { span: [0, 1] })).frame).toHaveLength(0);
});
