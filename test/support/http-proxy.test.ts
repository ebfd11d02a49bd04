import { once } from 'node:events';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { type HttpProxy, openHttpProxy } from './http-proxy.ts';

let far: Server;
let proxy: HttpProxy;

/** Says what it was asked, and sends the body back. */
beforeEach(async () => {
  far = createServer((request, answer) => {
    answer.setHeader('x-asked', `${request.method} ${request.url} ${request.headers.host}`);
    request.pipe(answer);
  }).listen(0, '127.0.0.1');
  await once(far, 'listening');
  proxy = await openHttpProxy(`http://127.0.0.1:${(far.address() as AddressInfo).port}`);
});
afterEach(async () => {
  await proxy[Symbol.asyncDispose]();
  far.closeAllConnections();
  await new Promise((resolve) => far.close(resolve));
});

const put = (path: string, body = 'x') => fetch(`${proxy.url}${path}`, { method: 'PUT', body });

it('passes requests, headers and bodies as they are', async () => {
  const large = 'y'.repeat(3_000_000);
  const answer = await put('/a/b?c=%20', large);
  expect(answer.headers.get('x-asked')).toBe(`PUT /a/b?c=%20 ${new URL(proxy.url).host}`);
  expect((await answer.text()) === large).toBe(true);
  expect([proxy.passed, proxy.befallen]).toEqual([1, 0]);
});

it('answers by itself where it is told to, and only there', async () => {
  proxy.set((path) => (path.startsWith('/ill') ? { status: 503, body: 'slow down' } : 'none'));
  const [ill, well] = await Promise.all([put('/ill/1'), put('/well/1', 'hello')]);
  expect([ill.status, await ill.text()]).toEqual([503, 'slow down']);
  expect([well.status, await well.text()]).toEqual([200, 'hello']);
  expect(proxy.befallen).toBe(1);
});

it('stalls by path, lets go when the fault is lifted, and forgets those who have gone', async () => {
  proxy.set((path) => (path === '/ill' ? 'stall' : 'none'));
  const impatient = fetch(`${proxy.url}/ill`, { signal: AbortSignal.timeout(50) });
  await expect(impatient).rejects.toThrow();
  let answered = false;
  const patient = put('/ill', 'later').then((answer) => {
    answered = true;
    return answer.text();
  });
  expect(await (await put('/well')).text()).toBe('x');
  expect(answered).toBe(false);
  proxy.set(() => 'none');
  expect(await patient).toBe('later');
  expect(proxy.befallen).toBe(2);
});
