import { jsonb, type Queryable } from '@vigil/runtime';
import type { PageOf } from './works.ts';

export const KEY_ROLES = ['holder', 'platform', 'reviewer', 'operator'] as const;
export type KeyRole = (typeof KEY_ROLES)[number];

/** A key of the API. The key itself is shown once and kept nowhere; its SHA-256 is. Times in milliseconds since 1970. */
export interface ApiKey {
  id: string;
  name: string;
  role: KeyRole;
  /** Whose rows it opens; null for those who are no holder. */
  holder: string | null;
  verbs: string[];
  createdBy: string;
  createdAt: number;
  expiresAt: number;
  revokedAt: number | null;
  lastUsedAt: number | null;
  /** The key that took its place; it goes on until it expires. */
  replacedBy: string | null;
}

const COLUMNS = `id, name, role, holder, verbs, created_by AS "createdBy", created_at AS "createdAt",
  expires_at AS "expiresAt", revoked_at AS "revokedAt", last_used_at AS "lastUsedAt", replaced_by AS "replacedBy"`;

/** Returns false when there is a key of that id already. */
export async function addKey(
  tx: Queryable,
  key: Omit<ApiKey, 'revokedAt' | 'lastUsedAt' | 'replacedBy'> & { hash: Uint8Array },
): Promise<boolean> {
  const { id, hash, name, role, holder, verbs, createdBy, createdAt, expiresAt } = key;
  const rows = await tx.query(
    `INSERT INTO api_keys (id, hash, name, role, holder, verbs, created_by, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9) ON CONFLICT (id) DO NOTHING RETURNING id`,
    [id, hash, name, role, holder, jsonb(verbs), createdBy, createdAt, expiresAt],
  );
  return rows.length > 0;
}

/**
 * Another secret for a key that somebody has made, and that nobody has used. Null when it was used, or is revoked, or is none of theirs.
 */
export async function replaceSecret(
  tx: Queryable,
  { id, createdBy, hash }: Pick<ApiKey, 'id' | 'createdBy'> & { hash: Uint8Array },
): Promise<ApiKey | null> {
  const rows = await tx.query<ApiKey>(
    `UPDATE api_keys SET hash = $3 WHERE id = $1 AND created_by = $2 AND last_used_at IS NULL AND revoked_at IS NULL
     RETURNING ${COLUMNS}`,
    [id, createdBy, hash],
  );
  return rows[0] ?? null;
}

/** With its hash, for whoever checks it. */
export async function findKey(db: Queryable, id: string): Promise<(ApiKey & { hash: Uint8Array }) | null> {
  const rows = await db.query<ApiKey & { hash: Uint8Array }>(`SELECT ${COLUMNS}, hash FROM api_keys WHERE id = $1`, [
    id,
  ]);
  return rows[0] ?? null;
}

/** The key that somebody acts by: their own, or the one that their session at the page rests on. Null where none let them in. */
export async function keyBehind(
  db: Queryable,
  principal: string,
): Promise<Pick<ApiKey, 'id' | 'expiresAt' | 'revokedAt'> | null> {
  const rows = await db.query<Pick<ApiKey, 'id' | 'expiresAt' | 'revokedAt'>>(
    `SELECT id, expires_at AS "expiresAt", revoked_at AS "revokedAt" FROM api_keys
     WHERE id = $1 OR id IN (SELECT key FROM sessions WHERE principal = $1)`,
    [principal],
  );
  return rows[0] ?? null;
}

/** Newest first, after `after`. Of one holder and one role, or of all. */
export async function listKeys(
  db: Queryable,
  { holder, role, after, limit }: PageOf & { role: KeyRole | null },
): Promise<ApiKey[]> {
  return db.query<ApiKey>(
    `SELECT ${COLUMNS} FROM api_keys WHERE ($1::text IS NULL OR holder = $1) AND ($5::text IS NULL OR role = $5)
     AND ($2::bigint IS NULL OR (created_at, id) < ($2, $3)) ORDER BY created_at DESC, id DESC LIMIT $4`,
    [holder, after?.[0] ?? null, after?.[1] ?? null, limit, role],
  );
}

/** From the commit on it opens nothing. Returns the key, or null when there is none. */
export async function revokeKey(tx: Queryable, id: string, now: number): Promise<ApiKey | null> {
  const rows = await tx.query<ApiKey>(
    `UPDATE api_keys SET revoked_at = coalesce(revoked_at, $2) WHERE id = $1 RETURNING ${COLUMNS}`,
    [id, now],
  );
  return rows[0] ?? null;
}

/** `by` takes its place: it goes on for the overlap, no longer than it would have. */
export async function replaceKey(tx: Queryable, id: string, by: string, until: number): Promise<void> {
  await tx.query('UPDATE api_keys SET replaced_by = $2, expires_at = least(expires_at, $3) WHERE id = $1', [
    id,
    by,
    until,
  ]);
}

/** Noted at most once a minute: a read must not cost a write. */
export async function touchKey(db: Queryable, id: string, now: number): Promise<void> {
  await db.query(
    'UPDATE api_keys SET last_used_at = $2 WHERE id = $1 AND (last_used_at IS NULL OR last_used_at < $2::bigint - 60000)',
    [id, now],
  );
}
