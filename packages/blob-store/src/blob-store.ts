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
  readonly parts: PartUploads;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * An object that others send in parts, straight to the store and in any order; a part that is sent again replaces itself. It appears
 * with `complete`, whole or not at all. Every part but the last has at least MIN_PART_BYTES.
 */
export interface PartUploads {
  /** Returns the id of the upload. */
  start(bucket: string, key: string): Promise<string>;
  /** An address that takes the bytes of part `number`, from 1 to MAX_PARTS, by PUT. */
  presign(bucket: string, key: string, id: string, number: number, expiresInSeconds: number): Promise<URL>;
  /** Parts that have arrived, by number. @throws BlobStoreError `missing` when there is no such upload */
  list(bucket: string, key: string, id: string): Promise<{ number: number; size: number }[]>;
  /** Joins what has arrived. @throws BlobStoreError `missing` when there is no such upload, or nothing has arrived */
  complete(bucket: string, key: string, id: string): Promise<BlobStat>;
  /** Quiet when there is no such upload. */
  abandon(bucket: string, key: string, id: string): Promise<void>;
}

export const MIN_PART_BYTES = 5 * 2 ** 20;
export const MAX_PARTS = 10_000;

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
