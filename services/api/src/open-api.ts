import type { IncomingMessage, ServerResponse } from 'node:http';
import {
  endReferenceUpload,
  expiredReferenceUploads,
  purgeIdempotent,
  purgeLocks,
  purgeSessions,
} from '@vigil/database';
import { BLOBS_PATH, type Instance, REFERENCE_BUCKET } from '@vigil/pipeline';
import { type Config, type Logger, realClock } from '@vigil/runtime';
import { createApp } from './app.ts';
import { createAuthenticate } from './credentials.ts';
import { docsPage } from './docs-page.ts';
import { IDEMPOTENCY_KEPT_MS } from './idempotent.ts';
import { createIdentities } from './identities.ts';
import { createLiveFeed } from './live-feed.ts';
import { createLiveStatus } from './live-status.ts';
import { openApiDocument } from './openapi.ts';
import { keepOperatorKey } from './operator-key.ts';
import { routesOf } from './routes.ts';
import { createSessions } from './sessions.ts';
import { type Invitation, invite, signInRoutes } from './sign-in.ts';

export const API_VERSION = '1.0.0';
const TIDY_MS = 10 * 60_000;
/** Who was signed in, and who made which link, can be looked up for so long. */
const SESSIONS_KEPT_MS = 30 * 24 * 3600 * 1000;

/** The API of a running instance, to be mounted in a server. */
export interface Api {
  handle(request: IncomingMessage, response: ServerResponse): void;
  /** Makes a link that signs somebody in at the page, once and within the hour: its path, with the secret behind the #. */
  invite(whom: Invitation): Promise<{ path: string; expiresAt: number }>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Opens the API, and sees to it that the data folder holds a key for whoever runs it. */
export async function openApi(instance: Instance, about: { config: Config; logger: Logger }): Promise<Api> {
  const { config, logger } = about;
  const { database, blobs, serveBlobs } = instance;
  const clock = realClock;
  const feed = createLiveFeed({ database, clock, logger });
  const live = { feed, status: createLiveStatus({ ...instance, clock }) };
  const routes = routesOf({ ...instance, live, maxBytes: config.limits.maxVideoBytes });
  const document = openApiDocument(routes, API_VERSION);
  const identities = config.api.oidc && createIdentities(config.api.oidc);
  const secure = config.api.publicUrl?.startsWith('https:') ?? false;
  // Cookies are taken where there is a page to sign in at, and nowhere else.
  const sessions = config.roles.includes('console') ? createSessions({ database, clock, secure }) : null;
  const app = await createApp({
    routes,
    open: sessions ? signInRoutes({ database, clock, sessions, identities, secure }) : [],
    pages: {
      '/openapi.json': { type: 'application/json', body: JSON.stringify(document) },
      '/docs': { type: 'text/html; charset=utf-8', body: docsPage(document) },
    },
    authenticate: createAuthenticate({ database, clock, identities, sessions }),
    database,
    clock,
    logger,
    publicUrl: config.api.publicUrl,
    requestsPerMinute: config.api.requestsPerMinute,
    maxMediaBytes: config.limits.maxVideoBytes,
  });
  await keepOperatorKey(database, config.dataFolder, clock);

  /** What nobody will ask for any more. */
  async function tidy(): Promise<void> {
    const now = clock.now();
    await purgeIdempotent(database.postgres, now - IDEMPOTENCY_KEPT_MS);
    await purgeSessions(database.postgres, { before: now - SESSIONS_KEPT_MS, now });
    await purgeLocks(database.postgres, now);
    for (const { id, objectKey, storeId } of await expiredReferenceUploads(database.postgres, now)) {
      await blobs.parts.abandon(REFERENCE_BUCKET, objectKey, storeId);
      await endReferenceUpload(database.postgres, id, { state: 'abandoned' });
    }
  }
  const timer = setInterval(() => {
    tidy().catch((error: unknown) => logger.warn({ error }, 'tidying the API up failed: tried again later'));
  }, TIDY_MS);
  timer.unref();

  return {
    invite: (whom) => invite(database.postgres, whom, clock.now()),
    handle(request, response) {
      if (!serveBlobs || !request.url?.startsWith(BLOBS_PATH)) return app.handle(request, response);
      serveBlobs(request, response).then(
        (ours) => ours || app.handle(request, response),
        (error: unknown) => {
          logger.error({ error }, 'request failed');
          response.destroy();
        },
      );
    },
    async [Symbol.asyncDispose]() {
      clearInterval(timer);
      await feed[Symbol.asyncDispose]();
      await app[Symbol.asyncDispose]();
    },
  };
}
