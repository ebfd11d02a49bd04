import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { constants } from 'node:fs';
import { type FileHandle, link, mkdir, open, readFile, rename, rm, writeFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { join } from 'node:path';
import { addAbortSignal, Readable } from 'node:stream';
import { checkBlobName } from './blob-name.ts';
import { type BlobRange, type BlobStat, type BlobStore, BlobStoreError, type PutOptions } from './blob-store.ts';
import { fileAreas, type OpenObject } from './file-areas.ts';
import { attempt } from './file-errors.ts';
import { fileParts } from './file-parts.ts';
import { serveSigned } from './serve-signed.ts';
import { signUrl } from './signed-url.ts';
import { sweepAbandoned, temporaryName } from './temporary-files.ts';

export interface FileBlobStoreOptions {
  /** Objects lie at root/<bucket>/<key>, as they are; what the store needs besides lies in root/.vigil-blobs. */
  root: string;
  /** Signs addresses. Without one, a secret is made once and kept in the root, for every process that opens it. */
  secret?: Uint8Array | string;
  /** Where `handle` is mounted; without one there are no addresses. */
  baseUrl?: URL | string;
  /** Larger objects are refused. */
  maxBytes?: number;
  /** Milliseconds since 1970, for the expiry of addresses. */
  now?: () => number;
}

export interface FileBlobStore extends BlobStore {
  /** Serves the addresses that `presign` gives; false when the request is for a path that is not below `baseUrl`. */
  handle(req: IncomingMessage, res: ServerResponse): Promise<boolean>;
}

const DEFAULT_MAX_BYTES = 64 * 2 ** 30;

/** @throws BlobStoreError when the root cannot be written */
export async function openFileBlobStore(options: FileBlobStoreOptions): Promise<FileBlobStore> {
  const maxBytes = options.maxBytes ?? DEFAULT_MAX_BYTES;
  const now = options.now ?? Date.now;
  const baseUrl = options.baseUrl === undefined ? null : new URL(options.baseUrl);
  const areas = await fileAreas(options.root);
  await sweepAbandoned(areas.temporary);
  const secret = options.secret === undefined ? await keptSecret(areas.own) : Buffer.from(options.secret);
  await probe(areas.temporary);

  async function put(bucket: string, key: string, body: Uint8Array | Readable, o: PutOptions = {}): Promise<BlobStat> {
    checkBlobName(bucket, key);
    o.signal?.throwIfAborted();
    if (o.signal && body instanceof Readable) addAbortSignal(o.signal, body);
    const what = `${bucket}/${key}`;
    const path = join(areas.temporary, temporaryName());
    const file = await attempt(() => open(path, 'wx', 0o644), what);
    try {
      const digest = await receive(file, body, maxBytes);
      o.signal?.throwIfAborted();
      if (o.sha256 !== undefined && o.sha256.toLowerCase() !== digest) {
        throw new BlobStoreError('digest-mismatch', `${what}: SHA-256 is ${digest}, announced ${o.sha256}`);
      }
      await attempt(() => file.sync(), what);
      const identity = await attempt(() => file.stat({ bigint: true }), what);
      const notes = { version: digest, contentType: o.contentType ?? null };
      await attempt(() => areas.writeNotes(bucket, key, identity, notes), what);
      try {
        return { ...(await areas.replace(bucket, key, path)), ...notes };
      } catch (error) {
        await attempt(() => areas.dropNotes(bucket, key, identity), what);
        throw error;
      }
    } finally {
      await file.close();
      await rm(path, { force: true });
    }
  }

  async function get(bucket: string, key: string, range?: BlobRange, signal?: AbortSignal): Promise<Readable> {
    checkBlobName(bucket, key);
    signal?.throwIfAborted();
    const object = await areas.openObject(bucket, key);
    if (!object) throw new BlobStoreError('missing', `${bucket}/${key} does not exist`);
    if (range?.version !== undefined && range.version !== object.stat.version) {
      await object.file.close();
      throw new BlobStoreError('missing', `${bucket}/${key} is no longer the version ${range.version}`);
    }
    return streamOf(object, range, signal);
  }

  const parts = fileParts({
    folder: join(areas.own, 'parts'),
    join: (bucket, key, body) => put(bucket, key, body),
    sign: (bucket, key, id, number, seconds) => {
      if (!baseUrl) throw new BlobStoreError('not-allowed', 'this store was opened without a base URL for addresses');
      return signUrl(baseUrl, secret, { verb: 'PUT', bucket, key, part: { id, number } }, seconds, now());
    },
    write: async (path, body) => {
      const draft = join(areas.temporary, temporaryName());
      const file = await attempt(() => open(draft, 'wx', 0o644), 'a part');
      try {
        const digest = await receive(file, body, maxBytes);
        await attempt(() => file.sync(), 'a part');
        await attempt(() => rename(draft, path), 'a part');
        return digest;
      } finally {
        await file.close();
        await rm(draft, { force: true });
      }
    },
  });

  return {
    put,
    get,
    parts,
    async stat(bucket, key) {
      checkBlobName(bucket, key);
      const object = await areas.openObject(bucket, key);
      await object?.file.close();
      return object?.stat ?? null;
    },
    async delete(bucket, key) {
      checkBlobName(bucket, key);
      await areas.remove(bucket, key);
    },
    async presign(verb, bucket, key, expiresInSeconds) {
      checkBlobName(bucket, key);
      if (!baseUrl) throw new BlobStoreError('not-allowed', 'this store was opened without a base URL for addresses');
      return signUrl(baseUrl, secret, { verb, bucket, key }, expiresInSeconds, now());
    },
    async handle(req, res) {
      if (!baseUrl) return false;
      return serveSigned(req, res, {
        ...{ baseUrl, secret, now, maxBytes, put, streamOf },
        putPart: parts.put,
        openObject: areas.openObject,
      });
    },
    async [Symbol.asyncDispose]() {
      // Nothing stays open between calls.
    },
  };
}

/** Closes the file when it has been read, or is destroyed. */
async function streamOf(
  object: OpenObject,
  range?: { start: number; end: number },
  signal?: AbortSignal,
): Promise<Readable> {
  const start = Math.max(0, range?.start ?? 0);
  const end = Math.min(object.stat.size, range?.end ?? object.stat.size);
  if (start >= end) {
    await object.file.close();
    return Readable.from([]);
  }
  const stream = object.file.createReadStream({ start, end: end - 1, highWaterMark: 256 * 1024 });
  return signal ? addAbortSignal(signal, stream) : stream;
}

/** Writes the whole body and returns its hex SHA-256. The body's own errors come through as they are. */
async function receive(file: FileHandle, body: Uint8Array | Readable, maxBytes: number): Promise<string> {
  const hash = createHash('sha256');
  let size = 0;
  for await (const piece of body instanceof Uint8Array ? [body] : body) {
    const chunk: Uint8Array = typeof piece === 'string' ? Buffer.from(piece) : piece;
    size += chunk.length;
    if (size > maxBytes) throw new BlobStoreError('not-allowed', `the object is larger than ${maxBytes} bytes`);
    hash.update(chunk);
    for (let at = 0; at < chunk.length; ) {
      at += (await attempt(() => file.write(chunk, at, chunk.length - at), 'writing')).bytesWritten;
    }
  }
  return hash.digest('hex');
}

/** Linked into place, so that of two processes that start together both end with the same secret. */
async function keptSecret(folder: string): Promise<Buffer> {
  const path = join(folder, 'secret');
  const draft = join(folder, `secret.${randomUUID()}`);
  return attempt(async () => {
    await writeFile(draft, randomBytes(32), { flag: 'wx', mode: 0o600 });
    try {
      await link(draft, path);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    } finally {
      await rm(draft);
    }
    return readFile(path);
  }, 'the signing secret');
}

/** The very operations that a put needs, so that a read-only folder fails the start and not the first upload. */
async function probe(folder: string): Promise<void> {
  const [from, to] = [join(folder, temporaryName()), join(folder, temporaryName())];
  await attempt(async () => {
    await mkdir(folder, { recursive: true });
    const file = await open(from, constants.O_WRONLY | constants.O_CREAT | constants.O_EXCL);
    try {
      await file.write('probe');
      await file.sync();
    } finally {
      await file.close();
    }
    await rename(from, to);
    await rm(to);
  }, 'probing the folder');
}
