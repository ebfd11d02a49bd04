/** What people do about what was found: claims by rule and by notice, disputes, answers, webhooks. On a real instance. */
import { randomBytes } from 'node:crypto';
import {
  appendCaseEvents,
  claimsOfCase,
  findCase,
  insertClaim,
  lockCase,
  lockUpload,
  planReference,
  recordAlignments,
  registerReference,
  setTimer,
} from '@vigil/database';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  DMCA,
  foundEvidence,
  openTestApi,
  plannedUpload,
  type TestApi,
  until,
} from '../../../test/support/test-api.ts';

const COUNTER = {
  ...{ signature: '/s/ Jane', name: 'Jane', address: '2 Road', phone: '+1 556', mistake: true, consent: true },
};

describe('cases over the API', () => {
  let api: TestApi;
  let holder: string;
  let platform: string;
  beforeAll(async () => {
    api = await openTestApi();
    holder = await api.key({ holder: 'holder-b' });
    platform = await api.key({ role: 'platform' });
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  const post = (key: string, route: string, json: unknown) => api.call('POST', route, { key, json });
  const get = async (key: string, route: string) => (await api.call('GET', route, { key })).body;

  async function filed(upload: string, account: string): Promise<string> {
    await plannedUpload(api.instance, upload, account);
    const reply = await post(holder, '/v1/notices', { kind: 'dmca', notice: DMCA, uploads: [upload] });
    expect(reply).toMatchObject({ status: 201, body: { status: 'accepted', unknownUploads: [] } });
    return reply.body.cases[0];
  }

  test('a notice that lacks something is answered with what, and does nothing', async () => {
    await plannedUpload(api.instance, 'up_n1');
    const { signature: _, accurate: __, ...some } = DMCA;
    const reply = await post(holder, '/v1/notices', { kind: 'dmca', notice: some, uploads: ['up_n1', 'up_nobody'] });
    expect(reply).toMatchObject({ status: 201, body: { status: 'incomplete', unknownUploads: ['up_nobody'] } });
    expect(reply.body.missing.map((m: { field: string }) => m.field).sort()).toEqual(['accurate', 'signature']);
    expect((await get(platform, '/v1/uploads/up_n1')).mediaState).toBe('shown');
    const kept = await get(holder, `/v1/notices/${reply.body.notice}`);
    expect(kept).toMatchObject({ standing: expect.stringMatching(/defective|substantially/), uploads: ['up_n1'] });
    expect(JSON.stringify(kept)).not.toContain('Studio');
    expect(
      (await post(holder, '/v1/notices', { kind: 'dsa', notice: {}, uploads: ['up_n1'], trustedFlagger: true })).status,
    ).toBe(403);
  });

  test('a complete one takes down; the uploader counters; only possible steps are taken, others are told', async () => {
    const id = await filed('up_n2', 'acc_n2');
    expect((await get(platform, '/v1/uploads/up_n2')).mediaState).toBe('disabled');
    const seen = await get(holder, `/v1/cases/${id}`);
    expect(seen).toMatchObject({
      state: 'taken-down',
      account: 'acc_n2',
      claims: [{ state: 'taken-down', ground: '512c3-notice' }],
    });
    expect(seen.claims[0].allowed).toContain('withdraw');
    expect((await get(platform, `/v1/cases/${id}`)).claims[0].allowed).toEqual(['counter-notice', 'complain']);

    // A notice of the law is not disputed; what can be done is said.
    const dispute = await post(platform, `/v1/cases/${id}/disputes`, { do: 'dispute', grounds: ['licensed'] });
    expect(dispute).toMatchObject({
      status: 409,
      body: { type: 'urn:vigil:problem:conflict', allowed: ['counter-notice', 'complain'] },
    });
    expect(dispute.body.detail).toMatch(/counter-notice/);
    const lacking = await post(platform, `/v1/cases/${id}/disputes`, {
      do: 'counter-notice',
      notice: { name: 'Jane' },
    });
    expect(lacking).toMatchObject({
      status: 409,
      body: { missing: expect.arrayContaining([expect.objectContaining({ field: 'consent' })]) },
    });
    // Each in its own name: a holder does not counter, a platform does not withdraw.
    expect((await post(holder, `/v1/cases/${id}/disputes`, { do: 'counter-notice', notice: COUNTER })).status).toBe(
      403,
    );
    expect((await post(platform, `/v1/cases/${id}/steps`, { do: 'withdraw' })).status).toBe(403);

    const countered = await post(platform, `/v1/cases/${id}/disputes`, { do: 'counter-notice', notice: COUNTER });
    expect(countered).toMatchObject({ status: 200, body: { state: 'contested' } });
    const { putBack } = countered.body.claims[0];
    expect(putBack.until).toBeGreaterThan(putBack.from);
    const withdrawn = await post(holder, `/v1/cases/${id}/steps`, { do: 'withdraw' });
    expect(withdrawn).toMatchObject({ status: 200, body: { claims: [{ state: 'withdrawn', allowed: [] }] } });
    expect((await get(platform, '/v1/uploads/up_n2')).mediaState).toBe('shown');
    const sent = (await get(platform, '/v1/uploads/up_n2/actions')).items;
    expect(sent.map((a: { action: string }) => a.action)).toEqual(['takedown', 'restore']);
    expect((await get(holder, `/v1/cases/${id}/events`)).items.map((e: { seq: number }) => e.seq)).toEqual(
      (await get(holder, `/v1/cases/${id}/events`)).items.map((_: unknown, n: number) => n + 1),
    );
    expect((await post(holder, `/v1/cases/${id}/steps`, { do: 'withdraw' })).body).toMatchObject({
      status: 409,
      allowed: [],
    });
  });

  test('operators decide as reviewers; claims are listed with what was found', async () => {
    const id = await filed('up_n3', 'acc_n3');
    const complained = await post(platform, `/v1/cases/${id}/disputes`, { do: 'complain', statement: 'It is mine.' });
    expect(complained.status).toBe(200);
    const decided = await api.call('POST', `/v1/cases/${id}/steps`, { json: { do: 'decide-complaint', upheld: true } });
    expect(decided).toMatchObject({ status: 200, body: { claims: [{ state: 'reversed' }] } });
    const listed = await get(holder, '/v1/claims?state=reversed');
    expect(listed.items.map((c: { upload: string }) => c.upload)).toEqual(['up_n3']);
    expect((await get(holder, '/v1/cases?account=acc_n3')).items.map((c: { id: string }) => c.id)).toEqual([id]);
  });

  test('a reference that is disabled has its claims withdrawn', async () => {
    const reference = { id: 'ref_gone', version: 1 };
    const media = { source: 'test', bucket: 'references', key: 'g.mp4', version: 'v' };
    await api.instance.database.transaction(async (tx) => {
      await registerReference(tx, {
        reference,
        work: 'w_gone',
        title: 'G',
        holder: 'holder-b',
        media,
        now: Date.now(),
      });
      await planReference(tx, reference, { kind: 'video', duration: 60, slices: 2 });
    });
    const disabled = await post(holder, '/v1/references/ref_gone/disable', { reason: 'sold' });
    expect(disabled).toMatchObject({ status: 200, body: { state: 'disabled' } });
  });

  test('what was done is counted, as JSON, CSV and a page, and exported without anything personal', async () => {
    const report = await get(holder, '/v1/reports/transparency');
    const row = report.rows.find((r: { ground: string }) => r.ground === '512c3-notice');
    expect(row).toMatchObject({
      claims: 2,
      takedowns: 2,
      counterNotices: 1,
      complaints: 1,
      overturned: 1,
      withdrawn: 1,
    });
    const csv = await api.call('GET', '/v1/reports/transparency.csv', { key: holder });
    expect(csv.headers.get('content-type')).toBe('text/csv; charset=utf-8');
    expect(csv.body.split('\r\n')[0]).toMatch(/^from,until,ground,claims/);
    const page = await api.call('GET', '/v1/reports/transparency.html', { key: holder });
    expect(page.headers.get('content-type')).toBe('text/html; charset=utf-8');
    expect(page.body).toContain('512c3-notice');
    const nobody = await api.key({ holder: 'holder-z' });
    expect((await get(nobody, '/v1/reports/transparency')).rows.every((r: { claims: number }) => r.claims === 0)).toBe(
      true,
    );
    expect((await get(holder, '/v1/reports/transparency?from=5&until=4')).status).toBe(400);

    const first = await get(platform, '/v1/exports/dsa?limit=1');
    const second = await get(platform, `/v1/exports/dsa?limit=1&cursor=${first.next}`);
    const statements = [first, second].flatMap((e) => e.batches.flatMap((b: { statements: object[] }) => b.statements));
    expect(statements.length).toBe(2);
    expect(new Set(statements.map((s: { puid: string }) => s.puid)).size).toBe(2);
    expect(statements[0]).toMatchObject({ category: 'STATEMENT_CATEGORY_INTELLECTUAL_PROPERTY_INFRINGEMENTS' });
    expect([first.more, second.more]).toEqual([true, false]);
    // The last page says as well where to go on: whoever exports again later gets what came since, and nothing twice.
    const nothing = await get(platform, `/v1/exports/dsa?cursor=${second.next}`);
    expect(nothing).toEqual({ batches: [], next: second.next, more: false });
    await filed('up_n4', 'acc_n4');
    const later = await get(platform, `/v1/exports/dsa?cursor=${nothing.next}`);
    expect(later).toMatchObject({ batches: [{ statements: [{}] }], more: false });
    expect(later.next).not.toBe(second.next);
    expect((await api.call('GET', '/v1/exports/dsa?cursor=1_act_nobody', { key: platform })).status).toBe(400);
    expect(JSON.stringify(statements)).not.toMatch(/acc_n|Studio|Jane/);
    expect((await api.call('GET', '/v1/exports/dsa', { key: holder })).status).toBe(403);
  });

  test('a policy that becomes milder gives back what it would not ask for, once it is saved', async () => {
    const key = await api.key({ holder: 'holder-m' });
    const { database } = api.instance;
    const sent = await post(key, '/v1/hash-lists', { title: 'M', items: [{ hash: randomBytes(32).toString('hex') }] });
    const reference = { id: sent.body.references[0], version: 1 };
    await until(async () => (await get(key, `/v1/references/${reference.id}`)).state === 'live');
    for (const [upload, account] of [
      ['up_friend', 'acc_friend'],
      ['up_other', 'acc_other'],
    ] as const) {
      await plannedUpload(api.instance, upload, account);
      await foundEvidence(api.instance, upload, reference, 20);
      await recordAlignments(database.postgres, {
        ...{ upload, slice: 0, shards: 1, shard: 0, span: [0, 30], checkpoint: 1, steps: [] },
        frames: { seen: 60, usable: 60 },
        outcome: { status: 'alignments', alignments: [], proposal: `pr_${upload}` },
      });
      // As though the time to judge it were up.
      const timer = { id: `test:${upload}`, kind: 'upload-deadline', dueAt: Date.now(), payload: { upload } };
      await setTimer(database.postgres, timer);
    }
    const mediaState = async (upload: string) => (await get(platform, `/v1/uploads/${upload}`)).mediaState;
    await until(
      async () => (await mediaState('up_friend')) === 'disabled' && (await mediaState('up_other')) === 'disabled',
    );

    const made = await post(key, '/v1/policies', { policy: { allowlist: ['acc_friend'] } });
    expect(made.status).toBe(201);
    await until(async () => (await mediaState('up_friend')) === 'shown');
    expect(await mediaState('up_other')).toBe('disabled');
    const [claim] = (await get(key, '/v1/claims?state=withdrawn')).items;
    expect(claim).toMatchObject({ upload: 'up_friend', reference: reference.id });
    const events = (await get(key, `/v1/cases/${claim.case}/events`)).items;
    expect(events).toContainEqual(
      expect.objectContaining({ kind: 'withdraw', data: expect.objectContaining({ cause: 'policy' }) }),
    );

    const changed = await api.call('PUT', `/v1/policies/${made.body.id}`, {
      ...{ key, json: { onManifest: 'monitor' }, headers: { 'if-match': '"1"' } },
    });
    expect(changed.status).toBe(200);
    await until(async () => (await mediaState('up_other')) === 'shown');
  });

  test('a long case is read to its end, page by page: what happened in it, and its claims', async () => {
    const id = await filed('up_long_0', 'acc_long');
    const { database } = api.instance;
    const by = { role: 'system', id: null } as const;
    await database.transaction(async (tx) => {
      const row = (await findCase(tx, id))!;
      await lockCase(tx, row);
      for (let n = 1; n <= 1005; n++)
        await appendCaseEvents(tx, id, [{ at: Date.now(), kind: 'note', by, claim: null, data: { n } }]);
      const [first] = await claimsOfCase(tx, id);
      for (let n = 1; n <= 105; n++) {
        const upload = `up_long_${n}`;
        await lockUpload(tx, upload);
        await insertClaim(tx, { ...first!, id: `claim_long_${n}`, upload, openedAt: first!.openedAt + n });
      }
    });
    type Event = { seq: number };
    const at = `/v1/cases/${id}/events`;
    const all = (await findCase(database.postgres, id))!.seq;
    const first = await get(holder, at);
    expect([first.items.length, first.next]).toEqual([1000, `1000_${id}`]);
    const rest = await get(holder, `${at}?cursor=${first.next}`);
    expect([...first.items, ...rest.items].map((e: Event) => e.seq)).toEqual(
      Array.from({ length: all }, (_, n) => n + 1),
    );
    expect(rest.next).toBeNull();
    const few = await get(holder, `${at}?limit=2&cursor=1000_${id}`);
    expect([few.items.map((e: Event) => e.seq), few.next]).toEqual([[1001, 1002], `1002_${id}`]);
    expect((await get(holder, `${at}?cursor=999999999999999_x`)).items).toEqual([]);
    expect((await api.call('GET', `${at}?limit=1001`, { key: holder })).status).toBe(400);

    type Claim = { id: string; openedAt: number };
    const seen = await get(holder, `/v1/cases/${id}`);
    expect([seen.claimCount, seen.claims.length]).toEqual([106, 100]);
    const order = (claims: Claim[]) => claims.map((c) => c.openedAt);
    expect(order(seen.claims)).toEqual(order(seen.claims).toSorted((a, b) => a - b));
    expect(seen.claims.at(-1).id).toBe('claim_long_105');
    const more = await get(holder, `/v1/claims?case=${id}&cursor=${seen.moreClaims}`);
    expect([more.items.length, more.next]).toEqual([6, null]);
    expect(new Set([...seen.claims, ...more.items].map((c: Claim) => c.id)).size).toBe(106);
    expect((await get(holder, `/v1/cases?account=acc_long`)).items[0]).toMatchObject({ claims: 106 });
    // Of a case of few claims all are there; another holder has none of it.
    const short = await get(holder, `/v1/cases/${await filed('up_short', 'acc_short')}`);
    expect(short).toMatchObject({ claimCount: 1, moreClaims: null, claims: [{ upload: 'up_short' }] });
    const other = await api.key({ holder: 'holder-other' });
    expect((await get(other, `/v1/claims?case=${id}`)).items).toEqual([]);
  });

  describe('webhooks', () => {
    test('are few a holder, also when many are asked for at once', async () => {
      const many = await api.key({ holder: 'holder-many' });
      const asked = await Promise.all(
        Array.from({ length: 24 }, (_, n) => post(many, '/v1/webhooks', { url: `https://hooks.example/${n}` })),
      );
      expect(asked.map((r) => r.status).sort()).toEqual([...Array(20).fill(201), ...Array(4).fill(409)]);
      expect(asked.find((r) => r.status === 409)!.body).toMatchObject({
        type: 'urn:vigil:problem:conflict',
        detail: 'holder-many has 20 webhooks, and may have no more: remove one that is not needed',
      });
      const { items } = await get(many, '/v1/webhooks');
      expect(items).toHaveLength(20);
      await api.call('DELETE', `/v1/webhooks/${items[0].id}`, { key: many });
      expect((await post(many, '/v1/webhooks', { url: 'https://hooks.example/' })).status).toBe(201);
    });

    test('are made, listed without their secret, and removed', async () => {
      const made = await post(holder, '/v1/webhooks', {
        url: 'https://b.example.org/hook',
        types: ['vigil.media.takedown'],
      });
      expect(made).toMatchObject({ status: 201, body: { secret: expect.stringMatching(/^whsec_/), disabledAt: null } });
      const { id, secret } = made.body;
      const listed = await get(holder, '/v1/webhooks');
      expect(listed.items.map((w: { id: string }) => w.id)).toContain(id);
      expect(JSON.stringify(listed)).not.toContain(secret);
      expect((await get(holder, `/v1/webhooks/${id}/deliveries`)).items).toEqual([]);
      expect((await post(holder, `/v1/webhooks/${id}/replay`, { since: 1 })).body).toEqual({ replayed: 0 });
      expect((await api.call('DELETE', `/v1/webhooks/${id}`, { key: holder })).status).toBe(204);
      expect((await api.call('GET', `/v1/webhooks/${id}/deliveries`, { key: holder })).status).toBe(404);
    });

    test.each(['ftp://b.example.org', 'https://user:pass@b.example.org', 'javascript:alert(1)', 'b.example.org'])(
      'not at %s',
      async (url) => {
        expect((await post(holder, '/v1/webhooks', { url })).status).toBe(400);
      },
    );
  });
});
