import { jsonb, type Queryable } from '@vigil/runtime';
import type { KeyRole } from './keys.ts';

/** Somebody who signed in at the page. Its secret is kept nowhere; its SHA-256 is. Times in milliseconds since 1970. */
export interface SessionRow {
  id: string;
  csrf: string;
  /** Who acts, as the chains of cases name them. */
  principal: string;
  /** The key that was given, or that made the link, where one did: the session ends with it. */
  key: string | null;
  keyExpiresAt: number | null;
  name: string;
  role: KeyRole;
  holder: string | null;
  verbs: string[];
  createdAt: number;
  /** The secret opens until then, the session lasts until that. */
  renewBy: number;
  expiresAt: number;
}

const COLUMNS = `s.id, s.csrf, s.principal, s.key, s.name, s.role, s.holder, s.verbs, s.created_at AS "createdAt",
  s.renew_by AS "renewBy", s.expires_at AS "expiresAt",
  (SELECT k.expires_at FROM api_keys k WHERE k.id = s.key) AS "keyExpiresAt"`;

export async function addSession(tx: Queryable, session: SessionRow & { hash: Uint8Array }): Promise<void> {
  const { id, hash, csrf, principal, key, name, role, holder, verbs, createdAt, renewBy, expiresAt } = session;
  await tx.query(
    `INSERT INTO sessions (id, hash, csrf, principal, key, name, role, holder, verbs, created_at, renew_by, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)`,
    [id, hash, csrf, principal, key, name, role, holder, jsonb(verbs), createdAt, renewBy, expiresAt],
  );
}

/** The session that a secret opens now: not ended, not expired, and its key, if it has one, still opens something. */
export async function findSession(db: Queryable, hash: Uint8Array, now: number): Promise<SessionRow | null> {
  const rows = await db.query<SessionRow>(
    `SELECT ${COLUMNS} FROM sessions s LEFT JOIN api_keys k ON k.id = s.key
     WHERE ((s.hash = $1 AND s.renew_by > $2) OR (s.previous_hash = $1 AND s.previous_until > $2))
       AND s.ended_at IS NULL AND s.expires_at > $2
       AND (s.key IS NULL OR (k.revoked_at IS NULL AND k.expires_at > $2))`,
    [hash, now],
  );
  return rows[0] ?? null;
}

/** Another secret takes the place of the one that came; that one goes on until `overlapUntil`. Null when it was just replaced. */
export async function renewSession(
  tx: Queryable,
  about: { from: Uint8Array; hash: Uint8Array; now: number; renewBy: number; overlapUntil: number },
): Promise<SessionRow | null> {
  const { from, hash, renewBy, overlapUntil } = about;
  const rows = await tx.query<SessionRow>(
    `UPDATE sessions s SET hash = $2, renew_by = least($3, s.expires_at), previous_hash = $1, previous_until = $4
     WHERE s.hash = $1 AND s.ended_at IS NULL RETURNING ${COLUMNS}`,
    [from, hash, renewBy, overlapUntil],
  );
  return rows[0] ?? null;
}

export async function endSession(tx: Queryable, id: string, now: number): Promise<void> {
  await tx.query('UPDATE sessions SET ended_at = $2 WHERE id = $1 AND ended_at IS NULL', [id, now]);
}

/** Of a sign-in link: whom it signs in. */
export interface SignInLink {
  id: string;
  name: string;
  role: KeyRole;
  holder: string | null;
  createdBy: string;
  createdAt: number;
  expiresAt: number;
}

export async function addSignInLink(tx: Queryable, link: SignInLink & { hash: Uint8Array }): Promise<void> {
  const { id, hash, name, role, holder, createdBy, createdAt, expiresAt } = link;
  await tx.query(
    `INSERT INTO sign_in_links (id, hash, name, role, holder, created_by, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8)`,
    [id, hash, name, role, holder, createdBy, createdAt, expiresAt],
  );
}

/** The link, once: whoever comes second gets null. */
export async function useSignInLink(tx: Queryable, hash: Uint8Array, now: number): Promise<SignInLink | null> {
  const rows = await tx.query<SignInLink>(
    `UPDATE sign_in_links SET used_at = $2 WHERE hash = $1 AND used_at IS NULL AND expires_at > $2
     RETURNING id, name, role, holder, created_by AS "createdBy", created_at AS "createdAt", expires_at AS "expiresAt"`,
    [hash, now],
  );
  return rows[0] ?? null;
}

/** Somebody on the way to the identity provider and back. */
export interface OidcSignIn {
  state: Uint8Array;
  browser: Uint8Array;
  verifier: string;
  nonce: string;
  returnTo: string;
  expiresAt: number;
}

export async function addOidcSignIn(tx: Queryable, it: OidcSignIn): Promise<void> {
  await tx.query(
    'INSERT INTO oidc_sign_ins (state, browser, verifier, nonce, return_to, expires_at) VALUES ($1, $2, $3, $4, $5, $6)',
    [it.state, it.browser, it.verifier, it.nonce, it.returnTo, it.expiresAt],
  );
}

/** Once, and for the browser that began it. */
export async function takeOidcSignIn(
  tx: Queryable,
  about: { state: Uint8Array; browser: Uint8Array; now: number },
): Promise<OidcSignIn | null> {
  const rows = await tx.query<OidcSignIn>(
    `DELETE FROM oidc_sign_ins WHERE state = $1 AND browser = $2 AND expires_at > $3
     RETURNING state, browser, verifier, nonce, return_to AS "returnTo", expires_at AS "expiresAt"`,
    [about.state, about.browser, about.now],
  );
  return rows[0] ?? null;
}

/** What opens nothing any more: sessions and links that ended before a time, and whoever has not come back from the provider by now. */
export async function purgeSessions(db: Queryable, { before, now }: { before: number; now: number }): Promise<void> {
  await db.query('DELETE FROM sessions WHERE expires_at < $1', [before]);
  await db.query('DELETE FROM sign_in_links WHERE expires_at < $1', [before]);
  await db.query('DELETE FROM oidc_sign_ins WHERE expires_at <= $1', [now]);
}

/** Whether a session that was open goes on. */
export async function sessionLives(db: Queryable, id: string, now: number): Promise<boolean> {
  const rows = await db.query(
    `SELECT s.id FROM sessions s LEFT JOIN api_keys k ON k.id = s.key
     WHERE s.id = $1 AND s.ended_at IS NULL AND s.renew_by > $2 AND s.expires_at > $2
       AND (s.key IS NULL OR (k.revoked_at IS NULL AND k.expires_at > $2))`,
    [id, now],
  );
  return rows.length > 0;
}
