/** The local way in, over real HTTP. Faked: the pipeline behind it. */
import { request } from 'node:http';
import type { Readable } from 'node:stream';
import { buffer } from 'node:stream/consumers';
import { type Instance, LayoutError, type LayoutView, type ReplicaView } from '@vigil/pipeline';
import { createLogger } from '@vigil/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Door, openDoor } from './door.ts';

const MAX_BYTES = 1_000_000;

interface Taken {
  kind: 'upload' | 'reference';
  name: string;
  about: unknown;
  bytes: Buffer;
}

describe('the door', () => {
  let door: Door;
  let taken: Taken[];
  /** Bodies whose storing failed, with the error that their stream ended in. */
  let failed: Error[];
  let failure: Error | null;
  let ready: boolean;
  let logged: string[];
  let removals: unknown[];

  beforeEach(async () => {
    [taken, failed, failure, ready, logged, removals] = [[], [], null, true, [], []];
    const layout: LayoutView = { shards: 2, state: 'current', uploads: 0, waitsFor: [] };
    const removed: ReplicaView = {
      ...{ shards: 2, shard: 1, replica: 'gone/a', state: 'silent', behind: 0 },
      ...{ seenAt: 1, registeredAt: 1, checkpoint: 0 },
    };
    const keep = async (kind: Taken['kind'], name: string, body: Uint8Array | Readable, about: unknown) => {
      if (failure) throw failure;
      try {
        taken.push({ kind, name, about, bytes: await buffer(body as Readable) });
      } catch (error) {
        failed.push(error as Error);
        throw error;
      }
    };
    const reference = { id: 'ref_1', version: 1, work: 'work_1', title: 'A', holder: 'b', kind: null, duration: null };
    const behind = {
      intake: {
        async upload(name, body, about) {
          await keep('upload', name, body, about);
          return { upload: 'up_1' };
        },
        async reference(name, body, about) {
          await keep('reference', name, body, about);
          return { reference: { id: 'ref_1', version: 1 }, work: 'work_1', known: false };
        },
      },
      inspect: {
        references: async () => [{ ...reference, state: 'live', reason: null }],
        upload: async (id) =>
          id === 'up_1' ? { upload: id, verdict: null, mediaState: 'shown', revisions: 0, actions: [] } : null,
        trace: async (id) => (id === 'up_1' ? { upload: id, receivedAt: 1, steps: [] } : null),
        health: async () => ({ ready, checks: { database: ready ? 'reachable' : 'gone' }, library: [] }),
      },
      layouts: {
        view: async () => ({ layouts: [layout], replicas: [] }),
        async change(shards) {
          const waitsFor = ['shard 0 of 3 has no matcher', 'shard 1 of 3 has no matcher'];
          return { done: shards !== 3, layout: { ...layout, shards, waitsFor } };
        },
        async remove(name, options) {
          if (name !== 'gone/a') throw new LayoutError('it was seen 2 s ago');
          removals.push(options);
          return { removed, live: 2 };
        },
      },
    } as Pick<Instance, 'intake' | 'inspect' | 'layouts'>;
    const logger = createLogger({ level: 'error', to: { write: (line) => void logged.push(line) } });
    door = await openDoor(behind, { host: '127.0.0.1', port: 0, maxBytes: MAX_BYTES, logger });
  });
  afterEach(() => door[Symbol.asyncDispose]());

  const post = (route: string, body: string | Uint8Array<ArrayBuffer>, headers: Record<string, string> = {}) =>
    fetch(`${door.url}${route}`, { method: 'POST', body, headers });

  /** Problem details, as RFC 9457 wants them. */
  async function problemOf(response: Response) {
    expect(response.headers.get('content-type')).toMatch(/^application\/problem\+json/);
    const problem = (await response.json()) as { type: string; title: string; status: number; detail: string };
    expect(problem.status).toBe(response.status);
    expect(problem.title).not.toBe('');
    return { status: problem.status, type: problem.type.replace('urn:vigil:problem:', ''), detail: problem.detail };
  }

  test('takes uploads of any type, byte for byte', async () => {
    const bytes = crypto.getRandomValues(new Uint8Array(60_000));
    for (const type of ['application/octet-stream', 'video/mp4', 'application/json', 'text/plain']) {
      const response = await post('/v1/uploads?name=a%2Fb+%C3%A4.mp4&account=someone', bytes, { 'content-type': type });
      expect([response.status, await response.json()]).toEqual([202, { upload: 'up_1' }]);
    }
    expect(await raw('/v1/uploads?name=a%2Fb+%C3%A4.mp4&account=someone', {}, bytes)).toMatchObject({ status: 202 });
    expect(taken.length).toBe(5);
    for (const one of taken) {
      expect(one).toMatchObject({ kind: 'upload', name: 'a/b ä.mp4', about: { account: 'someone' } });
      expect(one.bytes.equals(bytes)).toBe(true);
    }
  });

  test('takes references, with title and holder', async () => {
    const response = await post('/v1/references?name=w.mp4&title=A%20Work&holder=Someone', 'bytes');
    expect(response.status).toBe(202);
    expect(await response.json()).toEqual({ reference: { id: 'ref_1', version: 1 }, work: 'work_1', known: false });
    expect(taken[0]).toMatchObject({ kind: 'reference', about: { title: 'A Work', holder: 'Someone' } });
  });

  test('tells what it knows, and that it does not know', async () => {
    for (const route of ['/v1/uploads/up_1', '/v1/uploads/up_1/trace', '/v1/references', '/v1/references/ref_1'])
      expect((await fetch(door.url + route)).status, route).toBe(200);
    for (const route of ['/v1/uploads/up_2', '/v1/uploads/up_2/trace', '/v1/references/ref_2', '/v1/uploads/..%2f..'])
      expect(await problemOf(await fetch(door.url + route)), route).toMatchObject({ status: 404, type: 'not-found' });
  });

  test('has no other routes', async () => {
    for (const [method, route] of [
      ['GET', '/'],
      ['GET', '/v1/uploads'],
      ['DELETE', '/v1/uploads/up_1'],
      ['POST', '/v2/uploads?name=x'],
    ] as const) {
      const response = await fetch(door.url + route, { method });
      expect(await problemOf(response)).toEqual({ status: 404, type: 'not-found', detail: `${method} ${route}` });
    }
    expect(taken).toEqual([]);
  });

  test.each([
    ['no name', '', /name/],
    ['an empty name', '?name=', /name/],
    ['two names', '?name=a&name=b', /name/],
    ['a name that is too long', `?name=${'x'.repeat(501)}`, /name/],
    ['an empty account', '?name=a&account=', /account/],
    ['an account that is too long', `?name=a&account=${'x'.repeat(201)}`, /account/],
  ])('refuses a query with %s', async (_, query, detail) => {
    const problem = await problemOf(await post(`/v1/uploads${query}`, 'bytes'));
    expect(problem).toMatchObject({ status: 400, type: 'bad-query' });
    expect(problem.detail).toMatch(detail);
    expect(taken).toEqual([]);
  });

  test('refuses a request without a body, and takes an empty file', async () => {
    expect(await raw('/v1/uploads?name=a', {})).toMatchObject({ status: 400, text: expect.stringMatching(/no body/) });
    expect(taken).toEqual([]);
    expect(await raw('/v1/uploads?name=a', { 'content-length': '0', 'content-type': 'video/mp4' })).toMatchObject({
      status: 202,
    });
    expect(taken.map((t) => t.bytes.length)).toEqual([0]);
  });

  test('takes a file of exactly the limit, and not a byte more', async () => {
    expect((await post('/v1/uploads?name=a', new Uint8Array(MAX_BYTES))).status).toBe(202);
    const announced = await post('/v1/uploads?name=a', new Uint8Array(MAX_BYTES + 1));
    expect(await problemOf(announced)).toMatchObject({ status: 413, type: 'too-large', detail: /1000000 bytes/ });
    // Without a length in front, it is noticed on the way, and the rest is not read.
    const chunks = async function* () {
      for (let i = 0; i < 20; i++) yield new Uint8Array(100_000);
    };
    const streamed = await fetch(`${door.url}/v1/uploads?name=a`, {
      method: 'POST',
      body: ReadableStream.from(chunks()) as never,
      duplex: 'half',
    } as RequestInit);
    expect(await problemOf(streamed)).toMatchObject({ status: 413, type: 'too-large' });
    expect(taken.length).toBe(1);
    expect(logged).toEqual([]);
  });

  test('an upload that is cut is an error for the store, never a shorter file', async () => {
    for (const headers of [{ 'content-length': '50000' }, { 'transfer-encoding': 'chunked' }]) {
      const sending = request(`${door.url}/v1/uploads?name=a`, { method: 'POST', headers });
      sending.on('error', () => undefined);
      sending.write(Buffer.alloc(20_000));
      await new Promise((resolve) => setTimeout(resolve, 100));
      sending.destroy();
    }
    while (failed.length < 2) await new Promise((resolve) => setTimeout(resolve, 5));
    expect(taken).toEqual([]);
    expect((await fetch(`${door.url}/health/live`)).status).toBe(200);
  });

  test('says when what is behind it is out of reach, and when it is broken', async () => {
    failure = Object.assign(new Error('no connection'), { retriable: true });
    expect(await problemOf(await post('/v1/uploads?name=a', 'bytes'))).toMatchObject({
      status: 503,
      type: 'unavailable',
    });
    failure = new Error('a bug');
    expect(await problemOf(await post('/v1/uploads?name=a', 'bytes'))).toMatchObject({ status: 500, type: 'failed' });
    expect(logged.length).toBe(2);
    expect((await fetch(`${door.url}/health/ready`)).status).toBe(200);
    ready = false;
    const health = await fetch(`${door.url}/health/ready`);
    expect([health.status, await health.json()]).toMatchObject([503, { checks: { database: 'gone' } }]);
    expect((await fetch(`${door.url}/health/live`)).status).toBe(200);
  });

  test('shows the fleet, changes the number of shards, and takes away replicas', async () => {
    const ask = (method: string, route: string) => fetch(`${door.url}${route}`, { method });
    const fleet = { layouts: [{ shards: 2, state: 'current', uploads: 0, waitsFor: [] }], replicas: [] };
    expect(await (await ask('GET', '/v1/fleet')).json()).toEqual(fleet);
    expect(await (await ask('POST', '/v1/shards?count=4')).json()).toMatchObject({ shards: 4 });
    expect(await problemOf(await ask('POST', '/v1/shards?count=3'))).toEqual({
      ...{ status: 409, type: 'not-ready', detail: 'shard 0 of 3 has no matcher; shard 1 of 3 has no matcher' },
    });
    expect((await ask('POST', '/v1/shards?count=0')).status).toBe(400);
    expect(await (await ask('DELETE', '/v1/replicas/gone%2Fa?shard=1/2')).json()).toMatchObject({ live: 2 });
    expect(removals).toEqual([{ force: false, shard: { number: 1, of: 2 } }]);
    expect((await problemOf(await ask('DELETE', '/v1/replicas/here'))).status).toBe(409);
    expect((await ask('DELETE', '/v1/replicas/gone%2Fa?shard=second')).status).toBe(400);
  });

  test('does not stop on requests that are no HTTP, and closes with connections open', async () => {
    const idle = request(`${door.url}/v1/uploads?name=a`, { method: 'POST', headers: { 'content-length': '10' } });
    idle.on('error', () => undefined);
    idle.write('half');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await door[Symbol.asyncDispose]();
    await expect(fetch(`${door.url}/health/live`)).rejects.toThrow();
  });

  /** A request as it is, without what fetch would add. */
  function raw(
    route: string,
    headers: Record<string, string>,
    body?: Uint8Array,
  ): Promise<{ status: number; text: string }> {
    return new Promise((resolve, reject) => {
      const sent = request(`${door.url}${route}`, { method: 'POST', headers }, async (response) => {
        resolve({ status: response.statusCode!, text: (await buffer(response)).toString() });
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
});
