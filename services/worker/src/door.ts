import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Instance } from '@vigil/pipeline';
import { inTrace, type Logger, parseTraceparent } from '@vigil/runtime';

export interface Door {
  url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What else is served at the same address. */
export interface Mounted {
  handle(request: IncomingMessage, response: ServerResponse): void;
}

/**
 * The one address of a process: how it is, what it measures, and what is mounted there. Health and metrics are answered to everybody, and by every
 * role.
 */
export async function openDoor(
  { inspect, metrics }: Pick<Instance, 'inspect' | 'metrics'>,
  options: { host: string; port: number; logger: Logger; mounted: Mounted | null },
): Promise<Door> {
  const { host, port, logger, mounted } = options;

  const json = (status: number, body: unknown) => ({ status, type: 'application/json', body: JSON.stringify(body) });
  const pages: Record<string, () => Promise<{ status: number; type: string; body: string }>> = {
    '/health/live': async () => json(200, { status: 'alive' }),
    async '/health/ready'() {
      const health = await inspect.health();
      return json(health.ready ? 200 : 503, health);
    },
    '/metrics': async () => ({ status: 200, ...(await metrics.expose()) }),
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?')[0]!;
    const page = request.method === 'GET' || request.method === 'HEAD' ? pages[path] : undefined;
    if (page) {
      const { status, type, body } = await page();
      return answer(response, status, type, body);
    }
    const { traceparent, tracestate } = request.headers;
    const trace = typeof traceparent === 'string' ? parseTraceparent(traceparent, String(tracestate ?? '')) : null;
    if (mounted) return inTrace(trace, () => mounted.handle(request, response));
    request.resume();
    const problem = { type: 'urn:vigil:problem:not-found', title: 'There is no such thing here', status: 404 };
    const body = JSON.stringify({ ...problem, detail: `${request.method} ${path}` });
    answer(response, 404, 'application/problem+json', body);
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
