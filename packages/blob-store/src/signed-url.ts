import { createHmac, timingSafeEqual } from 'node:crypto';
import { BlobStoreError } from './blob-store.ts';

/** As long as S3 allows. */
export const MAX_EXPIRY_SECONDS = 7 * 24 * 3600;

export type Verb = 'GET' | 'PUT';
export interface Target {
  verb: Verb;
  bucket: string;
  key: string;
}

/** JSON, so that no choice of bucket and key can be read as another one. */
function sign(secret: Uint8Array, { verb, bucket, key }: Target, expires: number): string {
  return createHmac('sha256', secret)
    .update(JSON.stringify([verb, bucket, key, expires]))
    .digest('base64url');
}

/** An address below `baseUrl` that allows one verb on one object until it expires. `now` in milliseconds. */
export function signUrl(baseUrl: URL, secret: Uint8Array, target: Target, expiresInSeconds: number, now: number): URL {
  if (!(expiresInSeconds > 0 && expiresInSeconds <= MAX_EXPIRY_SECONDS)) {
    throw new BlobStoreError('not-allowed', `an address lasts more than 0 and at most ${MAX_EXPIRY_SECONDS} s`);
  }
  const expires = Math.ceil(now / 1000 + expiresInSeconds);
  const names = [target.bucket, ...target.key.split('/')].map(encodeURIComponent);
  const url = new URL(baseUrl);
  url.pathname = `${prefixOf(baseUrl)}${names.join('/')}`;
  url.search = '';
  url.searchParams.set('expires', String(expires));
  url.searchParams.set('signature', sign(secret, target, expires));
  return url;
}

/** Null when the path is not below `baseUrl`. A path that cannot be decoded names the empty key, which none has. */
export function targetOf(baseUrl: URL, url: URL): { bucket: string; key: string } | null {
  const prefix = prefixOf(baseUrl);
  if (!url.pathname.startsWith(prefix)) return null;
  try {
    const [bucket = '', ...names] = url.pathname.slice(prefix.length).split('/').map(decodeURIComponent);
    return { bucket, key: names.join('/') };
  } catch {
    return { bucket: '', key: '' };
  }
}

export function isSigned(secret: Uint8Array, target: Target, url: URL, now: number): boolean {
  const expires = Number(url.searchParams.get('expires') ?? Number.NaN);
  const given = Buffer.from(url.searchParams.get('signature') ?? '');
  const expected = Buffer.from(sign(secret, target, expires));
  return given.length === expected.length && timingSafeEqual(given, expected) && now < expires * 1000;
}

const prefixOf = (baseUrl: URL): string => (baseUrl.pathname.endsWith('/') ? baseUrl.pathname : `${baseUrl.pathname}/`);
