import { randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo, Socket } from 'node:net';
import { setTimeout as sleep } from 'node:timers/promises';
import type { MediaSource } from './media-source.ts';

/** What a decoder may open while one job runs. */
export interface Share {
  /** Loopback address with 128 random bits in its path. */
  url: string;
  /** Set when the source itself could not be read: the fault of the environment, not of the media. */
  readonly fault: unknown;
  /** Bytes handed out so far. */
  readonly served: number;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface RangeServer {
  share(source: MediaSource): Share;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Reads grow while a decoder reads on, because many a request is left after a few kilobytes to seek elsewhere. */
const FIRST_BYTES = 64 * 1024;
const MOST_BYTES = 1024 * 1024;
/**
 * A socket takes megabytes that its reader never asks for, and many a reader closes it after a look at the head: of the first bytes
 * of a range, each piece waits so long after the one before. A probe of twelve clips of 1.6 to 4.6 MB read 1.2 MB of each instead of
 * 2.4.
 */
const LOOKED_AT_BYTES = 2 ** 20;
const PAUSE_MS = 3;
const MAX_SOCKETS = 256;

interface Shared {
  source: MediaSource;
  stop: AbortController;
  sockets: Set<Socket>;
  fault: unknown;
  served: number;
}

/**
 * Serves ranges of media to decoders of our own over loopback, so that they can seek in an object that lies in a store.
 * Every share has one unguessable path; anything else is 404, and a path is gone when its share is disposed.
 */
export async function openRangeServer(): Promise<RangeServer> {
  const shares = new Map<string, Shared>();
  const server = createServer((request, response) => {
    const shared = shares.get(request.url ?? '');
    if (!shared || request.method !== 'GET') {
      response.writeHead(404, { connection: 'close' }).end();
      return;
    }
    serve(shared, request, response).catch((error: unknown) => {
      if (!shared.stop.signal.aborted && !response.destroyed) shared.fault ??= error;
      response.destroy();
    });
  });
  server.maxConnections = MAX_SOCKETS;
  server.keepAliveTimeout = 1000;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const { port } = server.address() as AddressInfo;

  return {
    share(source) {
      const path = `/${randomBytes(16).toString('hex')}/media`;
      const shared: Shared = { source, stop: new AbortController(), sockets: new Set(), fault: undefined, served: 0 };
      shares.set(path, shared);
      return {
        url: `http://127.0.0.1:${port}${path}`,
        get fault() {
          return shared.fault;
        },
        get served() {
          return shared.served;
        },
        async [Symbol.asyncDispose]() {
          shares.delete(path);
          shared.stop.abort();
          for (const socket of shared.sockets) socket.destroy();
        },
      };
    },
    async [Symbol.asyncDispose]() {
      for (const shared of shares.values()) shared.stop.abort();
      shares.clear();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

async function serve(shared: Shared, request: IncomingMessage, response: ServerResponse): Promise<void> {
  const { source, stop, sockets } = shared;
  const { socket } = request;
  sockets.add(socket);
  response.once('close', () => sockets.delete(socket));
  const range = rangeOf(request.headers.range, source.size);
  const headers = { 'accept-ranges': 'bytes', 'content-type': 'application/octet-stream' };
  if (!range) {
    response.writeHead(416, { ...headers, 'content-range': `bytes */${source.size}`, 'content-length': 0 }).end();
    return;
  }
  const [start, end] = range;
  if (request.headers.range === undefined) response.writeHead(200, { ...headers, 'content-length': end - start });
  else {
    const span = `bytes ${start}-${end - 1}/${source.size}`;
    response.writeHead(206, { ...headers, 'content-range': span, 'content-length': end - start });
  }
  let bytes = FIRST_BYTES;
  const read = (from: number) => {
    const pieces = source.read(from, Math.min(end, from + bytes), stop.signal);
    bytes = Math.min(MOST_BYTES, 2 * bytes);
    pieces.catch(() => undefined); // it may be waited for too late, or never
    return pieces;
  };
  let next = start < end ? read(start) : null;
  for (let at = start; next; ) {
    const pieces = await next;
    if (response.destroyed) return;
    const length = pieces.reduce((sum, piece) => sum + piece.length, 0);
    if (length === 0) throw new Error(`the source ended at ${at} of ${source.size} bytes`);
    at += length;
    shared.served += length;
    const pauses = at - start < LOOKED_AT_BYTES && at < end;
    next = at < end && !pauses ? read(at) : null; // while this one is on its way
    // In one go, but not in one piece.
    response.cork();
    const isRoom = pieces.map((piece) => response.write(piece)).at(-1);
    response.uncork();
    if (!isRoom && !response.destroyed) await drained(response);
    if (!pauses) continue;
    await sleep(PAUSE_MS);
    if (response.destroyed) return;
    next = read(at);
  }
  response.end();
}

function drained(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = () => {
      response.off('drain', done).off('close', done);
      resolve();
    };
    response.once('drain', done).once('close', done);
  });
}

/** [start, end) of a single-range header; everything when there is none, null when it cannot be satisfied. */
function rangeOf(header: string | undefined, size: number): [number, number] | null {
  if (header === undefined) return [0, size];
  const match = /^bytes=(\d+)-(\d*)$/.exec(header);
  if (!match) return null;
  const start = Number(match[1]);
  const end = match[2] ? Math.min(size, Number(match[2]) + 1) : size;
  return start < end ? [start, end] : null;
}
