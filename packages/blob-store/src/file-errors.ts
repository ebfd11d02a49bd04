import { BlobStoreError } from './blob-store.ts';

/** What a file system's refusal means. Anything not listed is the environment's trouble, and may pass. */
const MEANING: Record<string, { code: BlobStoreError['code']; why: string }> = {
  ENAMETOOLONG: { code: 'bad-key', why: 'a name in it is too long for this file system' },
  EINVAL: { code: 'bad-key', why: 'this file system does not take such a name' },
  EILSEQ: { code: 'bad-key', why: 'this file system does not take such a name' },
  ENOTDIR: { code: 'not-allowed', why: 'part of the key is an object already' },
  EEXIST: { code: 'not-allowed', why: 'part of the key is an object already' },
  EISDIR: { code: 'not-allowed', why: 'other objects lie below that key' },
  ENOTEMPTY: { code: 'not-allowed', why: 'other objects lie below that key' },
  ELOOP: { code: 'not-allowed', why: 'it is a link' },
  EACCES: { code: 'not-allowed', why: 'permission denied' },
  EPERM: { code: 'not-allowed', why: 'permission denied' },
};

/** Runs file system work and turns its errors into the port's. */
export async function attempt<T>(work: () => Promise<T>, what: string): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof BlobStoreError) throw error;
    const code = (error as NodeJS.ErrnoException).code;
    if (code === undefined) throw error;
    const meaning = MEANING[code];
    throw new BlobStoreError(meaning?.code ?? 'unavailable', `${what}: ${meaning?.why ?? code}`, error);
  }
}

/** True of an error, or one that wraps it, that says that a path does not exist. */
export function missing(error: unknown): boolean {
  const cause = error instanceof BlobStoreError ? error.cause : error;
  return (cause as NodeJS.ErrnoException | undefined)?.code === 'ENOENT';
}
