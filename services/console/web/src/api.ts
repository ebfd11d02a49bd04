import type { Page, Problem, Session } from '../../src/wire.ts';

/** What the server answered instead of what was asked for. `detail` is a sentence for people. */
export class ProblemError extends Error {
  readonly problem: Problem;
  constructor(problem: Problem) {
    super(problem.detail || problem.title);
    this.name = 'ProblemError';
    this.problem = problem;
  }
}

let csrf = '';
let onSignedOut: () => void = () => undefined;

/** Of the session that requests are made in, and what is to happen when the server knows of none any more. */
export function useSession(session: Pick<Session, 'csrf'> | null, signedOut?: () => void): void {
  csrf = session?.csrf ?? '';
  if (signedOut) onSignedOut = signedOut;
}

export interface Asking {
  json?: unknown;
  signal?: AbortSignal;
  /** Goes out also while the page is closed. */
  keepalive?: boolean;
}

/** @throws ProblemError, also where the server could not be reached (status 0) */
export async function ask<T>(method: string, path: string, { json, signal, keepalive }: Asking = {}): Promise<T> {
  const response = await fetch(path, {
    method,
    credentials: 'same-origin',
    headers: {
      accept: 'application/json',
      ...(method === 'GET' ? {} : { 'x-csrf-token': csrf }),
      ...(json === undefined ? {} : { 'content-type': 'application/json' }),
    },
    ...(json === undefined ? {} : { body: JSON.stringify(json) }),
    ...(signal ? { signal } : {}),
    ...(keepalive ? { keepalive } : {}),
  }).catch((error: unknown) => {
    if (signal?.aborted) throw error;
    throw new ProblemError(unreachable());
  });
  if (response.status === 204) return undefined as T;
  const body: unknown = await response.json().catch(() => null);
  if (response.ok) return body as T;
  if (response.status === 401 && path !== '/session') onSignedOut();
  throw new ProblemError(isProblem(body) ? body : { ...unreachable(), status: response.status });
}

export const get = <T>(path: string, signal?: AbortSignal): Promise<T> => ask<T>('GET', path, signal ? { signal } : {});
export const post = <T>(path: string, json?: unknown): Promise<T> => ask<T>('POST', path, { json });

export const csrfToken = (): string => csrf;

/** `/v1/cases?state=open&cursor=x` of a path and what is asked; what is undefined is left out. */
export function address(path: string, query: Record<string, string | number | undefined | null>): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value == null || value === '' ? [] : [[name, `${value}`]],
  );
  return given.length > 0 ? `${path}?${new URLSearchParams(given)}` : path;
}

export type { Page };

/** A sentence for whatever went wrong. */
export const sayError = (error: unknown): string => (error instanceof Error ? error.message : String(error));

const isProblem = (body: unknown): body is Problem =>
  typeof body === 'object' && body !== null && 'type' in body && 'status' in body;

const unreachable = (): Problem => ({
  type: 'urn:vigil:problem:unreachable',
  title: 'Vigil could not be reached',
  status: 0,
  detail: 'Vigil could not be reached. Nothing was changed; try it again.',
});
