import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { derivedId, TOPICS } from '@vigil/contracts';
import {
  addEndpoint,
  disableEndpoint,
  enqueueDelivery,
  findEndpoint,
  listDeliveries,
  removeEndpoint,
  replayDeliveries,
  roomForEndpoint,
} from '@vigil/database';
import { createFakeClock, realClock, silentLogger } from '@vigil/runtime';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { lockWait, openTestDatabase } from '../../../../test/support/postgres.ts';
import { isPrivate, targetOf } from './webhook-address.ts';
import { GIVE_UP_MS, RETRY_MS, runWebhooks, sendWebhooks, signatureOf } from './webhooks.ts';

/** Real: database and HTTP on loopback. Faked: time, and names. */
const database = await openTestDatabase();
const db = database.postgres;
const heard: { headers: Record<string, unknown>; body: string }[] = [];
let answer = 204;
let location: string | undefined;
const server = createServer((request, response) => {
  let body = '';
  request.on('data', (chunk) => {
    body += chunk;
  });
  request.on('end', () => {
    heard.push({ headers: request.headers, body });
    response.writeHead(answer, location ? { location } : {}).end('x'.repeat(100));
  });
});
await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
const { port } = server.address() as AddressInfo;
afterAll(async () => {
  server.close();
  await database[Symbol.asyncDispose]();
});

const secret = `whsec_${Buffer.from('a secret of thirty-two characters').toString('base64')}`;
const clock = createFakeClock();
const deps = { database, clock, logger: silentLogger, allowPrivate: true };
let n = 0;
let id: string;
let holder: string;
beforeEach(async () => {
  id = `ep_${++n}`;
  holder = `h_${n}`;
  answer = 204;
  location = undefined;
  heard.length = 0;
  const url = `http://hooks.example:${port}/in`;
  // With what is still to be delivered there: each test sends its own.
  await db.query('DELETE FROM webhook_endpoints');
  await addEndpoint(db, { id, holder, url, secret, types: ['claim.dispute'], createdAt: 1 });
});
const resolve = async () => [{ address: '127.0.0.1', family: 4 }];
const enqueue = (event: string, type = 'claim.dispute') =>
  enqueueDelivery(db, { holder, event, type, payload: { type, event }, now: clock.now() });
const send = () => sendWebhooks({ ...deps, resolve });
const deliveries = () => listDeliveries(db, { endpoint: id, limit: 10 });

test('what an endpoint wants is told to it once, signed so that it can be checked', async () => {
  expect(await enqueue('case_1/1')).toBe(1);
  await enqueue('case_1/1');
  expect(await enqueue('case_1/2', 'claim.opened')).toBe(0);
  expect(await send()).toBe(1);
  expect(await send()).toBe(0);
  expect(heard).toHaveLength(1);
  const [{ headers, body }] = heard as [(typeof heard)[0]];
  expect(JSON.parse(body)).toEqual({ type: 'claim.dispute', event: 'case_1/1' });
  const timestamp = Number(headers['webhook-timestamp']);
  expect(timestamp).toBe(Math.floor(clock.now() / 1000));
  expect(headers['webhook-signature']).toBe(signatureOf(secret, String(headers['webhook-id']), timestamp, body));
  expect(await deliveries()).toMatchObject([{ attempts: 1, status: 204, deliveredAt: clock.now(), dueAt: null }]);
});

test('however many endpoints want it, one statement tells them all, and one that is removed meanwhile fails nobody', async () => {
  const others = Array.from({ length: 19 }, (_, i) => `${id}_${i}`);
  for (const of of others)
    await addEndpoint(db, { id: of, holder, url: 'https://x/', secret, types: [], createdAt: 1 });
  const asked: string[] = [];
  const added = await database.transaction(async (tx) => {
    const spy = {
      query<T>(text: string, values?: readonly unknown[]) {
        asked.push(text);
        return tx.query<T>(text, values);
      },
    };
    // Its rows are ours from here on; whoever removes one waits.
    const told = await enqueueDelivery(spy, {
      holder,
      event: 'e',
      type: 'claim.dispute',
      payload: {},
      now: clock.now(),
    });
    const removed = removeEndpoint(db, { id: others[0]!, holder });
    const first = await Promise.race([removed, lockWait(db).then(() => 'waits')]);
    return { told, first, removed };
  });
  expect([added.told, added.first, await added.removed]).toEqual([20, 'waits', true]);
  expect(asked).toHaveLength(2);
  const rows = await db.query<{ id: string; endpoint: string }>(
    "SELECT id, endpoint FROM webhook_deliveries WHERE event = 'e'",
  );
  expect(rows).toHaveLength(19);
  for (const row of rows) expect(row.id).toBe(derivedId('msg', row.endpoint, 'e'));
});

test('an endpoint that is there already takes no room from itself', async () => {
  const room = (of: string, most: number) =>
    database.transaction((tx) => roomForEndpoint(tx, { id: of, holder }, most));
  expect([await room(id, 1), await room('another', 1), await room('another', 2)]).toEqual([true, false, true]);
});

test('the signature is the one of the specification', () => {
  // The example of the specification's own libraries.
  expect(
    signatureOf(
      'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw',
      'msg_p5jXN8AQM9LWM0D4loKWxJek',
      1614265330,
      '{"test": 2432232314}',
    ),
  ).toBe('v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE=');
});

test('what is not taken is tried again, ever more seldom, and then no more; replay begins anew', async () => {
  answer = 500;
  await enqueue('e');
  for (const [i, wait] of RETRY_MS.entries()) {
    expect(await send()).toBe(1);
    expect(await deliveries()).toMatchObject([
      { attempts: i + 1, status: 500, dueAt: clock.now() + wait, failedAt: null },
    ]);
    await clock.advance(wait - 1);
    expect(await send()).toBe(0);
    await clock.advance(1);
  }
  expect(await send()).toBe(1);
  expect(await deliveries()).toMatchObject([{ attempts: 8, dueAt: null, failedAt: clock.now() }]);
  await clock.advance(1e9);
  expect(await send()).toBe(0);
  answer = 200;
  expect(await replayDeliveries(db, { endpoint: id }, clock.now())).toBe(1);
  expect(await send()).toBe(1);
  expect(await deliveries()).toMatchObject([{ attempts: 1, deliveredAt: clock.now(), failedAt: null }]);
  expect(new Set(heard.map((h) => h.headers['webhook-id'])).size).toBe(1);
});

test('an endpoint that is gone is told nothing more', async () => {
  answer = 410;
  await enqueue('e');
  await send();
  expect(await findEndpoint(db, id)).toMatchObject({ disabledWhy: 'it answered 410 Gone' });
  expect(await enqueue('f')).toBe(0);
});

test('a redirection is not followed, and nobody who listens is an error that says so', async () => {
  answer = 302;
  location = 'http://127.0.0.1/elsewhere';
  await enqueue('e');
  await send();
  expect(heard).toHaveLength(1);
  expect(await deliveries()).toMatchObject([{ status: 302, error: 'redirections are not followed' }]);
  await addEndpoint(db, {
    id: `${id}_b`,
    holder: `${holder}_b`,
    url: 'http://nobody.example:1/',
    secret,
    types: [],
    createdAt: 1,
  });
  await enqueueDelivery(db, { holder: `${holder}_b`, event: 'x', type: 't', payload: {}, now: clock.now() });
  await send();
  expect(await listDeliveries(db, { endpoint: `${id}_b`, limit: 1 })).toMatchObject([
    { status: null, error: expect.stringMatching(/ECONNREFUSED/) },
  ]);
});

test('two senders share what is due', async () => {
  for (let i = 0; i < 10; i++) await enqueue(`e${i}`);
  for (let taken = 0; taken < 10; ) {
    const counts = await Promise.all([send(), send()]);
    expect(counts[0]! + counts[1]!).toBeGreaterThan(0);
    taken += counts[0]! + counts[1]!;
  }
  expect(await send()).toBe(0);
  expect(new Set(heard.map((h) => h.headers['webhook-id'])).size).toBe(10);
  expect(heard).toHaveLength(10);
});

test('one that hangs, one that fails and one that is disabled keep nobody waiting', async () => {
  const others = ['hangs', 'fails', 'disabled'] as const;
  const hanging = createServer(() => undefined);
  await new Promise<void>((done) => hanging.listen(0, '127.0.0.1', done));
  for (const [i, kind] of others.entries()) {
    const own = { hangs: (hanging.address() as AddressInfo).port, fails: 1, disabled: port }[kind];
    const url = `http://${kind}.example:${own}/`;
    await addEndpoint(db, { id: `${id}_${kind}`, holder: `${holder}_${kind}`, url, secret, types: [], createdAt: 1 });
    // Older than all that is due elsewhere, and more than can be under way.
    const about = { holder: `${holder}_${kind}`, type: 't', payload: {}, now: clock.now() - 1000 - i };
    for (let n = 0; n < 100; n++) await enqueueDelivery(db, { ...about, event: `${kind}${n}` });
  }
  await disableEndpoint(db, `${id}_disabled`, 'a person said so', clock.now());
  for (let n = 0; n < 30; n++) await enqueue(`e${n}`);
  const stop = new AbortController();
  const real = { ...deps, clock: { ...realClock, now: clock.now } };
  const running = runWebhooks({ ...real, resolve }, stop.signal);
  await expect.poll(() => heard.length, { timeout: 60_000 }).toBe(30);
  // Nobody waited for the one that hangs: it had no answer yet, nor been given up.
  const hung = (await listDeliveries(db, { endpoint: `${id}_hangs`, limit: 200 })).filter((d) => d.attempts > 0);
  expect(hung.map(({ status, error }) => [status, error])).toEqual(Array(4).fill([null, null]));
  stop.abort();
  await running;
  hanging.closeAllConnections();
  hanging.close();
  const tried = async (kind: string) =>
    (await listDeliveries(db, { endpoint: `${id}_${kind}`, limit: 200 })).filter((d) => d.attempts > 0).length;
  expect([await tried('hangs'), await tried('fails'), await tried('disabled')]).toEqual([4, 4, 0]);
});

test('an endpoint that takes nothing for days is disabled, and that is said', async () => {
  await addEndpoint(db, { id: `${id}_b`, holder, url: `http://b.example:${port}/`, secret, types: [], createdAt: 1 });
  const dead = {
    ...deps,
    resolve: async (name: string) => [{ address: name[0] === 'b' ? '127.0.0.1' : '127.0.0.2', family: 4 }],
  };
  const drain = async () => {
    while ((await sendWebhooks(dead)) > 0);
  };
  for (let passed = 0; passed <= GIVE_UP_MS; passed += 3600_000) {
    if (passed % (12 * 3600_000) === 0) await enqueue(`at${passed}`);
    await drain();
    await clock.advance(3600_000);
  }
  await drain();
  expect(await findEndpoint(db, id)).toMatchObject({ disabledWhy: expect.stringMatching(/^it took nothing since 2/) });
  expect(heard.map((h) => JSON.parse(h.body).type)).toContain('webhook.disabled');
  const alarms = await db.query<{ key: string }>(`SELECT key FROM outbox WHERE topic = $1`, [TOPICS.alarms.name]);
  expect(alarms.map((a) => a.key)).toContain(id);
  expect(await findEndpoint(db, `${id}_b`)).toMatchObject({ disabledAt: null, failingSince: null });
  await disableEndpoint(db, id, null, clock.now());
  expect(await findEndpoint(db, id)).toMatchObject({ disabledAt: null, failingSince: null });
});

describe('addresses', () => {
  const rules = (...addresses: string[]) => ({
    allowPrivate: false,
    resolve: async () => addresses.map((address) => ({ address, family: address.includes(':') ? 6 : 4 })),
  });

  test.each([
    '0.0.0.0',
    '10.1.2.3',
    '100.64.0.1',
    '127.0.0.1',
    '169.254.169.254',
    '172.16.0.1',
    '172.31.255.255',
    '192.168.1.1',
    '198.18.0.1',
    '224.0.0.1',
    '255.255.255.255',
    '::',
    '::1',
    '::ffff:10.0.0.1',
    '::ffff:8.8.8.8',
    '64:ff9b::a00:1',
    'fe80::1',
    'fc00::1',
    'fd12::1',
    'ff02::1',
    '2002:a00:1::',
    '2001:db8::1',
    '2001::1',
  ])('%s is not the internet', (address) => {
    expect(isPrivate(address, address.includes(':') ? 6 : 4)).toBe(true);
  });

  test.each(['8.8.8.8', '172.32.0.1', '100.128.0.1', '2606:4700::1111', '2a00:1450::1'])('%s is', (address) => {
    expect(isPrivate(address, address.includes(':') ? 6 : 4)).toBe(false);
  });

  test('a name with one foot in a private network is refused, and so is every other way in', async () => {
    expect(await targetOf('https://a.example/', rules('8.8.8.8', '10.0.0.1'))).toMatchObject({
      ok: false,
      why: 'a.example is in a private network (10.0.0.1)',
    });
    for (const url of ['https://127.1/', 'https://0x7f000001/', 'https://[::ffff:127.0.0.1]/', 'https://2130706433/']) {
      expect(await targetOf(url, rules('8.8.8.8')), url).toMatchObject({
        ok: false,
        why: expect.stringMatching(/private/),
      });
    }
    expect(await targetOf('http://a.example/', rules('8.8.8.8'))).toMatchObject({ why: 'only https is spoken' });
    expect(await targetOf('file:///etc/passwd', rules())).toMatchObject({ ok: false });
    expect(await targetOf('https://u:p@a.example/', rules('8.8.8.8'))).toMatchObject({ ok: false });
    expect(await targetOf('https://a.example/x', rules('8.8.8.8'))).toMatchObject({
      ok: true,
      address: '8.8.8.8',
      family: 4,
    });
  });

  test('is looked up once: what is connected to is what was checked', async () => {
    let asked = 0;
    const rebinding = async () => [{ address: ++asked === 1 ? '127.0.0.1' : '127.0.0.2', family: 4 }];
    await enqueue('e');
    await sendWebhooks({ ...deps, resolve: rebinding });
    expect([asked, heard.length]).toEqual([1, 1]);
  });
});
