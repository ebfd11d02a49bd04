/** The page over real HTTP, from a folder as the build leaves it. */
import { mkdir, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { openPage } from './open-page.ts';

const SCRIPT = `console.log(${JSON.stringify('x'.repeat(5000))});`;

describe('the page', () => {
  let folder: string;
  let close: () => Promise<void>;
  let port: number;
  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'vigil-page-'));
    await mkdir(path.join(folder, 'assets'));
    await writeFile(path.join(folder, 'index.html'), '<!doctype html><title>Vigil</title>');
    await writeFile(path.join(folder, 'assets/main-1a2b.js'), SCRIPT);
    await writeFile(path.join(folder, 'assets/main.js.map'), 'secret');
    const page = await openPage({ folder });
    const server = createServer(
      (asked, answer) => void (page.handle(asked, answer) || answer.writeHead(404).end('api')),
    );
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    port = (server.address() as AddressInfo).port;
    close = () => new Promise((resolve) => server.close(() => resolve()));
  });
  afterAll(async () => {
    await close?.();
    await rm(folder, { recursive: true, force: true });
  });

  /** As it comes, undecoded. */
  const get = (at: string, headers: Record<string, string> = {}, method = 'GET') =>
    new Promise<{ status: number; headers: Record<string, unknown>; body: Buffer }>((resolve, reject) => {
      const asked = request({ port, host: '127.0.0.1', path: at, method, headers }, (answer) => {
        const chunks: Buffer[] = [];
        answer.on('data', (chunk: Buffer) => chunks.push(chunk));
        answer.on('end', () =>
          resolve({ status: answer.statusCode!, headers: answer.headers, body: Buffer.concat(chunks) }),
        );
      });
      asked.on('error', reject).end();
    });

  test('lets nothing in but what comes from here: no inline script or style, no other host, no frame', async () => {
    for (const at of ['/', '/assets/main-1a2b.js']) {
      const { headers } = await get(at);
      const policy = `${headers['content-security-policy']}`;
      expect(policy).toMatch(/^default-src 'none';/);
      // Of sources, none and self are all that there is: no unsafe-*, no scheme, no host, no hash, no nonce.
      const sources = policy.split(';').flatMap((d) => d.trim().split(' ').slice(1));
      expect([...new Set(sources)].sort()).toEqual(["'none'", "'script'", "'self'"]);
      expect(policy).toContain("frame-ancestors 'none'");
      expect(headers).toMatchObject({ 'x-content-type-options': 'nosniff', 'referrer-policy': 'no-referrer' });
    }
  });

  test('keeps for ever what is named by its content, and asks again for the rest', async () => {
    expect((await get('/assets/main-1a2b.js')).headers['cache-control']).toBe('public, max-age=31536000, immutable');
    const index = await get('/');
    expect(index.headers['cache-control']).toBe('no-cache');
    const again = await get('/', { 'if-none-match': `${index.headers.etag}` });
    expect([again.status, again.body.length]).toEqual([304, 0]);
  });

  test('comes compressed as the browser likes it', async () => {
    const of = (encoding: string) => get('/assets/main-1a2b.js', { 'accept-encoding': encoding });
    const br = await of('gzip, deflate, br;q=1.0');
    expect(br.headers).toMatchObject({ 'content-encoding': 'br', vary: 'accept-encoding' });
    expect(brotliDecompressSync(br.body).toString()).toBe(SCRIPT);
    expect(br.body.length).toBeLessThan(200);
    const gz = await of('gzip, br;q=0');
    expect(gz.headers['content-encoding']).toBe('gzip');
    expect(gunzipSync(gz.body).toString()).toBe(SCRIPT);
    expect((await of('')).body.toString()).toBe(SCRIPT);
    expect(new Set([br.headers.etag, gz.headers.etag, (await of('')).headers.etag]).size).toBe(3);
    const head = await get('/assets/main-1a2b.js', { 'accept-encoding': 'br' }, 'HEAD');
    expect([head.headers['content-length'], head.body.length]).toEqual([`${br.body.length}`, 0]);
  });

  test('opens at the address of each of its views, and leaves all others to the API', async () => {
    const html = { accept: 'text/html,application/xhtml+xml' };
    for (const at of ['/', '/review', '/cases/case_1?from=list', '/sign-in'])
      expect((await get(at, html)).headers['content-type'], at).toBe('text/html; charset=utf-8');
    const others = ['/v1/cases', '/session', '/docs', '/openapi.json', '/health/live', '/blobs/x', '/assets/none.js'];
    for (const at of [...others, '/assets/main.js.map', '/../package.json', '/%2e%2e/package.json'])
      expect((await get(at, html)).body.toString(), at).toBe('api');
    expect((await get('/review')).body.toString()).toBe('api');
    expect((await get('/', {}, 'POST')).body.toString()).toBe('api');
  });

  test('that was not built says so', async () => {
    await expect(openPage({ folder: path.join(folder, 'assets') })).rejects.toThrow(/the page is not built/);
  });
});
