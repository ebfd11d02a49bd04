/** For tests of the API: the API of a real instance on a real database, listening. It decodes nothing. */

import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openApi } from '@vigil/api';
import type { Decision, Manifest, SliceEvidence } from '@vigil/contracts';
import { lockUpload, recordEvidence, saveManifest } from '@vigil/database';
import { type Instance, openInstance } from '@vigil/pipeline';
import { createLogger, readConfig } from '@vigil/runtime';
import { createTestDatabase } from './postgres.ts';
import { until as waitUntil } from './until.ts';

/** A complete notice under 17 USC 512(c)(3). */
export const DMCA = {
  ...{ signature: '/s/ B. Studio', name: 'B. Studio', address: '1 Road', phone: '+1 555', email: 'law@b.example.org' },
  ...{ work: 'A Film', goodFaith: true, accurate: true },
};

export interface Reply {
  status: number;
  // biome-ignore lint/suspicious/noExplicitAny: bodies are looked at by the tests
  body: any;
  headers: Headers;
}

export interface TestApi {
  url: string;
  instance: Instance;
  dataFolder: string;
  /** A request with a key (the operator's unless told otherwise; null: none) and, if there is one, a body of JSON. */
  call(method: string, route: string, options?: CallOptions): Promise<Reply>;
  /** A key, made by the operator. */
  key(about: object): Promise<string>;
  logged: string[];
  [Symbol.asyncDispose](): Promise<void>;
}

export interface CallOptions {
  key?: string | null;
  json?: unknown;
  body?: string | Uint8Array<ArrayBuffer>;
  headers?: Record<string, string>;
}

/** What was asked, by whom, and all that was said. */
export interface Exchange {
  method: string;
  url: string;
  authorization: string | undefined;
  sent: string;
  status: number;
  headers: string;
  body: string;
}

/** `seen` is told of every exchange once it is over. */
export async function openTestApi(
  settings: Record<string, string> = {},
  seen?: (exchange: Exchange) => void,
): Promise<TestApi> {
  const stack = new AsyncDisposableStack();
  const dataFolder = await mkdtemp(path.join(tmpdir(), 'vigil-api-'));
  stack.defer(() => rm(dataFolder, { recursive: true, force: true }));
  const { url: databaseUrl } = stack.use(await createTestDatabase());
  const roles = 'match,decide,api,console';
  const config = readConfig({ ...settings, VIGIL_DATA: dataFolder, DATABASE_URL: databaseUrl, VIGIL_ROLES: roles });
  const logged: string[] = [];
  const logger = createLogger({ level: 'error', to: { write: (line) => void logged.push(line) } });
  const instance = stack.use(await openInstance({ config, logger, ffmpeg: undefined as never }));
  const api = stack.use(await openApi(instance, { config, logger }));
  const server = createServer((request, response) => {
    if (seen) overhear(request, response, seen);
    api.handle(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  stack.defer(async () => {
    const closed = new Promise((resolve) => server.close(resolve));
    server.closeAllConnections();
    await closed;
  });
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const operator = (await readFile(path.join(dataFolder, 'operator.key'), 'utf8')).trim();
  const running = stack.move();

  async function call(method: string, route: string, options: CallOptions = {}): Promise<Reply> {
    const { key = operator, json, body, headers = {} } = options;
    const response = await fetch(new URL(route, url), {
      method,
      headers: {
        ...(key === null ? {} : { authorization: `Bearer ${key}` }),
        ...(json === undefined ? {} : { 'content-type': 'application/json' }),
        ...headers,
      },
      ...(json === undefined ? (body === undefined ? {} : { body }) : { body: JSON.stringify(json) }),
    });
    const text = await response.text();
    const isJson = /json/.test(response.headers.get('content-type') ?? '');
    return { status: response.status, body: isJson && text ? JSON.parse(text) : text, headers: response.headers };
  }
  return {
    url,
    instance,
    dataFolder,
    call,
    logged,
    key: async (about) => (await call('POST', '/v1/keys', { json: { name: 'test', ...about } })).body.secret,
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

function overhear(request: IncomingMessage, response: ServerResponse, seen: (exchange: Exchange) => void): void {
  const said: Buffer[] = [];
  const sent: Buffer[] = [];
  const { emit } = request;
  request.emit = (event: string, ...args: unknown[]) => {
    if (event === 'data') sent.push(Buffer.from(args[0] as Uint8Array));
    return emit.call(request, event, ...args);
  };
  const keep = (chunk: unknown) => {
    if (typeof chunk === 'string' || chunk instanceof Uint8Array) said.push(Buffer.from(chunk as string));
  };
  const [write, end] = [response.write, response.end] as unknown as ((...a: unknown[]) => unknown)[];
  Object.assign(response, {
    write: (...args: unknown[]) => {
      keep(args[0]);
      return write!.apply(response, args);
    },
    end: (...args: unknown[]) => {
      keep(args[0]);
      return end!.apply(response, args);
    },
  });
  const { method = '', url = '' } = request;
  response.on('close', () =>
    seen({
      ...{ method, url, authorization: request.headers.authorization, status: response.statusCode },
      sent: Buffer.concat(sent).toString(),
      headers: JSON.stringify(response.getHeaders()),
      body: Buffer.concat(said).toString(),
    }),
  );
}

/** Until `look` says so, for ten seconds at most. */
export const until = <T>(look: () => Promise<T | null | undefined | false>): Promise<T> =>
  waitUntil('what the instance does', look, { seconds: 10 });

/** An upload that was planned, as the platform told of it. */
export async function plannedUpload({ database }: Instance, id: string, account = 'acc_1'): Promise<void> {
  const manifest: Manifest = {
    upload: id,
    event: {
      action: 'created',
      media: { source: 'test', bucket: 'uploads', key: `${id}.mp4`, version: 'v1' },
      account,
      visibility: 'public',
      receivedAt: Date.now(),
    },
    outcome: {
      status: 'planned',
      probe: {
        ...{ kind: 'video', format: 'mp4', codec: 'h264', width: 640, height: 360, duration: 30 },
        ...{ startTime: 0, frameRate: 25, size: 1000, notes: [] },
      },
      ...{ slices: 1, shards: 1, epoch: 1 },
    },
    deadline: Date.now() + 3600_000,
    steps: [],
  };
  await database.transaction(async (tx) => {
    await lockUpload(tx, id);
    await saveManifest(tx, id, manifest);
  });
}

/** So many seconds of the upload follow the reference frame by frame. */
export async function foundEvidence(
  { database }: Instance,
  upload: string,
  reference: { id: string; version: number },
  seconds: number,
): Promise<void> {
  const evidence: Decision['evidence'] = {
    ...{ reference, referenceMedia: 'video', kind: 'picture', altered: {} },
    segments: [
      {
        ...{ upload: [0, seconds], reference: [100, 100 + seconds], offset: 100, speed: 1 },
        frames: { matched: 2 * seconds, eligible: 2 * seconds },
        distance: { mean: 10, worst: 20 },
        distinct: seconds,
        timed: true,
      },
    ],
    ...{ longest: seconds, total: seconds, share: { upload: seconds / 30, reference: 0.1 }, confidence: 1 },
  };
  const result: SliceEvidence = {
    ...{ proposal: `pr_${upload}`, upload, slice: 0, shards: 1, shard: 0, checkpoint: 1, steps: [] },
    outcome: { status: 'confirmed', evidence: [evidence] },
  };
  await database.transaction(async (tx) => {
    await recordEvidence(tx, result);
  });
}
