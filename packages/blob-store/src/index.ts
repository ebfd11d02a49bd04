export { checkBlobName } from './blob-name.ts';
export { type BlobStat, type BlobStore, BlobStoreError, type PutOptions, readBlob } from './blob-store.ts';
export { type FileBlobStore, type FileBlobStoreOptions, openFileBlobStore } from './file-blob-store.ts';
export { type BlobSource, type BlobSourceOptions, blobSource } from './read-ranges.ts';
