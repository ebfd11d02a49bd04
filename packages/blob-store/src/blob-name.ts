import { BlobStoreError } from './blob-store.ts';

const BUCKET = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const MAX_KEY_BYTES = 1024;

/** The rule that every adapter holds keys to, before anything is opened. @throws BlobStoreError `bad-key` */
export function checkBlobName(bucket: string, key: string): void {
  if (!BUCKET.test(bucket)) throw new BlobStoreError('bad-key', `not the name of a bucket: ${quote(bucket)}`);
  const why = whatIsWrong(key);
  if (why) throw new BlobStoreError('bad-key', `${quote(key)} is not a key: ${why}`);
}

function whatIsWrong(key: string): string | null {
  if (key === '') return 'it is empty';
  if (key.includes('\0')) return 'it contains NUL';
  if (!key.isWellFormed()) return 'it is not well-formed Unicode';
  if (Buffer.byteLength(key) > MAX_KEY_BYTES) return `it is longer than ${MAX_KEY_BYTES} bytes`;
  for (const name of key.split('/')) {
    if (name === '') return 'a name in it is empty';
    if (name === '.' || name === '..') return `"${name}" is no name`;
  }
  return null;
}

const quote = (text: string): string => JSON.stringify(text.length > 80 ? `${text.slice(0, 80)}...` : text);
