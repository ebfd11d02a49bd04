import type { IncomingMessage, ServerResponse } from 'node:http';
import type { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { checkBlobName } from './blob-name.ts';
import { type BlobStore, BlobStoreError } from './blob-store.ts';
import type { OpenObject } from './file-areas.ts';
import { isSigned, partOf, targetOf } from './signed-url.ts';

export interface SignedDoor {
  baseUrl: URL;
  secret: Uint8Array;
  now(): number;
  maxBytes: number;
  put: BlobStore['put'];
  putPart(bucket: string, key: string, part: { id: string; number: number }, body: Readable): Promise<string>;
  openObject(bucket: string, key: string): Promise<OpenObject | null>;
  streamOf(object: OpenObject, range?: { start: number; end: number }): Promise<Readable>;
}

const STATUS: Record<BlobStoreError['code'], number> = {
  missing: 404,
  'not-allowed': 403,
  'bad-key': 400,
  'digest-mismatch': 400,
  unavailable: 503,
};

/** Serves one signed address. False when the path is not ours; else the response is on its way, whatever it says. */
export async function serveSigned(req: IncomingMessage, res: ServerResponse, door: SignedDoor): Promise<boolean> {
  const url = URL.parse(req.url ?? '/', 'http://localhost');
  const target = url && targetOf(door.baseUrl, url);
  if (!target) return false;
  const { bucket, key } = target;
  try {
    const verb = req.method;
    const part = partOf(url);
    if (verb !== 'GET' && verb !== 'PUT') refuse(req, res, 405, 'GET and PUT only', { allow: 'GET, PUT' });
    else if (!isSigned(door.secret, { verb, bucket, key, part }, url, door.now())) {
      refuse(req, res, 403, 'the address is not signed for this, or has expired');
    } else {
      checkBlobName(bucket, key);
      await (verb === 'GET' ? serve(req, res, door, bucket, key) : take(req, res, door, bucket, key, part));
    }
  } catch (error) {
    // A client that hangs up in the middle needs no answer, and a started answer can only be cut short.
    if (res.headersSent || req.socket.destroyed) res.destroy();
    else if (error instanceof BlobStoreError) refuse(req, res, STATUS[error.code], error.message);
    else throw error;
  }
  return true;
}

async function serve(req: IncomingMessage, res: ServerResponse, door: SignedDoor, bucket: string, key: string) {
  const object = await door.openObject(bucket, key);
  if (!object) throw new BlobStoreError('missing', 'no such object');
  const { size, version, contentType, modifiedAt } = object.stat;
  const etag = `"${version}"`;
  const whole = req.headers['if-range'] !== undefined && req.headers['if-range'] !== etag;
  const range = whole ? null : parseRange(req.headers.range, size);
  if (range === 'unsatisfiable') {
    await object.file.close();
    return refuse(req, res, 416, 'the range lies past the end', { 'content-range': `bytes */${size}` });
  }
  const { start, end } = range ?? { start: 0, end: size };
  res.writeHead(range ? 206 : 200, {
    'accept-ranges': 'bytes',
    'content-length': end - start,
    'content-type': headerSafe(contentType) ?? 'application/octet-stream',
    ...(range ? { 'content-range': `bytes ${start}-${end - 1}/${size}` } : {}),
    etag,
    'last-modified': new Date(modifiedAt).toUTCString(),
    // Objects are what strangers uploaded, under the type that they named: never a page of this origin.
    'content-security-policy': "default-src 'none'; sandbox",
    'x-content-type-options': 'nosniff',
  });
  await pipeline(await door.streamOf(object, { start, end }), res);
}

async function take(
  req: IncomingMessage,
  res: ServerResponse,
  door: SignedDoor,
  bucket: string,
  key: string,
  part: { id: string; number: number } | undefined,
) {
  if (Number(req.headers['content-length'] ?? 0) > door.maxBytes)
    return refuse(req, res, 413, 'the object is too large');
  if (part) {
    const etag = await door.putPart(bucket, key, part, req);
    return void res.writeHead(200, { etag: `"${etag}"`, 'content-length': 0 }).end();
  }
  const contentType = req.headers['content-type'];
  const stat = await door.put(bucket, key, req, contentType === undefined ? {} : { contentType });
  res.writeHead(200, { etag: `"${stat.version}"`, 'content-length': 0 }).end();
}

const headerSafe = (text: string | null): string | null => (text && /^[\x20-\x7e]{1,255}$/.test(text) ? text : null);

/** One range as RFC 9110, section 14.2 writes it; null (the whole object) for anything else, as it allows. */
export function parseRange(header: string | undefined, size: number) {
  const found = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header ?? '');
  const [, first = '', last = ''] = found ?? [];
  if (!found || (first === '' && last === '')) return null;
  const start = first === '' ? Math.max(0, size - Number(last)) : Number(first);
  const end = first === '' || last === '' ? size : Math.min(size, Number(last) + 1);
  if (first !== '' && last !== '' && Number(last) < start) return null;
  return start >= size || start >= end ? 'unsatisfiable' : { start, end };
}

/** The rest of a refused body is not read: the connection ends with the answer. */
function refuse(req: IncomingMessage, res: ServerResponse, status: number, why: string, headers = {}): void {
  const body = `${why}\n`;
  const close = req.method === 'PUT' ? { connection: 'close' } : {};
  res
    .writeHead(status, {
      'content-type': 'text/plain',
      'content-length': Buffer.byteLength(body),
      ...close,
      ...headers,
    })
    .end(body);
}
