import {
  codeFromHex,
  codeToHex,
  derivedId,
  ENGINE_VERSION,
  type Fingerprint,
  type MediaLocation,
  type ReferenceKey,
  type SliceCodes,
} from '@vigil/contracts';
import type { Output } from './outcome.ts';

/** `source` of references that are a PDQ hash and no media; their key is the hash. */
export const HASH_SOURCE = 'hash-list';

export const hashMedia = (code: Uint8Array): MediaLocation => ({
  source: HASH_SOURCE,
  bucket: '',
  key: codeToHex(code),
  version: '',
});

/** The codes of a reference that is a hash; null of any other. */
export const hashCodesOf = (media: MediaLocation): Fingerprint | null =>
  media.source === HASH_SOURCE ? hashFingerprint(codeFromHex(media.key)) : null;

/** Of lists that say no quality: their makers left out what is below 50. */
const ASSUMED_QUALITY = 100;

/** A picture of which nothing is known but its PDQ hash. */
export function hashFingerprint(code: Uint8Array, quality: number = ASSUMED_QUALITY): Fingerprint {
  return {
    engine: ENGINE_VERSION,
    mode: 'exact',
    sampling: 'still',
    span: [0, 0],
    width: 0,
    height: 0,
    frames: { time: Float64Array.of(0), quality: Uint8Array.of(quality), flags: Uint8Array.of(0) },
    tables: [
      {
        kind: 'picture',
        count: 1,
        bits: code,
        frame: Uint16Array.of(0),
        place: Uint16Array.of(0, 0, 65535, 65535),
        turn: Uint8Array.of(0),
        quality: Uint8Array.of(quality),
      },
    ],
    thumbnails: { time: new Float64Array(0), luma: new Uint8Array(0) },
  };
}

/** The codes of such a reference, as fingerprinting media would have sent them. */
export function hashCodes(
  reference: ReferenceKey,
  code: Uint8Array,
  about: { quality?: number | undefined; shards: number; receivedAt: number },
): Output {
  const owner = { type: 'reference' as const, ...reference };
  const probe = { kind: 'image' as const, format: 'pdq', codec: 'pdq', width: 1, height: 1 };
  const data: SliceCodes = {
    owner,
    media: hashMedia(code),
    probe: { ...probe, duration: 0, startTime: 0, frameRate: 0, size: 0, notes: [] },
    slice: 0,
    slices: 1,
    span: [0, 0],
    shards: about.shards,
    epoch: about.shards,
    receivedAt: about.receivedAt,
    outcome: { status: 'codes' },
    steps: [],
  };
  const own = `${reference.id}@${reference.version}`;
  return {
    to: 'referenceCodes',
    key: `${own}/0`,
    id: derivedId('ev', own, 0, 'hash', ENGINE_VERSION),
    type: 'vigil.slice.fingerprinted',
    data,
    codes: hashFingerprint(code, about.quality),
  };
}
