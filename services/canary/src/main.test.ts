/** Real: the canary's process, its signals. Faked: a Vigil that takes a reference and does not answer until it is let go. */
import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { afterEach, beforeEach, expect, test } from 'vitest';

const MAIN = fileURLToPath(new URL('./main.ts', import.meta.url));

let folder: string;
let server: Server;
let asked: Promise<void>;
let canary: ChildProcess;

beforeEach(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vigil-canary-main-'));
  await writeFile(path.join(folder, 'reference.mkv'), 'a film');
  const { promise, resolve } = Promise.withResolvers<void>();
  asked = promise;
  server = createServer(() => resolve());
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  const env = {
    ...process.env,
    VIGIL_CANARY_INSTANCE: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    VIGIL_CANARY_KEY: 'secret',
    VIGIL_CANARY_FOLDER: folder,
  };
  canary = spawn(process.execPath, [MAIN, '--while-stdin'], { env, stdio: ['pipe', 'ignore', 'ignore'] });
});
afterEach(async () => {
  canary.kill('SIGKILL');
  server.closeAllConnections();
  server.close();
  await rm(folder, { recursive: true, force: true });
});

test('a signal that comes twice, directly and passed on, stops it as one does', async () => {
  const ended = once(canary, 'exit');
  await asked;
  canary.kill('SIGINT');
  await sleep(100);
  canary.kill('SIGINT');
  await sleep(100);
  server.closeAllConnections();
  expect(await ended).toEqual([0, null]);
});

test('the end of its standard input stops it', async () => {
  const ended = once(canary, 'exit');
  await asked;
  canary.stdin!.end();
  await sleep(100);
  server.closeAllConnections();
  expect(await ended).toEqual([0, null]);
});
