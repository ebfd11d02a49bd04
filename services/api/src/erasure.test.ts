/** Requests of data protection, and how the audit stands: by the API of a real instance, looked at with the whole audit after it. */
import { makeAuditRoot, verifyAudit } from '@vigil/database';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestApi, plannedUpload, type TestApi } from '../../../test/support/test-api.ts';

const DMCA = {
  ...{
    signature: '/s/ Bertha Studio',
    name: 'Bertha Studio',
    address: '1 Road',
    phone: '+1 555',
    email: 'law@b.example.org',
  },
  ...{ work: 'A Film', goodFaith: true, accurate: true },
};
const COUNTER = {
  ...{
    signature: '/s/ Jane Maker',
    name: 'Jane Maker',
    address: '2 Road',
    phone: '+1 556',
    mistake: true,
    consent: true,
  },
  ...{ email: 'jane@example.org' },
};
const why = 'request 2026-17';

let api: TestApi;
let holder: string;
let platform: string;
let reviewer: string;
beforeAll(async () => {
  api = await openTestApi();
  holder = await api.key({ holder: 'holder-b' });
  platform = await api.key({ role: 'platform' });
  reviewer = await api.key({ role: 'reviewer' });
  // Told of counter-notices, which forwards them.
  await api.call('POST', '/v1/webhooks', { key: holder, json: { url: 'https://hooks.example/' } });
});
afterAll(() => api?.[Symbol.asyncDispose]());
const db = () => api.instance.database.postgres;
const post = (route: string, json: unknown, key?: string) => api.call('POST', route, { json, ...(key ? { key } : {}) });
const get = async (route: string, key?: string) => (await api.call('GET', route, key ? { key } : {})).body;

/** Everything that is kept, as text: rows of every table. */
async function everything(): Promise<string> {
  const tables = await db().query<{ name: string }>(
    `SELECT quote_ident(tablename) AS name FROM pg_tables WHERE schemaname = current_schema()`,
  );
  const texts = await Promise.all(
    tables.map(({ name }) => db().query<{ row: string }>(`SELECT t::text AS row FROM ${name} t`)),
  );
  return texts
    .flat()
    .map((t) => t.row)
    .join('\n');
}

/** A notice that took something down, and a counter-notice and a complaint about it. */
async function contested(upload: string): Promise<{ notice: string; id: string }> {
  await plannedUpload(api.instance, upload, `acc_${upload}`);
  const { body } = await post('/v1/notices', { kind: 'dmca', notice: DMCA, uploads: [upload] }, holder);
  const id = body.cases[0] as string;
  const say = (json: object, idempotencyKey: string) =>
    api.call('POST', `/v1/cases/${id}/disputes`, {
      key: platform,
      json,
      headers: { 'idempotency-key': idempotencyKey },
    });
  expect((await say({ do: 'counter-notice', notice: COUNTER }, `c-${upload}`)).status).toBe(200);
  expect((await say({ do: 'complain', statement: 'It was I, Jane Maker.' }, `d-${upload}`)).status).toBe(200);
  return { notice: body.notice, id };
}

test('one paper of a case, then all that is left: the case says when, a second call finds nothing', async () => {
  const { id } = await contested('up_e1');
  const route = `/v1/cases/${id}/erase`;
  const before = await get(`/v1/cases/${id}`);
  expect(before.papers).toMatchObject([
    { kind: 'counter-notice', erasedAt: null },
    { kind: 'complain', erasedAt: null },
  ]);
  const [counter, complaint] = before.papers.map((p: { id: string }) => p.id);

  expect((await post(route, { why, paper: complaint })).body).toEqual({ erased: 1, papers: [complaint] });
  expect((await post(route, { why, paper: complaint })).body).toEqual({ erased: 0, papers: [] });
  const half = (await get(`/v1/cases/${id}`)).claims[0];
  expect(half.complaint).toMatchObject({ statement: null, erasedAt: expect.any(Number) });
  expect(half.counterNotice.name).toBe('Jane Maker');

  expect((await post(route, { why })).body).toEqual({ erased: 1, papers: [counter] });
  expect((await post(route, { why })).body).toEqual({ erased: 0, papers: [] });
  const after = await get(`/v1/cases/${id}`, holder);
  expect(after.papers).toMatchObject([counter, complaint].map((paper) => ({ id: paper, erasedWhy: why })));
  expect(after.claims[0].counterNotice).toEqual({ erasedAt: after.papers[0].erasedAt });
  const events = (await get(`/v1/cases/${id}/events`)).items.filter((e: { kind: string }) => e.kind === 'erased');
  expect(events).toMatchObject([
    { claim: null, by: { role: 'reviewer' }, data: { papers: [complaint], why } },
    { claim: null, data: { papers: [counter], why } },
  ]);
});

test('a notice: each case that rests on it says so, one that lacked something by itself', async () => {
  const { notice, id } = await contested('up_e2');
  expect((await post(`/v1/notices/${notice}/erase`, { why })).body.erased).toBe(1);
  expect((await post(`/v1/notices/${notice}/erase`, { why })).body.erased).toBe(0);
  expect(await get(`/v1/notices/${notice}`, holder)).toMatchObject({
    papers: [{ erasedAt: expect.any(Number), erasedWhy: why }],
  });
  expect((await get(`/v1/cases/${id}/events`)).items.at(-1)).toMatchObject({ kind: 'erased', data: { notice, why } });
  expect((await get(`/v1/cases/${id}`)).claims[0]).toMatchObject({ notice, ground: '512c3-notice' });

  const { signature: _, ...some } = DMCA;
  const lacking = await post('/v1/notices', { kind: 'dmca', notice: some, uploads: ['up_e2'] }, holder);
  expect(lacking.body.status).toBe('incomplete');
  expect((await post(`/v1/notices/${lacking.body.notice}/erase`, { why })).body.erased).toBe(1);
  const listed = (await get('/v1/notices', holder)).items;
  expect(listed.map((n: { papers: { erasedAt: number | null }[] }) => n.papers[0]!.erasedAt !== null)).toEqual(
    listed.map((n: { id: string }) => [notice, lacking.body.notice].includes(n.id)),
  );
});

test('whole, nothing of what was written is anywhere, kept answers among it, and the audit is whole', async () => {
  const { notice, id } = await contested('up_e3');
  const words = /Jane Maker|jane@example/;
  expect(await everything()).toMatch(words);
  for (const { id: one } of (await get('/v1/cases')).items) await post(`/v1/cases/${one}/erase`, { why });
  expect(await everything()).not.toMatch(words);
  for (const { id: one } of (await get('/v1/notices', holder)).items) await post(`/v1/notices/${one}/erase`, { why });
  expect(await everything()).not.toMatch(/Bertha|law@b/);
  expect(await api.instance.database.transaction((tx) => makeAuditRoot(tx, Date.now()))).not.toBeNull();
  const report = await verifyAudit(db());
  expect(report).toMatchObject({ broken: null, unrooted: 0, papers: { whole: 0 } });
  expect(report.papers.erased).toBeGreaterThan(5);
  expect((await get(`/v1/cases/${id}`)).state).toBe('contested');
  expect((await get(`/v1/notices/${notice}`, holder)).standing).toBe('complete');
});

test('a reason stays for ever: one that repeats what is erased, or has an address in it, is refused and changes nothing', async () => {
  const { notice, id } = await contested('up_e4');
  for (const personal of ['asked by jane@example.org', 'Jane asked', 'she lives at 2 Road']) {
    const reply = await post(`/v1/cases/${id}/erase`, { why: personal });
    expect([reply.status, reply.body.type], personal).toEqual([400, 'urn:vigil:problem:bad-request']);
  }
  expect((await post(`/v1/notices/${notice}/erase`, { why: 'for Bertha' })).body.detail).toMatch(/say it without them/);
  for (const none of [{}, { why: '' }, { why: ' ' }, { why: 'x'.repeat(501) }, { why, papers: [] }])
    expect((await post(`/v1/cases/${id}/erase`, none)).status).toBe(400);
  expect((await get(`/v1/cases/${id}`)).papers.every((p: { erasedAt: null }) => p.erasedAt === null)).toBe(true);
});

test('it is for operators alone; what is not there is not found', async () => {
  const { notice, id } = await contested('up_e5');
  const other = await contested('up_e6');
  const [paper] = (await get(`/v1/cases/${other.id}`)).papers;
  for (const key of [holder, platform, reviewer]) {
    for (const route of [`/v1/cases/${id}/erase`, `/v1/notices/${notice}/erase`])
      expect((await post(route, { why }, key)).body).toMatchObject({ status: 403, verb: 'papers:erase' });
    expect((await api.call('GET', '/v1/audit', { key })).body).toMatchObject({ status: 403, verb: 'audit:read' });
  }
  for (const [route, json] of [
    ['/v1/cases/case_none/erase', { why }],
    ['/v1/notices/notice_none/erase', { why }],
    // Of another case: found there alone.
    [`/v1/cases/${id}/erase`, { why, paper: paper.id }],
    [`/v1/notices/${notice}/erase`, { why, paper: paper.id }],
    [`/v1/cases/${notice}/erase`, { why }],
  ] as const)
    expect((await post(route, json)).status, route).toBe(404);
  expect((await get(`/v1/cases/${other.id}`)).papers[0].erasedAt).toBeNull();
});

test('an erasure under an idempotency key is answered alike', async () => {
  const { id } = await contested('up_e7');
  const send = () => api.call('POST', `/v1/cases/${id}/erase`, { json: { why }, headers: { 'idempotency-key': 'e7' } });
  const [first, second] = [await send(), await send()];
  expect(first.body.erased).toBe(2);
  expect(second.body).toEqual(first.body);
});

test('how the audit stands: newest roots, what waits for one, how much there is', async () => {
  const root = () => api.instance.database.transaction((tx) => makeAuditRoot(tx, Date.now()));
  await root();
  const quiet = await get('/v1/audit');
  expect(quiet.unrooted).toEqual({ chains: 0, events: 0, oldest: null });
  const begun = Date.now();
  await contested('up_e8');
  const open = await get('/v1/audit');
  expect(open.unrooted).toMatchObject({ chains: 1 });
  expect(open.unrooted.events).toBeGreaterThanOrEqual(4);
  expect(open.unrooted.oldest).toBeGreaterThanOrEqual(begun);
  const made = await root();
  const now = await get('/v1/audit?limit=1');
  expect(now.roots).toEqual([made]);
  expect((await get(`/v1/audit?below=${made!.number}`)).roots.map((r: { number: number }) => r.number)).toEqual(
    Array.from({ length: made!.number - 1 }, (_, n) => made!.number - 1 - n),
  );
  // Counted once a minute at most, for all who ask.
  expect(now.total).toEqual(quiet.total);
  expect(now.total.events).toBeGreaterThan(now.total.chains);
  expect((await api.call('GET', '/v1/audit?limit=0')).status).toBe(400);
  expect(api.logged).toEqual([]);
});
