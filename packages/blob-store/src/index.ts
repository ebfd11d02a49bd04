export { checkBlobName } from './blob-name.ts';
export {
  type BlobRange,
  type BlobStat,
  type BlobStore,
  BlobStoreError,
  MAX_PARTS,
  MIN_PART_BYTES,
  type PartUploads,
  type PutOptions,
  readBlob,
} from './blob-store.ts';
export { type FileBlobStore, type FileBlobStoreOptions, openFileBlobStore } from './file-blob-store.ts';
export { openS3BlobStore } from './open-s3-blob-store.ts';
export {
  type BlobSource,
  type BlobSourceOptions,
  type BlockCache,
  blobSource,
  createBlockCache,
} from './read-ranges.ts';
export type { S3BlobStoreOptions, S3Logger, S3Timeouts } from './s3-blob-store.ts';
