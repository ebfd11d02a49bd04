/** No holder sees another's rows: every route there is, tried with another holder's key and ids. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { holderThings } from '../../../test/support/holder-things.ts';
import { openTestApi, type TestApi } from '../../../test/support/test-api.ts';
import { ROLE_VERBS } from './principal.ts';
import { isStream, type Route } from './route.ts';
import { routesOf } from './routes.ts';

const SECRET = 'Secret-of-B';
/** Only for the table: nothing of it is called. */
const routes = routesOf({ database: { postgres: {} }, maxBytes: 1 } as never);

describe('isolation', () => {
  let api: TestApi;
  let a: string;
  let b: string;
  /** One thing of B of every noun that stands in a route. A route with a noun that is not here fails. */
  let things: Record<string, string>;
  const bodies: Record<string, unknown> = {};

  beforeAll(async () => {
    api = await openTestApi();
    [a, b] = [await api.key({ holder: 'holder-a' }), await api.key({ holder: 'holder-b' })];
    things = await holderThings(api, { holder: 'holder-b', key: b, mark: SECRET, upload: 'up_1' });
    const { work, reference } = things;
    Object.assign(things, { replica: 'local', brake: 'brake_1', picture: '0', side: 'upload' });
    Object.assign(bodies, {
      'PATCH /v1/works/{work}': { title: 'x' },
      'POST /v1/references/{reference}/disable': { reason: 'x' },
      'POST /v1/conflicts/{conflict}/settle': { outcome: 'both' },
      'POST /v1/conflicts/{conflict}/messages': { body: 'x' },
      'POST /v1/conflicts/{conflict}/erase': { why: 'x' },
      'PUT /v1/policies/{policy}': {},
      'POST /v1/cases/{case}/disputes': { do: 'dispute', grounds: ['licensed'] },
      'POST /v1/cases/{case}/steps': { do: 'withdraw' },
      'POST /v1/cases/{case}/erase': { why: 'x' },
      'POST /v1/notices/{notice}/erase': { why: 'x' },
      'POST /v1/webhooks/{webhook}/replay': {},
      'POST /v1/keys/{key}/rotate': {},
      'POST /v1/brakes/{brake}/release': {},
      'POST /v1/brakes': { holder: 'holder-b', why: 'x' },
      'POST /v1/canary/rounds': { canary: 'x', everySeconds: 7.1063, results: [{ case: 'clean', green: true }] },
      // Names B's things in the body: refused, or A's own only.
      'POST /v1/works': { title: 'x', holder: 'holder-b' },
      'POST /v1/reference-uploads': { name: 'x', size: 10, work },
      'POST /v1/hash-lists': { work, items: [] },
      'POST /v1/policies': { policy: {}, reference },
      'POST /v1/policies/dry-run': { policy: {}, work },
      'POST /v1/notices': { kind: 'dsa', notice: {}, uploads: ['up_1'], work },
      'POST /v1/webhooks': { url: 'https://a.example.org', holder: 'holder-b' },
      'POST /v1/keys': { name: 'x', holder: 'holder-b' },
      'POST /v1/reviews/next': {},
      'POST /v1/reviews/release': {},
      'POST /v1/reviews/{claim}/decide': { decision: 'dismiss' },
      'POST /v1/sign-in-links': { role: 'holder', holder: 'holder-b' },
    });
  });
  afterAll(() => api?.[Symbol.asyncDispose]());

  const nameOf = (r: Route) => `${r.method} ${r.path}`;
  const fill = (r: Route) =>
    r.path.replaceAll(/\{(\w+)\}/g, (_, noun: string) => {
      expect(things, `${nameOf(r)}: the test has no ${noun} of another holder`).toHaveProperty(noun);
      return things[noun]!;
    });

  function request(r: Route, route: string) {
    const body = isStream(r.body)
      ? { body: 'x', headers: { 'content-type': r.body.stream.replace('*/*', 'video/mp4') } }
      : {};
    if (r.body && !isStream(r.body))
      expect(bodies, `${nameOf(r)}: the test has no body for it`).toHaveProperty([nameOf(r)]);
    const json = r.body && !isStream(r.body) ? { json: bodies[nameOf(r)] } : {};
    const headers = r.needsIfMatch ? { headers: { 'if-match': '*' } } : {};
    return { key: a, ...body, ...json, ...headers, route };
  }

  /** What A must not be told: ids and words of B. */
  function leaksNothing(text: string, r: Route): void {
    const { picture: _, side: __, replica: ___, ...own } = things;
    const told = [SECRET, ...Object.values(own)].filter((t) => text.includes(t) && !fill(r).includes(t));
    expect(told, `${nameOf(r)} tells ${told}`).toEqual([]);
  }

  const withThings = routes.filter((r) => r.path.includes('{'));
  test.each(withThings.map((r) => [nameOf(r), r] as const))(
    "%s answers for another holder's as for none",
    async (_, r) => {
      const { route, ...options } = request(r, fill(r));
      const theirs = await api.call(r.method, route, options);
      const nobody = await api.call(
        r.method,
        r.path
          .replace('{picture}', '0')
          .replace('{side}', 'upload')
          .replaceAll(/\{\w+\}/g, 'nobody_1'),
        options,
      );
      expect([403, 404]).toContain(theirs.status);
      expect(theirs.status).toBe(nobody.status);
      expect(theirs.body.type).toBe(nobody.body.type);
      leaksNothing(JSON.stringify(theirs.body), r);
    },
  );

  // A stream does not end: live.test.ts listens to it.
  const lists = routes.filter(
    (r) => r.method === 'GET' && !r.path.includes('{') && r.answer.type !== 'text/event-stream',
  );
  test.each(lists.map((r) => [nameOf(r), r] as const))('%s lists nothing of theirs', async (_, r) => {
    const plain = await api.call('GET', r.path, { key: a });
    const isForHolders = ROLE_VERBS.holder.includes(r.verb);
    expect(plain.status).toBe(isForHolders ? 200 : 403);
    if (!isForHolders) return;
    leaksNothing(JSON.stringify(plain.body), r);
    const named = await api.call('GET', `${r.path}?holder=holder-b`, { key: a });
    leaksNothing(JSON.stringify(named.body), r);
    // The test would be worth nothing if B saw nothing either.
    const theirs = await api.call('GET', r.path, { key: b });
    expect(JSON.stringify(theirs.body).length).toBeGreaterThan(20);
  });

  const makers = routes.filter((r) => r.method === 'POST' && !r.path.includes('{'));
  test.each(makers.map((r) => [nameOf(r), r] as const))('%s takes nothing in their name', async (_, r) => {
    const query = isStream(r.body)
      ? `?${r.path === '/v1/uploads' ? 'name=x' : `${r.path.endsWith('csv') ? '' : 'name=x&'}work=${things.work}`}`
      : '';
    const { route, ...options } = request(r, r.path + query);
    const reply = await api.call('POST', route, options);
    expect([403, 404], JSON.stringify(reply.body)).toContain(reply.status);
    leaksNothing(JSON.stringify(reply.body).replaceAll(things.work!, '').replaceAll(things.reference!, ''), r);
  });

  test('every route needs a key', async () => {
    for (const r of routes) {
      const { route, key: _, ...options } = request(r, fill(r));
      const reply = await api.call(r.method, route, { ...options, key: null });
      expect([reply.status, reply.body.type], nameOf(r)).toEqual([401, 'urn:vigil:problem:unauthenticated']);
    }
  });

  test('every route needs its verb', async () => {
    const [reads, changes] = [
      await api.key({ holder: 'holder-b', verbs: ['works:read'] }),
      await api.key({ holder: 'holder-b', verbs: ['works:write'] }),
    ];
    for (const r of routes) {
      const without = r.verb === 'works:read' ? changes : reads;
      const { route, ...options } = request(r, fill(r));
      const reply = await api.call(r.method, route, { ...options, key: without });
      expect([reply.status, reply.body.verb], nameOf(r)).toEqual([403, r.verb]);
    }
  });

  test("B's things are all still there", async () => {
    const get = async (route: string) => (await api.call('GET', route, { key: b })).status;
    for (const [noun, path] of Object.entries({
      work: 'works',
      reference: 'references',
      policy: 'policies',
      case: 'cases',
    }))
      expect(await get(`/v1/${path}/${things[noun]}`), noun).toBe(200);
    expect(api.logged).toEqual([]);
  });
});
