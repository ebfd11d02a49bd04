import {
  CODE_BYTES,
  codesEnvelope,
  derivedId,
  ENGINE_VERSION,
  type Fingerprint,
  jsonEnvelope,
  type Manifest,
  type MediaLocation,
  type Probe,
  type SliceCodes,
  TOPICS,
  uploadId,
} from '@vigil/contracts';
import type { NewRecord } from '@vigil/event-log';

/** Uploads that are one picture's code each: as the log carries them once they were planned and fingerprinted, without media. */
export interface MadeUpload {
  upload: string;
  media: MediaLocation;
  manifest: NewRecord;
  fingerprint: NewRecord;
}

const PROBE: Probe = {
  ...{ kind: 'image', format: 'jpeg', codec: 'jpeg', width: 640, height: 480 },
  ...{ duration: 0, startTime: 0, frameRate: 0, size: 1, notes: [] },
};

export function pictureFingerprint(bits: Uint8Array): Fingerprint {
  return {
    ...{ engine: ENGINE_VERSION, mode: 'exact', sampling: 'still', span: [0, 0], width: 640, height: 480 },
    frames: { time: Float64Array.of(0), quality: Uint8Array.of(100), flags: Uint8Array.of(0) },
    tables: [
      {
        ...{ kind: 'picture', count: 1, bits, frame: Uint16Array.of(0), place: Uint16Array.of(0, 0, 65535, 65535) },
        ...{ turn: Uint8Array.of(0), quality: Uint8Array.of(100) },
      },
    ],
    thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
  };
}

export function madeUpload(name: string, bits: Uint8Array, receivedAt: number, deadlineMs = 3_600_000): MadeUpload {
  const media = { source: 'made', bucket: 'uploads', key: name, version: 'v1' };
  const upload = uploadId(media);
  const shared = { slices: 1, shards: 1, epoch: 1 };
  const manifest: Manifest = {
    upload,
    event: { action: 'created', media, account: `account-${name}`, visibility: 'public', receivedAt },
    outcome: { status: 'planned', probe: PROBE, ...shared },
    deadline: receivedAt + deadlineMs,
    steps: [],
  };
  const codes: SliceCodes = {
    ...{ owner: { type: 'upload', id: upload }, media, probe: PROBE, slice: 0, span: [0, 0], ...shared, receivedAt },
    ...{ outcome: { status: 'codes' }, steps: [] },
  };
  const event = <T>(what: string, data: T) => ({
    ...{
      id: derivedId('ev', upload, what),
      type: `vigil.made.${what}`,
      source: 'made',
      subject: upload,
      time: receivedAt,
    },
    data,
  });
  return {
    upload,
    media,
    manifest: { topic: TOPICS.manifests.name, ...jsonEnvelope(upload, event('manifest', manifest)) },
    fingerprint: {
      topic: TOPICS.fingerprints.name,
      ...codesEnvelope(upload, event('fingerprint', codes), pictureFingerprint(bits)),
    },
  };
}

/** xorshift32; the same numbers in every run. */
export function randomWords(seed: number): () => number {
  let s = seed >>> 0 || 1;
  return () => {
    s ^= s << 13;
    s ^= s >>> 17;
    s ^= s << 5;
    return s >>> 0;
  };
}

export const randomCode = (next: () => number): Uint8Array =>
  new Uint8Array(Uint32Array.from({ length: CODE_BYTES / 4 }, next).buffer);

/** So many of its bits are others. */
export function flipped(code: Uint8Array, bits: number, next: () => number): Uint8Array {
  const out = code.slice();
  const places = new Set<number>();
  while (places.size < bits) places.add(next() % 256);
  for (const p of places) out[p >> 3]! ^= 1 << (p & 7);
  return out;
}
