/** The review queue under several reviewers, on a real instance; only what was found is made up. */
import { verifyAudit } from '@vigil/database';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { type Browser, openClaim, signedIn } from '../../../test/support/open-claims.ts';
import { openTestApi, type TestApi } from '../../../test/support/test-api.ts';

type Item = { item: string; lock: { until: number } | null };

describe('the review queue', () => {
  let api: TestApi;
  let ada: Browser;
  let ben: Browser;
  beforeAll(async () => {
    api = await openTestApi();
    [ada, ben] = [await reviewer(), await reviewer()];
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  const db = () => api.instance.database.postgres;
  async function reviewer(): Promise<Browser> {
    const { url } = (await api.call('POST', '/v1/sign-in-links', { json: { role: 'reviewer' } })).body;
    return signedIn(api, { link: url.split('#')[1] });
  }
  const next = async (who: Browser, hold = 1): Promise<Item[]> => {
    const reply = await who.call('POST', '/v1/reviews/next', { hold });
    expect(reply.status, JSON.stringify(reply.body)).toBe(200);
    return reply.body.items;
  };
  const ids = (items: readonly Item[]) => items.map((i) => i.item);
  const decide = (who: Browser, item: string, json: object) => who.call('POST', `/v1/reviews/${item}/decide`, json);
  let n = 0;
  const open = (about: Partial<Parameters<typeof openClaim>[1]> = {}) =>
    openClaim(api.instance, { upload: `up_${++n}`, ...about });
  /** Each test has the queue to itself. */
  beforeEach(async () => {
    await db().query('DELETE FROM review_locks');
    await db().query('DELETE FROM review_skips');
    const left = await db().query<{ id: string }>(`SELECT id FROM claims WHERE state = 'open'`);
    const by = { role: 'reviewer', id: 'test' } as const;
    for (const { id } of left) await api.instance.cases.take({ claim: id }, { do: 'dismiss' }, by);
  });

  test('never hands one item to two, however many ask at once', async () => {
    const all: string[] = [];
    for (let i = 0; i < 24; i++) all.push(await open());
    const reviewers = await Promise.all(Array.from({ length: 6 }, reviewer));
    // Three rounds at once each, as pages that reload in the middle of it would.
    const hands = await Promise.all(reviewers.flatMap((r) => [next(r, 4), next(r, 4), next(r, 2)]));
    const holders = new Map<string, Set<number>>();
    for (const [i, hand] of hands.entries())
      for (const id of ids(hand)) holders.set(id, (holders.get(id) ?? new Set()).add(Math.floor(i / 3)));
    expect([...holders.values()].filter((who) => who.size > 1)).toEqual([]);
    // Nobody starves: what is there is handed out, each to its five at most.
    const now = await Promise.all(reviewers.map((r) => next(r, 4)));
    expect(now.flatMap(ids).sort()).toEqual(all.sort());
    expect((await ada.call('POST', '/v1/reviews/next', { hold: 1 })).body).toEqual({ items: [], waiting: 0, open: 24 });
  });

  test('holds while there are signs of life, and gives back what was left behind', async () => {
    const id = await open();
    const [held] = await next(ada);
    expect(held).toMatchObject({ item: id, lock: { item: id } });
    expect(ids(await next(ada))).toEqual([id]);
    expect(await next(ben)).toEqual([]);
    const beat = await ada.call('POST', '/v1/reviews/heartbeat');
    expect(beat.body.locks).toMatchObject([{ item: id }]);
    expect(beat.body.locks[0].until).toBeGreaterThanOrEqual(held!.lock!.until);
    await db().query('UPDATE review_locks SET until = $1', [Date.now() - 1]);
    expect(ids(await next(ben))).toEqual([id]);
    // What was lost stays lost, and is not decided by whoever lost it.
    expect((await ada.call('POST', '/v1/reviews/heartbeat')).body.locks).toEqual([]);
    expect(await decide(ada, id, { decision: 'dismiss' })).toMatchObject({
      status: 409,
      body: { detail: 'you do not hold it (any more)' },
    });
    expect((await decide(ben, id, { decision: 'dismiss' })).status).toBe(200);
    expect(await decide(ben, id, { decision: 'take-down' })).toMatchObject({
      status: 409,
      body: { detail: 'it is dismissed' },
    });
    expect((await decide(ben, 'claim_nobody', { decision: 'dismiss' })).status).toBe(404);
  });

  test('is given back by hand, and by signing out', async () => {
    const [one, two] = [await open({ confidence: 0.9 }), await open({ confidence: 0.5 })];
    const carl = await reviewer();
    expect(ids(await next(carl, 2))).toEqual([one, two]);
    expect(await next(ada)).toEqual([]);
    expect((await carl.call('POST', '/v1/reviews/release', { items: [one] })).body.locks).toMatchObject([
      { item: two },
    ]);
    expect(ids(await next(ada))).toEqual([one]);
    expect((await carl.call('DELETE', '/session')).status).toBe(204);
    expect(ids(await next(ben))).toEqual([two]);
  });

  test('has what does most harm first, and what waits long not last for ever', async () => {
    const now = Date.now();
    const [faint, sure, old] = [
      await open({ confidence: 0.1, openedAt: now, reference: 'ref_faint' }),
      await open({ confidence: 0.95, seconds: 300, openedAt: now }),
      await open({ confidence: 0.1, openedAt: now - 25 * 3600_000 }),
    ];
    // The same as `faint`, but of a film that forty accounts have shown this week.
    const spread = await open({ confidence: 0.1, reference: 'ref_leaked', openedAt: now + 1 });
    for (let i = 0; i < 40; i++) {
      const id = await open({ reference: 'ref_leaked' });
      await api.instance.cases.take({ claim: id }, { do: 'take-down' }, { role: 'reviewer', id: 'test' });
    }
    const reply = await ada.call('POST', '/v1/reviews/next', { hold: 4 });
    expect(ids(reply.body.items)).toHaveLength(4);
    const handed: string[] = [];
    await ada.call('POST', '/v1/reviews/release', {});
    for (let i = 0; i < 4; i++) {
      const [item] = await next(ada);
      handed.push(item!.item);
      await decide(ada, item!.item, { decision: 'dismiss' });
    }
    expect(handed).toEqual([old, sure, spread, faint]);
    const by = (id: string) => reply.body.items.find((i: Item) => i.item === id).order;
    expect(by(sure).harm).toBeGreaterThan(0.6);
    expect([by(spread).accounts, by(faint).accounts]).toEqual([41, 1]);
  });

  test('takes down, and takes that back: media, history and chain agree', async () => {
    const id = await open({ account: 'acc_undo' });
    await next(ada);
    const done = await decide(ada, id, { decision: 'take-down' });
    expect(done).toMatchObject({ status: 200, body: { item: id, state: 'taken-down', decision: 'take-down' } });
    expect(done.body.undoUntil - Date.now()).toBeGreaterThan(290_000);
    const upload = `up_${n}`;
    const shown = async () => (await api.call('GET', `/v1/uploads/${upload}`)).body.mediaState;
    expect(await shown()).toBe('disabled');
    // Nobody takes back what another decided.
    expect(await ben.call('POST', `/v1/reviews/${id}/undo`)).toMatchObject({
      status: 409,
      body: { detail: 'somebody else decided it' },
    });
    const undone = await ada.call('POST', `/v1/reviews/${id}/undo`);
    expect(undone).toMatchObject({ status: 200, body: { item: { item: id, state: 'open', lock: { item: id } } } });
    expect(await shown()).toBe('shown');
    // It is open again, and held: nobody else gets it.
    expect(await next(ben)).toEqual([]);
    expect((await ada.call('POST', `/v1/reviews/${id}/undo`)).status).toBe(409);
    expect((await decide(ada, id, { decision: 'dismiss', statement: 'A trailer.' })).status).toBe(200);
    expect((await ada.call('POST', `/v1/reviews/${id}/undo`)).status).toBe(200);
    expect((await decide(ada, id, { decision: 'take-down' })).status).toBe(200);
    const events = (await api.call('GET', `/v1/cases/${done.body.case}/events`)).body.items;
    expect(events.map((e: { kind: string }) => e.kind)).toEqual(
      'opened take-down takedown reopen restore dismiss reopen take-down takedown'.split(' '),
    );
    const actions = (await api.call('GET', `/v1/uploads/${upload}/actions`)).body.items;
    expect(actions.map((a: { event: { why: string | null } }) => a.event.why)).toEqual([null, 'undone', null]);
    expect((await api.call('GET', `/v1/cases/${done.body.case}`)).body).toMatchObject({ state: 'taken-down' });
    expect(await verifyAudit(db())).toMatchObject({ broken: null });
  });

  test('passes on what one is not sure of: to others, with a word in the case', async () => {
    const id = await open();
    const [item] = await next(ada);
    const skip = { decision: 'skip', reason: 'needs-language', statement: 'Is this Finnish?' };
    const done = await decide(ada, id, skip);
    expect(done.body).toMatchObject({ state: 'open', undoUntil: null });
    expect(await next(ada)).toEqual([]);
    const [theirs] = (await ben.call('POST', '/v1/reviews/next', { hold: 1 })).body.items;
    expect(theirs).toMatchObject({ item: item!.item, skips: [{ reason: 'needs-language' }] });
    const { items } = (await api.call('GET', `/v1/cases/${done.body.case}/events`)).body;
    expect(items.at(-1)).toMatchObject({ kind: 'skip', claim: id, data: { reason: 'needs-language' } });
    // What was written is in an erasable row, not in the chain.
    expect(JSON.stringify(items)).not.toContain('Finnish');
    expect(await decide(ben, id, { decision: 'skip' })).toMatchObject({ status: 400 });
  });

  test('shows why: outlines, hits along the line, rules, and the media themselves in ranges', async () => {
    const bytes = Buffer.concat([Buffer.from('\0\0\0\x18ftypmp42'), Buffer.alloc(5000, 7)]);
    const { version } = await api.instance.blobs.put('uploads', 'up_shown.mp4', bytes);
    const id = await open({ upload: 'up_shown', altered: { turn: 'mirror', cropped: [0, 0, 0.5, 1] } });
    const other = await open({
      upload: 'up_shown',
      reference: 'ref_c',
      work: 'work_c',
      title: 'Another',
      holder: 'holder-c',
    });
    await db().query(
      `UPDATE uploads SET media = jsonb_set(media, '{version}', to_jsonb($1::text)) WHERE id = 'up_shown'`,
      [version],
    );
    const { items } = (await ada.call('POST', '/v1/reviews/next', { hold: 2 })).body;
    const item = items.find((i: Item) => i.item === id);
    const play = `/v1/claims/${id}/media/upload`;
    expect(item).toMatchObject({
      ...{ upload: 'up_shown', work: { title: 'A Film', holder: 'holder-b' }, rule: 'film-short' },
      altered: 'mirrored, cropped to 50 %',
      geometry: { mirrored: true, fitted: false },
      uploadMedia: { kind: 'video', duration: 30, width: 640, height: 360, play, contentType: 'video/mp4' },
      referenceMedia: { play: null },
      trials: [{ fired: false }, { fired: true }],
      others: [{ claim: other, title: 'Another', state: 'open' }],
      allowed: ['take-down', 'dismiss', 'withdraw'],
    });
    // Those on the confirmed line only, with their distances.
    expect(item.hits).toHaveLength(12);
    expect(item.hits[2]).toEqual({ upload: 3, reference: 103, distance: 11 });

    const get = (range: string, who = ada) => who.call('GET', play, undefined, range ? { range } : {});
    const whole = await get('');
    expect([whole.status, whole.headers.get('content-type'), whole.headers.get('accept-ranges')]).toEqual([
      ...[200, 'video/mp4', 'bytes'],
    ]);
    expect(whole.headers.get('content-length')).toBe(`${bytes.length}`);
    const part = await get('bytes=4-11');
    expect([part.status, part.headers.get('content-range'), part.body]).toEqual([
      ...[206, `bytes 4-11/${bytes.length}`, 'ftypmp42'],
    ]);
    expect((await get('bytes=-3')).headers.get('content-range')).toBe(`bytes 5009-5011/${bytes.length}`);
    const head = await api.call('HEAD', play);
    expect([head.status, head.headers.get('content-length'), head.body]).toEqual([200, `${bytes.length}`, '']);
    expect((await get('bytes=5012-')).status).toBe(416);
    // For reviewers alone; and what is not media is not shown.
    const holder = await signedIn(api, { key: await api.key({ holder: 'holder-b' }) });
    expect((await get('', holder)).status).toBe(403);
    await api.instance.blobs.put('uploads', 'up_shown.mp4', Buffer.from('<script>alert(1)</script>'));
    expect((await get('')).status).toBe(404);

    // The holder sees the same of its claim after a decision, without the media, and without other holders' claims.
    const seen = () => holder.call('GET', `/v1/claims/${id}/review`);
    expect((await seen()).status).toBe(404);
    await decide(ada, id, { decision: 'take-down' });
    expect((await seen()).body).toMatchObject({
      ...{ item: id, state: 'taken-down', others: [], uploadMedia: { play: null }, skips: [] },
    });
    expect((await holder.call('GET', `/v1/claims/${other}/review`)).status).toBe(404);
  });

  test('is listed in its order, page by page, with what is held', async () => {
    const all: string[] = [];
    for (let i = 0; i < 7; i++) all.push(await open({ confidence: 0.9 - i / 10 }));
    await next(ada);
    const first = (await ben.call('GET', '/v1/reviews?limit=3')).body;
    expect(first.items.map((i: { mine: boolean; heldUntil: number | null }) => [i.mine, i.heldUntil !== null])).toEqual(
      [
        [false, true],
        [false, false],
        [false, false],
      ],
    );
    // What comes in between moves nothing: the next page begins where the first ended.
    const meanwhile = await open({ confidence: 1 });
    const second = (await ben.call('GET', `/v1/reviews?limit=3&cursor=${first.next}`)).body;
    const third = (await ben.call('GET', `/v1/reviews?limit=3&cursor=${second.next}`)).body;
    const got = ids([...first.items, ...second.items, ...third.items]);
    expect([got, third.next]).toEqual([all, null]);
    expect(ids((await ada.call('GET', '/v1/reviews?limit=1')).body.items)).toEqual([meanwhile]);
    expect(api.logged).toEqual([]);
  });
});
