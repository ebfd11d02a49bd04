import { createHash, randomUUID } from 'node:crypto';
import { createReadStream } from 'node:fs';
import { mkdir, readdir, rm, stat } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { checkBlobName } from './blob-name.ts';
import { type BlobStat, BlobStoreError, MAX_PARTS, type PartUploads } from './blob-store.ts';
import { attempt, missing } from './file-errors.ts';

export interface FilePartsDeps {
  folder: string;
  /** Makes the object of the joined bytes. */
  join(bucket: string, key: string, body: Readable): Promise<BlobStat>;
  sign(bucket: string, key: string, id: string, number: number, expiresInSeconds: number): URL;
  /** Writes a file, whole or not at all. Returns its digest. */
  write(path: string, body: Readable): Promise<string>;
}

const ID = /^[0-9a-f-]{36}$/;

/** Each upload is a folder below `folder`, each part a file in it called by its number. */
export function fileParts(deps: FilePartsDeps): PartUploads & {
  put(bucket: string, key: string, part: { id: string; number: number }, body: Readable): Promise<string>;
} {
  /** Of this object: an id alone opens nothing. */
  const folderOf = (bucket: string, key: string, id: string): string => {
    checkBlobName(bucket, key);
    if (!ID.test(id)) throw new BlobStoreError('missing', 'no such upload');
    return join(
      deps.folder,
      createHash('sha256')
        .update(JSON.stringify([bucket, key, id]))
        .digest('hex'),
    );
  };

  async function list(bucket: string, key: string, id: string): Promise<{ number: number; size: number }[]> {
    const folder = folderOf(bucket, key, id);
    const names = await readdir(folder).catch((error: unknown) => {
      if (missing(error)) throw new BlobStoreError('missing', 'no such upload');
      return attempt(() => Promise.reject(error), 'parts');
    });
    const numbers = names.map(Number).sort((a, b) => a - b);
    return attempt(
      () =>
        Promise.all(numbers.map(async (number) => ({ number, size: (await stat(join(folder, `${number}`))).size }))),
      'parts',
    );
  }

  return {
    list,
    async start(bucket, key) {
      const id = randomUUID();
      await attempt(() => mkdir(folderOf(bucket, key, id), { recursive: true }), `${bucket}/${key}`);
      return id;
    },
    async presign(bucket, key, id, number, expiresInSeconds) {
      folderOf(bucket, key, id);
      checkNumber(number);
      return deps.sign(bucket, key, id, number, expiresInSeconds);
    },
    async put(bucket, key, { id, number }, body) {
      const folder = folderOf(bucket, key, id);
      checkNumber(number);
      if (!(await stat(folder).catch(() => null))) throw new BlobStoreError('missing', 'no such upload');
      return deps.write(join(folder, `${number}`), body);
    },
    async complete(bucket, key, id) {
      const folder = folderOf(bucket, key, id);
      const parts = await list(bucket, key, id);
      if (parts.length === 0) throw new BlobStoreError('missing', 'no part has arrived');
      async function* all() {
        for (const { number } of parts) yield* createReadStream(join(folder, `${number}`));
      }
      const made = await deps.join(bucket, key, Readable.from(all(), { objectMode: false }));
      await rm(folder, { recursive: true, force: true });
      return made;
    },
    async abandon(bucket, key, id) {
      await attempt(() => rm(folderOf(bucket, key, id), { recursive: true, force: true }), 'parts');
    },
  };
}

export function checkNumber(number: number): void {
  if (!Number.isInteger(number) || number < 1 || number > MAX_PARTS)
    throw new BlobStoreError('bad-key', `parts have numbers from 1 to ${MAX_PARTS}`);
}
