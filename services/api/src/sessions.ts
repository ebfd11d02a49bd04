import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import {
  addSession,
  type Database,
  endSession,
  findSession,
  releaseLocks,
  renewSession,
  type SessionRow,
} from '@vigil/database';
import type { Clock } from '@vigil/runtime';
import { type Principal, seatOf } from './principal.ts';
import { Problem } from './problem.ts';

/** A cookie's secret opens for so long, unless it is renewed; the session lasts at most so long. */
const RENEW_MS = 3600_000;
const SESSION_MS = 12 * 3600_000;
/** The secret before goes on for a moment: its answer may be lost, and other requests are under way. */
const OVERLAP_MS = 5 * 60_000;

/** What is looked at of a request. */
export interface Asking {
  method: string;
  headers: Readonly<Record<string, string | string[] | undefined>>;
}

export interface Opened {
  session: SessionRow;
  /** For `set-cookie`. */
  cookie: string;
}

/** People who signed in at the page: a cookie stands for a row, which can be ended from here at any time. */
export interface Sessions {
  open(who: Omit<Principal, 'session'>, about: { name: string; key: string | null }): Promise<Opened>;
  /** Null where there is no cookie, or one that opens nothing now. */
  find(asking: Asking): Promise<SessionRow | null>;
  /** Whoever the cookie stands for. @throws Problem csrf when the request changes something and has not come from our page */
  principalOf(asking: Asking): Promise<Principal | null>;
  renew(asking: Asking): Promise<Opened | null>;
  /** Returns the `set-cookie` that forgets it. What it held of the review queue is given back. */
  end(session: SessionRow): Promise<string>;
}

export function createSessions(deps: { database: Database; clock: Clock; secure: boolean }): Sessions {
  const { database, clock, secure } = deps;
  const db = database.postgres;
  // The prefix makes browsers refuse one that was set for other hosts, paths, or without TLS.
  const name = secure ? '__Host-vigil' : 'vigil';

  const secretOf = ({ headers }: Asking): string | null => {
    const header = headers.cookie;
    for (const pair of (Array.isArray(header) ? header.join(';') : (header ?? '')).split(';')) {
      const [key, value] = pair.trim().split('=');
      if (key === name && value && /^[A-Za-z0-9_-]{43}$/.test(value)) return value;
    }
    return null;
  };
  const cookieOf = (secret: string, seconds: number): string =>
    `${name}=${secret}; Path=/; HttpOnly; SameSite=Strict; Max-Age=${seconds}${secure ? '; Secure' : ''}`;
  const opened = (session: SessionRow, secret: string): Opened => ({
    session,
    cookie: cookieOf(secret, Math.max(1, Math.floor((session.renewBy - clock.now()) / 1000))),
  });

  async function find(asking: Asking): Promise<SessionRow | null> {
    const secret = secretOf(asking);
    return secret ? findSession(db, digestOf(secret), clock.now()) : null;
  }

  return {
    find,

    async open({ id: principal, role, holder, verbs, expiresAt: keyExpiresAt }, { name: shown, key }) {
      const now = clock.now();
      const secret = newSecret();
      const session: SessionRow = {
        id: `session_${randomBytes(12).toString('base64url')}`,
        csrf: newSecret(),
        ...{ principal, key, keyExpiresAt, name: shown, role, holder, verbs: [...verbs] },
        ...{ createdAt: now, renewBy: now + RENEW_MS, expiresAt: now + SESSION_MS },
      };
      await addSession(db, { ...session, hash: digestOf(secret) });
      return opened(session, secret);
    },

    async principalOf(asking) {
      const session = await find(asking);
      if (!session) return null;
      if (!['GET', 'HEAD'].includes(asking.method)) mustComeFromPage(asking, session.csrf);
      return principalOf(session);
    },

    async renew(asking) {
      const secret = secretOf(asking);
      const session = secret && (await find(asking));
      if (!secret || !session) return null;
      mustComeFromPage(asking, session.csrf);
      const [now, fresh] = [clock.now(), newSecret()];
      const about = { from: digestOf(secret), hash: digestOf(fresh), now };
      const renewed = await renewSession(db, { ...about, renewBy: now + RENEW_MS, overlapUntil: now + OVERLAP_MS });
      // The secret of before, in its last minutes: whoever renewed it has the new one.
      return renewed ? opened(renewed, fresh) : { session, cookie: '' };
    },

    async end(session) {
      await releaseLocks(db, seatOf(principalOf(session)), null);
      await endSession(db, session.id, clock.now());
      return cookieOf('', 0);
    },
  };
}

export const principalOf = ({ id, principal, role, holder, verbs, keyExpiresAt }: SessionRow): Principal => ({
  id: principal,
  role,
  holder,
  verbs,
  expiresAt: keyExpiresAt,
  session: id,
});

export const newSecret = (): string => randomBytes(32).toString('base64url');
export const digestOf = (secret: string): Buffer => createHash('sha256').update(secret).digest();

/**
 * A request that changes something shows that a page of ours made it: by a token that only such a page can read. What browsers say
 * of where a request comes from is looked at as well. @throws Problem csrf
 */
export function mustComeFromPage(asking: Asking, csrf: string): void {
  mustBeSameOrigin(asking);
  const given = `${asking.headers['x-csrf-token'] ?? ''}`;
  if (!timingSafeEqual(digestOf(given), digestOf(csrf)))
    throw new Problem('csrf', "send the session's `csrf` in the header x-csrf-token");
}

/** @throws Problem csrf when the browser says that another site made it */
export function mustBeSameOrigin({ headers }: Asking): void {
  const site = headers['sec-fetch-site'];
  const { origin, host } = headers;
  const foreign =
    (site !== undefined && site !== 'same-origin' && site !== 'none') ||
    (typeof origin === 'string' && site === undefined && URL.parse(origin)?.host !== host);
  if (foreign) throw new Problem('csrf', 'it was sent by a page of another site');
}
