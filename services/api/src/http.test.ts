/** What every route has in common: keys, sign-in, problems, limits, ETags, idempotency, pages, documents. */
import { once } from 'node:events';
import { mkdtemp, readdir, readFile, rm } from 'node:fs/promises';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { realClock } from '@vigil/runtime';
import Ajv from 'ajv/dist/2020.js';
import addFormats from 'ajv-formats';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openTestApi, type TestApi, until } from '../../../test/support/test-api.ts';
import { keepOperatorKey } from './operator-key.ts';
import { OPERATOR_KEY_FILE } from './operator-key-file.ts';

const problem = (type: string) => ({ body: { type: `urn:vigil:problem:${type}` } });

describe('the API over HTTP', () => {
  let api: TestApi;
  let a: string;
  beforeAll(async () => {
    api = await openTestApi();
    a = await api.key({ holder: 'holder-a' });
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  const post = (route: string, json: unknown, headers: Record<string, string> = {}, key = a) =>
    api.call('POST', route, { key, json, headers });

  describe('keys', () => {
    test('are shown once, and kept as a hash', async () => {
      const made = await api.call('POST', '/v1/keys', { json: { name: 'one', holder: 'h1' } });
      expect(made).toMatchObject({ status: 201, body: { role: 'holder', holder: 'h1', revokedAt: null } });
      const { secret, id } = made.body;
      expect(secret).toMatch(/^vgl_[0-9a-f]{16}_[A-Za-z0-9_-]{43}$/);
      const shown = await api.call('GET', `/v1/keys/${id}`);
      expect(JSON.stringify(shown.body)).not.toContain(secret.slice(-20));
      const rows = await api.instance.database.postgres.query<{ row: string }>(
        `SELECT (k.*)::text AS row FROM api_keys k UNION ALL SELECT (i.*)::text FROM idempotency_keys i`,
      );
      expect(rows.filter((r) => r.row.includes(secret.slice(-20)))).toEqual([]);
      // One character off opens nothing.
      const wrong = `${secret.slice(0, -1)}${secret.endsWith('A') ? 'B' : 'A'}`;
      expect(await api.call('GET', '/v1/works', { key: wrong })).toMatchObject({
        status: 401,
        ...problem('unauthenticated'),
      });
    });

    test('open nothing from the moment they are revoked, or expired', async () => {
      const { id, secret } = (await api.call('POST', '/v1/keys', { json: { name: 'x', holder: 'h2' } })).body;
      const status = async () => (await api.call('GET', '/v1/works', { key: secret })).status;
      expect(await status()).toBe(200);
      const db = api.instance.database.postgres;
      await db.query('UPDATE api_keys SET expires_at = $2 WHERE id = $1', [id, Date.now() - 1]);
      expect(await status()).toBe(401);
      await db.query('UPDATE api_keys SET expires_at = $2 WHERE id = $1', [id, Date.now() + 60_000]);
      expect(await status()).toBe(200);
      expect((await api.call('POST', `/v1/keys/${id}/revoke`)).body.revokedAt).toBeGreaterThan(0);
      expect(await status()).toBe(401);
    });

    test('rotate with an overlap', async () => {
      const old = (
        await api.call('POST', '/v1/keys', { json: { name: 'x', holder: 'h3', verbs: ['works:read', 'keys:write'] } })
      ).body;
      const fresh = await api.call('POST', `/v1/keys/${old.id}/rotate`, { key: old.secret, json: { overlapHours: 1 } });
      expect(fresh).toMatchObject({ status: 201, body: { holder: 'h3', verbs: ['works:read', 'keys:write'] } });
      for (const key of [old.secret, fresh.body.secret])
        expect((await api.call('GET', '/v1/works', { key })).status).toBe(200);
      const shown = (await api.call('GET', `/v1/keys/${old.id}`)).body;
      expect(shown).toMatchObject({ replacedBy: fresh.body.id });
      expect(shown.expiresAt).toBeLessThan(Date.now() + 3601_000);
    });

    test('make keys of their own kind, with no more than they may do', async () => {
      const some = await api.key({ holder: 'h4', verbs: ['works:read', 'keys:write', 'keys:read'] });
      const make = (json: object) => post('/v1/keys', { name: 'x', ...json }, {}, some);
      expect(await make({})).toMatchObject({
        status: 201,
        body: { holder: 'h4', verbs: ['works:read', 'keys:read', 'keys:write'] },
      });
      expect(await make({ verbs: ['works:write'] })).toMatchObject({ status: 403, ...problem('not-allowed') });
      expect((await make({ holder: 'h5' })).status).toBe(403);
      expect((await make({ role: 'operator' })).status).toBe(403);
      expect((await make({ role: 'platform' })).status).toBe(403);
    });

    test('hand on no verb that they do not have, by no way', async () => {
      const few = await api.key({ role: 'operator', verbs: ['keys:write', 'works:read'] });
      const ask = (route: string, json: object) => post(route, json, {}, few);
      const whole = (await api.call('POST', '/v1/keys', { json: { name: 'x', role: 'operator' } })).body;
      const same = (await ask('/v1/keys', { name: 'x' })).body;
      expect(await ask(`/v1/keys/${whole.id}/rotate`, {})).toMatchObject({ status: 403, ...problem('not-allowed') });
      // Nothing came of it.
      expect((await api.call('GET', `/v1/keys/${whole.id}`)).body).toMatchObject({ replacedBy: null });
      expect(await ask(`/v1/keys/${same.id}/rotate`, {})).toMatchObject({ status: 201, body: { verbs: same.verbs } });
      for (const role of ['operator', 'reviewer', 'platform'])
        expect(await ask('/v1/sign-in-links', { role })).toMatchObject({ status: 403, ...problem('not-allowed') });
      expect((await ask('/v1/sign-in-links', { role: 'holder', holder: 'h6' })).status).toBe(403);
    });

    test('make none that lasts longer than they do, new or in the place of another', async () => {
      const make = async (json: object, key?: string) =>
        (await api.call('POST', '/v1/keys', { json: { name: 'x', ...json }, ...(key ? { key } : {}) })).body;
      const day = await make({ holder: 'h7', expiresInDays: 1 });
      const year = await make({ holder: 'h7' });
      expect(year.expiresAt).toBeGreaterThan(day.expiresAt + 300 * 24 * 3600_000);
      const rotate = async (id: string, key: string) =>
        (await post(`/v1/keys/${id}/rotate`, { expiresInDays: 730 }, {}, key)).body;
      expect((await make({ expiresInDays: 730 }, day.secret)).expiresAt).toBe(day.expiresAt);
      expect((await rotate(day.id, day.secret)).expiresAt).toBe(day.expiresAt);
      const other = await make({ holder: 'h7', expiresInDays: 2 });
      expect((await rotate(other.id, other.secret)).expiresAt).toBe(other.expiresAt);
      // By one that lasts longer it gets more time, as a new one would.
      const third = await make({ holder: 'h7', expiresInDays: 3 });
      expect((await rotate(third.id, year.secret)).expiresAt).toBe(year.expiresAt);
      // Shorter is what was asked for.
      expect((await make({ expiresInDays: 1 }, year.secret)).expiresAt).toBeLessThan(Date.now() + 25 * 3600_000);
    });

    test('of whoever runs the instance are followed by another one while half of their time is left', async () => {
      const folder = await mkdtemp(path.join(tmpdir(), 'vigil-key-'));
      const keptAt = async (now: number) => {
        await keepOperatorKey(api.instance.database, folder, { ...realClock, now: () => now });
        return readFile(path.join(folder, OPERATOR_KEY_FILE), 'utf8');
      };
      const [now, year] = [Date.now(), 365 * 24 * 3600_000];
      const first = await keptAt(now);
      expect(await keptAt(now + year - 1)).toBe(first);
      const second = await keptAt(now + year);
      expect(second).not.toBe(first);
      expect(await keptAt(now + year + 1)).toBe(second);
      // The one before is not taken away from whoever has it.
      for (const key of [first, second])
        expect((await api.call('GET', '/v1/keys', { key: key.trim() })).status).toBe(200);
      await rm(folder, { recursive: true });
    });
  });

  test('people sign in at a provider of OpenID Connect', async () => {
    const { publicKey, privateKey } = await generateKeyPair('ES256');
    const other = await generateKeyPair('ES256');
    const jwk = { ...(await exportJWK(publicKey)), kid: 'k1', alg: 'ES256', use: 'sig' };
    let issuer = '';
    const provider = createServer((request, response) => {
      const found = request.url?.endsWith('openid-configuration')
        ? { issuer, jwks_uri: `${issuer}/keys` }
        : { keys: [jwk] };
      response.setHeader('content-type', 'application/json');
      response.end(JSON.stringify(found));
    });
    await new Promise<void>((resolve) => provider.listen(0, '127.0.0.1', resolve));
    issuer = `http://127.0.0.1:${(provider.address() as AddressInfo).port}`;
    await using signedIn = await openTestApi({ VIGIL_OIDC_ISSUER: issuer, VIGIL_OIDC_AUDIENCE: 'vigil' });
    const token = (
      claims: Record<string, unknown>,
      more: { by?: typeof privateKey; audience?: string; issuer?: string; until?: string } = {},
    ) =>
      new SignJWT(claims)
        .setProtectedHeader({ alg: 'ES256', kid: 'k1' })
        .setSubject('jane')
        .setIssuer(more.issuer ?? issuer)
        .setAudience(more.audience ?? 'vigil')
        .setExpirationTime(more.until ?? '5m')
        .sign(more.by ?? privateKey);
    const status = async (key: string) => (await signedIn.call('GET', '/v1/works', { key })).status;
    const holder = { vigil_role: 'holder', vigil_holder: 'h-jane' };
    const jane = await token(holder);
    expect((await signedIn.call('POST', '/v1/works', { key: jane, json: { title: 'x' } })).body.holder).toBe('h-jane');
    expect(await status(await token({ vigil_role: 'operator' }))).toBe(200);
    for (const refused of [
      await token(holder, { by: other.privateKey }),
      await token(holder, { audience: 'another service' }),
      await token(holder, { issuer: 'https://elsewhere.example.org' }),
      await token(holder, { until: '-1m' }),
      await token({ vigil_role: 'holder' }),
      await token({ vigil_role: 'root' }),
      await token({}),
      // No signature at all.
      `${Buffer.from('{"alg":"none"}').toString('base64url')}.${jane.split('.')[1]}.`,
      await new SignJWT(holder)
        .setProtectedHeader({ alg: 'HS256' })
        .setSubject('j')
        .setIssuer(issuer)
        .setAudience('vigil')
        .setExpirationTime('5m')
        .sign(new TextEncoder().encode(JSON.stringify(jwk))),
    ])
      expect(await status(refused)).toBe(401);
    provider.close();
  });

  describe('problems', () => {
    test('say in the same form what is wrong', async () => {
      const cases: [string, string, object, number, string][] = [
        ['GET', '/v1/nothing', {}, 404, 'not-found'],
        ['GET', '/v1/works/work_x', {}, 404, 'not-found'],
        ['DELETE', '/v1/works', {}, 405, 'method-not-allowed'],
        ['POST', '/v1/works', { body: '{', headers: { 'content-type': 'application/json' } }, 400, 'bad-request'],
        ['POST', '/v1/works', {}, 400, 'bad-request'],
        ['POST', '/v1/works', { json: { title: '' } }, 400, 'bad-request'],
        ['POST', '/v1/works', { json: { title: 'x', colour: 'red' } }, 400, 'bad-request'],
        ['POST', '/v1/works', { json: { title: 'a\0b' } }, 400, 'bad-request'],
        ['POST', '/v1/works', { json: { title: 'x', details: { a: '\0' } } }, 400, 'bad-request'],
        ['POST', '/v1/works', { json: { title: 'x', details: { '\ud800': 'half' } } }, 400, 'bad-request'],
        ['POST', '/v1/works', { body: 'title=x', headers: { 'content-type': 'text/plain' } }, 415, 'unsupported-type'],
        ['POST', '/v1/works', { json: { title: 'x', details: { a: 'b'.repeat(300_000) } } }, 413, 'too-large'],
        ['GET', '/v1/works?limit=0', {}, 400, 'bad-request'],
        ['GET', '/v1/works?color=red', {}, 400, 'bad-request'],
        ['GET', '/v1/works?cursor=abc', {}, 400, 'bad-request'],
        ['GET', '/v1/works/%00', {}, 400, 'bad-request'],
        ['POST', '/v1/references?name=x', {}, 400, 'bad-request'],
        ['POST', '/v1/references', { body: 'x' }, 400, 'bad-request'],
      ];
      for (const [method, route, options, status, type] of cases) {
        const reply = await api.call(method, route, { key: a, ...options });
        expect([reply.status, reply.body.type], `${method} ${route}`).toEqual([status, `urn:vigil:problem:${type}`]);
        expect(reply.headers.get('content-type')).toMatch(/^application\/problem\+json/);
        expect(reply.body).toMatchObject({ status, title: expect.any(String), detail: expect.any(String) });
      }
      expect((await api.call('PUT', '/v1/works/x', { key: a })).headers.get('allow')).toBe('GET, PATCH');
      expect(api.logged).toEqual([]);
    });

    test('tell nothing of our insides when something breaks', async () => {
      await using broken = await openTestApi();
      const key = await broken.key({ holder: 'x' });
      await broken.instance.database.postgres.query('ALTER TABLE works RENAME TO gone');
      const reply = await broken.call('GET', '/v1/works', { key });
      expect(reply).toMatchObject({ status: 500, ...problem('failed') });
      expect(JSON.stringify(reply.body)).not.toMatch(/relation|works|SELECT/);
      expect(broken.logged.length).toBe(1);
      await broken.instance.database.postgres.query('ALTER TABLE gone RENAME TO works');
    });
  });

  test('a key may ask so often a minute, and strangers less', async () => {
    await using strict = await openTestApi({ VIGIL_REQUESTS_PER_MINUTE: '5' });
    const [one, two] = [await strict.key({ holder: 'x' }), await strict.key({ holder: 'y' })];
    const ask = async (key: string) => (await strict.call('GET', '/v1/works', { key })).status;
    expect([await ask(one), await ask(one), await ask(one), await ask(one), await ask(one)]).toEqual(
      Array(5).fill(200),
    );
    const refused = await strict.call('GET', '/v1/works', { key: one });
    expect(refused).toMatchObject({ status: 429, ...problem('too-many-requests') });
    expect(Number(refused.headers.get('retry-after'))).toBeGreaterThan(0);
    expect(await ask(two)).toBe(200);
    const guesses = await Promise.all(Array.from({ length: 130 }, () => ask('vgl_guess')));
    expect(guesses.filter((s) => s === 401).length).toBe(120);
    expect(guesses.filter((s) => s === 429).length).toBe(10);
    expect(await ask(two)).toBe(200);
  });

  test('operators see and change how the library is laid out', async () => {
    const fleet = await api.call('GET', '/v1/fleet');
    expect(fleet).toMatchObject({ status: 200, body: { replicas: [{ shards: 1, shard: 0, replica: 'local' }] } });
    const change = await api.call('POST', '/v1/shards?count=3');
    expect(change).toMatchObject({ status: 409, ...problem('conflict') });
    expect(change.body.waitsFor.length).toBeGreaterThan(0);
    expect((await api.call('POST', '/v1/shards?count=0')).status).toBe(400);
    expect((await api.call('DELETE', '/v1/replicas/nobody')).status).toBe(409);
    expect((await api.call('DELETE', '/v1/replicas/local?shard=second')).status).toBe(400);
    expect((await api.call('GET', '/v1/fleet', { key: a })).status).toBe(403);
    const status = await api.call('GET', '/v1/status');
    expect(status).toMatchObject({ status: 200, body: { ready: true, unknown: [], intakeStopped: false } });
    expect(status.body.queues.map((q: { group: string }) => q.group)).toContain('match-0-of-1');
    expect((await api.call('GET', '/v1/status', { key: a })).status).toBe(403);
  });

  describe('idempotency', () => {
    test('the same request again gets the same answer, and does nothing again', async () => {
      const key = { 'idempotency-key': 'k-1' };
      const first = await post('/v1/works', { title: 'Once' }, key);
      const second = await post('/v1/works', { title: 'Once' }, key);
      expect([first.status, second.status]).toEqual([201, 201]);
      expect(second.body).toEqual(first.body);
      expect([first, second].map((r) => r.headers.get('idempotency-replayed'))).toEqual([null, 'true']);
      expect(second.headers.get('etag')).toBe('"1"');
      const all = (await api.call('GET', '/v1/works?limit=200', { key: a })).body.items;
      expect(all.filter((w: { title: string }) => w.title === 'Once').length).toBe(1);
    });

    test('another request under the same key is a conflict; another holder may use the key', async () => {
      const key = { 'idempotency-key': 'k-2' };
      expect((await post('/v1/works', { title: 'One' }, key)).status).toBe(201);
      expect(await post('/v1/works', { title: 'Two' }, key)).toMatchObject({
        status: 409,
        ...problem('idempotency-conflict'),
      });
      expect(await post('/v1/policies', { policy: {} }, key)).toMatchObject({
        status: 409,
        ...problem('idempotency-conflict'),
      });
      const other = await api.key({ holder: 'holder-i' });
      expect((await post('/v1/works', { title: 'Two' }, key, other)).status).toBe(201);
    });

    test('many at once make one', async () => {
      const key = { 'idempotency-key': 'k-3' };
      const replies = await Promise.all(Array.from({ length: 8 }, () => post('/v1/works', { title: 'Race' }, key)));
      const made = replies.filter((r) => r.status === 201);
      expect(made.length).toBeGreaterThan(0);
      expect(new Set(made.map((r) => r.body.id)).size).toBe(1);
      for (const r of replies)
        if (r.status !== 201) expect(r).toMatchObject({ status: 409, ...problem('in-progress') });
    });

    test('what was refused may be sent again, and a secret is not repeated', async () => {
      const key = { 'idempotency-key': 'k-4' };
      expect((await post('/v1/works', { title: '' }, key)).status).toBe(400);
      expect((await post('/v1/works', { title: 'x' }, key)).status).toBe(201);
      const again = { 'idempotency-key': 'k-5' };
      const first = await post('/v1/keys', { name: 'x' }, again);
      const second = await post('/v1/keys', { name: 'x' }, again);
      expect(first.body.secret).toMatch(/^vgl_/);
      expect(second.body).toEqual({ ...first.body, secret: null });
      expect((await post('/v1/works', { title: 'x' }, { 'idempotency-key': 'x'.repeat(201) })).status).toBe(400);
    });

    test('of files their bytes count', async () => {
      const upload = (body: string, key: string) =>
        api.call('POST', '/v1/uploads?name=a.bin', {
          body,
          headers: { 'idempotency-key': key, 'content-type': 'video/mp4' },
        });
      const first = await upload('some bytes', 'f-1');
      expect(first.status).toBe(202);
      expect((await upload('some bytes', 'f-1')).body).toEqual(first.body);
      expect(await upload('other bytes', 'f-1')).toMatchObject({ status: 409, ...problem('idempotency-conflict') });
    });
  });

  test('senders that go away in the middle of a file end nothing but themselves', async () => {
    const { hostname, port } = new URL(api.url);
    const start = `POST /v1/references?name=x&title=x HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${a}\r\ncontent-type: video/mp4\r\ncontent-length: 1000000\r\n\r\nbegun`;
    const goAway = async (ms: number) => {
      const socket = connect(Number(port), hostname);
      await once(socket, 'connect');
      socket.write(start);
      await sleep(ms);
      socket.resetAndDestroy();
    };
    await Promise.all(Array.from({ length: 40 }, (_, n) => goAway(n / 2)));
    await sleep(200);
    expect((await api.call('GET', '/v1/works', { key: a })).status).toBe(200);
    const drafts = path.join(api.dataFolder, 'blobs', '.vigil-blobs', 'temporary');
    await until(async () => (await readdir(drafts)).length === 0);
  });

  test('a change names the version that it changes', async () => {
    const { body: work, headers } = await post('/v1/works', { title: 'Old' });
    const route = `/v1/works/${work.id}`;
    const etag = headers.get('etag')!;
    const patch = (ifMatch: string | null, title: string) =>
      api.call('PATCH', route, { key: a, json: { title }, headers: ifMatch === null ? {} : { 'if-match': ifMatch } });
    expect(await patch(null, 'New')).toMatchObject({ status: 428, ...problem('precondition-required') });
    const changed = await patch(etag, 'New');
    expect(changed).toMatchObject({ status: 200, body: { title: 'New' } });
    expect(changed.headers.get('etag')).not.toBe(etag);
    expect(await patch(etag, 'Newer')).toMatchObject({ status: 412, ...problem('changed-meanwhile') });
    const get = (ifNoneMatch: string) => api.call('GET', route, { key: a, headers: { 'if-none-match': ifNoneMatch } });
    expect([(await get(changed.headers.get('etag')!)).status, (await get(etag)).status]).toEqual([304, 200]);
  });

  test('a list is read page by page, each item once', async () => {
    const key = await api.key({ holder: 'holder-p' });
    const made: string[] = [];
    for (let i = 0; i < 7; i++) made.unshift((await post('/v1/works', { title: `w${i}` }, {}, key)).body.id);
    const seen: string[] = [];
    let pages = 0;
    for (let cursor: string | null = ''; cursor !== null; pages++) {
      const { body } = await api.call('GET', `/v1/works?limit=3${cursor ? `&cursor=${cursor}` : ''}`, { key });
      seen.push(...body.items.map((w: { id: string }) => w.id));
      cursor = body.next;
    }
    expect([pages, [...seen].sort()]).toEqual([3, [...made].sort()]);
  });

  test('the documents are there for everybody: OpenAPI 3.1 that holds what is answered, and a page to read', async () => {
    const { body: document, status } = await api.call('GET', '/openapi.json', { key: null });
    expect([status, document.openapi]).toEqual([200, '3.1.0']);
    const operations = Object.values(document.paths as Record<string, Record<string, { operationId: string }>>).flatMap(
      (methods) => Object.values(methods),
    );
    expect(new Set(operations.map((o) => o.operationId)).size).toBe(operations.length);
    const ajv = addFormats.default(new Ajv.default({ strict: false }));
    ajv.addSchema(document, 'api');
    // Every schema in it compiles, references and all.
    for (const name of Object.keys(document.components.schemas))
      expect(ajv.getSchema(`api#/components/schemas/${name}`), name).toBeTypeOf('function');
    const { body: work } = await post('/v1/works', { title: 'x' });
    const isWork = ajv.getSchema('api#/components/schemas/Work')!;
    expect(isWork(work), JSON.stringify(isWork.errors)).toBe(true);
    const page = await api.call('GET', '/docs', { key: null });
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.headers.get('content-security-policy')).toContain("default-src 'none'");
    for (const path of Object.keys(document.paths)) expect(page.body).toContain(path);
    expect(page.body).not.toContain('<script');
  });

  test('a request that died with its process is taken over', async () => {
    const db = api.instance.database.postgres;
    const [key] = (await db.query<{ id: string }>(
      "SELECT id FROM api_keys WHERE holder = 'holder-a' ORDER BY created_at LIMIT 1",
    )) as [{ id: string }];
    await db.query(
      "INSERT INTO idempotency_keys (principal, key, request, begun_at) VALUES ($1, 'dead', 'POST /v1/works', $2)",
      [key.id, Date.now() - 11 * 60_000],
    );
    const reply = await until(async () => post('/v1/works', { title: 'Taken over' }, { 'idempotency-key': 'dead' }));
    expect(reply.status).toBe(201);
  });
});
