import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { type ApiKey, addKey, type Database, findKey, type KeyRole, replaceSecret, touchKey } from '@vigil/database';
import type { Clock, Queryable } from '@vigil/runtime';
import type { Identities } from './identities.ts';
import { type Principal, ROLE_VERBS, type Verb } from './principal.ts';
import { Problem } from './problem.ts';
import { type Asking, digestOf, newSecret, type Sessions } from './sessions.ts';

/** "vgl", the key's id, and 32 random bytes. Found by its id, compared by the hash of all of it. */
const FORM = /^vgl_([0-9a-f]{16})_[A-Za-z0-9_-]{43}$/;
const ID_DIGITS = 16;

export interface NewKey {
  /** By `keyId`, where the same may be asked for twice; default: drawn. */
  id?: string | undefined;
  name: string;
  role: KeyRole;
  holder: string | null;
  /** Default: all that the role may do. */
  verbs?: readonly Verb[] | undefined;
  createdBy: string;
  expiresAt: number;
}

/** Of an id that a request has for what it makes. */
export const keyId = (given: string): string =>
  `key_${createHash('sha256').update(given).digest('hex').slice(0, ID_DIGITS)}`;

/**
 * Makes a key. The secret is in the answer and nowhere else, so one of that id that its maker never got to see gets another; null when
 * somebody has used it since, and so has seen it.
 */
export async function createKey(
  tx: Queryable,
  about: NewKey,
  now: number,
): Promise<{ key: ApiKey; secret: string | null }> {
  const { id = `key_${randomBytes(ID_DIGITS / 2).toString('hex')}`, name, role, holder, createdBy, expiresAt } = about;
  const secret = `vgl_${id.slice('key_'.length)}_${newSecret()}`;
  const hash = digestOf(secret);
  const verbs = [...(about.verbs ?? ROLE_VERBS[role])];
  const row = { id, name, role, holder, verbs, createdBy, createdAt: now, expiresAt };
  if (await addKey(tx, { ...row, hash }))
    return { key: { ...row, revokedAt: null, lastUsedAt: null, replacedBy: null }, secret };
  const renewed = about.id ? await replaceSecret(tx, { id, createdBy, hash }) : null;
  if (renewed) return { key: renewed, secret };
  const there = about.id ? await findKey(tx, id) : null;
  if (there?.createdBy !== createdBy) throw new Error('two keys drew the same id');
  return { key: there, secret: null };
}

/** The key that a secret is, if it opens anything now. Looked up each time: a revocation counts at once. */
export async function keyOf(db: Queryable, secret: string, now: number): Promise<ApiKey | null> {
  const id = FORM.exec(secret)?.[1];
  if (!id) return null;
  const found = await findKey(db, `key_${id}`);
  if (!found || !timingSafeEqual(found.hash, digestOf(secret))) return null;
  return opensAt(found, now) ? found : null;
}

export const opensAt = ({ revokedAt, expiresAt }: Pick<ApiKey, 'revokedAt' | 'expiresAt'>, now: number): boolean =>
  revokedAt === null && expiresAt > now;

/** Who comes with a key, and what the key is called; that it was used is written down. @throws Problem unauthenticated */
export async function ownerOf(
  db: Queryable,
  secret: string,
  now: number,
): Promise<{ who: Omit<Principal, 'session'>; name: string }> {
  const key = await keyOf(db, secret, now);
  if (!key) throw unauthenticated('the key is unknown, revoked or expired');
  if ((key.lastUsedAt ?? 0) < now - 60_000) await touchKey(db, key.id, now);
  const { id, role, holder, verbs, name, expiresAt } = key;
  return { who: { id, role, holder, verbs, expiresAt }, name };
}

/**
 * Who asks: by the Authorization header a key, or the token of a person; by a cookie whoever signed in at the page.
 * @throws Problem unauthenticated
 */
export function createAuthenticate(deps: {
  database: Database;
  clock: Clock;
  identities: Identities | null;
  sessions: Sessions | null;
}) {
  const { database, clock, identities, sessions } = deps;
  const db = database.postgres;
  return async (asking: Asking): Promise<Principal> => {
    const header = asking.headers.authorization;
    if (header === undefined) {
      const person = await sessions?.principalOf(asking);
      if (person) return person;
    }
    const token = /^Bearer +(\S{1,8192})$/i.exec(`${header ?? ''}`)?.[1];
    if (!token) throw unauthenticated('send `authorization: Bearer <key>`');
    if (identities && token.split('.').length === 3) {
      const person = await identities.ofToken(token);
      if (person) return person;
      throw unauthenticated('the token is not one that this installation accepts, or has expired');
    }
    return (await ownerOf(db, token, clock.now())).who;
  };
}

const unauthenticated = (detail: string): Problem =>
  new Problem('unauthenticated', detail, {}, { 'www-authenticate': 'Bearer realm="vigil"' });
