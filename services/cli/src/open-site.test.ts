/** Real: an instance, the API and the page that was built for it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { readConfig, silentLogger } from '@vigil/runtime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestApi, type TestApi } from '../../../test/support/test-api.ts';
import { openSite } from './open-site.ts';

let folder: string;
let api: TestApi;
beforeAll(async () => {
  folder = await mkdtemp(path.join(tmpdir(), 'vigil-site-'));
  api = await openTestApi();
});
afterAll(async () => {
  await api?.[Symbol.asyncDispose]();
  await rm(folder, { recursive: true });
});

async function greeting(url: string, env: Record<string, string> = {}): Promise<string> {
  const config = readConfig({ VIGIL_DATA: folder, VIGIL_ROLES: 'api,console', ...env });
  await using site = await openSite(api.instance, { config, logger: silentLogger });
  return (await site.greet(url)).join('\n');
}

test('links that sign people in are printed where nobody else is let in, and nowhere else', async () => {
  expect(await greeting('http://127.0.0.1:8080')).toMatch(/^ {2}operator {2}http:\/\/127\.0\.0\.1:8080\/\S+$/m);
  const without = (address: string) => `The page: ${address}  (sign in with: vigil console sign-in --role reviewer)`;
  expect(await greeting('http://0.0.0.0:8080')).toBe(without('http://0.0.0.0:8080'));
  // Behind a proxy it listens on this machine alone as well; what it prints goes to a journal that others read.
  const VIGIL_PUBLIC_URL = 'https://vigil.example.org';
  expect(await greeting('http://127.0.0.1:8080', { VIGIL_PUBLIC_URL })).toBe(without(VIGIL_PUBLIC_URL));
});
