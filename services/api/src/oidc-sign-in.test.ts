/** The way to the identity provider and back, against a provider that checks what it is told. Faked: the provider. */
import { createHash, randomUUID } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { createLogger, realClock } from '@vigil/runtime';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestApi, type TestApi } from '../../../test/support/test-api.ts';
import { createApp } from './app.ts';

/** RFC 6749 and 7636 as far as a client can get them wrong: codes are for one client, one address, one verifier, and one use. */
async function openProvider(client: { id: string; secret: string }, credentials: string) {
  const { publicKey, privateKey } = await generateKeyPair('ES256');
  const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
  const codes = new Map<string, { challenge: string; redirectUri: string; nonce: string; claims: object }>();
  let issuer = '';
  const server = createServer(async (request, response) => {
    const json = (status: number, body: object) =>
      response.writeHead(status, { 'content-type': 'application/json' }).end(JSON.stringify(body));
    if (request.url === '/keys') return json(200, { keys: [jwk] });
    if (request.url !== '/token') {
      const endpoints = { authorization_endpoint: `${issuer}/authorize?tenant=1`, token_endpoint: `${issuer}/token` };
      return json(200, { issuer, jwks_uri: `${issuer}/keys`, ...endpoints });
    }
    const form = new URLSearchParams(await text(request));
    const found = codes.get(form.get('code') ?? '');
    codes.delete(form.get('code') ?? '');
    const verifier = createHash('sha256')
      .update(form.get('code_verifier') ?? '')
      .digest('base64url');
    const basic = `Basic ${Buffer.from(credentials).toString('base64')}`;
    const right =
      found?.challenge === verifier &&
      form.get('redirect_uri') === found?.redirectUri &&
      form.get('grant_type') === 'authorization_code' &&
      request.headers.authorization === basic;
    if (!found || !right) return json(400, { error: 'invalid_grant' });
    const idToken = await new SignJWT({ nonce: found.nonce, ...found.claims })
      .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
      .setSubject('jane')
      .setIssuer(issuer)
      .setAudience(client.id)
      .setExpirationTime('5m')
      .sign(privateKey);
    return json(200, { id_token: idToken, access_token: 'opaque', token_type: 'Bearer' });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  return {
    issuer,
    /** Somebody has signed in there: the address that the browser is sent back to. */
    signIn(address: string, claims: object): string {
      const asked = new URL(address).searchParams;
      expect(asked.get('response_type')).toBe('code');
      expect(asked.get('client_id')).toBe(client.id);
      expect(asked.get('code_challenge_method')).toBe('S256');
      expect(asked.get('scope')).toContain('openid');
      expect(asked.get('tenant')).toBe('1');
      const code = randomUUID();
      const [challenge, redirectUri] = [asked.get('code_challenge')!, asked.get('redirect_uri')!];
      codes.set(code, { challenge, redirectUri, nonce: asked.get('nonce')!, claims });
      const back = new URL(redirectUri);
      back.search = new URLSearchParams({ code, state: asked.get('state')! }).toString();
      return back.href;
    },
    [Symbol.asyncDispose]: () => new Promise<void>((resolve) => server.close(() => resolve())),
  };
}

describe('signing in by OpenID Connect', () => {
  const client = { id: 'vigil page', secret: 'p:w+d' };
  let provider: Awaited<ReturnType<typeof openProvider>>;
  let api: TestApi;
  beforeAll(async () => {
    provider = await openProvider(client, 'vigil+page:p%3Aw%2Bd');
    api = await openTestApi({
      ...{ VIGIL_OIDC_ISSUER: provider.issuer, VIGIL_OIDC_AUDIENCE: 'vigil-api' },
      ...{ VIGIL_OIDC_CLIENT_ID: client.id, VIGIL_OIDC_CLIENT_SECRET: client.secret },
    });
  });
  afterAll(async () => {
    await api?.[Symbol.asyncDispose]();
    await provider?.[Symbol.asyncDispose]();
  });

  /** A browser that follows nothing by itself. */
  const visit = async (address: string, cookie = '') => {
    const response = await fetch(new URL(address, api.url), { redirect: 'manual', headers: { cookie } });
    const cookies = response.headers.getSetCookie();
    return { status: response.status, location: response.headers.get('location') ?? '', cookies };
  };
  const begin = async (back = '/review') => {
    const begun = await visit(`/session/oidc?return=${encodeURIComponent(back)}`);
    return { ...begun, browser: begun.cookies[0]!.split(';')[0]! };
  };
  const reviewer = { vigil_role: 'reviewer', name: 'Jane Doe' };

  test('there and back: a session in the name of the person', async () => {
    expect((await api.call('GET', '/session/ways', { key: null })).body).toEqual({
      key: true,
      oidc: { host: new URL(provider.issuer).host },
    });
    const begun = await begin();
    expect(begun.status).toBe(303);
    expect(begun.cookies[0]).toMatch(/; Path=\/session\/oidc; HttpOnly; SameSite=Lax; Max-Age=600$/);
    const address = provider.signIn(begun.location, reviewer);
    const back = await visit(address, begun.browser);
    expect([back.status, back.location]).toEqual([303, '/review']);
    const session = back.cookies.find((c) => c.startsWith('vigil='))!;
    expect(session).toContain('SameSite=Strict');
    const cookie = session.split(';')[0]!;
    const shown = await api.call('GET', '/session', { key: null, headers: { cookie } });
    expect(shown.body).toMatchObject({ name: 'Jane Doe', role: 'reviewer', holder: null });
    expect((await api.call('GET', '/v1/reviews', { key: null, headers: { cookie } })).status).toBe(200);
    // The address of return opens nothing a second time.
    expect((await visit(address, begun.browser)).location).toMatch(/^\/sign-in\?problem=/);
  });

  test('comes back empty-handed in another browser, with another state, a wrong code, or no role', async () => {
    const failed = async (address: string, browser: string) => {
      const back = await visit(address, browser);
      expect(back.cookies.filter((c) => c.startsWith('vigil='))).toEqual([]);
      return decodeURIComponent(back.location.replaceAll('+', ' '));
    };
    const { signIn } = provider;
    const [one, two] = [await begin(), await begin()];
    expect(await failed(signIn(one.location, reviewer), two.browser)).toMatch(/in another browser/);
    expect(await failed(signIn(one.location, reviewer), '')).toMatch(/in another browser/);
    const wrong = new URL(signIn(two.location, reviewer));
    wrong.searchParams.set('code', 'another');
    expect(await failed(wrong.href, two.browser)).toMatch(/no role here/);
    const three = await begin();
    const denied = new URL(signIn(three.location, reviewer));
    denied.searchParams.delete('code');
    denied.searchParams.set('error', 'access_denied');
    expect(await failed(denied.href, three.browser)).toMatch(/did not sign you in \(access_denied\)/);
    const four = await begin();
    expect(await failed(signIn(four.location, { name: 'Nobody' }), four.browser)).toMatch(/no role here/);
    // A token that was made for another sign-in.
    const five = await begin();
    expect(await failed(signIn(five.location, { ...reviewer, nonce: 'replayed' }), five.browser)).toMatch(/no role/);
    // What is said twice is not understood, and nothing fails by it.
    expect((await visit('/session/oidc/callback?state=a&state=b')).status).toBe(400);
    expect(api.logged).toEqual([]);
  });

  test('is begun so often an address and minute, as guesses are: nobody fills the table from outside', async () => {
    await using own = await openTestApi({
      ...{ VIGIL_OIDC_ISSUER: provider.issuer, VIGIL_OIDC_AUDIENCE: 'vigil-api', VIGIL_OIDC_CLIENT_ID: 'page' },
    });
    const go = async () => {
      const response = await fetch(new URL('/session/oidc', own.url), { redirect: 'manual' });
      await response.arrayBuffer();
      return response;
    };
    const statuses = (await Promise.all(Array.from({ length: 130 }, go))).map((r) => r.status);
    expect([303, 429].map((status) => statuses.filter((s) => s === status).length)).toEqual([120, 10]);
    const refused = await go();
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    const [row] = await own.instance.database.postgres.query('SELECT count(*) AS n FROM oidc_sign_ins');
    expect(row).toEqual({ n: 120 });
    // Who has a key goes on.
    expect((await own.call('GET', '/v1/works')).status).toBe(200);
  });

  test('counts the addresses of one network as one stranger', async () => {
    const open = [{ method: 'GET', path: '/counted', counted: true, run: async () => ({ body: {} }) }] as const;
    await using app = await createApp({
      ...{ routes: [], pages: {}, open, authenticate: () => Promise.reject(new Error('nobody')) },
      ...{ database: null as never, clock: realClock, logger: createLogger({ level: 'error' }) },
      ...{ publicUrl: null, requestsPerMinute: 1, maxMediaBytes: 1 },
    });
    let address = '';
    const server = createServer((request, response) => {
      Object.defineProperty(request.socket, 'remoteAddress', { value: address, configurable: true });
      app.handle(request, response);
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const from = async (one: string) => {
      address = one;
      return (await fetch(`http://127.0.0.1:${(server.address() as AddressInfo).port}/counted`)).status;
    };
    for (let n = 1; n <= 120; n++) expect(await from(`2001:db8::${n}`)).toBe(200);
    expect([await from('2001:db8::9999'), await from('2001:db8:0:1::1'), await from('192.0.2.1')]).toEqual([
      429, 200, 200,
    ]);
    server.close();
  });

  test('leads to a page of ours, and to no other site', async () => {
    for (const back of ['https://evil.example', '//evil.example', '/\\evil.example', 'javascript:alert(1)']) {
      const begun = await begin(back);
      expect((await visit(provider.signIn(begun.location, reviewer), begun.browser)).location).toBe('/');
    }
  });
});
