import {
  CODE_BYTES,
  codesEnvelope,
  derivedId,
  ENGINE_VERSION,
  type Fingerprint,
  type Probe,
  type ReferenceKey,
  referenceKey,
  type SliceCodes,
  TOPICS,
} from '@vigil/contracts';
import type { NewRecord } from '@vigil/event-log';
import { randomWords } from './made-uploads.ts';

/** References made of random codes: as the log carries them, without media. */
export interface MadeReference {
  reference: ReferenceKey;
  slices: number;
  /** A slice. */
  codes: number;
  seed: number;
}

/** 30 s of a film: one frame a code, all of them fit. The same arguments make the same codes. */
export function madeFingerprint({ reference, codes, seed }: MadeReference, slice: number): Fingerprint {
  let mixed = seed;
  for (const char of `${referenceKey(reference)}/${slice}`) mixed = Math.imul(mixed ^ char.charCodeAt(0), 0x01000193);
  const next = randomWords(mixed);
  for (let i = 0; i < 8; i++) next();
  const bits = new Uint32Array((codes * CODE_BYTES) / 4).map(next);
  const frames = Array.from({ length: codes }, (_, i) => i);
  return {
    ...{ engine: ENGINE_VERSION, mode: 'exact', sampling: 'every-frame' },
    ...{ span: [slice * 30, slice * 30 + 30], width: 640, height: 360 },
    frames: {
      time: Float64Array.from(frames, (i) => slice * 30 + (i * 30) / codes),
      quality: new Uint8Array(codes).fill(100),
      flags: new Uint8Array(codes),
    },
    tables: [
      {
        ...{ kind: 'picture', count: codes, bits: new Uint8Array(bits.buffer), frame: Uint16Array.from(frames) },
        place: Uint16Array.from(frames.flatMap(() => [0, 0, 65535, 65535])),
        turn: new Uint8Array(codes),
        quality: new Uint8Array(codes).fill(100),
      },
    ],
    thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
  };
}

/** One slice as it lies on `vigil.reference-codes`. */
export function madeSlice(made: MadeReference, slice: number): NewRecord {
  const { reference, slices } = made;
  const key = `${referenceKey(reference)}/${slice}`;
  const probe: Probe = {
    ...{ kind: 'video', format: 'mp4', codec: 'h264', width: 640, height: 360, duration: slices * 30 },
    ...{ startTime: 0, frameRate: 25, size: 1, notes: [] },
  };
  const data: SliceCodes = {
    owner: { type: 'reference', ...reference },
    media: { source: 'made', bucket: 'references', key: reference.id, version: '' },
    probe,
    slice,
    slices,
    span: [slice * 30, slice * 30 + 30],
    ...{ shards: 1, epoch: 1, receivedAt: 1, outcome: { status: 'codes' }, steps: [] },
  };
  const id = derivedId('ev', key, 'made', made.seed);
  const event = { id, type: 'vigil.slice.fingerprinted', source: 'vigil', subject: key, time: 1, data };
  return { topic: TOPICS.referenceCodes.name, ...codesEnvelope(key, event, madeFingerprint(made, slice)) };
}
