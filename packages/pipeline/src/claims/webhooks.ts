import { createHmac } from 'node:crypto';
import { request as httpRequest } from 'node:http';
import { request as httpsRequest } from 'node:https';
import { derivedId } from '@vigil/contracts';
import {
  type Database,
  disableEndpoint,
  endpointAnswered,
  endpointFailed,
  enqueueDelivery,
  recordDelivery,
  takeDueDeliveries,
  type WebhookDelivery,
  type WebhookEndpoint,
} from '@vigil/database';
import type { Clock, Logger } from '@vigil/runtime';
import { sendAlarm } from '../send-output.ts';
import { type AddressRules, targetOf } from './webhook-address.ts';

export interface WebhookDeps extends AddressRules {
  database: Database;
  clock: Clock;
  logger: Logger;
}

type Due = WebhookDelivery & Pick<WebhookEndpoint, 'url' | 'secret'>;

const SECOND = 1000;
const DAY = 24 * 3600 * SECOND;
/** From each attempt to the next: about a day in all, as Standard Webhooks proposes. After the last nothing more is tried. */
export const RETRY_MS: readonly number[] = [5, 300, 1800, 7200, 18_000, 36_000, 50_400].map((s) => s * SECOND);
/** How long an endpoint that took nothing is left alone, by failures in a row: whatever else waits for it is not tried and lost. */
const PAUSES_MS: readonly number[] = [5, 30, 60, 300].map((s) => s * SECOND);
/** An endpoint that took nothing for so long is told nothing more, and its holder that it is so. */
export const GIVE_UP_MS = 5 * DAY;
const TIMEOUT_MS = 15 * SECOND;
/** Whoever took a message and died gives it back after this. */
const LEASE_MS = 60 * SECOND;
/** Under way at once, to all and to one: one that hangs keeps a few of them, and nobody else waits. */
const OPEN = 64;
const OPEN_EACH = 4;
const POLL_MS = 1000;
const MAX_ANSWER_BYTES = 64 * 1024;

/** Sends what is due until told to stop. @throws what the database throws */
export async function runWebhooks(deps: WebhookDeps, signal: AbortSignal): Promise<void> {
  const open = new Set<Promise<void>>();
  const busy = new Map<string, number>();
  const broken: unknown[] = [];
  while (!signal.aborted && broken.length === 0) {
    const without = [...busy].filter(([, n]) => n >= OPEN_EACH).map(([endpoint]) => endpoint);
    const due = open.size < OPEN ? await takeDue(deps, OPEN - open.size, without) : [];
    for (const message of due) {
      const { endpoint } = message;
      busy.set(endpoint, (busy.get(endpoint) ?? 0) + 1);
      const task = deliver(message, deps, signal)
        .catch((error: unknown) => void broken.push(error))
        .finally(() => {
          open.delete(task);
          const left = busy.get(endpoint)! - 1;
          if (left > 0) busy.set(endpoint, left);
          else busy.delete(endpoint);
        });
      open.add(task);
    }
    const pause = deps.clock.sleep(POLL_MS, signal).catch(() => undefined);
    // What has room again is filled at once; where nothing was due, it is looked again after a while.
    await (due.length > 0 ? Promise.race([pause, ...open]) : pause);
  }
  await Promise.all(open);
  if (broken.length > 0) throw broken[0];
}

/** Takes what is due now, a bounded number of it, and sends it: at least once each, in no order. Returns how many were tried. */
export async function sendWebhooks(deps: WebhookDeps, signal?: AbortSignal): Promise<number> {
  const due = await takeDue(deps, OPEN, []);
  await Promise.all(due.map((message) => deliver(message, deps, signal)));
  return due.length;
}

const takeDue = ({ database, clock }: WebhookDeps, limit: number, without: readonly string[]): Promise<Due[]> =>
  takeDueDeliveries(database.postgres, {
    ...{ now: clock.now(), leaseMs: LEASE_MS, limit, perEndpoint: OPEN_EACH, without },
  });

/** An endpoint that is gone (410), or that took nothing for days, is told nothing more until somebody enables it. */
async function deliver(message: Due, deps: WebhookDeps, signal: AbortSignal | undefined): Promise<void> {
  const { database, clock, logger } = deps;
  const db = database.postgres;
  const { status, error } = await send(message, deps, signal);
  const now = clock.now();
  const ok = status !== null && status >= 200 && status < 300;
  // Told to stop in the middle: it was no attempt of the other side's.
  if (!ok && signal?.aborted) return;
  const wait = ok || status === 410 ? undefined : RETRY_MS[message.attempts - 1];
  const ended = { deliveredAt: ok ? now : null, failedAt: ok || wait !== undefined ? null : now };
  await recordDelivery(db, message.id, { status, error, dueAt: wait ? now + wait : null, ...ended });
  if (ok) return endpointAnswered(db, message.endpoint);
  logger.warn({ message: message.id, endpoint: message.endpoint, status, why: error }, 'a webhook was not taken');
  const failing = await endpointFailed(db, message.endpoint, { now, pausesMs: PAUSES_MS });
  if (!failing) return;
  if (status === 410) return giveUp(deps, message, failing.holder, 'it answered 410 Gone');
  if (now - failing.since >= GIVE_UP_MS)
    await giveUp(deps, message, failing.holder, `it took nothing since ${new Date(failing.since).toISOString()}`);
}

/** Said to operators, and at the other endpoints of the holder, in the transaction that disables it. */
async function giveUp({ database, clock }: WebhookDeps, { endpoint, url }: Due, holder: string, why: string) {
  const now = clock.now();
  await database.transaction(async (tx) => {
    await disableEndpoint(tx, endpoint, why, now);
    const event = `${endpoint}/disabled/${now}`;
    const timestamp = new Date(now).toISOString();
    const payload = { type: 'webhook.disabled', timestamp, data: { webhook: endpoint, url, why } };
    await enqueueDelivery(tx, { holder, event, type: payload.type, payload, now });
    const text = `webhook ${endpoint} of ${holder} is told nothing more: ${why}`;
    await sendAlarm(tx, derivedId('ev', event), {
      kind: 'webhook-disabled',
      subject: endpoint,
      message: text,
      at: now,
    });
  });
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
