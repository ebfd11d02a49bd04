/**
 * An attempt at each item of the OWASP API Security Top 10 (2023), on a real instance; what stops it stands in the names. What every
 * single route does with another holder's things is tried in isolation.test.ts, what a machine can think of in fuzz.test.ts.
 */
import { once } from 'node:events';
import { createServer } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { holderThings } from '../../../test/support/holder-things.ts';
import { openTestApi, type TestApi, until } from '../../../test/support/test-api.ts';
import { ROLE_VERBS } from './principal.ts';
import { routesOf } from './routes.ts';

const MARK = 'Marked-B';
/** Only for the table: nothing of it is called. */
const routes = routesOf({ database: { postgres: {} }, maxBytes: 1 } as never);

describe('OWASP API Security Top 10 (2023)', () => {
  let api: TestApi;
  let a: string;
  let b: string;
  let theirs: Record<string, string>;
  beforeAll(async () => {
    api = await openTestApi();
    [a, b] = [await api.key({ holder: 'holder-a' }), await api.key({ holder: 'holder-b' })];
    theirs = await holderThings(api, { holder: 'holder-b', key: b, mark: MARK, upload: 'up_of_b' });
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  const ask = (method: string, route: string, json?: unknown, key = a) => api.call(method, route, { key, json });
  const db = () => api.instance.database.postgres;

  describe('API1, broken object level authorization', () => {
    test('ids of others open nothing, in path, query or body: rows are looked at with the holder of the key', async () => {
      const work = theirs.work!;
      for (const [method, route, json] of [
        ['GET', `/v1/works/${work}`],
        ['GET', `/v1/works/..%2fworks%2f${work}`],
        ['GET', `/v1/cases/${theirs.case}`],
        ['POST', `/v1/cases/${theirs.case}/steps`, { do: 'withdraw', claims: [theirs.claim] }],
        ['POST', '/v1/hash-lists', { work, items: [{ hash: 'f'.repeat(64) }] }],
        ['POST', '/v1/policies', { policy: {}, work }],
        ['POST', '/v1/policies', { policy: { excluded: [{ reference: theirs.reference, span: [0, 9] }] } }],
        ['POST', '/v1/notices', { kind: 'dsa', notice: {}, uploads: ['up_of_b'], work }],
      ] as const)
        expect([404, 403], `${method} ${route}`).toContain((await ask(method, route, json)).status);
      for (const list of ['works', 'references', 'claims', 'cases', 'policies', 'webhooks', 'notices', 'keys']) {
        const { body } = await ask('GET', `/v1/${list}?holder=holder-b`);
        expect(JSON.stringify(body), list).not.toContain(MARK);
      }
      // Claims of a case of one's own do not open claims of another's.
      expect((await ask('GET', `/v1/claims/${theirs.claim}/pictures`)).status).toBe(404);
    });

    test('nor do they tell whether they exist: the answer is that for none, and ids are 128 bits by lot', async () => {
      const [real, none] = [await ask('GET', `/v1/works/${theirs.work}`), await ask('GET', '/v1/works/work_none')];
      const text = (body: unknown, id: string) => JSON.stringify(body).replaceAll(id, '*');
      expect(text(real.body, theirs.work!)).toBe(text(none.body, 'work_none'));
      const ids = await Promise.all([1, 2].map(async () => (await ask('POST', '/v1/works', { title: 'x' })).body.id));
      for (const id of ids) expect(id).toMatch(/^work_[A-Za-z0-9_-]{22}$/);
    });
  });

  describe('API2, broken authentication', () => {
    test('keys are not guessed, nor taken from where logs would keep them: 256 bits, one header, compared whole', async () => {
      const id = a.slice(0, 21);
      const forms = [`${id}${'A'.repeat(43)}`, a.slice(0, -1), `${a}A`, a.toUpperCase(), '', 'null', `${id}*`];
      for (const key of forms) expect((await ask('GET', '/v1/works', undefined, key)).status, key).toBe(401);
      const without = await api.call('GET', `/v1/works?key=${a}&access_token=${a}`, { key: null });
      expect(without.status).toBe(401);
      const cookie = await api.call('GET', '/v1/works', { key: null, headers: { cookie: `key=${a}` } });
      expect(cookie.status).toBe(401);
      const basic = `Basic ${Buffer.from(`x:${a}`).toString('base64')}`;
      expect((await api.call('GET', '/v1/works', { key: null, headers: { authorization: basic } })).status).toBe(401);
    });

    test('guessing is slowed down: so many tries an address and minute, whatever is tried', async () => {
      await using own = await openTestApi();
      const tries = await Promise.all(
        Array.from({ length: 140 }, (_, n) => own.call('GET', '/v1/works', { key: `k${n}` })),
      );
      expect(tries.filter((t) => t.status === 429).length).toBe(20);
    });

    test('a key makes none that outlive or outdo it, and ends at once when it is revoked', async () => {
      const weak = await api.key({ holder: 'holder-a', verbs: ['keys:write', 'works:read'] });
      expect((await ask('POST', '/v1/keys', { name: 'x', verbs: ['cases:write'] }, weak)).status).toBe(403);
      expect((await ask('POST', '/v1/keys', { name: 'x', expiresInDays: 100_000 }, weak)).status).toBe(400);
      // Nor by putting one in the place of a stronger one, nor by what lasts longer.
      const strong = (await ask('POST', '/v1/keys', { name: 'x' })).body;
      expect((await ask('POST', `/v1/keys/${strong.id}/rotate`, {}, weak)).status).toBe(403);
      await db().query('UPDATE api_keys SET expires_at = $2 WHERE id = $1', [
        `key_${weak.split('_')[1]}`,
        Date.now() + 60_000,
      ]);
      const late = (await ask('POST', '/v1/keys', { name: 'x', expiresInDays: 730 }, weak)).body;
      expect(late.expiresAt).toBeLessThan(Date.now() + 61_000);
      const { id, secret } = (await ask('POST', '/v1/keys', { name: 'x' })).body;
      await ask('POST', `/v1/keys/${id}/revoke`);
      expect((await ask('GET', '/v1/works', undefined, secret)).status).toBe(401);
    });
  });

  describe('API3, broken object property level authorization', () => {
    test('members that are not for the asker are refused, not ignored: bodies are strict', async () => {
      for (const extra of [{ id: 'work_mine' }, { createdAt: 1 }, { version: 9 }, { holder: 'holder-b' }])
        expect([400, 403]).toContain((await ask('POST', '/v1/works', { title: 'x', ...extra })).status);
      const { body: work } = await ask('POST', '/v1/works', { title: 'x' });
      for (const extra of [{ holder: 'holder-b' }, { id: 'x' }]) {
        const options = { key: a, json: { title: 'y', ...extra }, headers: { 'if-match': '*' } };
        expect((await api.call('PATCH', `/v1/works/${work.id}`, options)).status).toBe(400);
      }
      for (const policy of [{ contested: [] }, { id: 'x' }, { version: 7 }])
        expect((await ask('POST', '/v1/policies', { policy })).status).toBe(400);
      expect((await ask('POST', '/v1/keys', { name: 'x', role: 'operator' })).status).toBe(403);
      const flagged = { kind: 'dsa', notice: {}, uploads: ['up_of_b'], trustedFlagger: true };
      expect((await ask('POST', '/v1/notices', flagged)).status).toBe(403);
      const polluted = await api.call('POST', '/v1/works', {
        key: a,
        body: '{"title": "x", "__proto__": {"holder": "holder-b"}, "constructor": {"prototype": {"role": "operator"}}}',
        headers: { 'content-type': 'application/json' },
      });
      expect(polluted.status).toBe(400);
      expect(({} as Record<string, unknown>).role).toBeUndefined();
    });

    test('answers are made member by member: no hash, no secret twice, nothing personal of a notice', async () => {
      const shown = await Promise.all(
        ['keys', 'webhooks', 'notices'].map(async (list) =>
          JSON.stringify((await ask('GET', `/v1/${list}`, undefined, b)).body),
        ),
      );
      expect(shown.join()).not.toMatch(/whsec_|vgl_|"hash"|b@example\.org/);
      expect(shown[2]).not.toContain(MARK);
    });
  });

  describe('API4, unrestricted resource consumption', () => {
    test('what is too much is refused before it is worked on: bytes, items, pages, depth', async () => {
      const send = (body: string | Uint8Array<ArrayBuffer>, headers = {}, route = '/v1/works') =>
        api.call('POST', route, { key: a, body, headers: { 'content-type': 'application/json', ...headers } });
      expect((await send(`{"title": "${'x'.repeat(2 ** 19)}"}`)).status).toBe(413);
      expect((await send(`${'['.repeat(100_000)}${']'.repeat(100_000)}`)).status).toBe(400);
      expect((await send(`{"title": "x", "details": ${'{"a":'.repeat(40_000)}1${'}'.repeat(40_000)}}`)).status).toBe(
        400,
      );
      // Nothing is unpacked here, so nothing grows.
      const packed = gzipSync(JSON.stringify({ title: 'x'.repeat(2 ** 20) }));
      expect((await send(new Uint8Array(packed), { 'content-encoding': 'gzip' })).status).toBe(400);
      expect((await ask('GET', '/v1/works?limit=100000')).status).toBe(400);
      expect(
        (await ask('POST', '/v1/notices', { kind: 'dsa', notice: {}, uploads: Array(1001).fill('u') })).status,
      ).toBe(400);
      const many = { items: Array.from({ length: 50_001 }, () => ({ hash: 'f' })) };
      expect((await ask('POST', '/v1/hash-lists', many)).status).toBe(400);
    });

    test('a line without an end costs no more than its bytes', async () => {
      const csv = (body: string) =>
        api.call('POST', '/v1/hash-lists/csv', { key: a, body, headers: { 'content-type': 'text/csv' } });
      for (const evil of [`"${'""'.repeat(2 ** 20)}`, `${'"a,'.repeat(2 ** 20)}`, ','.repeat(2 ** 21)]) {
        const before = process.cpuUsage().user;
        expect((await csv(evil)).body).toMatchObject({ added: 0, invalid: 1 });
        expect((process.cpuUsage().user - before) / 1e6).toBeLessThan(5);
      }
    });

    test('a key may ask so often a minute', async () => {
      await using own = await openTestApi({ VIGIL_REQUESTS_PER_MINUTE: '3' });
      const key = await own.key({ holder: 'h' });
      const statuses = [];
      for (let n = 0; n < 5; n++) statuses.push((await own.call('GET', '/v1/works', { key })).status);
      expect(statuses).toEqual([200, 200, 200, 429, 429]);
    });
  });

  describe('API5, broken function level authorization', () => {
    test("what is not a holder's is refused by its verb, however it is dressed", async () => {
      const beyond = routes.filter((r) => !ROLE_VERBS.holder.includes(r.verb));
      expect(beyond.map((r) => r.path)).toEqual(
        expect.arrayContaining(['/v1/fleet', '/v1/exports/dsa', '/v1/uploads']),
      );
      for (const r of beyond) {
        const path = r.path.replaceAll(/\{\w+\}/g, 'x');
        for (const dressed of [
          path,
          `${path}?role=operator`,
          path.replace('/v1/', '/v1//'),
          `${path}/`,
          path.toUpperCase(),
        ]) {
          const headers = {
            'x-original-url': path,
            'x-forwarded-for': '127.0.0.1',
            'content-type': 'application/json',
          };
          const body = r.method === 'GET' ? {} : { body: '{}' };
          const reply = await api.call(r.method, dressed, { key: a, headers, ...body });
          expect([403, 404], `${r.method} ${dressed}`).toContain(reply.status);
        }
      }
      for (const name of ['x-http-method-override', 'x-method-override', 'x-http-method']) {
        const options = { key: a, headers: { [name]: 'DELETE' } };
        expect((await api.call('GET', '/v1/webhooks', options)).status).toBe(200);
      }
      const platform = await api.key({ role: 'platform' });
      expect((await ask('POST', `/v1/cases/${theirs.case}/steps`, { do: 'withdraw' }, platform)).status).toBe(403);
    });
  });

  describe('API6, unrestricted access to sensitive business flows', () => {
    test('a stolen key does not empty a platform by notices: beyond so many uploads a day a person looks first', async () => {
      await using own = await openTestApi({ VIGIL_NOTICED_A_DAY: '1' });
      const key = await own.key({ holder: 'thief' });
      const things = (upload: string, mark: string) => holderThings(own, { holder: 'thief', key, mark, upload });
      await things('up_1', 'T1');
      const { claim } = await holderThings(own, {
        holder: 'thief',
        key: await own.key({ holder: 'thief' }),
        mark: 'T2',
        upload: 'up_2',
      });
      const { items } = (await own.call('GET', '/v1/claims', { key })).body;
      const state = items.find((c: { id: string }) => c.id === claim).state;
      expect([items.length, state]).toEqual([2, 'open']);
    });

    test('one request is one deed, however often it is sent: idempotency keys', async () => {
      const headers = { 'idempotency-key': 'once' };
      const send = () => api.call('POST', '/v1/works', { key: a, json: { title: 'Once' }, headers });
      expect(new Set([(await send()).body.id, (await send()).body.id]).size).toBe(1);
    });
  });

  describe('API7, server side request forgery', () => {
    test('webhooks go to no private address, by name, number or port: looked up and checked when sent', async () => {
      let heard = 0;
      const inside = createServer((_, response) => {
        heard++;
        response.end();
      }).listen(0, '127.0.0.1');
      await once(inside, 'listening');
      const { port } = inside.address() as AddressInfo;
      const hooks: string[] = [];
      for (const url of [
        `http://127.0.0.1:${port}/`,
        `https://localhost:${port}/`,
        `https://[::1]:${port}/`,
        `https://2130706433:${port}/`,
      ])
        hooks.push((await ask('POST', '/v1/webhooks', { url, types: [] })).body.id);
      for (const url of ['file:///etc/passwd', 'gopher://x/', 'http://u:p@x.example.org/', 'javascript:1'])
        expect((await ask('POST', '/v1/webhooks', { url })).status, url).toBe(400);
      await db().query(
        `INSERT INTO webhook_deliveries (id, endpoint, event, type, payload, created_at, due_at)
         SELECT 'm' || e, e, 'x', 'x', '{}', 1, 1 FROM unnest($1::text[]) AS e`,
        [hooks],
      );
      for (const hook of hooks) {
        const tried = () => ask('GET', `/v1/webhooks/${hook}/deliveries`).then((r) => r.body.items[0]);
        const delivery = await until(async () => ((await tried()).error ? tried() : null));
        expect(delivery.error).toMatch(/private|only https/);
      }
      expect(heard).toBe(0);
      inside.close();
    });
  });

  describe('API8, security misconfiguration', () => {
    test('headers are strict, errors tell nothing, no origin is trusted, no odd method is answered', async () => {
      for (const route of ['/v1/works', '/docs', '/v1/nothing', '/openapi.json']) {
        const { headers } = await api.call('GET', route, { key: a, headers: { origin: 'https://evil.example.org' } });
        expect(headers.get('x-content-type-options')).toBe('nosniff');
        expect(headers.get('content-security-policy')).toContain("default-src 'none'");
        expect(headers.get('x-powered-by')).toBeNull();
        expect(headers.get('server')).toBeNull();
        expect(headers.get('access-control-allow-origin')).toBeNull();
      }
      for (const method of ['TRACE', 'CONNECT', 'PROPFIND', 'QUERY', 'NONSENSE']) {
        const said = await raw(
          `${method} /v1/works HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${a}\r\nconnection: close\r\n\r\n`,
        );
        expect(said.split('\r\n')[0], method).toMatch(/^$|^HTTP\/1\.1 4\d\d/);
        expect(said).not.toContain(a);
      }
      const wrong = await ask('POST', '/v1/works', { title: 7 });
      expect(JSON.stringify(wrong.body)).not.toMatch(/node_modules|\.ts:|at .*\(/);
      expect((await ask('GET', '/v1/works')).headers.get('cache-control')).toBe('private, no-cache');
    });

    test('two lengths are no way to smuggle a request', async () => {
      const head = `POST /v1/works HTTP/1.1\r\nhost: x\r\nauthorization: Bearer ${a}\r\ncontent-type: application/json\r\n`;
      const said = await raw(
        `${head}content-length: 4\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\nGET /v1/keys HTTP/1.1\r\nhost: x\r\n\r\n`,
      );
      expect(said).toMatch(/^HTTP\/1\.1 400/);
      expect(said.match(/HTTP\/1\.1/g)).toHaveLength(1);
    });
  });

  describe('API9, improper inventory management', () => {
    test('what is served is what the document says, in one version, and nothing beside it', async () => {
      const { body: document } = await api.call('GET', '/openapi.json', { key: null });
      const told = Object.entries(document.paths as Record<string, object>).flatMap(([path, methods]) =>
        Object.keys(methods).map((method) => `${method.toUpperCase()} ${path}`),
      );
      expect(told.sort()).toEqual(routes.map((r) => `${r.method} ${r.path}`).sort());
      for (const path of [
        '/v0/works',
        '/v2/works',
        '/works',
        '/api/v1/works',
        '/internal',
        '/debug',
        '/admin',
        '/.env',
        '/v1',
        '/graphql',
      ])
        expect((await ask('GET', path)).status, path).toBe(404);
      // Blobs are open to whoever holds a signed address, and to nobody else.
      for (const path of [
        `/blobs/references/x?expires=9999999999&signature=${'0'.repeat(64)}`,
        '/blobs/',
        '/blobs/../operator.key',
      ])
        expect([403, 404], path).toContain((await ask('GET', path)).status);
    });
  });

  describe('API10, unsafe consumption of APIs', () => {
    test('a sign-in provider that lies is not believed: it must be its own issuer, and over no redirection', async () => {
      const liar = createServer((_, response) => {
        response.setHeader('content-type', 'application/json');
        response.end(JSON.stringify({ issuer: 'https://other.example.org', jwks_uri: 'http://127.0.0.1:1/keys' }));
      }).listen(0, '127.0.0.1');
      await once(liar, 'listening');
      const issuer = `http://127.0.0.1:${(liar.address() as AddressInfo).port}`;
      await using own = await openTestApi({ VIGIL_OIDC_ISSUER: issuer, VIGIL_OIDC_AUDIENCE: 'vigil' });
      const token = `${btoa('{"alg":"ES256"}')}.${btoa('{"sub":"x","vigil_role":"operator"}')}.x`;
      const reply = await own.call('GET', '/v1/works', { key: token });
      expect([reply.status, reply.body.type]).toEqual([503, 'urn:vigil:problem:unavailable']);
      liar.close();
    });
  });

  /** A request as bytes, and all that comes back until the other side closes. */
  async function raw(text: string): Promise<string> {
    const { hostname, port } = new URL(api.url);
    const socket = connect(Number(port), hostname);
    let said = '';
    socket.on('data', (chunk) => {
      said += chunk;
    });
    socket.on('error', () => undefined);
    socket.write(text);
    await once(socket, 'close');
    return said;
  }

  test('nothing of all that was a fault of ours', () => expect(api.logged).toEqual([]));
});
