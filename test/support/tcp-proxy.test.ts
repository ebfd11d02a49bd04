import { once } from 'node:events';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { openTcpProxy, type TcpProxy } from './tcp-proxy.ts';

let proxy: TcpProxy;
let stop: () => Promise<void>;
const far: Socket[] = [];

beforeEach(async () => {
  const echo = createServer((socket) => {
    far.push(socket);
    socket.on('error', () => 'reset by a test').pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await openTcpProxy({ host: '127.0.0.1', port: (echo.address() as AddressInfo).port });
  stop = async () => {
    await proxy[Symbol.asyncDispose]();
    for (const socket of far.splice(0)) socket.destroy();
    await new Promise((done) => echo.close(done));
  };
});
afterEach(() => stop());

async function dial() {
  const socket = connect({ host: proxy.host, port: proxy.port });
  let heard = '';
  let error: NodeJS.ErrnoException | null = null;
  socket.on('data', (chunk) => {
    heard += chunk.toString('latin1');
  });
  socket.on('error', (e) => {
    error = e;
  });
  const closed = once(socket, 'close').catch(() => 'by an error');
  return {
    socket,
    closed,
    heard: () => heard,
    error: () => error,
    hears: (text: string) => expect.poll(() => heard, { timeout: 5000, interval: 5 }).toBe(text),
  };
}
const nothingFor = (ms: number) => new Promise((resolve) => setTimeout(resolve, ms));

it('passes bytes and ends on, many at once', async () => {
  const large = 'x'.repeat(3_000_000);
  await Promise.all(
    [0, 1, 2].map(async () => {
      const line = await dial();
      line.socket.end(large);
      await line.closed;
      expect(line.heard()).toBe(large);
    }),
  );
  expect(proxy.passed).toEqual({ up: 9_000_000, down: 9_000_000, connections: 3 });
  expect(proxy.open).toBe(0);
});

it('stalls with nothing lost, and goes on', async () => {
  const line = await dial();
  line.socket.write('one ');
  await line.hears('one ');
  proxy.set({ kind: 'stall' });
  line.socket.write('two ');
  await nothingFor(50);
  expect(line.heard()).toBe('one ');
  proxy.set({ kind: 'delay', ms: 5 });
  line.socket.end('three');
  await line.closed;
  expect(line.heard()).toBe('one two three');
});

it('stalls and cuts after so many bytes', async () => {
  proxy.set({ kind: 'stall', afterBytes: 12 });
  const stalled = await dial();
  stalled.socket.write('0123456789');
  await stalled.hears('01');
  proxy.set({ kind: 'cut', afterBytes: 15 });
  await stalled.closed;
  expect(stalled.heard()).toBe('01234');
});

it('resets what is open and what comes', async () => {
  const open = await dial();
  open.socket.write('x');
  await open.hears('x');
  proxy.set({ kind: 'cut' });
  await open.closed;
  expect(open.error()).toMatchObject({ code: 'ECONNRESET' });
  const late = await dial();
  late.socket.write('y');
  await late.closed;
  expect(late.heard()).toBe('');
});

it('leaves one side open when the other is gone', async () => {
  const line = await dial();
  line.socket.write('x');
  await line.hears('x');
  proxy.set({ kind: 'half-open' });
  await once(far[0]!, 'close');
  line.socket.write('still there?');
  await nothingFor(50);
  expect([line.heard(), line.socket.destroyed, line.socket.readableEnded]).toEqual(['x', false, false]);
  line.socket.destroy();
});

it('answers by itself', async () => {
  proxy.set({ kind: 'answer', text: 'busy\n' });
  const line = await dial();
  line.socket.write('hello');
  await line.closed;
  expect(line.heard()).toBe('busy\n');
  expect(proxy.passed.up).toBe(0);
});
