import { createHmac, timingSafeEqual } from 'node:crypto';
import { BlobStoreError } from './blob-store.ts';

/** As long as S3 allows. */
export const MAX_EXPIRY_SECONDS = 7 * 24 * 3600;

export type Verb = 'GET' | 'PUT';
export interface Target {
  verb: Verb;
  bucket: string;
  key: string;
  /** Of an object that comes in parts. */
  part?: { id: string; number: number } | undefined;
}

/** JSON, so that no choice of bucket and key can be read as another one. */
function sign(secret: Uint8Array, { verb, bucket, key, part }: Target, expires: number): string {
  return createHmac('sha256', secret)
    .update(JSON.stringify([verb, bucket, key, expires, ...(part ? [part.id, part.number] : [])]))
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
  if (target.part) {
    url.searchParams.set('upload', target.part.id);
    url.searchParams.set('part', String(target.part.number));
  }
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

/** The part that an address is for; undefined for whole objects. */
export function partOf(url: URL): Target['part'] {
  const id = url.searchParams.get('upload');
  return id === null ? undefined : { id, number: Number(url.searchParams.get('part')) };
}

export function isSigned(secret: Uint8Array, target: Target, url: URL, now: number): boolean {
  const expires = Number(url.searchParams.get('expires') ?? Number.NaN);
  const given = Buffer.from(url.searchParams.get('signature') ?? '');
  const expected = Buffer.from(sign(secret, target, expires));
  return given.length === expected.length && timingSafeEqual(given, expected) && now < expires * 1000;
}

const prefixOf = (baseUrl: URL): string => (baseUrl.pathname.endsWith('/') ? baseUrl.pathname : `${baseUrl.pathname}/`);
