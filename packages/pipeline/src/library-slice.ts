import { type BlobStore, BlobStoreError } from '@vigil/blob-store';
import {
  type Envelope,
  type Fingerprint,
  MalformedEvent,
  openEnvelope,
  type ReferenceKey,
  SliceCodes,
} from '@vigil/contracts';
import { findReference } from '@vigil/database';
import type { Logger, Queryable } from '@vigil/runtime';
import { unspilled } from './emit.ts';
import type { ReferenceCodes } from './reference-codes.ts';

/** What an index learns of a slice. */
export interface LibrarySlice {
  reference: ReferenceKey;
  slice: number;
  slices: number;
  kind: 'image' | 'video';
  codes: Fingerprint | null;
  /** Why there are no codes. */
  failed: string | null;
}

interface Deps {
  blobs: BlobStore;
  db: Queryable;
  references: ReferenceCodes;
  logger: Logger;
}

/**
 * A slice of a reference, as its event on the log tells it; null when it is nobody's. An event that was too large for the log lies in
 * the store. Where it is gone from there, the same codes lie a second time where those who compare frame by frame read them, and its
 * row says the rest.
 * @throws MalformedEvent also where neither is there any more: one lost blob must not stop an index
 */
export async function readSlice(record: Envelope, deps: Deps): Promise<LibrarySlice | null> {
  let envelope: Envelope;
  try {
    envelope = await unspilled(record, deps.blobs);
  } catch (error) {
    if (!(error instanceof BlobStoreError) || error.retriable) throw error;
    return elsewhere(record.key, error, deps);
  }
  const { event, codes } = openEnvelope(SliceCodes, envelope);
  const { owner, slice, slices, probe, outcome } = event.data;
  if (owner.type !== 'reference') return null;
  const reference = { id: owner.id, version: owner.version };
  const failed = outcome.status === 'failed' ? `${outcome.reason}: ${outcome.detail}` : null;
  return { reference, slice, slices, kind: probe.kind, codes, failed };
}

/** @param key id, "@", version, "/" and the number of the slice */
async function elsewhere(key: string, lost: BlobStoreError, deps: Deps): Promise<LibrarySlice | null> {
  const { db, references, logger } = deps;
  const [, id = '', version, slice] = /^(.+)@(\d+)\/(\d+)$/.exec(key) ?? [];
  const reference = { id, version: Number(version) };
  const row = id ? await findReference(db, id, reference.version) : null;
  // No index would keep it, whatever its codes are.
  if (id && (!row || row.state === 'disabled' || row.state === 'rejected')) return null;
  const codes = row ? await references.slice(reference, Number(slice)).catch(unlessRetriable) : null;
  if (!row || !codes || !row.kind || row.slices === null) {
    throw new MalformedEvent(`the codes of ${key} are gone from the store: add the reference anew (${lost.message})`, {
      cause: lost,
    });
  }
  logger.warn(
    { key, error: lost },
    'an event is gone from the store: its codes are read from beside those of its reference',
  );
  return { reference, slice: Number(slice), slices: row.slices, kind: row.kind, codes, failed: null };
}

function unlessRetriable(error: unknown): null {
  if (error instanceof BlobStoreError && !error.retriable) return null;
  throw error;
}
