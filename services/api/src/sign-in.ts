import { createHash, randomBytes } from 'node:crypto';
import {
  addOidcSignIn,
  addSignInLink,
  type Database,
  keyBehind,
  type SessionRow,
  type SignInLink,
  takeOidcSignIn,
  useSignInLink,
} from '@vigil/database';
import type { Clock, Queryable } from '@vigil/runtime';
import { z } from 'zod';
import { opensAt, ownerOf } from './credentials.ts';
import type { Identities } from './identities.ts';
import { ROLE_VERBS } from './principal.ts';
import { Problem } from './problem.ts';
import type { Answer } from './route.ts';
import {
  type Asking,
  digestOf,
  mustBeSameOrigin,
  mustComeFromPage,
  newSecret,
  type Opened,
  type Sessions,
} from './sessions.ts';

/** What the page asks before anybody is known: not part of the API, and in no document. */
export interface OpenRoute {
  method: 'GET' | 'POST' | 'DELETE';
  path: string;
  /** It writes something for whoever asks, known or not: counted as a try of a stranger before it does. */
  counted?: true;
  run(asking: Asking & { query: Record<string, string>; body: unknown; base: string }): Promise<Answer>;
}

const SignIn = z.union([z.strictObject({ key: z.string().max(200) }), z.strictObject({ link: z.string().max(200) })]);

/** People at the identity provider have so long. */
const AWAY_MS = 10 * 60_000;
const BROWSER_COOKIE = 'vigil_sign_in';
const OIDC_PATH = '/session/oidc';

export function signInRoutes(deps: {
  database: Database;
  clock: Clock;
  sessions: Sessions;
  identities: Identities | null;
  secure: boolean;
}): OpenRoute[] {
  const { database, clock, sessions, identities, secure } = deps;
  const db = database.postgres;

  const show = (s: SessionRow) => {
    const { name, role, holder, verbs, csrf, renewBy, expiresAt } = s;
    return { name, role, holder, verbs, csrf, renewBy, expiresAt, now: clock.now() };
  };
  const answer = ({ session, cookie }: Opened, status = 200): Answer => ({
    status,
    body: show(session),
    headers: cookie ? { 'set-cookie': cookie } : {},
  });
  const signedOut = () => new Problem('unauthenticated', 'nobody is signed in');

  async function opened(wanted: z.output<typeof SignIn>): Promise<Opened> {
    if ('key' in wanted) {
      const { who, name } = await ownerOf(db, wanted.key.trim(), clock.now());
      return sessions.open(who, { name, key: who.id });
    }
    const link = await useSignInLink(db, digestOf(wanted.link), clock.now());
    if (!link) throw new Problem('unauthenticated', 'the link was used before, or has expired: ask for another one');
    const { id, name, role, holder } = link;
    // It ends with the key that made it, so that whoever stole one keeps no door open by a link.
    const key = await keyBehind(db, link.createdBy);
    if (key && !opensAt(key, clock.now()))
      throw new Problem('unauthenticated', 'the key that made the link opens nothing any more: ask for another one');
    const who = { id, role, holder, verbs: ROLE_VERBS[role], expiresAt: key?.expiresAt ?? null };
    return sessions.open(who, { name, key: key?.id ?? null });
  }

  const redirect = (location: string, cookies: string[] = []): Answer => ({
    status: 303,
    headers: { location, ...(cookies.length > 0 ? { 'set-cookie': cookies } : {}) },
  });
  // Lax: it has to come along when the provider sends the browser back. It opens nothing by itself.
  const browserCookie = (value: string, seconds: number) =>
    `${BROWSER_COOKIE}=${value}; Path=${OIDC_PATH}; HttpOnly; SameSite=Lax; Max-Age=${seconds}${secure ? '; Secure' : ''}`;

  async function begin({ query, base }: { query: Record<string, string>; base: string }): Promise<Answer> {
    if (!identities?.codeFlow) throw new Problem('not-found', 'no identity provider is configured for this page');
    const [state, browser, verifier, nonce] = [newSecret(), newSecret(), newSecret(), newSecret()];
    const returnTo = isOwnPath(query.return) ? query.return : '/';
    const expiresAt = clock.now() + AWAY_MS;
    const kept = { state: digestOf(state), browser: digestOf(browser), verifier, nonce, returnTo, expiresAt };
    await addOidcSignIn(db, kept);
    const challenge = createHash('sha256').update(verifier).digest('base64url');
    const redirectUri = `${base}${OIDC_PATH}/callback`;
    const address = await identities.codeFlow.address({ state, nonce, challenge, redirectUri });
    return redirect(address, [browserCookie(browser, AWAY_MS / 1000)]);
  }

  async function finish({ query, base, headers }: Parameters<OpenRoute['run']>[0]): Promise<Answer> {
    const failed = (words: string) => redirect(`/sign-in?${new URLSearchParams({ problem: words })}`);
    if (!identities?.codeFlow) throw new Problem('not-found', 'no identity provider is configured for this page');
    const browser = new RegExp(`(?:^|;\\s*)${BROWSER_COOKIE}=([A-Za-z0-9_-]{43})`).exec(`${headers.cookie ?? ''}`)?.[1];
    const about = { state: digestOf(query.state ?? ''), browser: digestOf(browser ?? ''), now: clock.now() };
    const begun = await takeOidcSignIn(db, about);
    if (!begun) return failed('the sign-in took too long, or was begun in another browser: try it again');
    if (!query.code) return failed(`the provider did not sign you in (${(query.error ?? 'no code').slice(0, 100)})`);
    const redirectUri = `${base}${OIDC_PATH}/callback`;
    const { verifier, nonce } = begun;
    const person = await identities.codeFlow.redeem({ code: query.code, verifier, nonce, redirectUri });
    if (!person) return failed('the provider signed you in, but you have no role here: ask whoever runs this');
    const { cookie } = await sessions.open(person.who, { name: person.name, key: null });
    return redirect(begun.returnTo, [cookie, browserCookie('', 0)]);
  }

  return [
    {
      method: 'GET',
      path: '/session/ways',
      run: async () => ({
        body: { key: true, oidc: identities?.codeFlow ? { host: identities.codeFlow.host } : null },
      }),
    },
    {
      method: 'GET',
      path: '/session',
      async run(asking) {
        const session = await sessions.find(asking);
        if (!session) throw signedOut();
        return { body: show(session) };
      },
    },
    {
      method: 'POST',
      path: '/session',
      async run(asking) {
        mustBeSameOrigin(asking);
        // Whoever was signed in here before is so no more: a session is never handed on.
        const before = await sessions.find(asking);
        const made = await opened(SignIn.parse(asking.body));
        if (before) await sessions.end(before);
        return answer(made, 201);
      },
    },
    {
      method: 'POST',
      path: '/session/renew',
      async run(asking) {
        const renewed = await sessions.renew(asking);
        if (!renewed) throw signedOut();
        return answer(renewed);
      },
    },
    {
      method: 'DELETE',
      path: '/session',
      async run(asking) {
        const session = await sessions.find(asking);
        if (!session) throw signedOut();
        mustComeFromPage(asking, session.csrf);
        return { status: 204, headers: { 'set-cookie': await sessions.end(session), 'clear-site-data': '"cache"' } };
      },
    },
    { method: 'GET', path: OIDC_PATH, counted: true, run: begin },
    { method: 'GET', path: `${OIDC_PATH}/callback`, run: finish },
  ];
}

/** A path on this very site: "//elsewhere" and "/\\elsewhere" are none. */
const isOwnPath = (path: string | undefined): path is string =>
  path !== undefined && /^\/(?![/\\])[\w\-./~%]*$/.test(path);

const INVITED_MS = 3600_000;

export type Invitation = Pick<SignInLink, 'name' | 'role' | 'holder' | 'createdBy'>;

/** The secret stands behind the #, which browsers send to nobody: so it is in no log, and nothing that looks at links uses it up. */
export async function invite(
  db: Queryable,
  whom: Invitation,
  now: number,
): Promise<{ path: string; expiresAt: number }> {
  const token = newSecret();
  const expiresAt = now + INVITED_MS;
  const id = `link_${randomBytes(9).toString('base64url')}`;
  await addSignInLink(db, { ...whom, id, createdAt: now, expiresAt, hash: digestOf(token) });
  return { path: `/sign-in#${token}`, expiresAt };
}
