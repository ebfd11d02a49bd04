import type { AddressInfo } from 'node:net';
import { PassThrough, type Readable } from 'node:stream';
import type { Instance } from '@vigil/pipeline';
import type { Logger } from '@vigil/runtime';
import Fastify, { type FastifyInstance, type FastifyReply } from 'fastify';
import { z } from 'zod';
import { fleetRoutes } from './fleet-routes.ts';

export interface Door {
  url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

export type App = FastifyInstance;
/** Answers with problem details. */
export type Problem = (
  reply: FastifyReply,
  status: number,
  type: string,
  title: string,
  detail: string,
) => FastifyReply;

const About = z.object({
  name: z.string().min(1).max(500),
  account: z.string().min(1).max(200).optional(),
  title: z.string().min(1).max(500).optional(),
  holder: z.string().min(1).max(200).optional(),
});

/**
 * The local way in: files go in, verdicts and traces can be looked up. It has no keys of its own, so it listens on
 * loopback unless told otherwise. Errors are RFC 9457 problem details.
 */
export async function openDoor(
  { intake, inspect, layouts }: Pick<Instance, 'intake' | 'inspect' | 'layouts'>,
  options: { host: string; port: number; maxBytes: number; logger: Logger },
): Promise<Door> {
  const { host, port, maxBytes, logger } = options;
  const app = Fastify({ logger: false, forceCloseConnections: true, requestTimeout: 0 });
  // Bodies are media of any type: they are streamed to the store, never held in memory.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, ready) => ready(null, payload));

  const problem: Problem = (reply, status, type, title, detail) =>
    reply
      .code(status)
      .type('application/problem+json')
      .send({ type: `urn:vigil:problem:${type}`, title, status, detail });

  app.setErrorHandler((error: Error & { statusCode?: number }, _request, reply) => {
    if (error instanceof z.ZodError)
      return problem(reply, 400, 'bad-query', 'The query is not understood', z.prettifyError(error));
    if (error instanceof TooLarge) return problem(reply, 413, 'too-large', 'The file is too large', error.message);
    const status = error.statusCode ?? ('retriable' in error && error.retriable ? 503 : 500);
    if (status >= 500) logger.error({ error }, 'request failed');
    return problem(reply, status, status === 503 ? 'unavailable' : 'failed', 'The request failed', error.message);
  });
  app.setNotFoundHandler((request, reply) =>
    problem(reply, 404, 'not-found', 'There is no such thing here', `${request.method} ${request.url}`),
  );

  app.post('/v1/uploads', async (request, reply) => {
    const { name, account } = About.parse(request.query);
    const body = limited(bodyOf(request.body), maxBytes);
    return reply.code(202).send(await intake.upload(name, body, account ? { account } : {}));
  });
  app.get<{ Params: { id: string } }>('/v1/uploads/:id', async (request, reply) => {
    const found = await inspect.upload(request.params.id);
    return found ?? problem(reply, 404, 'not-found', 'No such upload', request.params.id);
  });
  app.get<{ Params: { id: string } }>('/v1/uploads/:id/trace', async (request, reply) => {
    const found = await inspect.trace(request.params.id);
    return found ?? problem(reply, 404, 'not-found', 'No such upload', request.params.id);
  });
  app.post('/v1/references', async (request, reply) => {
    const { name, title, holder } = About.parse(request.query);
    const body = limited(bodyOf(request.body), maxBytes);
    const about = { ...(title ? { title } : {}), ...(holder ? { holder } : {}) };
    return reply.code(202).send(await intake.reference(name, body, about));
  });
  app.get('/v1/references', async () => ({ references: await inspect.references() }));
  app.get<{ Params: { id: string } }>('/v1/references/:id', async (request, reply) => {
    const found = (await inspect.references()).find((r) => r.id === request.params.id);
    return found ?? problem(reply, 404, 'not-found', 'No such reference', request.params.id);
  });
  fleetRoutes(app, layouts, problem);
  app.get('/health/live', async () => ({ status: 'alive' }));
  app.get('/health/ready', async (_request, reply) => {
    const health = await inspect.health();
    return reply.code(health.ready ? 200 : 503).send(health);
  });

  await app.listen({ host, port });
  const address = app.server.address() as AddressInfo;
  const shown = address.family === 'IPv6' ? `[${address.address}]` : address.address;
  return { url: `http://${shown}:${address.port}`, [Symbol.asyncDispose]: () => app.close() };
}

class TooLarge extends Error {
  override name = 'TooLarge';
}

function bodyOf(body: unknown): Readable {
  if (!body) throw Object.assign(new Error('the request has no body: send the file itself'), { statusCode: 400 });
  return body as Readable;
}

/** The same bytes, ending in an error as soon as there are more than `max` of them. */
function limited(body: Readable, max: number): Readable {
  let size = 0;
  const out = new PassThrough();
  body.on('data', (chunk: Buffer) => {
    size += chunk.length;
    if (size > max) {
      const error = new TooLarge(`more than ${max} bytes`);
      out.destroy(error);
      body.unpipe(out);
      body.resume();
    }
  });
  body.on('error', (error) => out.destroy(error));
  body.on('aborted', () => out.destroy(new Error('the sender went away')));
  return body.pipe(out);
}
