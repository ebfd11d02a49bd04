import { createReadStream } from 'node:fs';
import { Readable } from 'node:stream';

/** What Vigil says of an upload, as far as a canary looks at it. */
export interface Upload {
  verdict: {
    verdict: string;
    reason: string | null;
    decisions: {
      action: string;
      rule: string;
      evidence: { reference: { id: string }; segments: { upload: [number, number]; reference: [number, number] }[] };
    }[];
  } | null;
  mediaState: string;
}
export interface Action {
  id: string;
  action: string;
  event: { reference: { id: string } | null; holder: string };
}
export interface TraceStep {
  stage: string;
  outcome: string;
  note?: string;
}

/** It answered, but not with what was asked for. */
export class Refused extends Error {
  override name = 'Refused';
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

type Body = NonNullable<RequestInit['body']>;

export type Vigil = ReturnType<typeof createVigil>;

/** The public door, as anybody outside knows it: HTTP and JSON. @throws Refused; TypeError when nothing answers */
export function createVigil({ instance, key }: { instance: string; key: string }) {
  async function ask<T>(method: string, route: string, body?: Body, type?: string): Promise<T> {
    const response = await fetch(new URL(route, instance), {
      method,
      headers: { authorization: `Bearer ${key}`, ...(type ? { 'content-type': type } : {}) },
      signal: AbortSignal.timeout(30_000),
      ...(body === undefined ? {} : { body, duplex: 'half' }),
    } as RequestInit).catch((error: Error) => {
      const cause = error.cause instanceof Error ? error.cause.message : error.message;
      throw new TypeError(`nothing answers at ${instance}: ${cause}`);
    });
    const text = await response.text();
    if (!response.ok)
      throw new Refused(response.status, `${method} ${route.split('?')[0]}: ${response.status} ${text.slice(0, 300)}`);
    return JSON.parse(text) as T;
  }
  const film = (file: string) => Readable.toWeb(createReadStream(file)) as unknown as Body;
  const of = (upload: string) => `/v1/uploads/${encodeURIComponent(upload)}`;
  return {
    upload: (name: string, file: string, account: string) =>
      ask<{ upload: string }>(
        'POST',
        `/v1/uploads?${new URLSearchParams({ name, account })}`,
        film(file),
        'video/x-matroska',
      ),
    /** Null until it is known. */
    async look(upload: string): Promise<Upload | null> {
      try {
        return await ask<Upload>('GET', of(upload));
      } catch (error) {
        if (error instanceof Refused && error.status === 404) return null;
        throw error;
      }
    },
    actions: async (upload: string) => (await ask<{ items: Action[] }>('GET', `${of(upload)}/actions`)).items,
    trace: async (upload: string) => (await ask<{ steps: TraceStep[] }>('GET', `${of(upload)}/trace`)).steps,
    takeBack: (upload: string) => ask<unknown>('DELETE', of(upload)),
    register: (name: string, file: string, holder: string) =>
      ask<{ reference: { id: string } }>(
        'POST',
        `/v1/references?${new URLSearchParams({ name, holder, title: 'Canary' })}`,
        film(file),
        'video/x-matroska',
      ),
    reference: (id: string) =>
      ask<{ state: string; reason: string | null }>('GET', `/v1/references/${encodeURIComponent(id)}`),
    say: (round: unknown) => ask<unknown>('POST', '/v1/canary/rounds', JSON.stringify(round), 'application/json'),
  };
}
