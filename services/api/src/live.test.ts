/** The live view over real HTTP: who hears what, and how a lost connection heals. */
import { afterAll, afterEach, beforeAll, describe, expect, test } from 'vitest';
import { openClaim, signedIn } from '../../../test/support/open-claims.ts';
import { openTestApi, type TestApi, until } from '../../../test/support/test-api.ts';

interface Heard {
  event: string;
  id?: string;
  // biome-ignore lint/suspicious/noExplicitAny: looked at by the tests
  data: any;
}

describe('the live view', () => {
  let api: TestApi;
  let holderB: string;
  const open: { stop(): void }[] = [];
  beforeAll(async () => {
    api = await openTestApi();
    holderB = await api.key({ holder: 'holder-b' });
  });
  afterEach(() => {
    for (const listener of open.splice(0)) listener.stop();
  });
  afterAll(() => api?.[Symbol.asyncDispose]());
  const by = { role: 'reviewer', id: 'test' } as const;
  let n = 0;

  /** Listens as a browser does, until told to stop. */
  async function listen(headers: Record<string, string>) {
    const abort = new AbortController();
    const answer = await fetch(`${api.url}/v1/live`, { headers, signal: abort.signal });
    const heard: Heard[] = [];
    let ended = false;
    void (async () => {
      let text = '';
      for await (const chunk of answer.body!.pipeThrough(new TextDecoderStream())) {
        text += chunk;
        const messages = text.split('\n\n');
        text = messages.pop()!;
        for (const message of messages.filter((m) => !m.startsWith(':'))) {
          const field = (name: string) => new RegExp(`^${name}: (.*)$`, 'm').exec(message)?.[1];
          const id = field('id');
          heard.push({ event: field('event')!, data: JSON.parse(field('data')!), ...(id ? { id } : {}) });
        }
      }
      ended = true;
    })().catch(() => undefined);
    const listener = {
      status: answer.status,
      type: answer.headers.get('content-type'),
      heard,
      ended: () => ended,
      stop: () => abort.abort(),
      of: (event: string) => heard.filter((h) => h.event === event),
      first: (event: string, like: (data: Heard['data']) => boolean = () => true) =>
        until(async () => heard.find((h) => h.event === event && like(h.data))),
    };
    open.push(listener);
    return listener;
  }
  const bearer = (key: string) => ({ authorization: `Bearer ${key}` });
  const operator = async () => bearer(await api.key({ role: 'operator' }));
  const takenDown = async (about: { upload?: string; holder?: string; work?: string; reference?: string } = {}) => {
    const id = await openClaim(api.instance, { upload: `up_l${++n}`, ...about });
    await api.instance.cases.take({ claim: id }, { do: 'take-down' }, by);
    return id;
  };

  test('begins with how all goes, and tells of takedowns and cases as they happen', async () => {
    const watcher = await listen(await operator());
    expect([watcher.status, watcher.type]).toEqual([200, 'text/event-stream']);
    expect((await watcher.first('hello')).data).toMatchObject({ resumed: false });
    const { data: status } = await watcher.first('status');
    expect(status.minutes.uploads).toHaveLength(60);
    expect(status.health).toMatchObject({ ready: expect.any(Boolean) });
    const claim = await takenDown();
    const { data } = await watcher.first('takedown', (d) => d.upload === `up_l${n}`);
    expect(data).toMatchObject({ action: 'takedown', holder: 'holder-b', work: 'work_b', confidence: 0.6 });
    const happened = await watcher.first('case', (d) => d.claim === claim && d.kind === 'take-down');
    expect(happened.data).toMatchObject({ case: data.case, holder: 'holder-b', seq: 2 });
    await until(async () => watcher.of('status').some((s) => s.data.rates.takedowns >= 1));
    await openClaim(api.instance, { upload: `up_l${++n}` });
    await watcher.first('queue', (d) => d.open >= 1);
    await api.call('POST', '/v1/hash-lists', { json: { holder: 'holder-b', items: [{ hash: 'ab'.repeat(32) }] } });
    await watcher.first('reference', (d) => d.holder === 'holder-b');
  });

  test('tells a holder of what is its own, and of nothing else', async () => {
    const [mine, theirs] = [await listen(bearer(holderB)), await listen(bearer(await api.key({ holder: 'holder-a' })))];
    const other = { holder: 'holder-x', work: 'work_x', reference: 'ref_x' };
    await takenDown(other);
    await takenDown();
    await mine.first('takedown', (d) => d.upload === `up_l${n}`);
    await mine.first('case', (d) => d.kind === 'takedown');
    await Promise.all([mine.first('status'), theirs.first('status')]);
    const words = JSON.stringify(mine.heard);
    expect(words).not.toContain('holder-x');
    expect(words).not.toContain(`up_l${n - 1}`);
    expect(mine.of('verdict')).toEqual([]);
    expect([...new Set(theirs.heard.map((h) => h.event))].sort()).toEqual(['hello', 'status']);
    expect(theirs.of('status')[0]!.data).toMatchObject({
      ...{ rates: { uploads: null, verdicts: null, takedowns: 0 }, cases: { open: 0, contested: 0 } },
      ...{ queues: null, health: null, brakes: null, canary: null },
    });
    const now = await api.call('GET', '/v1/live/now', { key: holderB });
    expect(now.body).toMatchObject({ queues: null, health: null });
    expect(now.body.rates.takedowns).toBeGreaterThan(0);
    expect((await api.call('GET', '/v1/live/now', { key: await api.key({ role: 'platform' }) })).status).toBe(403);
  });

  test('goes on where a lost connection was, each thing once and in order', async () => {
    const who = await operator();
    const whole = await listen(who);
    await takenDown();
    const cut = await listen(who);
    await takenDown();
    const last = await cut.first('takedown', (d) => d.upload === `up_l${n}`);
    cut.stop();
    for (let i = 0; i < 5; i++) await takenDown();
    const final = await whole.first('takedown', (d) => d.upload === `up_l${n}`);
    const again = await listen({ ...who, 'last-event-id': last.id! });
    expect((await again.first('hello')).data).toMatchObject({ resumed: true });
    await again.first('takedown', (d) => d.upload === `up_l${n}`);
    await takenDown();
    await again.first('takedown', (d) => d.upload === `up_l${n}`);
    await whole.first('takedown', (d) => d.upload === `up_l${n}`);
    const from = (list: Heard[]) => list.filter((h) => h.id).map((h) => h.id!);
    const missed = from(whole.heard).slice(from(whole.heard).indexOf(last.id!) + 1);
    const got = from(again.heard);
    expect(got).toContain(final.id);
    expect(got.slice(0, missed.length)).toEqual(missed.slice(0, got.length));
    expect(new Set(got).size).toBe(got.length);
    expect(again.of('reset')).toEqual([]);
  });

  test('says so when it cannot: of another process, or of what is too long ago', async () => {
    for (const id of ['another.7', 'nonsense', '']) {
      const watcher = await listen({ ...(await operator()), 'last-event-id': id });
      expect((await watcher.first('hello')).data).toMatchObject({ resumed: false });
      await watcher.first('reset');
    }
  });

  test('ends with the session, is for those who signed in, and is no end of connections', async () => {
    expect((await fetch(`${api.url}/v1/live`)).status).toBe(401);
    const browser = await signedIn(api, { key: holderB });
    const watchers = [];
    for (let i = 0; i < 20; i++) watchers.push(await listen({ cookie: browser.cookie }));
    expect(watchers.map((w) => w.status)).toEqual(Array(20).fill(200));
    const more = await fetch(`${api.url}/v1/live`, { headers: { cookie: browser.cookie } });
    expect([more.status, more.headers.get('retry-after')]).toEqual([429, '10']);
    for (const watcher of watchers) watcher.stop();
    await until(async () => {
      const next = await listen({ cookie: browser.cookie });
      return next.status === 200 && next;
    });
    await browser.call('DELETE', '/session');
    expect((await fetch(`${api.url}/v1/live`, { headers: { cookie: browser.cookie } })).status).toBe(401);
    expect(api.logged).toEqual([]);
  });
});

test('one key has so many live views, also when it asks for more of them at once', async () => {
  await using api = await openTestApi();
  const headers = { authorization: `Bearer ${await api.key({ role: 'operator' })}` };
  const abort = new AbortController();
  const open = () => fetch(`${api.url}/v1/live`, { headers, signal: abort.signal });
  const statuses = (await Promise.all(Array.from({ length: 25 }, open))).map(({ status }) => status).sort();
  expect(statuses).toEqual([...new Array(20).fill(200), ...new Array(5).fill(429)]);
  abort.abort();
  // They are forgotten as they close.
  const one = new AbortController();
  const again = async () => {
    const { status, body } = await fetch(`${api.url}/v1/live`, { headers, signal: one.signal });
    await body?.cancel();
    return status === 200 || null;
  };
  expect(await until(again)).toBe(true);
  // Whoever wants its head alone opens none.
  for (let n = 0; n < 25; n++) {
    const { status } = await fetch(`${api.url}/v1/live`, { method: 'HEAD', headers });
    expect(status).toBe(200);
  }
});
