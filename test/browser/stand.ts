/** A whole Vigil with its page, as a process of its own, with helpers to put something into it: for browser tests and screenshots. */
import { createReadStream } from 'node:fs';
import { mkdtemp, stat } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Readable } from 'node:stream';
import type { ReadableStream } from 'node:stream/web';
import { until } from '../support/until.ts';
import { removeData, startVigil } from '../support/vigil-process.ts';

export type Role = 'reviewer' | 'operator' | 'holder';

export interface Stand {
  url: string;
  /** A request with the operator's key, or with another. @throws with what it said, when it was refused */
  call<T>(method: string, at: string, json?: unknown, key?: string): Promise<T>;
  /** Address that signs somebody in, once. */
  link(role: Role, about?: { holder?: string; name?: string }): Promise<string>;
  /** Registers files and waits until they are live. Returns their references. */
  protect(files: readonly { file: string; name?: string; title: string; holder: string }[]): Promise<string[]>;
  /** Hands files in as a platform would, and waits for a first verdict of each. Returns the uploads' ids. */
  upload(files: readonly { file: string; account: string }[]): Promise<string[]>;
  [Symbol.asyncDispose](): Promise<void>;
}

const PATIENCE = { seconds: 120 };

export async function openStand(env: Record<string, string> = {}): Promise<Stand> {
  const stack = new AsyncDisposableStack();
  const data = await mkdtemp(path.join(tmpdir(), 'vigil-page-'));
  stack.defer(() => removeData(data));
  const settings = { VIGIL_LOG_LEVEL: 'warn', VIGIL_REQUESTS_PER_MINUTE: '6000', ...env };
  const vigil = stack.use(await startVigil(data, { ...process.env, ...settings }));
  const { authorization } = await vigil.authorization();
  const running = stack.move();

  async function send(method: string, at: string, init: RequestInit, key?: string): Promise<unknown> {
    const headers = {
      authorization: key ? `Bearer ${key}` : authorization,
      ...(init.headers as Record<string, string>),
    };
    const response = await fetch(new URL(at, vigil.url), { ...init, method, headers });
    const text = await response.text();
    if (!response.ok) throw new Error(`${method} ${at}: ${response.status} ${text}`);
    return text === '' ? undefined : JSON.parse(text);
  }
  const call: Stand['call'] = async <T>(method: string, at: string, json?: unknown, key?: string) =>
    (await send(
      method,
      at,
      json === undefined ? {} : { body: JSON.stringify(json), headers: { 'content-type': 'application/json' } },
      key,
    )) as T;
  async function sendFile<T>(at: string, file: string): Promise<T> {
    const { size } = await stat(file);
    const body = Readable.toWeb(createReadStream(file)) as ReadableStream<Uint8Array>;
    const headers = { 'content-type': 'application/octet-stream', 'content-length': `${size}` };
    return (await send('POST', at, { body, headers, duplex: 'half' } as RequestInit)) as T;
  }
  async function isLive(reference: string): Promise<boolean> {
    const at = `/v1/references/${reference}`;
    const { state, reason } = await call<{ state: string; reason: string | null }>('GET', at);
    if (state === 'rejected') throw new Error(`${reference} was rejected: ${reason}`);
    return state === 'live';
  }
  async function verdictOf(upload: string): Promise<unknown> {
    const found = await call<{ verdict: unknown }>('GET', `/v1/uploads/${upload}`).catch(() => null);
    return found?.verdict;
  }
  const query = (about: Record<string, string>) => new URLSearchParams(about);

  return {
    url: vigil.url,
    call,
    async link(role, about = {}) {
      const { url } = await call<{ url: string }>('POST', '/v1/sign-in-links', { role, ...about });
      return url;
    },
    async protect(files) {
      const ids: string[] = [];
      for (const { file, name = path.basename(file), title, holder } of files) {
        const at = `/v1/references?${query({ name, title, holder })}`;
        ids.push((await sendFile<{ reference: { id: string } }>(at, file)).reference.id);
      }
      for (const id of ids) await until(`${id} is live`, () => isLive(id), PATIENCE);
      return ids;
    },
    async upload(files) {
      const ids: string[] = [];
      for (const { file, account } of files) {
        const at = `/v1/uploads?${query({ name: path.basename(file), account })}`;
        ids.push((await sendFile<{ upload: string }>(at, file)).upload);
      }
      for (const id of ids) await until(`${id} is judged`, () => verdictOf(id), PATIENCE);
      return ids;
    },
    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}
