import { once } from 'node:events';
import { createServer, type IncomingMessage, request, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Transform } from 'node:stream';

/** What befalls a request: nothing; an answer of the proxy's own; or nothing moves, until it is lifted. */
export type RequestFault = 'none' | 'stall' | { status: number; body: string };

export interface HttpProxy {
  /** `http://127.0.0.1:port`. */
  url: string;
  /** From now on; requests that stall, and bodies under way, are looked at again. */
  set(fault: (path: string) => RequestFault): void;
  /** Requests that a fault has befallen. */
  readonly befallen: number;
  /** Requests that went through. */
  readonly passed: number;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A way to another HTTP server that can be made bad by path. Headers go through as they are, so signatures hold. */
export async function openHttpProxy(to: string): Promise<HttpProxy> {
  const { hostname, port } = new URL(to);
  let faultOf: (path: string) => RequestFault = () => 'none';
  let changed = Promise.withResolvers<void>();
  const counts = { befallen: 0, passed: 0 };

  /** The fault that is left when stalling is over. */
  async function afterStall(path: string, gone: AbortSignal): Promise<Exclude<RequestFault, 'stall'>> {
    for (;;) {
      const fault = faultOf(path);
      if (fault !== 'stall') return fault;
      const left = Promise.withResolvers<void>();
      gone.addEventListener('abort', () => left.resolve(), { once: true });
      await Promise.race([changed.promise, left.promise]);
      if (gone.aborted) return 'none';
    }
  }

  const server = createServer(async (near, answer) => {
    const path = near.url ?? '/';
    const gone = new AbortController();
    answer.on('close', () => gone.abort());
    near.on('error', () => gone.abort());
    if (faultOf(path) !== 'none') counts.befallen++;
    const fault = await afterStall(path, gone.signal);
    if (gone.signal.aborted) return;
    if (fault !== 'none') {
      near.resume();
      answer.writeHead(fault.status, { 'content-type': 'application/xml', connection: 'close' }).end(fault.body);
      return;
    }
    counts.passed++;
    pass(near, answer, path, gone.signal);
  });

  function pass(near: IncomingMessage, answer: ServerResponse, path: string, gone: AbortSignal): void {
    const options = { hostname, port, path, method: near.method, headers: near.headers, setHost: false, signal: gone };
    const far = request(options, (heard) => {
      answer.writeHead(heard.statusCode ?? 502, heard.statusMessage, heard.headers);
      const slow = new Transform({
        transform(chunk, _, done) {
          void afterStall(path, gone).then(() => done(null, chunk));
        },
      });
      heard.on('error', () => answer.destroy());
      heard.pipe(slow).pipe(answer);
    });
    far.on('error', () => answer.destroy());
    near.pipe(far);
  }

  // Whoever stalls for minutes is not to be cut by us.
  server.requestTimeout = 0;
  server.headersTimeout = 0;
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    set(fault) {
      faultOf = fault;
      changed.resolve();
      changed = Promise.withResolvers();
    },
    get befallen() {
      return counts.befallen;
    },
    get passed() {
      return counts.passed;
    },
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}
