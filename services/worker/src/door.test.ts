/** The address of a process, over real HTTP. Faked: the pipeline behind it, and what is mounted. */
import { request } from 'node:http';
import type { Instance } from '@vigil/pipeline';
import { createLogger, createMetrics } from '@vigil/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type Door, type Mounted, openDoor } from './door.ts';

describe('the door', () => {
  let door: Door;
  let ready: boolean | Error;
  let logged: string[];

  async function open(mounted: Mounted | null): Promise<void> {
    const health = async () => {
      if (ready instanceof Error) throw ready;
      return { ready, checks: { database: ready ? 'reachable' : 'gone' }, library: [] };
    };
    const inspect = { health } as unknown as Instance['inspect'];
    const logger = createLogger({ level: 'error', to: { write: (line) => void logged.push(line) } });
    const metrics = createMetrics();
    door = await openDoor({ inspect, metrics }, { host: '127.0.0.1', port: 0, logger, mounted });
  }
  beforeEach(async () => {
    [ready, logged] = [true, []];
    await open(null);
  });
  afterEach(() => door[Symbol.asyncDispose]());

  test('says that it is alive, and whether it is ready', async () => {
    expect((await fetch(`${door.url}/health/live`)).status).toBe(200);
    expect((await fetch(`${door.url}/health/ready?x=1`)).status).toBe(200);
    ready = false;
    const health = await fetch(`${door.url}/health/ready`);
    expect([health.status, await health.json()]).toMatchObject([503, { checks: { database: 'gone' } }]);
    expect((await fetch(`${door.url}/health/live`)).status).toBe(200);
    expect((await fetch(`${door.url}/health/ready`, { method: 'HEAD' })).status).toBe(503);
  });

  test('with nothing behind it yet says that the process is alive, and lets in later', async () => {
    const logger = createLogger({ level: 'silent' });
    const early = await openDoor(null, { host: '127.0.0.1', port: 0, logger, mounted: null });
    const statuses = async () => {
      const asked = ['/health/live', '/health/ready', '/metrics', '/v1/works'].map((route) => fetch(early.url + route));
      return (await Promise.all(asked)).map(({ status }) => status);
    };
    expect(await statuses()).toEqual([200, 503, 503, 503]);
    expect(await (await fetch(`${early.url}/health/ready`)).json()).toEqual({
      ...{ ready: false, checks: { start: 'is starting' }, library: [] },
    });
    const problem = await fetch(`${early.url}/v1/works`);
    expect(problem.headers.get('content-type')).toBe('application/problem+json');
    expect(await problem.json()).toMatchObject({ type: 'urn:vigil:problem:unavailable', status: 503 });
    const inspect = {
      health: async () => ({ ready: true, checks: {}, library: [] }),
    } as unknown as Instance['inspect'];
    early.lead({ inspect, metrics: createMetrics() }, { handle: (_request, response) => void response.end('served') });
    expect(await statuses()).toEqual([200, 200, 200, 200]);
    await early[Symbol.asyncDispose]();
    await early[Symbol.asyncDispose]();
    await expect(fetch(`${early.url}/health/live`)).rejects.toThrow();
  });

  test('says what is not there', async () => {
    for (const [method, route] of [
      ['GET', '/'],
      ['POST', '/health/live'],
      ['POST', '/v1/uploads?name=x'],
    ] as const) {
      const response = await fetch(door.url + route, { method });
      expect(response.headers.get('content-type')).toBe('application/problem+json');
      expect([response.status, await response.json()]).toMatchObject([
        404,
        { type: 'urn:vigil:problem:not-found', status: 404, detail: `${method} ${route.split('?')[0]}` },
      ]);
    }
  });

  test('hands on all but health, in roles that serve something', async () => {
    await door[Symbol.asyncDispose]();
    await open({
      handle: (request, response) => void response.end(`mounted ${request.method} ${request.url}`),
    });
    const text = async (route: string, method = 'GET') => (await fetch(door.url + route, { method })).text();
    expect(await text('/v1/works?limit=1')).toBe('mounted GET /v1/works?limit=1');
    expect(await text('/health/live', 'POST')).toBe('mounted POST /health/live');
    expect(await text('/health/live')).toBe('{"status":"alive"}');
  });

  test('a failure ends the request, is logged, and ends nothing else', async () => {
    ready = new Error('a bug');
    await expect(fetch(`${door.url}/health/ready`)).rejects.toThrow();
    expect(logged.length).toBe(1);
    expect((await fetch(`${door.url}/health/live`)).status).toBe(200);
  });

  test('closes with connections open', async () => {
    const idle = request(`${door.url}/v1/uploads`, { method: 'POST', headers: { 'content-length': '10' } });
    idle.on('error', () => undefined);
    idle.write('half');
    await new Promise((resolve) => setTimeout(resolve, 50));
    await door[Symbol.asyncDispose]();
    await expect(fetch(`${door.url}/health/live`)).rejects.toThrow();
  });
});
