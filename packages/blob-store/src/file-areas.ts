import { createHash } from 'node:crypto';
import { type BigIntStats, constants } from 'node:fs';
import {
  type FileHandle,
  lstat,
  mkdir,
  open,
  readFile,
  realpath,
  rename,
  rm,
  rmdir,
  writeFile,
} from 'node:fs/promises';
import { dirname, join, resolve, sep } from 'node:path';
import { type BlobStat, BlobStoreError } from './blob-store.ts';
import { attempt, missing } from './file-errors.ts';

/** Kept beside an object, under a name that says which bytes it speaks of. */
interface Notes {
  version: string;
  contentType: string | null;
}

export interface OpenObject {
  file: FileHandle;
  stat: BlobStat;
}

type Identity = Pick<BigIntStats, 'ino' | 'mtimeNs' | 'size'>;

/**
 * Where things lie in the root. Buckets never begin with a dot, so `.vigil-blobs` cannot meet a key. An object's notes
 * are written before the object appears, under the identity that its file will have (inode, time, size): whoever sees
 * the file finds the notes of these very bytes, and a file that someone else put or changed there has none.
 */
export async function fileAreas(rootPath: string) {
  const own = join(resolve(rootPath), '.vigil-blobs');
  const temporary = join(own, 'temporary');
  await attempt(() => mkdir(temporary, { recursive: true }), rootPath);
  const root = await attempt(() => realpath(rootPath), rootPath);

  const pathOf = (bucket: string, key: string) => join(root, bucket, key);
  const notesFolder = (bucket: string, key: string) =>
    join(own, 'notes', bucket, createHash('sha256').update(key).digest('hex'));
  const notesName = (of: Identity) => `${of.ino}-${of.mtimeNs}-${of.size}.json`;

  /** Follows links of the deepest part that exists: all of it must lie in the bucket. */
  async function checkInside(bucket: string, path: string): Promise<void> {
    const bucketPath = join(root, bucket);
    for (let part = path; part !== root; part = dirname(part)) {
      try {
        const real = await realpath(part);
        if (real !== bucketPath && !real.startsWith(bucketPath + sep)) {
          throw new BlobStoreError('not-allowed', `${bucket}: a link leads outside the bucket`);
        }
        return;
      } catch (error) {
        const code = (error as NodeJS.ErrnoException).code;
        if (code !== 'ENOENT' && code !== 'ENOTDIR') throw error;
      }
    }
  }

  async function readNotes(bucket: string, key: string, of: BigIntStats): Promise<Notes> {
    try {
      return JSON.parse(await readFile(join(notesFolder(bucket, key), notesName(of)), 'utf8')) as Notes;
    } catch (error) {
      if (!missing(error) && !(error instanceof SyntaxError)) throw error;
      const told = `${of.ino}-${of.mtimeNs}-${of.ctimeNs}-${of.size}`;
      return { version: `f${createHash('sha256').update(told).digest('hex').slice(0, 32)}`, contentType: null };
    }
  }

  async function openObject(bucket: string, key: string): Promise<OpenObject | null> {
    const path = pathOf(bucket, key);
    return attempt(async () => {
      let file: FileHandle | null = null;
      try {
        await checkInside(bucket, path);
        // Not blocking, so that a pipe that somebody left there is refused instead of waited for.
        file = await open(await realpath(path), constants.O_RDONLY | constants.O_NOFOLLOW | constants.O_NONBLOCK);
        const of = await file.stat({ bigint: true });
        if (!of.isFile()) {
          await file.close();
          return null;
        }
        const { version, contentType } = await readNotes(bucket, key, of);
        return { file, stat: { size: Number(of.size), version, modifiedAt: Number(of.mtimeMs), contentType } };
      } catch (error) {
        await file?.close();
        if (missing(error) || (error as NodeJS.ErrnoException).code === 'ENOTDIR') return null;
        throw error;
      }
    }, `${bucket}/${key}`);
  }

  async function writeNotes(bucket: string, key: string, of: Identity, notes: Notes): Promise<void> {
    const folder = notesFolder(bucket, key);
    await untilThere(async () => {
      await mkdir(folder, { recursive: true });
      await writeFile(join(folder, notesName(of)), JSON.stringify(notes), { flush: true });
    });
  }

  /** Only those of these bytes: another put of the same key may be under way. */
  async function dropNotes(bucket: string, key: string, of: Identity): Promise<void> {
    const folder = notesFolder(bucket, key);
    await rm(join(folder, notesName(of)), { force: true });
    await rmdir(folder).catch((error) => {
      if (!missing(error) && error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  }

  /** Moves a finished file to its place, whole, and drops the notes of what was there. */
  async function replace(bucket: string, key: string, from: string): Promise<BlobStat> {
    const path = pathOf(bucket, key);
    return attempt(async () => {
      await checkInside(bucket, dirname(path));
      const of = await lstat(from, { bigint: true });
      const before = await untilThere(async () => {
        await mkdir(dirname(path), { recursive: true });
        await checkInside(bucket, dirname(path));
        const replaced = await lstat(path, { bigint: true }).catch(() => null);
        await rename(from, path);
        return replaced;
      });
      await syncFolder(dirname(path));
      if (before && notesName(before) !== notesName(of)) await dropNotes(bucket, key, before);
      return { size: Number(of.size), version: '', modifiedAt: Number(of.mtimeMs), contentType: null };
    }, `${bucket}/${key}`);
  }

  async function remove(bucket: string, key: string): Promise<void> {
    const path = pathOf(bucket, key);
    await attempt(async () => {
      await checkInside(bucket, dirname(path));
      const there = await lstat(path, { bigint: true }).catch(() => null);
      if (!there || there.isDirectory()) return;
      await rm(path, { force: true });
      await syncFolder(dirname(path));
      await dropNotes(bucket, key, there);
      for (let folder = dirname(path); folder !== join(root, bucket); folder = dirname(folder)) {
        const pruned = await rmdir(folder).then(
          () => true,
          () => false,
        );
        if (!pruned) break;
      }
    }, `${bucket}/${key}`);
  }

  return { own, temporary, openObject, writeNotes, dropNotes, replace, remove };
}

/** A delete prunes empty folders, and may take one away between its making and its use. */
async function untilThere<T>(work: () => Promise<T>): Promise<T> {
  for (let left = 5; ; left--) {
    try {
      return await work();
    } catch (error) {
      if (left === 0 || !missing(error)) throw error;
    }
  }
}

/** Makes the change of a name survive a loss of power. A folder that is gone again has nothing to keep. */
async function syncFolder(path: string): Promise<void> {
  try {
    const folder = await open(path, constants.O_RDONLY);
    try {
      await folder.sync();
    } finally {
      await folder.close();
    }
  } catch (error) {
    if (!missing(error)) throw error;
  }
}
