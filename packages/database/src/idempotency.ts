import { jsonb, type Queryable } from '@vigil/runtime';

/** A POST under an idempotency key. `digest` (SHA-256 of its body) and `status` are null while it is being answered. */
export interface IdempotentRequest {
  request: string;
  digest: string | null;
  status: number | null;
  answer: unknown;
  begunAt: number;
}

/**
 * Takes the key for a request that begins now. Null: it is ours. Else what is known of the request that took it. A request that
 * began before `abandonedBefore` and never ended is taken over.
 */
export async function beginIdempotent(
  db: Queryable,
  about: { principal: string; key: string; request: string; now: number; abandonedBefore: number },
): Promise<IdempotentRequest | null> {
  const { principal, key, request, now, abandonedBefore } = about;
  const taken = await db.query(
    `INSERT INTO idempotency_keys AS k (principal, key, request, begun_at) VALUES ($1, $2, $3, $4)
     ON CONFLICT (principal, key) DO UPDATE SET begun_at = $4
       WHERE k.status IS NULL AND k.request = $3 AND k.begun_at < $5 RETURNING key`,
    [principal, key, request, now, abandonedBefore],
  );
  if (taken.length > 0) return null;
  const [known] = await db.query<IdempotentRequest>(
    `SELECT request, digest, status, answer, begun_at AS "begunAt" FROM idempotency_keys WHERE principal = $1 AND key = $2`,
    [principal, key],
  );
  // Freed by its owner between the two statements.
  return known ?? beginIdempotent(db, about);
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

/** The request failed in a way that may be tried again: nobody owns the key. */
export async function freeIdempotent(db: Queryable, principal: string, key: string): Promise<void> {
  await db.query('DELETE FROM idempotency_keys WHERE principal = $1 AND key = $2 AND status IS NULL', [principal, key]);
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
