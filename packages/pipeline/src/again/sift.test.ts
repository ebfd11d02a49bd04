/** Real: the index and the codes on the log. Faked: the store of references, which makes a long film's codes. */
import { CODE_BYTES, codesEnvelope, type Fingerprint, RADIUS } from '@vigil/contracts';
import type { NewReference } from '@vigil/database';
import type { LogRecord } from '@vigil/event-log';
import { createLogger } from '@vigil/runtime';
import { MOST_SIEVE_CODES } from '@vigil/similarity';
import { expect, test } from 'vitest';
import { flipped, pictureFingerprint, randomCode, randomWords } from '../../../../test/support/made-uploads.ts';
import { loadNewOnes } from './look-back.ts';
import { createSift } from './sift.ts';

const next = randomWords(20260707);
const SLICE = 1700;
const SLICES = 20;
/** Of a film of 20 slices, with more codes than a sieve holds; no two of them are alike. */
const film = Array.from({ length: SLICES }, () => new Uint8Array(SLICE * CODE_BYTES).map(() => next() & 255));

function slice(bits: Uint8Array): Fingerprint {
  const frames = Array.from({ length: SLICE }, (_, i) => i);
  const zeros = new Uint8Array(SLICE);
  return {
    ...pictureFingerprint(bits),
    sampling: 'every-frame',
    frames: {
      time: Float64Array.from(frames, (i) => (30 * i) / SLICE),
      quality: new Uint8Array(SLICE).fill(100),
      flags: zeros,
    },
    tables: [
      {
        ...{ kind: 'picture', count: SLICE, bits, frame: Uint16Array.from(frames), turn: zeros },
        place: Uint16Array.from(frames.flatMap(() => [0, 0, 65535, 65535])),
        quality: new Uint8Array(SLICE).fill(100),
      },
    ],
  };
}

const record = (n: number, bits: Uint8Array): LogRecord => {
  const event = { id: `e${n}`, type: 'made', source: 'test', subject: `u${n}`, time: 0, data: {} };
  return { topic: 't', partition: 0, offset: n, time: 0, ...codesEnvelope(`u${n}`, event, pictureFingerprint(bits)) };
};

test('a film of more codes than a sieve holds is looked for in all its length', async () => {
  expect(SLICES * SLICE).toBeGreaterThan(MOST_SIEVE_CODES);
  const reference = { id: 'ref_long', version: 1, slices: SLICES, kind: 'video', media: {} } as unknown as NewReference;
  using loaded = await loadNewOnes([reference], { slice: async (_, n) => slice(film[n]!) });
  expect(loaded.sieve.codes).toBe(SLICES * SLICE);
  const last = film.at(-1)!;
  const codeAt = (bits: Uint8Array, i: number) => bits.subarray(i * CODE_BYTES, (i + 1) * CODE_BYTES);
  const asked = [
    codeAt(film[0]!, 0),
    randomCode(next),
    codeAt(last, SLICE - 1),
    flipped(codeAt(last, SLICE - 2), RADIUS, next),
    flipped(codeAt(last, SLICE - 3), RADIUS + 1, next),
    flipped(codeAt(last, SLICE - 4), RADIUS, next).map((b) => b ^ 255),
  ];
  const sift = createSift(loaded.sieve, async (r) => r, createLogger({ level: 'silent' }));
  const { near, codes } = await sift(asked.map((bits, n) => record(n, bits)));
  expect(codes).toBe(asked.length);
  expect(near.map((r) => r.offset)).toEqual([0, 2, 3, 5]);
});
