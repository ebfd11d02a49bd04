import { createHash } from 'node:crypto';
import type { IncomingMessage, ServerResponse } from 'node:http';
import { finished, PassThrough, Readable } from 'node:stream';
import helmet from '@fastify/helmet';
import rateLimit from '@fastify/rate-limit';
import { derivedId } from '@vigil/contracts';
import type { BegunRequest, Database } from '@vigil/database';
import { IntakeStopped } from '@vigil/pipeline';
import type { Clock, Logger } from '@vigil/runtime';
import Fastify, { type FastifyInstance, type FastifyReply, type FastifyRequest } from 'fastify';
import { z } from 'zod';
import { once } from './idempotent.ts';
import { mustBeAllowed, type Principal } from './principal.ts';
import { PROBLEM_MEDIA_TYPE, Problem } from './problem.ts';
import { type Answer, type Context, isStream, type Route } from './route.ts';
import type { Asking } from './sessions.ts';
import type { OpenRoute } from './sign-in.ts';

export interface AppOptions {
  routes: readonly Route[];
  /** Answered to everybody: documents. */
  pages: Readonly<Record<string, { type: string; body: string }>>;
  /** What the page asks before anybody is known. */
  open: readonly OpenRoute[];
  authenticate(asking: Asking): Promise<Principal>;
  database: Database;
  clock: Clock;
  logger: Logger;
  publicUrl: string | null;
  requestsPerMinute: number;
  maxMediaBytes: number;
}

export interface App {
  handle(request: IncomingMessage, response: ServerResponse): void;
  [Symbol.asyncDispose](): Promise<void>;
}

const METHODS = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS']);
/** Of open routes; a name that stands twice in a query comes as a list. */
const OnceEach = z.record(z.string(), z.string());
const MAX_DEPTH = 32;
const MAX_JSON_BYTES = 256 * 1024;
/** Requests without a valid key, and ways to the provider that are begun, an address and a minute. */
const STRANGERS_PER_MINUTE = 120;
/** Where keys may ask far more than by default, a fiftieth of that. */
const STRANGERS_SHARE = 1 / 50;

/** The routes as HTTP: reading, checking, limits, problems, ETags, idempotency. What a route does is its own. */
export async function createApp(options: AppOptions): Promise<App> {
  const { routes, pages, authenticate, clock, logger } = options;
  const app = Fastify({
    logger: false,
    requestTimeout: 0,
    bodyLimit: MAX_JSON_BYTES,
    routerOptions: { maxParamLength: 300 },
  });
  await app.register(helmet, {
    contentSecurityPolicy: {
      useDefaults: false,
      directives: {
        defaultSrc: ["'none'"],
        styleSrc: ["'unsafe-inline'"],
        frameAncestors: ["'none'"],
        baseUri: ["'none'"],
      },
    },
    frameguard: { action: 'deny' },
    // Whether this is spoken over TLS is known in front of us, not here.
    strictTransportSecurity: false,
  });
  await app.register(rateLimit, { global: false });
  const known = app.createRateLimit({
    max: options.requestsPerMinute,
    timeWindow: 60_000,
    keyGenerator: (request) => whoOf(request).id,
  });
  const strangers = app.createRateLimit({
    max: Math.max(STRANGERS_PER_MINUTE, Math.floor(options.requestsPerMinute * STRANGERS_SHARE)),
    timeWindow: 60_000,
    // By address, as is the default; of IPv6 by network, where one stranger has as many addresses as they like.
  });
  app.decorateRequest('who', null);
  app.setErrorHandler((error, request, reply) => {
    // Fastify knows methods that nothing here has, and asks them for a body before it looks for a route.
    problem(reply, METHODS.has(request.method) ? problemOf(error, logger) : nothingThere(request));
  });
  app.setNotFoundHandler((request, reply) => problem(reply, nothingThere(request)));
  function nothingThere(request: FastifyRequest): Problem {
    const path = request.url.split('?')[0]!;
    const asked = `${request.method} ${path}`;
    const matching = routes.filter((r) => pathMatches(r.path, path));
    // A path of its own says more than one that has a parameter there.
    const exact = matching.filter((r) => r.path === path);
    const others = (exact.length > 0 ? exact : matching).map((r) => r.method);
    if (others.length === 0) return new Problem('not-found', asked);
    return new Problem('method-not-allowed', asked, {}, { allow: [...new Set(others)].join(', ') });
  }
  for (const [path, { type, body }] of Object.entries(pages))
    app.get(path, (_request, reply) => reply.type(type).send(body));

  async function countStranger(request: FastifyRequest): Promise<void> {
    // Whoever has gone already has no address any more, and reads no answer.
    if (request.ip === undefined) throw new Problem('unavailable', 'the connection is gone');
    limit(await strangers(request));
  }

  /** Whoever guesses is limited, whoever has a key is not. */
  async function slowDown(request: FastifyRequest, error: unknown): Promise<void> {
    if (error instanceof Problem && error.type === 'unauthenticated') await countStranger(request);
  }

  async function identify(request: FastifyRequest): Promise<void> {
    try {
      (request as Asked).who = await authenticate(request);
    } catch (error) {
      await slowDown(request, error);
      throw error;
    }
    limit(await known(request));
  }

  function add(scope: FastifyInstance, it: Route): void {
    const query = it.query && z.strictObject(it.query.shape);
    scope.route({
      method: it.method,
      url: it.path.replaceAll(/\{(\w+)\}/g, ':$1'),
      ...(isStream(it.body) ? {} : { bodyLimit: it.maxBytes ?? MAX_JSON_BYTES }),
      onRequest: async (request) => {
        await identify(request);
        mustBeAllowed(whoOf(request), it.verb);
      },
      handler: (request, reply) => respond(it, query, request, reply),
    });
  }
  await app.register(async (scope) => {
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser(['application/json', 'application/merge-patch+json'], { parseAs: 'buffer' }, raw);
    for (const it of routes) if (!isStream(it.body)) add(scope, it);
    for (const it of options.open) {
      scope.route({ method: it.method, url: it.path, handler: (request, reply) => respondOpen(it, request, reply) });
    }
  });
  await app.register(async (scope) => {
    // Of any type, and streamed: never held in memory.
    scope.removeAllContentTypeParsers();
    scope.addContentTypeParser('*', (_request, payload, ready) => ready(null, payload));
    for (const it of routes) if (isStream(it.body)) add(scope, it);
  });

  async function respond(
    it: Route,
    query: z.ZodObject | undefined,
    request: FastifyRequest,
    reply: FastifyReply,
  ): Promise<unknown> {
    const who = whoOf(request);
    const key = it.method === 'POST' ? headerOf(request, 'idempotency-key') : undefined;
    const now = clock.now();
    const { body, digest } = bodyOf(it, request, options.maxMediaBytes);
    const read = () => ({
      params: it.params?.parse(request.params) ?? {},
      query: query?.parse(request.query) ?? {},
      body: it.body && !isStream(it.body) ? it.body.parse(body) : body,
    });
    const run = (begun: BegunRequest) => it.run(read() as never, contextOf(request, begun, now, options.publicUrl));
    const { answer, repeated } =
      key === undefined
        ? { answer: await run({ seed: crypto.randomUUID(), cutOff: null }), repeated: false }
        : await once(options.database, {
            principal: who.id,
            key,
            request: `${request.method} ${request.url}`,
            now,
            status: it.answer.status,
            secret: it.secret ?? [],
            run,
            digest,
            early: !isStream(it.body),
            unkept: (error) => logger.warn({ error }, 'an answer could not be kept: asked again, it is found again'),
          });
    if (repeated) reply.header('idempotency-replayed', 'true');
    return send(it, request, reply, answer);
  }

  async function respondOpen(it: OpenRoute, request: FastifyRequest, reply: FastifyReply): Promise<unknown> {
    try {
      if (it.counted) await countStranger(request);
      const { method, headers } = request;
      const base = options.publicUrl ?? `${request.protocol}://${request.host}`;
      const query = OnceEach.parse(request.query);
      const answer = await it.run({ method, headers, base, query, body: jsonOf(request) });
      reply
        .code(answer.status ?? 200)
        .headers(answer.headers ?? {})
        .header('cache-control', 'no-store');
      return answer.body === undefined
        ? reply.send()
        : reply.type('application/json').send(JSON.stringify(answer.body));
    } catch (error) {
      await slowDown(request, error);
      throw error;
    }
  }

  await app.ready();
  return {
    handle: (request, response) => app.routing(request, response),
    [Symbol.asyncDispose]: () => app.close(),
  };
}

type Asked = FastifyRequest & { who: Principal | null };
const whoOf = (request: FastifyRequest): Principal => (request as Asked).who!;

function limit(found: Awaited<ReturnType<ReturnType<FastifyInstance['createRateLimit']>>>): void {
  if (found.isAllowed || !found.isExceeded) return;
  const after = { 'retry-after': `${Math.max(1, found.ttlInSeconds)}` };
  throw new Problem('too-many-requests', `more than ${found.max} a minute`, {}, after);
}

const headerOf = (request: FastifyRequest, name: string): string | undefined => {
  const value = request.headers[name];
  return Array.isArray(value) ? value[0] : value;
};

function raw(_request: FastifyRequest, body: string | Buffer, ready: (error: Error | null, value?: unknown) => void) {
  ready(null, body);
}

function send(it: Route, request: FastifyRequest, reply: FastifyReply, answer: Answer): unknown {
  const etag = answer.version === undefined ? null : `"${answer.version}"`;
  if (etag) reply.header('etag', etag);
  reply.headers(answer.headers ?? {}).header('cache-control', 'private, no-cache');
  if (etag && request.method === 'GET' && tagsOf(request.headers['if-none-match']).includes(etag))
    return reply.code(304).send();
  reply.code(it.answer.ranges ? (answer.status ?? it.answer.status) : it.answer.status);
  if (answer.body === undefined) return reply.send();
  const type = answer.headers?.['content-type'] ?? it.answer.type ?? 'application/json';
  if (request.method === 'HEAD' && answer.body instanceof Readable) {
    // Nobody gets it: a film is not read for that, and what has no end is not kept open.
    answer.body.destroy();
    return reply.type(`${type}`).send(Readable.from([]));
  }
  return reply.type(`${type}`).send(type === 'application/json' ? JSON.stringify(answer.body) : answer.body);
}

const tagsOf = (header: string | undefined): string[] =>
  (header ?? '').split(',').map((tag) => tag.trim().replace(/^W\//, ''));

function contextOf(request: FastifyRequest, begun: BegunRequest, now: number, publicUrl: string | null): Context {
  const who = whoOf(request);
  let made = 0;
  return {
    who,
    now,
    header: (name) => headerOf(request, name),
    base: publicUrl ?? `${request.protocol}://${request.host}`,
    newId: (prefix) => derivedId(prefix, begun.seed, made++),
    cutOff: begun.cutOff,
    mustMatch(version) {
      const given = headerOf(request, 'if-match');
      if (given === undefined) {
        throw new Problem('precondition-required', `send the ETag that you have seen: if-match: "${version}"`);
      }
      if (given.trim() !== '*' && !tagsOf(given).includes(`"${version}"`))
        throw new Problem('changed-meanwhile', `it is now version "${version}": read it again`);
    },
  };
}

/** The body as its route reads it, and the digest of its bytes. */
function bodyOf(it: Route, request: FastifyRequest, maxMediaBytes: number) {
  const sha = createHash('sha256');
  if (!isStream(it.body)) {
    const bytes = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
    const body = jsonOf(request);
    if (body === undefined && it.body && !it.body.safeParse(undefined).success)
      throw new Problem('bad-request', 'the request has no body: send JSON');
    return { body, digest: async () => sha.copy().update(bytes).digest('hex') };
  }
  const stream = request.body as Readable | undefined;
  if (!stream) throw new Problem('bad-request', 'the request has no body: send the file itself');
  const max = it.maxBytes ?? maxMediaBytes;
  const body = limited(stream, max, (chunk) => sha.update(chunk));
  const digest = async () => {
    if (!body.readableEnded && !body.destroyed) for await (const _ of body);
    return sha.copy().digest('hex');
  };
  return { body, digest };
}

function jsonOf(request: FastifyRequest): unknown {
  const bytes = (request.body as Buffer | undefined) ?? Buffer.alloc(0);
  let body: unknown;
  try {
    body = bytes.length > 0 ? JSON.parse(bytes.toString('utf8')) : undefined;
  } catch {
    throw new Problem('bad-request', 'the body is not JSON');
  }
  const why = refusalOf(body);
  if (why) throw new Problem('bad-request', why);
  return body;
}

/** What the database refuses is refused here, and said: strings, names too, that are no text. And what nobody means. */
function refusalOf(value: unknown, depth = 0): string | null {
  if (typeof value === 'string') {
    return value.isWellFormed() && !value.includes('\0') ? null : 'no NUL and no half of a surrogate pair in strings';
  }
  if (value === null || typeof value !== 'object') return null;
  if (depth === MAX_DEPTH) return `nested deeper than ${MAX_DEPTH}`;
  for (const one of Array.isArray(value) ? value : Object.entries(value).flat()) {
    const why = refusalOf(one, depth + 1);
    if (why) return why;
  }
  return null;
}

/** The same bytes, ending in an error as soon as there are more than `max` of them. */
function limited(body: Readable, max: number, see: (chunk: Buffer) => void): Readable {
  let size = 0;
  const out = new PassThrough();
  // Whoever reads it is told; nobody may read it yet when the sender goes away, and that ends no process.
  out.on('error', () => undefined);
  body.on('data', (chunk: Buffer) => {
    size += chunk.length;
    see(chunk);
    if (size > max) {
      out.destroy(new Problem('too-large', `more than ${max} bytes`));
      body.unpipe(out);
      body.resume();
    }
  });
  // Also of one that had gone away before it came to this.
  finished(body, (error) => error && out.destroy(new Error('the sender went away', { cause: error })));
  return body.pipe(out);
}

function problem(reply: FastifyReply, it: Problem): FastifyReply {
  return reply
    .code(it.status)
    .headers(it.headers)
    .header('cache-control', 'no-store')
    .type(PROBLEM_MEDIA_TYPE)
    .send(JSON.stringify(it));
}

/** Whatever was thrown, as a problem. What is nobody's mistake but ours is logged, and says nothing of our insides. */
function problemOf(error: unknown, logger: Logger): Problem {
  if (error instanceof Problem) return error;
  if (error instanceof z.ZodError) {
    const errors = error.issues.map((i) => ({ at: i.path.join('.'), detail: i.message }));
    return new Problem('bad-request', z.prettifyError(error), { errors });
  }
  if (error instanceof IntakeStopped) return new Problem('storage-full', error.message, {}, { 'retry-after': '60' });
  const { statusCode, message, retriable } = error as { statusCode?: number; message: string; retriable?: boolean };
  if (statusCode === 413) return new Problem('too-large', message);
  if (statusCode === 415) return new Problem('unsupported-type', message);
  if (statusCode && statusCode >= 400 && statusCode < 500) return new Problem('bad-request', message);
  logger.error({ error }, 'request failed');
  return retriable
    ? new Problem('unavailable', 'try it again', {}, { 'retry-after': '2' })
    : new Problem('failed', 'it is in the log; nothing was changed by halves');
}

function pathMatches(pattern: string, path: string): boolean {
  const [a, b] = [pattern.split('/'), path.split('/')];
  return a.length === b.length && a.every((part, n) => (part.startsWith('{') ? b[n] !== '' : part === b[n]));
}
