import type { Envelope, Headers } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';
import type { Database } from './open-database.ts';

/** An event on its way to a topic. Its id is the header `ce_id`. */
export interface OutboxEvent extends Envelope {
  topic: string;
}

export interface OutboxEntry {
  seq: number;
  topic: string;
  id: string;
  type: string;
  createdAt: number;
  publishedAt: number | null;
}

/** Notified when a transaction that put something into the outbox commits. */
export const OUTBOX_CHANNEL = 'vigil_outbox';

/** What each open transaction has to send, until its end. */
const pending = new WeakMap<Queryable, OutboxEvent[]>();

export function openOutbox(tx: Queryable): void {
  pending.set(tx, []);
}

/**
 * Sends an event if, and only if, the transaction commits. An id that was sent before is not sent again: the first write
 * wins. Events of one transaction keep their order, those of several come in the order of their commits.
 * @throws Error outside of `Database.transaction`.
 */
export async function enqueue(tx: Queryable, event: OutboxEvent): Promise<void> {
  const events = pending.get(tx);
  if (!events) throw new Error('enqueue works inside of Database.transaction only');
  if (!event.headers.ce_id) throw new Error('an event needs an id (header ce_id)');
  events.push(event);
}

/**
 * The last statement of a transaction. It takes the lock on the head, which is held until the commit has become visible,
 * and numbers the events under it: so whoever has a smaller number has committed before, and a reader that goes by number
 * never passes by an event that commits later. Actions keep theirs (trigger number_action). A rollback takes its numbers back with it. Because nothing else is locked
 * after the head, it takes part in no deadlock.
 */
export async function flushOutbox(tx: Queryable): Promise<void> {
  const events = pending.get(tx) ?? [];
  pending.delete(tx);
  if (events.length === 0) return;
  const column = <T>(of: (e: OutboxEvent) => T): T[] => events.map(of);
  const put = await tx.query(
    `WITH head AS (UPDATE outbox_head SET seq = seq + $1 RETURNING seq),
     put AS (
       INSERT INTO outbox (seq, event_id, topic, key, headers, value)
       SELECT head.seq - $1 + e.n, e.id, e.topic, e.key, e.headers::jsonb, e.value
       FROM head, unnest($2::text[], $3::text[], $4::text[], $5::text[], $6::bytea[])
         WITH ORDINALITY AS e (id, topic, key, headers, value, n)
       ORDER BY e.n ON CONFLICT (event_id) DO NOTHING)
     SELECT pg_notify($7, '') FROM head`,
    [
      ...[events.length, column((e) => e.headers.ce_id), column((e) => e.topic), column((e) => e.key)],
      ...[column((e) => jsonb(e.headers)), column((e) => e.value), OUTBOX_CHANNEL],
    ],
  );
  // Without it nothing was put in, and a verdict would go without its events.
  if (put.length !== 1)
    throw new Error('outbox_head has no row: restore it with the number of the last event in outbox');
}

/**
 * Hands the next events to `send`, in order, and moves the cursor when it has resolved: at least once. One relay at a
 * time; another one gets 0 at once. Returns how many were sent.
 */
export function relayBatch(
  database: Pick<Database, 'postgres'>,
  limit: number,
  send: (events: OutboxEvent[]) => Promise<unknown>,
): Promise<number> {
  return database.postgres.transaction(async (tx) => {
    // The cursor's lock and what stands behind it, in one question: it is asked at each commit, by each relay.
    const rows = await tx.query<{
      since: number;
      seq: number;
      topic: string;
      key: string;
      headers: Headers;
      value: Uint8Array | null;
    }>(
      `WITH cursor AS (SELECT seq FROM outbox_cursor FOR UPDATE SKIP LOCKED)
       SELECT (SELECT seq FROM cursor) AS since, seq, topic, key, headers, value FROM outbox
       WHERE seq > (SELECT seq FROM cursor) ORDER BY seq LIMIT $1`,
      [limit],
    );
    if (rows.length === 0) return 0;
    await send(rows.map(({ topic, key, headers, value }) => ({ topic, key, headers, value })));
    await tx.query(
      `WITH moved AS (UPDATE outbox_cursor SET seq = $2)
       UPDATE outbox SET published_at = now_ms() WHERE seq > $1 AND seq <= $2`,
      [rows[0]!.since, rows.at(-1)!.seq],
    );
    return rows.length;
  });
}

/** How many events wait, and since when the oldest does. */
export async function outboxLag(db: Queryable): Promise<{ waiting: number; oldest: number | null }> {
  const [row] = await db.query<{ waiting: number; oldest: number | null }>(
    'SELECT count(*) AS waiting, min(created_at) AS oldest FROM outbox WHERE seq > (SELECT seq FROM outbox_cursor)',
  );
  return row!;
}

/** Forgets events published before the time, a bounded number a call. Until then their ids are refused a second time. */
export async function purgeOutbox(db: Queryable, before: number, limit = 10_000): Promise<number> {
  const rows = await db.query(
    `DELETE FROM outbox WHERE seq IN (
       SELECT seq FROM outbox WHERE published_at < $1 ORDER BY seq LIMIT $2) RETURNING 1 AS gone`,
    [before, limit],
  );
  return rows.length;
}

export async function publishedEvents(db: Queryable, key: string): Promise<OutboxEntry[]> {
  return db.query<OutboxEntry>(
    `SELECT seq, topic, event_id AS id, coalesce(headers->>'ce_type', '') AS type,
            created_at AS "createdAt", published_at AS "publishedAt"
     FROM outbox WHERE key = $1 ORDER BY seq`,
    [key],
  );
}
