import { randomUUID } from 'node:crypto';
import { jsonb, type Queryable } from '@vigil/runtime';

/** A POST under an idempotency key. `status` is null while it is being answered, `digest` (SHA-256 of its body) while that is not known. */
export interface IdempotentRequest {
  request: string;
  digest: string | null;
  status: number | null;
  answer: unknown;
  begunAt: number;
}

/** A request that has its key. */
export interface BegunRequest {
  /** What ids of what it makes derive from: the same when it is taken over. Drawn for it, so that a key used again after its time makes anew. */
  seed: string;
  /** When it began before, and was cut off; null when this is the first time. */
  cutOff: number | null;
}

/**
 * Takes the key for a request that begins now: `ours`. Else what is known of the request that took it. A request that began before
 * `abandonedBefore` and never ended is taken over by the same one.
 */
export async function beginIdempotent(
  db: Queryable,
  about: {
    principal: string;
    key: string;
    request: string;
    /** Null of a body that was not read yet. */
    digest: string | null;
    now: number;
    abandonedBefore: number;
  },
): Promise<{ ours: BegunRequest } | { known: IdempotentRequest }> {
  const { principal, key, request, digest, now, abandonedBefore } = about;
  const seed = randomUUID();
  // Until there is an answer, its column holds what whoever takes over has to know.
  const taken = await db.query<{ answer: { seed: string; since: number } }>(
    `INSERT INTO idempotency_keys AS k (principal, key, request, digest, answer, begun_at) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (principal, key) DO UPDATE SET begun_at = excluded.begun_at,
         answer = coalesce(k.answer, excluded.answer), digest = coalesce(k.digest, excluded.digest)
       WHERE k.status IS NULL AND k.request = $3 AND k.begun_at < $7 AND (k.digest IS NULL OR k.digest = $4)
     RETURNING answer`,
    [principal, key, request, digest, jsonb({ seed, since: now }), now, abandonedBefore],
  );
  const [mine] = taken;
  if (mine) return { ours: { seed: mine.answer.seed, cutOff: mine.answer.seed === seed ? null : mine.answer.since } };
  const [known] = await db.query<IdempotentRequest>(
    `SELECT request, digest, status, answer, begun_at AS "begunAt" FROM idempotency_keys WHERE principal = $1 AND key = $2`,
    [principal, key],
  );
  // Freed by its owner between the two statements.
  return known ? { known } : beginIdempotent(db, about);
}

export async function endIdempotent(
  db: Queryable,
  about: { principal: string; key: string; digest: string; status: number; answer: unknown },
): Promise<void> {
  await db.query(
    'UPDATE idempotency_keys SET digest = $3, status = $4, answer = $5 WHERE principal = $1 AND key = $2',
    [about.principal, about.key, about.digest, about.status, jsonb(about.answer)],
  );
}

/** Of a request that began at `begunAt`, unless somebody has taken it over since. */
type Mine = { principal: string; key: string; begunAt: number };

/** The request was refused and changed nothing: nobody owns the key. */
export async function freeIdempotent(db: Queryable, { principal, key, begunAt }: Mine): Promise<void> {
  await db.query(
    'DELETE FROM idempotency_keys WHERE principal = $1 AND key = $2 AND begun_at = $3 AND status IS NULL',
    [principal, key, begunAt],
  );
}

/** The request failed, and nobody knows how far it came: the same one may take it over at once. */
export async function leaveIdempotent(
  db: Queryable,
  { principal, key, begunAt }: Mine,
  abandonedBefore: number,
): Promise<void> {
  await db.query(
    'UPDATE idempotency_keys SET begun_at = $4 WHERE principal = $1 AND key = $2 AND begun_at = $3 AND status IS NULL',
    [principal, key, begunAt, abandonedBefore - 1],
  );
}

/** Forgets answers given before the time. */
export async function purgeIdempotent(db: Queryable, before: number): Promise<void> {
  await db.query(
    `DELETE FROM idempotency_keys WHERE (principal, key) IN (
       SELECT principal, key FROM idempotency_keys WHERE begun_at < $1 ORDER BY begun_at LIMIT 10000)`,
    [before],
  );
}

/**
 * Forgets what was answered to steps of a case, or to messages of a conflict, in which people's words are repeated. Asked again, steps
 * are possible or they are not.
 */
export async function forgetAnswers(tx: Queryable, id: string): Promise<void> {
  const named = id.replaceAll(/[\\%_]/g, '\\$&');
  for (const list of ['cases', 'conflicts'])
    await tx.query(
      `DELETE FROM idempotency_keys
       WHERE request LIKE 'POST /v1/${list}/%' AND request LIKE $1 AND status IS NOT NULL`,
      [`POST /v1/${list}/${named}/%`],
    );
}
