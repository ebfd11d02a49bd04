import { type BlobStore, BlobStoreError, readBlob } from '@vigil/blob-store';
import { decodeFingerprint, type Fingerprint, type ReferenceKey, referenceKey, SLICE_SECONDS } from '@vigil/contracts';
import { findReference } from '@vigil/database';
import type { Logger, Metrics, Queryable } from '@vigil/runtime';
import { OWN_BUCKET } from './emit.ts';
import { hashCodesOf } from './hash-lists.ts';
import { codesKey } from './stages/fingerprint-slice.ts';

/** Codes of references by place in time, for those who compare frame by frame. */
export interface ReferenceCodes {
  /** Slices that hold any of [from, to], with one slice more on either side, in order of time. Missing ones are left out. */
  between(reference: ReferenceKey, from: number, to: number): Promise<Fingerprint[]>;
  /** Of one slice, read anew; null where there are none. */
  slice(reference: ReferenceKey, slice: number): Promise<Fingerprint | null>;
}

const UNREADABLE =
  'codes of a reference cannot be read, and nothing is compared with them: add it anew, or run the release that wrote them';
const MAX_BYTES = 64 * 2 ** 20;
const CACHED_SLICES = 512;
const CACHED_ENDS = 4096;
/** A registration that is read again may say another number of slices. */
const ENDS_KEPT_MS = 60_000;

/**
 * Codes of one version never change, so what was read once is kept (least recently used goes first). What cannot be read, because it
 * was cut short or a newer release wrote it, counts as missing, and is said each time: one blob must not stop whoever reads it.
 */
export function createReferenceCodes(
  blobs: BlobStore,
  db: Queryable,
  { logger, metrics }: { logger: Pick<Logger, 'error'>; metrics?: Pick<Metrics, 'add'> },
): ReferenceCodes {
  const cache = new Map<string, Fingerprint>();
  const ends = new Map<string, { slices: number; until: number }>();

  /**
   * How many slices it has: none is asked for beyond, which would be a question to the store each time, as only answers are kept. Not
   * known of one that nobody has planned.
   */
  async function endOf(reference: ReferenceKey): Promise<number> {
    const key = referenceKey(reference);
    const known = ends.get(key);
    if (known && performance.now() < known.until) return known.slices;
    const slices = (await findReference(db, reference.id, reference.version))?.slices ?? null;
    if (slices === null) return Number.POSITIVE_INFINITY;
    ends.set(key, { slices, until: performance.now() + ENDS_KEPT_MS });
    if (ends.size > CACHED_ENDS) ends.delete(ends.keys().next().value!);
    return slices;
  }

  /** Null where there are none: a slice that failed has no codes, nor is there one before the first or after the last. */
  async function readReferenceSlice(reference: ReferenceKey, slice: number): Promise<Fingerprint | null> {
    const key = codesKey(referenceKey(reference), slice);
    try {
      return decodeFingerprint(await readBlob(blobs, OWN_BUCKET, key, MAX_BYTES));
    } catch (error) {
      if (error instanceof BlobStoreError && error.code === 'missing') return null;
      if (!(error instanceof RangeError)) throw error;
      metrics?.add('vigil_stage_errors_total', { stage: 'references', kind: 'codes' });
      logger.error({ key, error }, UNREADABLE);
      return null;
    }
  }

  async function read(reference: ReferenceKey, slice: number): Promise<Fingerprint | null> {
    const key = codesKey(referenceKey(reference), slice);
    const known = cache.get(key);
    if (known) {
      cache.delete(key);
      cache.set(key, known);
      return known;
    }
    const found = await readAnew(reference, slice);
    if (!found) return null;
    cache.set(key, found);
    if (cache.size > CACHED_SLICES) cache.delete(cache.keys().next().value!);
    return found;
  }

  const readAnew = async (reference: ReferenceKey, slice: number): Promise<Fingerprint | null> =>
    (await readReferenceSlice(reference, slice)) ?? (slice === 0 ? hashOf(reference) : null);

  /** A reference of a hash list has no codes in the store: its row is all there is of it. */
  async function hashOf({ id, version }: ReferenceKey): Promise<Fingerprint | null> {
    const media = (await findReference(db, id, version))?.media;
    return media ? hashCodesOf(media) : null;
  }

  return {
    slice: readAnew,

    async between(reference, from, to) {
      const first = Math.max(0, Math.floor(from / SLICE_SECONDS) - 1);
      const reach = Math.max(first, Math.floor(to / SLICE_SECONDS) + 1);
      const last = Math.min(reach, (await endOf(reference)) - 1);
      const found: Fingerprint[] = [];
      for (let n = first; n <= last; n++) {
        const slice = await read(reference, n);
        if (slice) found.push(slice);
      }
      return found;
    },
  };
}
