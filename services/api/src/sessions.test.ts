/** People who sign in at the page: cookies, tokens, links, ends. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { cookieOf, signedIn } from '../../../test/support/open-claims.ts';
import { openTestApi, type TestApi } from '../../../test/support/test-api.ts';

const problem = (type: string) => ({ body: { type: `urn:vigil:problem:${type}` } });

describe('sessions', () => {
  let api: TestApi;
  let holderKey: string;
  beforeAll(async () => {
    api = await openTestApi();
    holderKey = await api.key({ holder: 'holder-a' });
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  const sql = (text: string, values: unknown[] = []) => api.instance.database.postgres.query(text, values);

  test('begin with a key, and are no more than it', async () => {
    const reply = await api.call('POST', '/session', { key: null, json: { key: holderKey } });
    expect(reply).toMatchObject({ status: 201, body: { role: 'holder', holder: 'holder-a', name: 'test' } });
    expect(reply.headers.get('set-cookie')).toMatch(
      /^vigil=[A-Za-z0-9_-]{43}; Path=\/; HttpOnly; SameSite=Strict; Max-Age=\d+$/,
    );
    expect(reply.headers.get('cache-control')).toBe('no-store');
    expect(reply.body.verbs).not.toContain('reviews:write');
    const browser = await signedIn(api, { key: holderKey });
    expect((await browser.call('GET', '/v1/works')).status).toBe(200);
    expect(await browser.call('GET', '/v1/reviews')).toMatchObject({ status: 403, ...problem('not-allowed') });
    expect(await browser.call('GET', '/session')).toMatchObject({ status: 200, body: { csrf: browser.csrf } });
    // The key counts as used, so that nobody takes it for one that is not needed.
    const made = (await api.call('POST', '/v1/keys', { json: { name: 'x', holder: 'holder-a' } })).body;
    await signedIn(api, { key: made.secret });
    const listed: { id: string; lastUsedAt: number | null }[] = (await api.call('GET', '/v1/keys')).body.items;
    expect(listed.find((k) => k.id === made.id)!.lastUsedAt).toEqual(expect.any(Number));
    // The secret is nowhere.
    const rows = await api.instance.database.postgres.query<{ row: string }>(
      'SELECT (s.*)::text AS row FROM sessions s',
    );
    expect(rows.filter((r) => r.row.includes(browser.cookie.split('=')[1]!))).toEqual([]);
    const wrong = await api.call('POST', '/session', { key: null, json: { key: `${holderKey.slice(0, -4)}AAAA` } });
    expect(wrong).toMatchObject({ status: 401, ...problem('unauthenticated') });
    expect(await api.call('POST', '/session', { key: null, json: { name: 'x' } })).toMatchObject({ status: 400 });
    expect(await api.call('GET', '/session', { key: null })).toMatchObject({ status: 401 });
  });

  test('change nothing unless the page itself asks', async () => {
    const browser = await signedIn(api, { key: holderKey });
    const make = (headers: Record<string, string>) => browser.call('POST', '/v1/works', { title: 'x' }, headers);
    expect((await make({})).status).toBe(201);
    expect(await make({ 'x-csrf-token': '' })).toMatchObject({ status: 403, ...problem('csrf') });
    const other = await signedIn(api, { key: holderKey });
    expect(await make({ 'x-csrf-token': other.csrf })).toMatchObject({ status: 403, ...problem('csrf') });
    for (const site of ['cross-site', 'same-site'])
      expect(await make({ 'sec-fetch-site': site })).toMatchObject({ status: 403, ...problem('csrf') });
    expect(await make({ origin: 'https://evil.example' })).toMatchObject({ status: 403, ...problem('csrf') });
    expect((await make({ 'sec-fetch-site': 'same-origin' })).status).toBe(201);
    // Nor is anybody signed in by another site, renewed, or signed out.
    const sign = (headers: Record<string, string>) =>
      api.call('POST', '/session', { key: null, json: { key: holderKey }, headers });
    expect(await sign({ 'sec-fetch-site': 'cross-site' })).toMatchObject({ status: 403, ...problem('csrf') });
    for (const [method, route] of [
      ['POST', '/session/renew'],
      ['DELETE', '/session'],
    ] as const)
      expect(await browser.call(method, route, undefined, { 'x-csrf-token': 'no' })).toMatchObject({ status: 403 });
    // A key needs no token: browsers do not send it by themselves.
    expect((await api.call('POST', '/v1/works', { key: holderKey, json: { title: 'x' } })).status).toBe(201);
  });

  test('change their secret; the one before goes on for a moment, and for no longer', async () => {
    const browser = await signedIn(api, { key: holderKey });
    const before = browser.cookie;
    const renewed = await browser.call('POST', '/session/renew');
    expect(renewed).toMatchObject({ status: 200, body: { csrf: browser.csrf } });
    browser.cookie = cookieOf(renewed);
    expect(browser.cookie).not.toBe(before);
    const status = async (cookie: string) =>
      (await api.call('GET', '/v1/works', { key: null, headers: { cookie } })).status;
    expect([await status(before), await status(browser.cookie)]).toEqual([200, 200]);
    // Two tabs renew at once: the second is not signed out, and changes nothing.
    const late = await browser.call('POST', '/session/renew', undefined, { cookie: before });
    expect([late.status, late.headers.get('set-cookie')]).toEqual([200, null]);
    await sql('UPDATE sessions SET previous_until = $1 WHERE csrf = $2', [Date.now() - 1, browser.csrf]);
    expect([await status(before), await status(browser.cookie)]).toEqual([401, 200]);
  });

  test('end when nobody renews them, after their time, with their key, and by signing out', async () => {
    const ends = async (how: (csrf: string, key: string) => Promise<unknown>) => {
      const made = (await api.call('POST', '/v1/keys', { json: { name: 'x', holder: 'holder-a' } })).body;
      const browser = await signedIn(api, { key: made.secret });
      expect((await browser.call('GET', '/v1/works')).status).toBe(200);
      await how(browser.csrf, made.id);
      expect(await browser.call('GET', '/v1/works')).toMatchObject({ status: 401, ...problem('unauthenticated') });
      expect((await browser.call('POST', '/session/renew')).status).toBe(401);
      return browser;
    };
    const past = Date.now() - 1;
    await ends((csrf) => sql('UPDATE sessions SET renew_by = $1 WHERE csrf = $2', [past, csrf]));
    await ends((csrf) => sql('UPDATE sessions SET expires_at = $1 WHERE csrf = $2', [past, csrf]));
    await ends((_, id) => api.call('POST', `/v1/keys/${id}/revoke`));
    const browser = await signedIn(api, { key: holderKey });
    const out = await browser.call('DELETE', '/session');
    expect([out.status, out.headers.get('set-cookie')]).toEqual([204, expect.stringMatching(/^vigil=; .*Max-Age=0/)]);
    expect((await browser.call('GET', '/v1/works')).status).toBe(401);
  });

  test('begin with a link, once', async () => {
    const ask = (json: object, key?: string) =>
      api.call('POST', '/v1/sign-in-links', { json, ...(key ? { key } : {}) });
    const made = await ask({ role: 'reviewer', name: 'Ada' });
    expect(made.status).toBe(201);
    const [address, token] = made.body.url.split('#');
    expect(address).toBe(`${api.url}/sign-in`);
    const browser = await signedIn(api, { link: token });
    const { body } = await browser.call('GET', '/session');
    expect(body).toMatchObject({ role: 'reviewer', holder: null, name: 'Ada' });
    expect(body.verbs).toContain('reviews:write');
    expect(body.verbs).not.toContain('keys:write');
    expect((await browser.call('GET', '/v1/keys')).status).toBe(403);
    const again = await api.call('POST', '/session', { key: null, json: { link: token } });
    expect(again).toMatchObject({ status: 401, ...problem('unauthenticated') });
    const stale = (await ask({ role: 'operator' })).body.url.split('#')[1];
    await sql('UPDATE sign_in_links SET expires_at = $1 WHERE used_at IS NULL', [Date.now() - 1]);
    expect((await api.call('POST', '/session', { key: null, json: { link: stale } })).status).toBe(401);
    expect(await ask({ role: 'holder' })).toMatchObject({ status: 400 });
    expect(await ask({ role: 'reviewer', holder: 'holder-a' })).toMatchObject({ status: 400 });
    expect(await ask({ role: 'operator' }, holderKey)).toMatchObject({ status: 403 });
  });

  test('rest on the key that let them in, by a link as well, and make none that lasts longer', async () => {
    const operator = (await api.call('POST', '/v1/keys', { json: { name: 'x', role: 'operator', expiresInDays: 1 } }))
      .body;
    type Someone = Awaited<ReturnType<typeof signedIn>>;
    const linked = async (ask: (json: object) => Promise<{ body: { url: string } }>): Promise<Someone> =>
      signedIn(api, { link: (await ask({ role: 'operator' })).body.url.split('#')[1]! });
    const byLink = await linked((json) => api.call('POST', '/v1/sign-in-links', { key: operator.secret, json }));
    const byKey = await signedIn(api, { key: operator.secret });
    // A link that somebody makes who came by a link.
    const further = await linked((json) => byLink.call('POST', '/v1/sign-in-links', json));
    for (const browser of [byKey, byLink, further]) {
      const made = await browser.call('POST', '/v1/keys', { name: 'x', expiresInDays: 365 });
      expect([made.status, made.body.expiresAt]).toEqual([201, operator.expiresAt]);
    }
    const renewed = await byLink.call('POST', '/session/renew');
    byLink.cookie = cookieOf(renewed);
    const made = await byLink.call('POST', '/v1/keys', { name: 'x' });
    expect(made.body.expiresAt).toBe(operator.expiresAt);

    const unused = (
      await api.call('POST', '/v1/sign-in-links', { key: operator.secret, json: { role: 'reviewer' } })
    ).body.url.split('#')[1];
    await api.call('POST', `/v1/keys/${operator.id}/revoke`);
    for (const browser of [byKey, byLink, further]) expect((await browser.call('GET', '/v1/works')).status).toBe(401);
    const late = await api.call('POST', '/session', { key: null, json: { link: unused } });
    expect(late).toMatchObject({ status: 401, ...problem('unauthenticated') });
  });

  test('by a provider are not to be had where there is none', async () => {
    expect((await api.call('GET', '/session/ways', { key: null })).body).toEqual({ key: true, oidc: null });
    expect((await api.call('GET', '/session/oidc', { key: null })).status).toBe(404);
    expect(api.logged).toEqual([]);
  });
});
