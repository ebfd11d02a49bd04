import type { BlobStore } from '@vigil/blob-store';
import { blobSource, createBlockCache } from '@vigil/blob-store';
import type { MediaLocation, Rejection } from '@vigil/contracts';
import type { Fingerprinter, MediaSource } from '@vigil/fingerprint';

/** Media of uploads and references, as bytes and as something that can be fingerprinted. */
export interface Media {
  fingerprinter: Fingerprinter;
  open(
    location: MediaLocation,
  ): Promise<{ status: 'opened'; source: MediaSource } | { status: 'rejected'; reason: Rejection; detail: string }>;
}

/** Only configured buckets are opened: an event's word is not enough to read any object that we could. */
export function createMedia(blobs: BlobStore, fingerprinter: Fingerprinter, buckets: readonly string[]): Media {
  // One for all slices, so that the index of a long video is read once and not once a slice.
  const cache = createBlockCache();
  return {
    fingerprinter,
    async open({ bucket, key, version }) {
      if (!buckets.includes(bucket)) return { status: 'rejected', reason: 'not-allowed', detail: `bucket ${bucket}` };
      const stat = await blobs.stat(bucket, key);
      if (!stat) return { status: 'rejected', reason: 'missing', detail: `${bucket}/${key}` };
      if (version && stat.version !== version) {
        return { status: 'rejected', reason: 'missing', detail: `${bucket}/${key} is no longer the announced version` };
      }
      return { status: 'opened', source: blobSource(blobs, bucket, key, stat, { cache }) };
    },
  };
}
