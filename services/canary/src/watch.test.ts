/** Real: rounds, films, HTTP. Faked: the Vigil that it watches, a few lines that say what a test wants said. */
import { mkdir, mkdtemp, readdir, readFile, rm, utimes, writeFile } from 'node:fs/promises';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { ffmpegHere } from '../../../test/support/ffmpeg.ts';
import { makeFilm, sweepHalves } from './media.ts';
import { createCanary } from './round.ts';
import { readSettings, type Settings } from './settings.ts';
import { createVigil } from './vigil.ts';
import { isReady, metricsOf, newState, openDoor, watch } from './watch.ts';

const never = new AbortController().signal;

describe('a canary', { timeout: 60_000 }, () => {
  let folder: string;
  let server: Server;
  let settings: Settings;
  /** What the fake says of copies and clean clips, and how long after. */
  let says: { copy: string; clean: string; afterMs: number; takedowns: number; published: boolean; reference: string };
  let heard: { route: string; body: string }[];
  let uploads: Map<string, { kind: 'copy' | 'clean'; at: number; bytes: number }>;

  beforeAll(async () => {
    folder = await mkdtemp(path.join(tmpdir(), 'vigil-canary-'));
    server = createServer(async (request, response) => {
      const url = new URL(request.url!, 'http://x');
      const chunks: Buffer[] = [];
      for await (const chunk of request) chunks.push(chunk as Buffer);
      const body = Buffer.concat(chunks);
      const answer = (json: unknown, status = 200) => response.writeHead(status).end(JSON.stringify(json));
      const id = url.pathname.split('/')[3] ?? '';
      const upload = uploads.get(id);
      const isOut = upload && performance.now() - upload.at > says.afterMs;
      const down = upload && says[upload.kind] === 'taken-down';
      if (request.headers.authorization !== 'Bearer secret' && url.pathname.startsWith('/v1/')) return answer({}, 401);
      if (!url.pathname.startsWith('/v1/uploads') || request.method === 'DELETE')
        heard.push({ route: `${request.method} ${url.pathname}`, body: body.toString('latin1').slice(0, 2000) });
      if (request.method === 'POST' && url.pathname === '/v1/references') return answer({ reference: { id: 'ref' } });
      if (url.pathname === '/v1/references/ref') return answer({ state: says.reference, reason: null });
      if (request.method === 'POST' && url.pathname === '/v1/uploads') {
        const kind = url.searchParams.get('name')!.includes('copy') ? 'copy' : 'clean';
        const made = `up_${uploads.size}`;
        uploads.set(made, { kind, at: performance.now(), bytes: body.length });
        return answer({ upload: made });
      }
      if (url.pathname.endsWith('/actions'))
        return answer({ items: down ? Array(says.takedowns).fill({ id: 'a', action: 'takedown', event: {} }) : [] });
      if (url.pathname.endsWith('/trace'))
        return answer({ steps: says.published ? [{ stage: 'publish', outcome: 'vigil.takedowns' }] : [] });
      if (upload && request.method === 'GET') {
        if (!isOut) return answer({ title: 'unknown' }, 404);
        const segment = { upload: [0, 9], reference: [100, 109] };
        const decisions = down
          ? [{ action: 'takedown', rule: 'r', evidence: { reference: { id: 'ref' }, segments: [segment] } }]
          : [];
        return answer({
          verdict: { verdict: says[upload.kind], reason: null, decisions },
          mediaState: down ? 'disabled' : 'shown',
        });
      }
      return answer({ heard: true });
    });
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const base = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    settings = readSettings({
      ...{
        VIGIL_CANARY_INSTANCE: base,
        VIGIL_CANARY_KEY: 'secret',
        VIGIL_CANARY_FOLDER: folder,
        VIGIL_CANARY_NAME: 'one',
      },
      ...{ VIGIL_CANARY_OBJECTIVE_SECONDS: '0.5', VIGIL_FFMPEG: (await ffmpegHere()).ffmpeg },
      ...{ VIGIL_CANARY_HEARTBEAT: `${base}/heartbeat`, VIGIL_CANARY_WEBHOOK: `${base}/webhook` },
    });
  });
  afterAll(async () => {
    server.closeAllConnections();
    server.close();
    await rm(folder, { recursive: true, force: true });
  });
  beforeEach(() => {
    says = { copy: 'taken-down', clean: 'cleared', afterMs: 0, takedowns: 1, published: true, reference: 'live' };
    [heard, uploads] = [[], new Map()];
  });

  /** One round after another under what is said; returns why each was red. */
  async function rounds(n = 1, more: Partial<Settings> = {}) {
    const own = { ...settings, ...more };
    const vigil = createVigil(own);
    // The fake finds every copy beyond the end of the reference: astray wherever chance cut it.
    const canary = createCanary(own, vigil);
    const state = newState();
    const said: string[] = [];
    for (let i = 0; i < n; i++) {
      const say = (level: string, message: string) => void said.push(`${level} ${message}`);
      await watch({ settings: own, canary, vigil, say, signal: never }, { once: true, state });
    }
    return { state, said, why: state.results.map((r) => r.why?.replace(/ \S+ s from where.*/, '') ?? null) };
  }
  const routes = () => heard.map((h) => h.route);

  test('makes films that nobody has seen, and sends others each time', async () => {
    const files = [path.join(folder, 'a.mkv'), path.join(folder, 'b.mkv')];
    for (const file of files) await makeFilm(settings.ffmpeg, file, 3);
    const [a, b] = await Promise.all(files.map((file) => readFile(file)));
    expect(a!.length).toBeGreaterThan(10_000);
    expect(a!.equals(b!)).toBe(false);
  });

  test('takes away halves of films that a canary left long ago, and those alone', async () => {
    const own = await mkdtemp(path.join(folder, 'halves-'));
    const names = ['clean.mkv.7.half.mkv', 'copy.mkv.8.half.mkv', 'reference.mkv'];
    for (const name of names) await writeFile(path.join(own, name), '');
    for (const name of [names[0]!, names[2]!])
      await utimes(path.join(own, name), new Date(), new Date(Date.now() - 600_000));
    await sweepHalves(own);
    expect((await readdir(own)).sort()).toEqual(names.slice(1));
  });

  test('is red about a copy that is found astray, and pings nobody', async () => {
    // The clean clip is to be green, however busy the machine is.
    const { why, state } = await rounds(1, { objectiveSeconds: 5 });
    expect(why).toEqual(['wrong: it is taken down, but found', null]);
    expect(state).toMatchObject({ rounds: 1, red: 1, greenAt: null });
    expect(routes()).toContain('POST /v1/canary/rounds');
    expect(routes()).toContain('POST /webhook');
    expect(routes()).not.toContain('GET /heartbeat');
    const round = JSON.parse(heard.find((h) => h.route === 'POST /v1/canary/rounds')!.body);
    expect(round).toMatchObject({
      canary: 'one',
      everySeconds: 300,
      once: true,
      results: [{ case: 'copy', green: false }, { green: true }],
    });
  });

  test('tells late, missing and wrong apart, and takes back what it sent', async () => {
    Object.assign(says, { copy: 'cleared', clean: 'taken-down' });
    expect((await rounds()).why).toEqual(['wrong: it is cleared', 'wrong: it is taken-down: takedown by r']);
    Object.assign(says, { copy: 'in-review', clean: 'cleared', afterMs: 700 });
    const late = await rounds(2);
    expect(late.why[0]).toBe('wrong: it is in-review');
    expect(late.why[1]).toMatch(/^late: after (0\.[7-9]|[1-9]\.\d) s, of 0\.5$/);
    expect(routes().filter((r) => r.startsWith('DELETE /v1/uploads/'))).toHaveLength(2);
    Object.assign(says, { copy: 'rejected', clean: 'rejected', afterMs: 0 });
    expect((await rounds()).why).toEqual(['not judged: it is rejected', 'not judged: it is rejected']);
    Object.assign(says, { copy: 'in-review', clean: 'cleared', afterMs: 1e9 });
    expect((await rounds(1, { objectiveSeconds: 0.1 })).why).toEqual([
      expect.stringMatching(/^missing: nothing is said of it/),
      expect.stringMatching(/^missing: nothing/),
    ]);
  });

  test('says so when it cannot run: no reference, no key, no Vigil, no ffmpeg', async () => {
    const refused = await rounds(1, { key: 'stolen' });
    expect(refused.why).toEqual([
      expect.stringMatching(/^not tried: .*401/),
      expect.stringMatching(/^not tried: .*401/),
    ]);
    expect(refused.said).toContainEqual(expect.stringMatching(/^error Vigil could not be told: .*401/));
    const gone = await rounds(1, { instance: 'http://127.0.0.1:1' });
    expect(gone.why[0]).toMatch(/^not tried: nothing answers at http:\/\/127\.0\.0\.1:1/);
    const blind = await rounds(1, { ffmpeg: '/nowhere/ffmpeg' });
    expect(blind.why[0]).toMatch(/^not tried: ffmpeg \(\/nowhere\/ffmpeg\) does not start/);
  });

  test('green rounds, and they alone, send a heartbeat; the webhook hears of changes', async () => {
    const vigil = createVigil(settings);
    const green = { case: 'copy', green: true, why: null, upload: 'u', ms: 100, what: '' } as const;
    const red = { ...green, green: false, why: 'missing' };
    const state = newState();
    for (const results of [[green], [red], [red], [green]]) {
      const canary = { round: async () => [...results] };
      await watch({ settings, canary, vigil, say: () => undefined, signal: never }, { once: true, state });
    }
    expect(routes().filter((r) => r.includes('heartbeat'))).toHaveLength(2);
    const told = heard.filter((h) => h.route === 'POST /webhook').map((h) => JSON.parse(h.body).green);
    expect(told).toEqual([false, true]);
    expect(state).toMatchObject({ rounds: 4, red: 2 });
  });

  test('has health and metrics of its own; an old green round is none', async () => {
    const state = newState();
    const door = await openDoor({ ...settings, port: 0 }, state);
    const get = async (route: string) => {
      const response = await fetch(door.url + route);
      return { status: response.status, text: await response.text() };
    };
    expect((await get('/health/ready')).status).toBe(503);
    const result = { case: 'copy', green: true, why: null, upload: 'u', ms: 1500, what: '' } as const;
    Object.assign(state, { rounds: 3, red: 1, at: Date.now(), greenAt: Date.now(), results: [result] });
    expect((await get('/health/ready')).status).toBe(200);
    expect((await get('/health/live')).status).toBe(200);
    expect((await get('/')).status).toBe(404);
    const { text } = await get('/metrics');
    expect(text).toContain('vigil_canary_green{case="copy"} 1\n');
    expect(text).toContain('vigil_canary_seconds{case="copy"} 1.5\n');
    expect(isReady(state, 300, state.at! + 900_001)).toBe(false);
    expect(metricsOf(state, false)).toContain('vigil_canary_ready 0\n');
    await door.close();
  });

  test('the key of a data folder is for an instance on this machine, one that is given for any', async () => {
    const data = path.join(folder, 'data');
    await mkdir(data, { recursive: true });
    await writeFile(path.join(data, 'operator.key'), 'of the folder\n');
    const keyAt = (host: string, more = {}) =>
      readSettings({ VIGIL_DATA: data, VIGIL_CANARY_INSTANCE: `http://${host}:8080`, ...more }).key;
    for (const host of ['localhost', '127.0.0.1', '127.1.2.3', '[::1]']) expect(keyAt(host)).toBe('of the folder');
    for (const host of ['elsewhere', '10.0.0.7', '127.0.0.1.example.org', 'localhost.example.org', '[::2]'])
      expect(() => keyAt(host)).toThrow(`it has no key for http://${host}:8080: set VIGIL_CANARY_KEY`);
    expect(keyAt('elsewhere', { VIGIL_KEY: 'given' })).toBe('given');
    const VIGIL_CANARY_KEY_FILE = path.join(data, 'operator.key');
    expect(keyAt('elsewhere', { VIGIL_CANARY_KEY_FILE })).toBe('of the folder');
  });

  test('settings that cannot be used are named', () => {
    const base = { VIGIL_CANARY_KEY: 'k' };
    expect(() => readSettings({ ...base, VIGIL_CANARY_EVERY_SECONDS: '0' })).toThrow('VIGIL_CANARY_EVERY_SECONDS');
    expect(() => readSettings({ ...base, VIGIL_CANARY_HEARTBEAT: 'x' })).toThrow('give an http(s) address');
    expect(() => readSettings({ VIGIL_DATA: '/nowhere' })).toThrow('it has no key');
  });
});
