import { createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import {
  type Database,
  disableEndpoint,
  recordDelivery,
  takeDueDeliveries,
  type WebhookDelivery,
  type WebhookEndpoint,
} from '@vigil/database';
import type { Clock, Logger } from '@vigil/runtime';
import { type AddressRules, targetOf } from './webhook-address.ts';

export interface WebhookDeps extends AddressRules {
  database: Database;
  clock: Clock;
  logger: Logger;
}

type Due = WebhookDelivery & Pick<WebhookEndpoint, 'url' | 'secret'>;

const SECOND = 1000;
/** From each attempt to the next: about a day in all, as Standard Webhooks proposes. After the last nothing more is tried. */
export const RETRY_MS: readonly number[] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400].map((s) => s * SECOND);
const TIMEOUT_MS = 15 * SECOND;
/** Whoever took a message and died gives it back after this. */
const LEASE_MS = 60 * SECOND;
const BATCH = 16;
const POLL_MS = 1000;
const MAX_ANSWER_BYTES = 64 * 1024;

/** Sends what is due until told to stop. */
export async function runWebhooks(deps: WebhookDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const sent = await sendWebhooks(deps, signal);
    if (sent < BATCH) await Promise.allSettled([deps.clock.sleep(POLL_MS, signal)]);
  }
}

/**
 * Takes what is due now, a bounded number of it, and sends it: at least once each, in no order. Returns how many were tried.
 * An endpoint that is gone (410) is told nothing more until somebody enables it.
 */
export async function sendWebhooks(deps: WebhookDeps, signal?: AbortSignal): Promise<number> {
  const { database, clock, logger } = deps;
  const due = await takeDueDeliveries(database.postgres, { now: clock.now(), leaseMs: LEASE_MS, limit: BATCH });
  await Promise.all(
    due.map(async (message) => {
      const { status, error } = await send(message, deps, signal);
      const now = clock.now();
      const ok = status !== null && status >= 200 && status < 300;
      // Told to stop in the middle: it was no attempt of the other side's.
      if (!ok && signal?.aborted) return;
      const wait = ok || status === 410 ? undefined : RETRY_MS[message.attempts - 1];
      const ended = { deliveredAt: ok ? now : null, failedAt: ok || wait !== undefined ? null : now };
      await recordDelivery(database.postgres, message.id, { status, error, dueAt: wait ? now + wait : null, ...ended });
      if (status === 410) await disableEndpoint(database.postgres, message.endpoint, 'it answered 410 Gone', now);
      if (!ok)
        logger.warn({ message: message.id, endpoint: message.endpoint, status, why: error }, 'a webhook was not taken');
    }),
  );
  return due.length;
}

async function send(
  message: Due,
  { clock, ...rules }: WebhookDeps,
  signal: AbortSignal | undefined,
): Promise<{ status: number | null; error: string | null }> {
  const target = await targetOf(message.url, rules);
  if (!target.ok) return { status: null, error: target.why };
  const timestamp = Math.floor(clock.now() / SECOND);
  const headers = {
    'content-type': 'application/json',
    'user-agent': 'vigil',
    'webhook-id': message.id,
    'webhook-timestamp': String(timestamp),
    'webhook-signature': signatureOf(message.secret, message.id, timestamp, message.payload),
  };
  try {
    const status = await post(target, headers, message.payload, signal);
    const error = status >= 300 && status < 400 ? 'redirections are not followed' : null;
    return { status, error };
  } catch (error) {
    return { status: null, error: (error as Error).message.slice(0, 500) };
  }
}

/** Standard Webhooks 1.0.0, symmetric: HMAC-SHA256 over id, time and body, the secret being what follows `whsec_`. */
export function signatureOf(secret: string, id: string, timestamp: number, body: string): string {
  const key = Buffer.from(secret.replace(/^whsec_/, ''), 'base64');
  return `v1,${createHmac('sha256', key).update(`${id}.${timestamp}.${body}`).digest('base64')}`;
}

/** To the address that was checked, whatever the name means by now. Resolves with the status. */
function post(
  { url, address, family }: Extract<Awaited<ReturnType<typeof targetOf>>, { ok: true }>,
  headers: Record<string, string>,
  body: string,
  signal: AbortSignal | undefined,
): Promise<number> {
  const { promise, resolve, reject } = Promise.withResolvers<number>();
  const request = (url.protocol === 'https:' ? httpsRequest : httpRequest)(url, {
    method: 'POST',
    headers: { ...headers, 'content-length': Buffer.byteLength(body) },
    agent: false,
    lookup: (_host, options, done) => {
      if (options.all) done(null, [{ address, family }]);
      else done(null, address, family);
    },
    signal: AbortSignal.any([AbortSignal.timeout(TIMEOUT_MS), ...(signal ? [signal] : [])]),
  });
  request.on('error', reject);
  request.on('response', (response) => {
    let read = 0;
    response.on('data', (chunk: Buffer) => {
      read += chunk.length;
      if (read > MAX_ANSWER_BYTES) response.destroy();
    });
    response.on('error', () => undefined);
    response.on('close', () => resolve(response.statusCode ?? 0));
  });
  request.end(body);
  return promise;
}
