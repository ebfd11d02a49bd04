/** Requests whose answer could not be kept, as when a process is killed between the deed and its record: done again, they do nothing twice. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  type CallOptions,
  DMCA,
  openTestApi,
  plannedUpload,
  type Reply,
  type TestApi,
} from '../../../test/support/test-api.ts';

const problem = (type: string) => ({ body: { type: `urn:vigil:problem:${type}` } });

describe('a POST that was cut off before its answer was kept', () => {
  let api: TestApi;
  let holder: string;
  let platform: string;
  beforeAll(async () => {
    api = await openTestApi();
    holder = await api.key({ holder: 'holder-b' });
    platform = await api.key({ role: 'platform' });
    await sql(`CREATE FUNCTION keep_nothing() RETURNS trigger LANGUAGE plpgsql AS $$
      BEGIN RAISE EXCEPTION 'no room for answers'; END $$`);
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  const sql = <T extends object>(text: string, values: unknown[] = []) =>
    api.instance.database.postgres.query<T & Record<string, unknown>>(text, values);
  const get = async (key: string, route: string) => (await api.call('GET', route, { key })).body;

  async function keepingNothing<T>(run: () => Promise<T>): Promise<T> {
    await sql(`CREATE TRIGGER keep_nothing BEFORE UPDATE ON idempotency_keys FOR EACH ROW WHEN (NEW.status IS NOT NULL)
      EXECUTE FUNCTION keep_nothing()`);
    try {
      return await run();
    } finally {
      await sql('DROP TRIGGER keep_nothing ON idempotency_keys');
    }
  }
  /** As though the time in which its process may still be at it were over. */
  const abandoned = (key: string) =>
    sql('UPDATE idempotency_keys SET begun_at = begun_at - $2::bigint WHERE key = $1', [key, 11 * 60_000]);

  let made = 0;
  /** Asked, answered, the answer lost and not kept; asked again. `between` is done before that. */
  async function twice(route: string, options: CallOptions, between?: (first: Reply) => Promise<unknown>) {
    const key = `cut-off-${made++}`;
    const ask = () => api.call('POST', route, { ...options, headers: { ...options.headers, 'idempotency-key': key } });
    const first = await keepingNothing(ask);
    await between?.(first);
    // It is not free: whoever asks again too early would have it done twice.
    expect(await ask()).toMatchObject({ status: 409, ...problem('in-progress') });
    await abandoned(key);
    const second = await ask();
    expect(second.headers.get('idempotency-replayed')).toBeNull();
    expect((await ask()).headers.get('idempotency-replayed')).toBe('true');
    return [first, second] as const;
  }

  test('makes one work, and answers with it as it was made', async () => {
    const [first, second] = await twice('/v1/works', {
      key: holder,
      json: { title: 'Once', details: { year: '2026' } },
    });
    expect([first.status, second.status]).toEqual([201, 201]);
    expect(second.body).toEqual(first.body);
    const all = (await get(holder, '/v1/works?limit=200')).items;
    expect(all.filter((w: { title: string }) => w.title === 'Once').length).toBe(1);
  });

  test('makes one webhook, with the secret that signs what is sent', async () => {
    const [first, second] = await twice('/v1/webhooks', { key: holder, json: { url: 'https://b.example.org/once' } });
    expect(second).toMatchObject({ status: 201, body: first.body });
    expect(second.body.secret).toMatch(/^whsec_/);
    const listed = (await get(holder, '/v1/webhooks')).items;
    expect(listed.filter((w: { url: string }) => w.url === 'https://b.example.org/once').length).toBe(1);
  });

  test('makes one key: with another secret while nobody has used it, and with none once somebody has', async () => {
    const opens = async (key: string) => (await api.call('GET', '/v1/works', { key })).status;
    const [lost, found] = await twice('/v1/keys', { key: holder, json: { name: 'once' } });
    expect(found).toMatchObject({ status: 201, body: { ...lost.body, secret: expect.stringMatching(/^vgl_/) } });
    expect([await opens(lost.body.secret), await opens(found.body.secret)]).toEqual([401, 200]);
    const [used, asked] = await twice('/v1/keys', { key: holder, json: { name: 'used' } }, (made) =>
      opens(made.body.secret),
    );
    expect(asked.body).toMatchObject({ id: used.body.id, secret: null });
    expect(await opens(used.body.secret)).toBe(200);
    const [old] = [used.body];
    const [gone, fresh] = await twice(`/v1/keys/${old.id}/rotate`, { json: { overlapHours: 0 } });
    expect(fresh).toMatchObject({ status: 201, body: { id: gone.body.id, name: 'used' } });
    expect([await opens(old.secret), await opens(gone.body.secret), await opens(fresh.body.secret)]).toEqual([
      401, 401, 200,
    ]);
    expect(await get(holder, `/v1/keys/${old.id}`)).toMatchObject({ replacedBy: fresh.body.id });
    const names = (await get(holder, '/v1/keys')).items.map((k: { name: string }) => k.name);
    expect([
      names.filter((n: string) => n === 'once').length,
      names.filter((n: string) => n === 'used').length,
    ]).toEqual([1, 2]);
  });

  test('files one notice', async () => {
    await plannedUpload(api.instance, 'up_once', 'acc_once');
    const uploads = ['up_once', 'up_nobody'];
    const [first, second] = await twice('/v1/notices', { key: holder, json: { kind: 'dmca', notice: DMCA, uploads } });
    expect(first.body).toMatchObject({
      status: 'accepted',
      unknownUploads: ['up_nobody'],
      claims: [expect.any(String)],
    });
    expect(second).toMatchObject({ status: 201, body: first.body });
    const { signature: _, ...some } = DMCA;
    const [lacking, again] = await twice('/v1/notices', { key: holder, json: { kind: 'dmca', notice: some, uploads } });
    expect(lacking.body).toMatchObject({ status: 'incomplete', missing: [{ field: 'signature' }] });
    expect(again.body).toEqual(lacking.body);
    expect((await get(holder, '/v1/notices')).items.length).toBe(2);
    expect((await get(platform, '/v1/uploads/up_once/actions')).items.length).toBe(1);
  });

  test('takes one step of a case, and is told how the case is now', async () => {
    await plannedUpload(api.instance, 'up_step', 'acc_step');
    const json = { kind: 'dmca', notice: DMCA, uploads: ['up_step'] };
    const [id] = (await api.call('POST', '/v1/notices', { key: holder, json })).body.cases;
    const complain = { key: platform, json: { do: 'complain', statement: 'It is mine.' } };
    const [first, second] = await twice(`/v1/cases/${id}/disputes`, complain);
    expect([first.status, second.status]).toEqual([200, 200]);
    expect(second.body).toEqual(first.body);
    const kinds = (await get(holder, `/v1/cases/${id}/events`)).items.map((e: { kind: string }) => e.kind);
    expect(kinds.filter((k: string) => k === 'complain').length).toBe(1);
    // Another request for what was done is refused as ever; so is one that was cut off before anything was done.
    expect(await api.call('POST', `/v1/cases/${id}/disputes`, complain)).toMatchObject({ status: 409 });
    const headers = { 'idempotency-key': 'nothing-done' };
    await sql(
      `INSERT INTO idempotency_keys (principal, key, request, answer, begun_at)
       SELECT principal, $1, request, jsonb_build_object('seed', 'x', 'since', $2::bigint), 1
       FROM idempotency_keys WHERE request = $3 LIMIT 1`,
      ['nothing-done', Date.now(), `POST /v1/cases/${id}/disputes`],
    );
    expect(await api.call('POST', `/v1/cases/${id}/disputes`, { ...complain, headers })).toMatchObject({
      status: 409,
      ...problem('conflict'),
    });
  });

  test('hands in one upload', async () => {
    const file = { key: platform, body: 'not a film', headers: { 'content-type': 'video/mp4' } };
    const [first, second] = await twice('/v1/uploads?name=once.mp4', file);
    expect([first.status, second.status]).toEqual([202, 202]);
    expect(second.body).toEqual(first.body);
  });

  test('is not taken over by another request, and its key makes anew once it is forgotten', async () => {
    const headers = { 'idempotency-key': 'other' };
    const ask = (title: string) => api.call('POST', '/v1/works', { key: holder, json: { title }, headers });
    const first = await keepingNothing(() => ask('One'));
    await abandoned('other');
    expect(await ask('Two')).toMatchObject({ status: 409, ...problem('idempotency-conflict') });
    await sql(`DELETE FROM idempotency_keys WHERE key = 'other'`);
    const later = await ask('Two');
    expect(later).toMatchObject({ status: 201, body: { title: 'Two' } });
    expect(later.body.id).not.toBe(first.body.id);
  });

  test('goes on at once where it failed, as the same request', async () => {
    const headers = { 'idempotency-key': 'failed' };
    const ask = (title: string) => api.call('POST', '/v1/works', { key: holder, json: { title }, headers });
    await sql('ALTER TABLE works RENAME TO gone');
    const failed = await ask('One').finally(() => sql('ALTER TABLE gone RENAME TO works'));
    expect(failed).toMatchObject({ status: 500, ...problem('failed') });
    expect(await ask('Two')).toMatchObject({ status: 409, ...problem('idempotency-conflict') });
    expect(await ask('One')).toMatchObject({ status: 201, body: { title: 'One' } });
  });
});
