import type { Readable } from 'node:stream';

export interface BlobStat {
  size: number;
  /** Version or ETag: changes whenever the bytes do. */
  version: string;
  modifiedAt: number;
  contentType: string | null;
}

export interface PutOptions {
  contentType?: string;
  /** Hex SHA-256 of the bytes; the put fails when they differ. */
  sha256?: string;
  signal?: AbortSignal;
}

/** Bytes [start, end). With a version, those of this version or none: another one in its place is `missing`. */
export interface BlobRange {
  start: number;
  end: number;
  version?: string;
}

/** Objects by bucket and key. A key is a relative path of /-separated names; no name is empty, "." or "..". */
export interface BlobStore {
  /** Appears whole or not at all. */
  put(bucket: string, key: string, body: Uint8Array | Readable, options?: PutOptions): Promise<BlobStat>;
  /** Bytes [start, end) as a stream; the whole object without a range. A range past the end is cut short. */
  get(bucket: string, key: string, range?: BlobRange, signal?: AbortSignal): Promise<Readable>;
  /** Null when there is no such object. */
  stat(bucket: string, key: string): Promise<BlobStat | null>;
  /** Quiet when there is no such object. */
  delete(bucket: string, key: string): Promise<void>;
  /** An address that allows one verb on one object until it expires. */
  presign(verb: 'GET' | 'PUT', bucket: string, key: string, expiresInSeconds: number): Promise<URL>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Not retriable: the object is missing, the key is not allowed, the bytes are not the announced ones.
 * Retriable: the store is out of reach or overloaded.
 */
export class BlobStoreError extends Error {
  override name = 'BlobStoreError';
  readonly code: 'missing' | 'not-allowed' | 'bad-key' | 'digest-mismatch' | 'unavailable';
  readonly retriable: boolean;
  constructor(code: BlobStoreError['code'], message: string, cause?: unknown) {
    super(message, { cause });
    this.code = code;
    this.retriable = code === 'unavailable';
  }
}

/** Reads a whole object, refusing one that is larger than `maxBytes`. */
export async function readBlob(store: BlobStore, bucket: string, key: string, maxBytes: number): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  let size = 0;
  for await (const chunk of await store.get(bucket, key)) {
    size += (chunk as Uint8Array).length;
    if (size > maxBytes) throw new BlobStoreError('not-allowed', `${bucket}/${key} is larger than ${maxBytes} bytes`);
    chunks.push(chunk as Uint8Array);
  }
  return Buffer.concat(chunks);
}
