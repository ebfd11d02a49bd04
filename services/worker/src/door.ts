import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Instance } from '@vigil/pipeline';
import type { Logger } from '@vigil/runtime';

export interface Door {
  url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** What else is served at the same address. */
export interface Mounted {
  handle(request: IncomingMessage, response: ServerResponse): void;
}

/**
 * The one address of a process: how it is, and what is mounted there. Health is answered to everybody, and by every role.
 */
export async function openDoor(
  { inspect }: Pick<Instance, 'inspect'>,
  options: { host: string; port: number; logger: Logger; mounted: Mounted | null },
): Promise<Door> {
  const { host, port, logger, mounted } = options;

  const pages: Record<string, () => Promise<{ status: number; body: unknown }>> = {
    '/health/live': async () => ({ status: 200, body: { status: 'alive' } }),
    async '/health/ready'() {
      const health = await inspect.health();
      return { status: health.ready ? 200 : 503, body: health };
    },
  };

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const path = (request.url ?? '/').split('?')[0]!;
    const page = request.method === 'GET' || request.method === 'HEAD' ? pages[path] : undefined;
    if (page) {
      const { status, body } = await page();
      return answer(response, status, 'application/json', body);
    }
    if (mounted) return mounted.handle(request, response);
    request.resume();
    const problem = { type: 'urn:vigil:problem:not-found', title: 'There is no such thing here', status: 404 };
    answer(response, 404, 'application/problem+json', { ...problem, detail: `${request.method} ${path}` });
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

function answer(response: ServerResponse, status: number, type: string, body: unknown): void {
  const text = JSON.stringify(body);
  response
    .writeHead(status, {
      'content-type': type,
      'content-length': Buffer.byteLength(text),
      'cache-control': 'no-store',
      'x-content-type-options': 'nosniff',
    })
    .end(text);
}
