import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Instance } from '@vigil/pipeline';
import { inTrace, type Logger, parseTraceparent } from '@vigil/runtime';

export interface Door {
  url: string;
  /** Lets in: from now on what stands behind it is asked, and served. */
  lead(behind: Behind, mounted: Mounted | null): void;
  [Symbol.asyncDispose](): Promise<void>;
}

type Behind = Pick<Instance, 'inspect' | 'metrics'>;

/** What else is served at the same address. */
export interface Mounted {
  handle(request: IncomingMessage, response: ServerResponse): void;
}

const STARTING = { ready: false, checks: { start: 'is starting' }, library: [] };

/**
 * The one address of a process: how it is, what it measures, and what is mounted there. Health and metrics are answered to everybody, and by every
 * role. With nothing behind it yet it says that the process is alive, and 503 to all else.
 */
export async function openDoor(
  within: Behind | null,
  options: { host: string; port: number; logger: Logger; mounted: Mounted | null },
): Promise<Door> {
  const { host, port, logger } = options;
  let [behind, mounted] = [within, options.mounted];

  const json = (status: number, body: unknown) => ({ status, type: 'application/json', body: JSON.stringify(body) });
  const pages: Record<string, () => Promise<{ status: number; type: string; body: string }>> = {
    '/health/live': async () => json(200, { status: 'alive' }),
    async '/health/ready'() {
      const health = behind ? await behind.inspect.health() : STARTING;
      return json(health.ready ? 200 : 503, health);
    },
    '/metrics': async () => (behind ? { status: 200, ...(await behind.metrics.expose()) } : json(503, STARTING)),
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?')[0]!;
    const page = request.method === 'GET' || request.method === 'HEAD' ? pages[path] : undefined;
    if (page) {
      const { status, type, body } = await page();
      return answer(response, status, type, body);
    }
    const problem = (status: number, name: string, title: string) => {
      request.resume();
      const body = { type: `urn:vigil:problem:${name}`, title, status, detail: `${request.method} ${path}` };
      answer(response, status, 'application/problem+json', JSON.stringify(body));
    };
    if (!behind) return problem(503, 'unavailable', 'It is starting');
    const { traceparent, tracestate } = request.headers;
    const trace = typeof traceparent === 'string' ? parseTraceparent(traceparent, String(tracestate ?? '')) : null;
    const site = mounted;
    if (site) return inTrace(trace, () => site.handle(request, response));
    problem(404, 'not-found', 'There is no such thing here');
  }

  // Films take as long as they take; headers do not.
  const server = createServer({ requestTimeout: 0, headersTimeout: 30_000 }, (request, response) => {
    serve(request, response).catch((error: unknown) => {
      logger.error({ error }, 'request failed');
      response.destroy();
    });
  });
  const listening = Promise.withResolvers<void>();
  server.once('error', listening.reject);
  server.listen({ host, port }, () => listening.resolve());
  await listening.promise;
  const address = server.address() as AddressInfo;
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return {
    url: `http://${shown}:${address.port}`,
    lead(to, at) {
      [behind, mounted] = [to, at];
    },
    async [Symbol.asyncDispose]() {
      const closed = new Promise((resolve) => server.close(resolve));
      server.closeAllConnections();
      await closed;
    },
  };
}

function answer(response: ServerResponse, status: number, type: string, text: string): void {
  response
    .writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    .end(text);
}
