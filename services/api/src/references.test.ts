/** Works, references, conflicts and policies, on a real instance that decodes nothing: references come as hashes. */
import { createHash, randomBytes } from 'node:crypto';
import { codeFromHex, codeToHex } from '@vigil/contracts';
import { planReference, registerReference } from '@vigil/database';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { foundEvidence, openTestApi, plannedUpload, type TestApi, until } from '../../../test/support/test-api.ts';

const hash = () => randomBytes(32).toString('hex');
/** The same hash with so many bits turned. */
function near(hex: string, bits: number): string {
  const code = codeFromHex(hex);
  for (let i = 0; i < bits; i++) code[i]! ^= 1;
  return codeToHex(code);
}

describe('references and what is decided by them', () => {
  let api: TestApi;
  let a: string;
  let b: string;
  beforeAll(async () => {
    api = await openTestApi();
    [a, b] = [await api.key({ holder: 'holder-a' }), await api.key({ holder: 'holder-b' })];
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  const post = (key: string, route: string, json: unknown) => api.call('POST', route, { key, json });
  const get = async (key: string, route: string) => (await api.call('GET', route, { key })).body;
  const live = (key: string, id: string) =>
    until(async () => {
      const found = await get(key, `/v1/references/${id}`);
      return found.state === 'live' && found;
    });

  test('hashes are live moments after they were sent, in each of the forms', async () => {
    const [plain, hma, exchange, other] = [hash(), hash(), hash(), hash()];
    const { status, body } = await post(a, '/v1/hash-lists', {
      title: 'Stills',
      items: [
        { hash: plain, quality: 90, name: 'a still' },
        { signal_type: 'pdq', signal_value: hma },
        { type: 'HASH_PDQ', indicator: exchange, id: '123' },
        { pdq: other },
        { type: 'HASH_MD5', indicator: 'd41d8cd98f00b204e9800998ecf8427e' },
        { hash: hash(), quality: 10 },
        { hash: 'nonsense' },
        { hash: plain },
      ],
    });
    expect(status).toBe(202);
    expect(body).toMatchObject({ added: 4, known: 1, skipped: 2, invalid: 1 });
    expect(body.errors).toEqual([{ at: 7, detail: 'a PDQ hash is 64 hexadecimal digits' }]);
    const found = await live(a, body.references[0]);
    expect(found).toMatchObject({ kind: 'image', name: 'a still', title: 'Stills', findings: [], holder: 'holder-a' });
    const { received, fingerprinted, checked, live: at } = found.life;
    expect([received, fingerprinted, checked, at].every((t) => t > 0)).toBe(true);
    // Live in the very transaction that passes the checks.
    expect(at - checked).toBeLessThanOrEqual(1000);
    const hits = api.instance.index.search('picture', codeFromHex(near(plain, 31)));
    expect(hits.map((h) => h.origin.reference.id)).toContain(body.references[0]);
    expect(api.instance.index.search('picture', codeFromHex(near(plain, 32)))).toEqual([]);
  });

  test('hashes come in bulk as CSV, whatever line is wrong', async () => {
    const rows = Array.from({ length: 1200 }, (_, i) => `${hash()},${i % 10 === 0 ? 30 : 80},"still ""${i}"", cut"`);
    const csv = `\uFEFFpdq,quality,name\r\n${rows.join('\r\n')}\r\nbroken,1\r\n\r\n`;
    const reply = await api.call('POST', '/v1/hash-lists/csv?title=Bulk', {
      key: a,
      body: csv,
      headers: { 'content-type': 'text/csv' },
    });
    expect(reply).toMatchObject({ status: 202, body: { added: 1080, known: 0, skipped: 120 + 1, invalid: 0 } });
    const shown = await get(a, `/v1/references/${reply.body.references[0]}`);
    expect(shown).toMatchObject({ name: 'still "1", cut', title: 'Bulk' });
    const bad = await api.call('POST', '/v1/hash-lists/csv', {
      key: a,
      body: `${hash()}\nxyz\n`,
      headers: { 'content-type': 'text/csv' },
    });
    expect(bad.body).toMatchObject({ added: 1, invalid: 1, errors: [{ at: 2 }] });
    const unnamed = await api.call('POST', '/v1/hash-lists/csv', {
      key: a,
      body: `name,quality,hash\n,80,${hash()}\n`,
      headers: { 'content-type': 'text/csv' },
    });
    expect(unnamed.body).toMatchObject({ added: 1, invalid: 0 });
  });

  test('a disabled reference is found no more, says why, and is not live again by itself', async () => {
    const code = hash();
    const id = (await post(a, '/v1/hash-lists', { items: [{ hash: code }] })).body.references[0];
    await live(a, id);
    const disabled = await post(a, `/v1/references/${id}/disable`, { reason: 'sold' });
    expect(disabled).toMatchObject({ status: 200, body: { state: 'disabled', reason: 'sold' } });
    expect(disabled.body.life.disabled).toBeGreaterThan(0);
    expect(await post(a, `/v1/references/${id}/disable`, { reason: 'again' })).toMatchObject({ status: 409 });
    const found = () => api.instance.index.search('picture', codeFromHex(code));
    await until(async () => found().length === 0);
    // Sent again it is meant to protect again: as a version of its own, once.
    const again = await post(a, '/v1/hash-lists', { items: [{ hash: code }, { hash: code }] });
    expect(again.body).toMatchObject({ added: 1, known: 1, references: [id, id] });
    await until(async () => (await get(a, `/v1/references/${id}`)).state === 'live');
    expect(await get(a, `/v1/references/${id}`)).toMatchObject({ version: 2, reason: null });
    expect(found().length).toBe(1);
  });

  test('a file goes straight to the store in parts, and what has arrived need not be sent again', async () => {
    const size = 16 * 2 ** 20 + 1234;
    const bytes = new Uint8Array(randomBytes(size));
    const begun = await post(a, '/v1/reference-uploads', { name: 'film.mp4', size, title: 'In parts' });
    expect(begun).toMatchObject({ status: 201, body: { state: 'open', received: 0, partBytes: 16 * 2 ** 20 } });
    const { id, parts } = begun.body;
    expect(parts.map((p: { size: number }) => p.size)).toEqual([16 * 2 ** 20, 1234]);
    // The address itself is what lets one in.
    const send = async (url: string, body: Uint8Array<ArrayBuffer>) =>
      (await fetch(url, { method: 'PUT', body })).status;
    expect(await send(parts[1].url, bytes.slice(16 * 2 ** 20))).toBe(200);
    expect(await send(parts[0].url, bytes.slice(0, 100))).toBe(200);
    const early = await post(a, `/v1/reference-uploads/${id}/complete`, {});
    expect(early).toMatchObject({ status: 409, body: { missing: [1], allowed: ['upload-parts', 'abandon'] } });
    const progress = await get(a, `/v1/reference-uploads/${id}`);
    expect([progress.received, progress.parts.map((p: { number: number }) => p.number)]).toEqual([1234, [1]]);
    expect(await send(progress.parts[0].url, bytes.slice(0, 16 * 2 ** 20))).toBe(200);
    const done = await api.call('POST', `/v1/reference-uploads/${id}/complete`, { key: a });
    expect(done).toMatchObject({ status: 202, body: { state: 'complete', received: size } });
    const again = await api.call('POST', `/v1/reference-uploads/${id}/complete`, { key: a });
    expect(again.body.reference).toEqual(done.body.reference);
    const shown = await get(a, `/v1/references/${done.body.reference.id}`);
    expect(shown).toMatchObject({ state: 'received', title: 'In parts', name: 'film.mp4', work: done.body.work });
    const [row] = await api.instance.database.postgres.query<{ media: { key: string; bucket: string } }>(
      'SELECT media FROM reference_versions WHERE id = $1',
      [done.body.reference.id],
    );
    const sha = createHash('sha256');
    for await (const chunk of await api.instance.blobs.get(row!.media.bucket, row!.media.key)) sha.update(chunk);
    expect(sha.digest('hex')).toBe(createHash('sha256').update(bytes).digest('hex'));
  });

  test('an upload that is given up takes nothing more', async () => {
    const { id, parts } = (await post(a, '/v1/reference-uploads', { name: 'x', size: 10 })).body;
    expect(await api.call('POST', `/v1/reference-uploads/${id}/abandon`, { key: a })).toMatchObject({
      body: { state: 'abandoned' },
    });
    expect((await fetch(parts[0].url, { method: 'PUT', body: 'x'.repeat(10) })).status).toBe(404);
    expect((await api.call('POST', `/v1/reference-uploads/${id}/complete`, { key: a })).status).toBe(409);
  });

  /** The hash is the first holder's, and, so many bits apart, the second one's: both are live. */
  async function shownTwice(code: string, bits: number) {
    const first = (await post(a, '/v1/hash-lists', { items: [{ hash: code }] })).body.references[0];
    await live(a, first);
    const second = (await post(b, '/v1/hash-lists', { items: [{ hash: near(code, bits) }] })).body.references[0];
    return { first, second, newcomer: await live(b, second) };
  }

  test('another holder who shows the same waits until it is settled; each sees its own side', async () => {
    const { first, second, newcomer } = await shownTwice(hash(), 6);
    expect(newcomer.findings).toMatchObject([{ check: 'overlap-other', conflict: expect.any(String) }]);
    expect(JSON.stringify(newcomer)).not.toContain(first);
    const { conflict } = newcomer.findings[0];
    const [mine, theirs] = [await get(a, `/v1/conflicts/${conflict}`), await get(b, `/v1/conflicts/${conflict}`)];
    expect(mine).toMatchObject({
      side: 'earlier',
      reference: { id: first },
      other: { holder: 'holder-b' },
      outcome: null,
    });
    expect(theirs).toMatchObject({ side: 'newcomer', reference: { id: second }, other: { holder: 'holder-a' } });
    expect(theirs.dueAt - theirs.openedAt).toBe(30 * 24 * 3600 * 1000);
    expect([JSON.stringify(mine).includes(second), JSON.stringify(theirs).includes(first)]).toEqual([false, false]);
    await post(b, `/v1/conflicts/${conflict}/messages`, { body: 'We licensed it from you in 2020.' });
    expect((await get(a, `/v1/conflicts/${conflict}/messages`)).items).toMatchObject([
      { side: 'newcomer', body: expect.stringMatching(/licensed/) },
    ]);

    // What the judge goes by: the newcomer's copy is contested until it is settled.
    const contested = async (id: string) => (await judgedBy(id)).contested.length;
    expect([await contested(first), await contested(second)]).toEqual([0, 1]);
    expect((await post(b, `/v1/conflicts/${conflict}/settle`, { outcome: 'both' })).body).toMatchObject({
      outcome: null,
    });
    expect(await contested(second)).toBe(1);
    expect((await post(a, `/v1/conflicts/${conflict}/settle`, { outcome: 'both' })).body).toMatchObject({
      outcome: 'both',
    });
    expect([await contested(first), await contested(second)]).toEqual([0, 0]);
    expect((await post(a, `/v1/conflicts/${conflict}/settle`, { outcome: 'earlier' })).status).toBe(409);
  });

  test('what holders wrote to each other about a conflict can be erased, one message or all; that they wrote stays', async () => {
    const { conflict } = (await shownTwice(hash(), 6)).newcomer.findings[0];
    const route = `/v1/conflicts/${conflict}`;
    const write = (key: string, body: string) =>
      api.call('POST', `${route}/messages`, {
        key,
        json: { body },
        headers: { 'idempotency-key': `m-${body.length}` },
      });
    const sent = (await write(b, 'Ask Ida Lund, ida@b.example.org')).body;
    expect((await write(b, 'Ask Ida Lund, ida@b.example.org')).body).toEqual(sent);
    await write(a, 'Ida Lund left in 2019');
    const shown = async () => (await get(a, `${route}/messages`)).items;
    expect(await shown()).toMatchObject([
      { id: sent.id, side: 'newcomer', body: 'Ask Ida Lund, ida@b.example.org', erasedAt: null },
      { side: 'earlier', body: 'Ida Lund left in 2019', erasedWhy: null },
    ]);

    const erase = (json: unknown, key?: string) =>
      api.call('POST', `${route}/erase`, { json, ...(key ? { key } : {}) });
    expect((await erase({ why: 'request 18' }, b)).status).toBe(403);
    expect((await erase({ why: 'for Ida: Ida Lund left in 2019' })).body.detail).toMatch(/say it without them/);
    expect((await erase({ why: 'request 18', paper: 'msg_none' })).status).toBe(404);
    expect((await api.call('POST', '/v1/conflicts/conflict_none/erase', { json: { why: 'x' } })).status).toBe(404);
    expect((await erase({ why: 'request 18', paper: sent.id })).body).toEqual({ erased: 1, papers: [sent.id] });
    expect(await shown()).toMatchObject([
      { id: sent.id, side: 'newcomer', body: null, erasedAt: expect.any(Number), erasedWhy: 'request 18' },
      { side: 'earlier', body: 'Ida Lund left in 2019' },
    ]);
    expect((await erase({ why: 'request 18' })).body.erased).toBe(1);
    expect((await erase({ why: 'request 18' })).body.erased).toBe(0);
    const db = api.instance.database.postgres;
    expect(await db.query(`SELECT id FROM papers WHERE content::text LIKE '%Ida%'`)).toEqual([]);
    expect(await db.query(`SELECT key FROM idempotency_keys WHERE answer::text LIKE '%Ida%'`)).toEqual([]);
  });

  test('a side that gives way settles at once; silence settles for the earlier one; own overlap is only told', async () => {
    const code = hash();
    const { first, second, newcomer } = await shownTwice(code, 2);
    const { conflict } = newcomer.findings[0];
    expect((await post(a, `/v1/conflicts/${conflict}/settle`, { outcome: 'newcomer' })).body).toMatchObject({
      outcome: 'newcomer',
      settledBy: 'earlier',
    });
    expect((await judgedBy(first)).contested.length).toBe(1);
    expect((await judgedBy(second)).contested.length).toBe(0);
    const own = (await post(a, '/v1/hash-lists', { items: [{ hash: near(code, 4) }] })).body.references[0];
    const told = (await live(a, own)).findings;
    expect(told).toContainEqual(expect.objectContaining({ check: 'overlap-own', other: first }));
    const silent = told.find((f: { check: string }) => f.check === 'overlap-other').conflict;
    await api.instance.database.postgres.query('UPDATE timers SET due_at = 0 WHERE id = $1', [
      `conflict-due:${silent}`,
    ]);
    const settled = await until(async () => {
      const c = await get(a, `/v1/conflicts/${silent}`);
      return c.outcome && c;
    });
    expect(settled).toMatchObject({ outcome: 'earlier', settledBy: 'silence' });
  });

  async function judgedBy(id: string) {
    const { findReference, policyFor } = await import('@vigil/database');
    const db = api.instance.database.postgres;
    const { holder, work } = (await findReference(db, id))!;
    return policyFor(db, { holder, work, reference: id });
  }

  describe('policies', () => {
    test('are versions; the narrowest holds; what is not understood is refused', async () => {
      const work = (await post(a, '/v1/works', { title: 'W' })).body.id;
      const made = await post(a, '/v1/policies', { work, policy: { minContiguousSeconds: 10 } });
      expect(made).toMatchObject({
        status: 201,
        body: { version: 1, work, policy: { minContiguousSeconds: 10, onManifest: 'takedown' } },
      });
      const { id } = made.body;
      expect(await post(a, '/v1/policies', { work, policy: {} })).toMatchObject({ status: 409, body: { policy: id } });
      const put = (ifMatch: string, json: unknown) =>
        api.call('PUT', `/v1/policies/${id}`, { key: a, json, headers: { 'if-match': ifMatch } });
      expect(await put('"1"', { onManifest: 'review' })).toMatchObject({
        status: 200,
        body: { version: 2, policy: { minContiguousSeconds: 4, onManifest: 'review' } },
      });
      expect((await put('"1"', {})).status).toBe(412);
      expect((await get(a, `/v1/policies/${id}/versions`)).items.map((p: { version: number }) => p.version)).toEqual([
        2, 1,
      ]);
      for (const policy of [
        { minContiguousSecond: 1 },
        { onManifest: 'destroy' },
        { territories: ['Germany'] },
        { contested: [] },
        { minUploadShare: 2 },
        { excluded: [{ reference: 'ref_nobody', span: [0, 1] }] },
      ])
        expect([400, 404], JSON.stringify(policy)).toContain((await put('"2"', policy)).status);
      expect((await put('"2"', { territories: ['DE', 'US-CA'], allowlist: ['acc_9'] })).status).toBe(200);
    });

    test('a dry run says what would be new, gone and different, and changes nothing', async () => {
      const db = api.instance.database;
      const key = await api.key({ holder: 'holder-d' });
      const work = (await post(key, '/v1/works', { title: 'D' })).body.id;
      const reference = { id: 'ref_dry', version: 1 };
      const media = { source: 'test', bucket: 'references', key: 'd.mp4', version: 'v' };
      await db.transaction(async (tx) => {
        await registerReference(tx, { reference, work, title: 'D', holder: 'holder-d', media, now: Date.now() });
        await planReference(tx, reference, { kind: 'video', duration: 600, slices: 20 });
      });
      for (const [upload, seconds, account] of [
        ['up_long', 20, 'acc_1'],
        ['up_mid', 6, 'acc_1'],
        ['up_short', 3, 'acc_1'],
        ['up_friend', 20, 'acc_friend'],
      ] as const) {
        await plannedUpload(api.instance, upload, account);
        await foundEvidence(api.instance, upload, reference, seconds);
      }
      const run = async (policy: object, more: object = {}) =>
        (await post(key, '/v1/policies/dry-run', { policy, work, ...more })).body;
      expect(await run({})).toMatchObject({
        uploads: 4,
        truncated: false,
        counts: { new: 0, gone: 0, changed: 0, same: 4 },
      });
      const stricter = await run({ minContiguousSeconds: 10, allowlist: ['acc_friend'], onPossible: 'monitor' });
      const told = (list: { upload: string; before: { action: string }; after: { action: string } }[]) =>
        list.map((d) => `${d.upload}: ${d.before.action} > ${d.after.action}`).sort();
      expect(told(stricter.gone)).toEqual([
        'up_friend: takedown > none',
        'up_mid: takedown > monitor',
        'up_short: review > monitor',
      ]);
      expect(told(stricter.new)).toEqual([]);
      const looser = await run({ minContiguousSeconds: 2 });
      expect(told(looser.changed)).toEqual(['up_short: review > takedown']);
      // Another time, another holder, a narrower policy that stays in force.
      expect(await run({}, { until: Date.now() - 3600_000 })).toMatchObject({ uploads: 0 });
      expect((await post(a, '/v1/policies/dry-run', { policy: { onManifest: 'none' } })).body.counts.gone).toBe(0);
      await post(key, '/v1/policies', {
        reference: 'ref_dry',
        policy: { minContiguousSeconds: 10, onPossible: 'monitor' },
      });
      const wide = (await post(key, '/v1/policies/dry-run', { policy: { minContiguousSeconds: 2 } })).body;
      expect(wide.counts).toEqual({ new: 0, gone: 0, changed: 0, same: 4 });
      const [{ n }] = (await db.postgres.query<{ n: number }>('SELECT count(*) AS n FROM claims')) as [{ n: number }];
      expect(n).toBe(0);
    });
  });
});
