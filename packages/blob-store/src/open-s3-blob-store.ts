import type { BlobStore } from './blob-store.ts';
import type { S3BlobStoreOptions } from './s3-blob-store.ts';

/**
 * Objects in S3, or in a store that speaks it. The AWS client (55 MB of memory, an eighth of a second) is loaded only here.
 * @throws BlobStoreError when one of `buckets` cannot be reached
 */
export async function openS3BlobStore(options: S3BlobStoreOptions): Promise<BlobStore> {
  const s3 = await import('./s3-blob-store.ts');
  return s3.openS3BlobStore(options);
}
