import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { OPERATOR_KEY_FILE } from '@vigil/api/operator-key-file';
import { readConfig } from '@vigil/runtime';
import { UsageError } from './output.ts';

export interface Remote {
  instance: string;
}

/** The instance answered, but not with what was asked for. */
export class Problem extends Error {
  override name = 'Problem';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/** Asks the instance; a problem it answers with becomes the error's message. */
export async function ask<T>(
  instance: string,
  route: string,
  init: RequestInit & { duplex?: 'half' } = {},
): Promise<T> {
  if (!/^https?:/.test(instance) || !URL.canParse(instance))
    throw new UsageError(`--instance ${instance} is not an address like http://127.0.0.1:8080`);
  const key = await keyFor(new URL(instance));
  const headers = { ...init.headers, ...(key ? { authorization: `Bearer ${key}` } : {}) };
  let response: Response;
  try {
    response = await fetch(new URL(route, instance), { ...init, headers });
  } catch {
    throw new UsageError(
      `nothing answers at ${instance}; start it with \`npm start\`, or name another with --instance`,
    );
  }
  const body = (await response.json().catch(() => {
    throw new UsageError(`what answers at ${instance} is not Vigil`);
  })) as T & { title?: string; detail?: string };
  if (response.status === 401) {
    throw new UsageError(
      `${body.detail ?? 'a key is needed'}; set VIGIL_KEY, or VIGIL_DATA to the data folder of an instance on this machine`,
    );
  }
  if (!response.ok) throw new Problem(response.status, `${body.title ?? response.statusText}: ${body.detail ?? ''}`);
  return body;
}

export const post = <T>(instance: string, route: string, body: object): Promise<T> =>
  ask(instance, route, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });

/** The same for what a person asked for: what the instance refuses is theirs to put right. @throws UsageError */
export const postAsked = <T>(instance: string, route: string, body: object): Promise<T> =>
  post<T>(instance, route, body).catch((error: unknown) => {
    throw error instanceof Problem && error.status < 500 ? new UsageError(error.message) : error;
  });

/** Every item of a list, page by page. */
export async function everything<T>(instance: string, route: string): Promise<T[]> {
  const all: T[] = [];
  for (let cursor: string | null = ''; cursor !== null; ) {
    const query: string = new URLSearchParams({ limit: '200', ...(cursor ? { cursor } : {}) }).toString();
    const page: { items: T[]; next: string | null } = await ask(instance, `${route}?${query}`);
    all.push(...page.items);
    cursor = page.next;
  }
  return all;
}

/**
 * The key that VIGIL_KEY holds; else, for an instance on this machine, the one that it keeps in its data folder for whoever runs
 * it. That one is sent nowhere else.
 */
async function keyFor(instance: URL): Promise<string | null> {
  const given = process.env.VIGIL_KEY?.trim();
  if (given) return given;
  if (!onThisMachine(instance)) return null;
  const { dataFolder } = readConfig({ VIGIL_DATA: process.env.VIGIL_DATA });
  const text = await readFile(path.join(dataFolder, OPERATOR_KEY_FILE), 'utf8').catch(() => '');
  return text.trim() || null;
}

export const onThisMachine = ({ hostname }: URL): boolean => /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);

const POLL_MS = 200;
const PATIENCE_MS = 30 * 60_000;

/** Asks again and again until there is something. */
export async function until<T>(look: () => Promise<T | null>, patienceMs = PATIENCE_MS): Promise<T> {
  const end = Date.now() + patienceMs;
  while (Date.now() < end) {
    const found = await look();
    if (found !== null) return found;
    await new Promise((resolve) => setTimeout(resolve, POLL_MS));
  }
  throw new Error(`no answer within ${Math.round(patienceMs / 60_000)} minutes`);
}
