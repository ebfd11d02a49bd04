import { createHash } from 'node:crypto';
import { readdir, readFile } from 'node:fs/promises';
import type { IncomingMessage, ServerResponse } from 'node:http';
import path from 'node:path';
import { promisify } from 'node:util';
import { brotliCompress, constants, gzip } from 'node:zlib';

/** The built page, to be mounted in front of the API. */
export interface Page {
  /** true: it was a request for the page, and is answered. */
  handle(request: IncomingMessage, response: ServerResponse): boolean;
}

/** Where the build puts it. */
export const BUILT = path.join(import.meta.dirname, '../dist');

const TYPES: Record<string, string> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript; charset=utf-8',
  '.css': 'text/css; charset=utf-8',
  '.svg': 'image/svg+xml',
  '.png': 'image/png',
  '.webp': 'image/webp',
  '.ico': 'image/x-icon',
  '.woff2': 'font/woff2',
  '.webmanifest': 'application/manifest+json',
  '.txt': 'text/plain; charset=utf-8',
};
const COMPRESSIBLE = /^text\/|svg|json/;
/** Below this compressing saves less than a packet. */
const MIN_COMPRESSED = 1000;

/** Addresses of the API: a browser that opens one of them wants what stands there. */
const OTHERS = /^\/(v1|session|docs|openapi\.json|health|metrics|blobs)(\/|$)/;

/** Nothing but what comes from here, no inline script or style, in nobody's frame. */
const POLICY = [
  "default-src 'none'",
  ...['script-src', 'style-src', 'img-src', 'media-src', 'font-src', 'connect-src', 'manifest-src'].map(
    (what) => `${what} 'self'`,
  ),
  ...['base-uri', 'form-action', 'frame-ancestors'].map((what) => `${what} 'none'`),
  "require-trusted-types-for 'script'",
  "trusted-types 'none'",
].join('; ');

const HEADERS: Record<string, string> = {
  'content-security-policy': POLICY,
  'x-content-type-options': 'nosniff',
  'x-frame-options': 'DENY',
  'referrer-policy': 'no-referrer',
  'cross-origin-opener-policy': 'same-origin',
  'cross-origin-embedder-policy': 'require-corp',
  'cross-origin-resource-policy': 'same-origin',
  'origin-agent-cluster': '?1',
  'permissions-policy': 'camera=(), microphone=(), geolocation=(), payment=(), usb=()',
};

interface File {
  type: string;
  etag: string;
  /** Its name changes with its content. */
  immutable: boolean;
  /** As it is, or compressed; made when it is first asked for. */
  as(encoding: Encoding): Promise<Buffer>;
}
type Encoding = 'br' | 'gzip' | 'identity';

/** Reads the page into memory. @throws Error when it was not built */
export async function openPage({ folder = BUILT, secure = false } = {}): Promise<Page> {
  const names = await readdir(folder, { recursive: true, withFileTypes: true }).catch(() => []);
  const files = new Map<string, File>();
  for (const entry of names) {
    const type = TYPES[path.extname(entry.name)];
    if (!entry.isFile() || !type) continue;
    const full = path.join(entry.parentPath, entry.name);
    const name = `/${path.relative(folder, full).split(path.sep).join('/')}`;
    files.set(name, fileOf(await readFile(full), type, name.startsWith('/assets/')));
  }
  const index = files.get('/index.html');
  if (!index) throw new Error(`the page is not built: there is no ${path.join(folder, 'index.html')}`);
  const headers = secure ? { ...HEADERS, 'strict-transport-security': 'max-age=63072000' } : HEADERS;

  return {
    handle(request, response) {
      if (request.method !== 'GET' && request.method !== 'HEAD') return false;
      const at = (request.url ?? '/').split('?')[0]!;
      if (OTHERS.test(at)) return false;
      const file = files.get(at) ?? (isView(at, request) ? index : undefined);
      if (!file) return false;
      send(file, request, response, headers).catch(() => response.destroy());
      return true;
    },
  };
}

/** A view of the page has an address of its own, which the page itself reads. */
const isView = (at: string, request: IncomingMessage): boolean =>
  at === '/' || (!path.posix.basename(at).includes('.') && /text\/html/.test(request.headers.accept ?? ''));

function fileOf(bytes: Buffer, type: string, immutable: boolean): File {
  const made = new Map<Encoding, Promise<Buffer>>();
  const make = async (encoding: Encoding): Promise<Buffer> => {
    const small = bytes.length < MIN_COMPRESSED || !COMPRESSIBLE.test(type);
    if (encoding === 'identity' || small) return bytes;
    if (encoding === 'gzip') return promisify(gzip)(bytes, { level: 9 });
    const params = { [constants.BROTLI_PARAM_QUALITY]: 11, [constants.BROTLI_PARAM_SIZE_HINT]: bytes.length };
    return promisify(brotliCompress)(bytes, { params });
  };
  return {
    type,
    immutable,
    etag: createHash('sha256').update(bytes).digest('base64url').slice(0, 22),
    as(encoding) {
      if (!made.has(encoding)) made.set(encoding, make(encoding));
      return made.get(encoding)!;
    },
  };
}

async function send(
  file: File,
  request: IncomingMessage,
  response: ServerResponse,
  headers: Record<string, string>,
): Promise<void> {
  const accepted = encodingOf(`${request.headers['accept-encoding'] ?? ''}`);
  const plain = await file.as('identity');
  const body = await file.as(accepted);
  const encoding = body === plain ? 'identity' : accepted;
  const etag = `"${file.etag}${encoding === 'identity' ? '' : `-${encoding}`}"`;
  const about = {
    ...headers,
    etag,
    vary: 'accept-encoding',
    'cache-control': file.immutable ? 'public, max-age=31536000, immutable' : 'no-cache',
  };
  if (request.headers['if-none-match'] === etag) {
    response.writeHead(304, about).end();
    return;
  }
  response.writeHead(200, {
    ...about,
    'content-type': file.type,
    'content-length': body.length,
    ...(encoding === 'identity' ? {} : { 'content-encoding': encoding }),
  });
  response.end(request.method === 'HEAD' ? undefined : body);
}

/** The best of what the browser takes; q=0 means that it does not. */
function encodingOf(header: string): Encoding {
  const takes = (name: string) =>
    header.split(',').some((part) => {
      const [token, ...rest] = part.trim().split(';');
      return token === name && !/q=0(\.0*)?$/.test(rest.join(';').replaceAll(' ', ''));
    });
  return takes('br') ? 'br' : takes('gzip') ? 'gzip' : 'identity';
}
