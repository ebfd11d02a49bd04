import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { CODE_BYTES } from './codes.ts';
import { codesEnvelope, jsonEnvelope, MalformedEvent, openEnvelope } from './envelope.ts';
import { SliceCodes, UploadEvent } from './events.ts';
import { type CodeTable, decodeFingerprint, encodedBits, encodeFingerprint, type Fingerprint } from './fingerprint.ts';

const bytes = (n: number) => fc.uint8Array({ minLength: n, maxLength: n });
const shorts = (n: number) => fc.uint16Array({ minLength: n, maxLength: n });
const times = (n: number) => fc.float64Array({ minLength: n, maxLength: n, noNaN: true, min: 0, max: 1e6 });

const table = (kind: CodeTable['kind']) =>
  fc.nat(5).chain((count) =>
    fc.record({
      kind: fc.constant(kind),
      count: fc.constant(count),
      bits: bytes(count * CODE_BYTES),
      frame: shorts(count),
      place: shorts(4 * count),
      turn: bytes(count),
      quality: bytes(count),
    }),
  );

const fingerprint: fc.Arbitrary<Fingerprint> = fc.tuple(fc.nat(6), fc.nat(2)).chain(([frames, pictures]) =>
  fc.record({
    engine: fc.string({ maxLength: 20 }),
    mode: fc.constantFrom('exact' as const, 'fast' as const),
    sampling: fc.constantFrom('still' as const, 'keyframes' as const, 'dense' as const, 'every-frame' as const),
    span: fc.constant<[number, number]>([30, 60.04]),
    width: fc.nat(10_000),
    height: fc.nat(10_000),
    frames: fc.record({ time: times(frames), quality: bytes(frames), flags: bytes(frames) }),
    tables: fc.tuple(table('picture'), table('patch')).map((t) => [...t]),
    thumbnails: fc.record({ time: times(pictures), luma: bytes(pictures * 4096) }),
  }),
);

describe('fingerprints', () => {
  test('are the same after a round trip', () => {
    fc.assert(
      fc.property(fingerprint, (f) => {
        expect(decodeFingerprint(encodeFingerprint(f))).toEqual(f);
      }),
    );
  });

  test('are copies of their own, also of a Buffer that is used again', () => {
    const [f] = fc.sample(fingerprint, 1);
    const data = Buffer.from(encodeFingerprint(f!));
    const read = decodeFingerprint(data);
    data.fill(0xff);
    expect(read).toEqual(f);
    expect(read.frames.quality.constructor).toBe(Uint8Array);
  });

  test('give the codes of a kind, and never none of what is cut short before them', () => {
    fc.assert(
      fc.property(fingerprint, (f) => {
        const data = encodeFingerprint(f);
        f.tables.forEach(({ kind, bits }) => {
          expect(encodedBits(data, kind)).toEqual(bits);
        });
        const thumbnails = 4 + f.thumbnails.time.length * 8 + f.thumbnails.luma.length;
        for (let length = 0; length < data.length - thumbnails; length++)
          expect(() => encodedBits(data.subarray(0, length), 'sound')).toThrow(RangeError);
        expect(encodedBits(data, 'sound')).toHaveLength(0);
      }),
      { numRuns: 50 },
    );
  });

  test('cut short, lengthened or of another kind are refused, never half read', () => {
    fc.assert(
      fc.property(fingerprint, fc.double({ min: 0, max: 0.999, noNaN: true }), (f, part) => {
        const data = encodeFingerprint(f);
        expect(() => decodeFingerprint(data.subarray(0, Math.floor(data.length * part)))).toThrow(RangeError);
        expect(() => decodeFingerprint(Buffer.concat([data, Buffer.from([0])]))).toThrow(RangeError);
      }),
      { numRuns: 50 },
    );
    expect(() => decodeFingerprint(Buffer.from('not a fingerprint'))).toThrow(RangeError);
  });

  test('travel behind the data of their event', () => {
    const [sample] = fc.sample(fingerprint, 1);
    const data: SliceCodes = {
      owner: { type: 'upload', id: 'up_1' },
      media: { source: 's', bucket: 'b', key: 'k', version: 'v' },
      probe: {
        kind: 'image',
        format: 'png',
        codec: 'png',
        width: 1,
        height: 1,
        duration: 0,
        startTime: 0,
        frameRate: 0,
        size: 1,
        notes: [],
      },
      slice: 0,
      slices: 1,
      span: [0, 0],
      shards: 1,
      epoch: 0,
      receivedAt: 1,
      outcome: { status: 'codes' },
      steps: [],
    };
    const event = { id: 'ev_1', type: 't', source: 'vigil', subject: 'up_1', time: 5, data };
    const opened = openEnvelope(SliceCodes, codesEnvelope('up_1', event, sample!));
    expect(opened.event).toEqual(event);
    expect(opened.codes).toEqual(sample);
    expect(openEnvelope(SliceCodes, codesEnvelope('up_1', event, null)).codes).toBeNull();
  });
});

describe('envelopes', () => {
  const event = { id: 'ev_1', type: 'vigil.upload.created', source: 'x', subject: 'y', time: 0 };
  const media = { source: 'x', bucket: 'b', key: 'k', version: '' };

  test('say in words what is wrong with an event', () => {
    const short = jsonEnvelope('k', { ...event, data: { media: { source: 'x' }, receivedAt: 1 } });
    expect(() => openEnvelope(UploadEvent, short)).toThrow(/bucket/);
    const whole = jsonEnvelope('k', { ...event, data: { media, receivedAt: 1 } });
    expect(openEnvelope(UploadEvent, whole).event.data.action).toBe('created');
    const odd = jsonEnvelope('k', { ...event, data: { media: { ...media, key: 'a\0b' }, receivedAt: 1.5 } });
    expect(() => openEnvelope(UploadEvent, odd)).toThrow(/NUL[\s\S]*int|int[\s\S]*NUL/);
    expect(() => openEnvelope(UploadEvent, { ...whole, value: null })).toThrow(MalformedEvent);
    expect(() => openEnvelope(UploadEvent, { ...whole, headers: {} })).toThrow(/ce_id/);
    expect(() => openEnvelope(UploadEvent, { ...whole, value: Buffer.from([0xff, 0xfe]) })).toThrow(MalformedEvent);
  });
});
