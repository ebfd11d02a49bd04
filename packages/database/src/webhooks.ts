import { derivedId } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';
import { takeTurn } from './turns.ts';

/** Where a holder wants to be told. `secret` signs what is sent; show it once. */
export interface WebhookEndpoint {
  id: string;
  holder: string;
  url: string;
  secret: string;
  /** Types of events; empty: all. */
  types: string[];
  createdAt: number;
  disabledAt: number | null;
  disabledWhy: string | null;
  /** Nothing was taken there since; null while it answers. */
  failingSince: number | null;
}

export interface WebhookDelivery {
  id: string;
  endpoint: string;
  /** The event that it tells of: told to one endpoint once, however often it is enqueued. */
  event: string;
  type: string;
  payload: string;
  createdAt: number;
  attempts: number;
  /** Null: nothing more is tried. */
  dueAt: number | null;
  deliveredAt: number | null;
  failedAt: number | null;
  /** Of the last attempt. */
  status: number | null;
  error: string | null;
}

const ENDPOINT = `SELECT id, holder, url, secret, types, created_at AS "createdAt", disabled_at AS "disabledAt",
  disabled_why AS "disabledWhy", failing_since AS "failingSince" FROM webhook_endpoints`;
const DELIVERY_COLUMNS = `d.id, d.endpoint, d.event, d.type, d.payload, d.created_at AS "createdAt", d.attempts, d.due_at AS "dueAt",
  d.delivered_at AS "deliveredAt", d.failed_at AS "failedAt", d.status, d.error`;

/** One of that id that is there already stays, with its secret, and is what is returned. */
export async function addEndpoint(
  tx: Queryable,
  endpoint: Omit<WebhookEndpoint, 'disabledAt' | 'disabledWhy' | 'failingSince'>,
): Promise<WebhookEndpoint> {
  const { id, holder, url, secret, types, createdAt } = endpoint;
  await tx.query(
    `INSERT INTO webhook_endpoints (id, holder, url, secret, types, created_at) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (id) DO NOTHING`,
    [id, holder, url, secret, jsonb(types), createdAt],
  );
  return (await findEndpoint(tx, id))!;
}

/** Whether a holder may have another endpoint besides so many: asked one at a time, until the transaction ends. One that is there is no other. */
export async function roomForEndpoint(tx: Queryable, { id, holder }: { id: string; holder: string }, most: number) {
  await takeTurn(tx, 'endpoints', holder);
  const [others] = await tx.query<{ n: number }>(
    'SELECT count(*) AS n FROM webhook_endpoints WHERE holder = $1 AND id <> $2',
    [holder, id],
  );
  return others!.n < most;
}

export const listEndpoints = (db: Queryable, holder: string): Promise<WebhookEndpoint[]> =>
  db.query<WebhookEndpoint>(`${ENDPOINT} WHERE holder = $1 ORDER BY created_at, id`, [holder]);

export async function findEndpoint(db: Queryable, id: string): Promise<WebhookEndpoint | null> {
  const rows = await db.query<WebhookEndpoint>(`${ENDPOINT} WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

/** With all that was and is to be delivered to it. Returns false when it is another holder's, or unknown. */
export async function removeEndpoint(tx: Queryable, { id, holder }: { id: string; holder: string }): Promise<boolean> {
  const rows = await tx.query('DELETE FROM webhook_endpoints WHERE id = $1 AND holder = $2 RETURNING id', [id, holder]);
  return rows.length > 0;
}

/** Nothing more is tried there, until it is enabled again (`why` null). */
export async function disableEndpoint(tx: Queryable, id: string, why: string | null, now: number): Promise<void> {
  await tx.query(
    `UPDATE webhook_endpoints SET disabled_at = $2, disabled_why = $3, failing_since = NULL, failures = 0, paused_until = 0
     WHERE id = $1`,
    [id, why === null ? null : now, why],
  );
}

/** It took a message: whatever waits for it is tried at once. */
export async function endpointAnswered(db: Queryable, id: string): Promise<void> {
  await db.query(
    `UPDATE webhook_endpoints SET failing_since = NULL, failures = 0, paused_until = 0
     WHERE id = $1 AND (failing_since IS NOT NULL OR paused_until > 0)`,
    [id],
  );
}

/** It did not: nothing more is tried there for a while, longer each time. Returns since when that goes on. */
export async function endpointFailed(
  db: Queryable,
  id: string,
  { now, pausesMs }: { now: number; pausesMs: readonly number[] },
): Promise<{ holder: string; since: number } | null> {
  const rows = await db.query<{ holder: string; since: number }>(
    // Several that were under way at once are one failure.
    `UPDATE webhook_endpoints SET failing_since = coalesce(failing_since, $2),
       failures = failures + (paused_until <= $2)::int,
       paused_until = greatest(paused_until, $2 + ($3::bigint[])[least(failures + 1, cardinality($3::bigint[]))])
     WHERE id = $1 AND disabled_at IS NULL RETURNING holder, failing_since AS since`,
    [id, now, pausesMs],
  );
  return rows[0] ?? null;
}

/** One event for all endpoints of a holder that want its type. Told once an endpoint, however often this is called. */
export async function enqueueDelivery(
  tx: Queryable,
  about: { holder: string; event: string; type: string; payload: unknown; now: number },
): Promise<number> {
  const { holder, event, type, payload, now } = about;
  // Kept from being removed before the end of this transaction, of which their messages are a part.
  const endpoints = await tx.query<{ id: string }>(
    `SELECT id FROM webhook_endpoints WHERE holder = $1 AND disabled_at IS NULL AND (types = '[]' OR types ? $2)
     ORDER BY id FOR KEY SHARE`,
    [holder, type],
  );
  if (endpoints.length === 0) return 0;
  const ids = endpoints.map((e) => e.id);
  await tx.query(
    `INSERT INTO webhook_deliveries (id, endpoint, event, type, payload, created_at, due_at)
     SELECT e.message, e.id, $3, $4, $5, $6::bigint, $6 FROM unnest($1::text[], $2::text[]) AS e (id, message)
     ON CONFLICT (endpoint, event) DO NOTHING`,
    [ids, ids.map((id) => derivedId('msg', id, event)), event, type, jsonb(payload), now],
  );
  return endpoints.length;
}

/**
 * Takes what is due, for `leaseMs`: whoever takes it and dies has only made it late. Each comes with its endpoint and counts as an
 * attempt from here on. Of one endpoint a few at most, and none of those that wait, are disabled, or are left out: what lies there
 * keeps nobody else waiting.
 */
export const takeDueDeliveries = (
  db: Queryable,
  about: { now: number; leaseMs: number; limit: number; perEndpoint: number; without?: readonly string[] },
): Promise<(WebhookDelivery & Pick<WebhookEndpoint, 'url' | 'secret'>)[]> =>
  db.query(
    `UPDATE webhook_deliveries d SET attempts = d.attempts + 1, due_at = $1 + $2 FROM webhook_endpoints e
     WHERE e.id = d.endpoint AND d.id IN (
       SELECT q.id FROM webhook_endpoints w CROSS JOIN LATERAL (
         SELECT id, due_at FROM webhook_deliveries WHERE endpoint = w.id AND due_at <= $1
         ORDER BY due_at LIMIT $4 FOR UPDATE SKIP LOCKED) q
       WHERE w.disabled_at IS NULL AND w.paused_until <= $1 AND w.id <> ALL ($5::text[]) ORDER BY q.due_at LIMIT $3)
     RETURNING ${DELIVERY_COLUMNS}, e.url, e.secret`,
    [about.now, about.leaseMs, about.limit, about.perEndpoint, about.without ?? []],
  );

/** What came of an attempt: delivered, to be tried again at `dueAt`, or failed for good. */
export async function recordDelivery(
  db: Queryable,
  id: string,
  came: {
    status: number | null;
    error: string | null;
    deliveredAt: number | null;
    dueAt: number | null;
    failedAt: number | null;
  },
): Promise<void> {
  await db.query(
    `UPDATE webhook_deliveries SET status = $2, error = $3, delivered_at = coalesce(delivered_at, $4), due_at = $5, failed_at = $6
     WHERE id = $1`,
    [id, came.status, came.error, came.deliveredAt, came.dueAt, came.failedAt],
  );
}

/** Newest first. */
export const listDeliveries = (
  db: Queryable,
  about: { endpoint: string; before?: { createdAt: number; id: string } | undefined; limit: number },
): Promise<WebhookDelivery[]> =>
  db.query<WebhookDelivery>(
    `SELECT ${DELIVERY_COLUMNS} FROM webhook_deliveries d WHERE d.endpoint = $1
       AND ($2::bigint IS NULL OR (d.created_at, d.id) < ($2, $3::text))
     ORDER BY d.created_at DESC, d.id DESC LIMIT $4`,
    [about.endpoint, about.before?.createdAt ?? null, about.before?.id ?? null, about.limit],
  );

/** Sends again, from the first attempt: one message, or all of an endpoint since a time. Returns how many. */
export async function replayDeliveries(
  tx: Queryable,
  about: { endpoint: string; message?: string; since?: number },
  now: number,
): Promise<number> {
  const rows = await tx.query(
    `UPDATE webhook_deliveries SET due_at = $4, attempts = 0, failed_at = NULL
     WHERE endpoint = $1 AND ($2::text IS NULL OR id = $2) AND created_at >= $3 RETURNING id`,
    [about.endpoint, about.message ?? null, about.since ?? 0, now],
  );
  return rows.length;
}
