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
export async function ask<T>(instance: string, route: string, init?: RequestInit & { duplex?: 'half' }): Promise<T> {
  if (!/^https?:/.test(instance) || !URL.canParse(instance))
    throw new UsageError(`--instance ${instance} is not an address like http://127.0.0.1:8080`);
  let response: Response;
  try {
    response = await fetch(new URL(route, instance), init);
  } catch {
    throw new UsageError(
      `nothing answers at ${instance}; start it with \`npm start\`, or name another with --instance`,
    );
  }
  const body = (await response.json().catch(() => {
    throw new UsageError(`what answers at ${instance} is not Vigil`);
  })) as T & { title?: string; detail?: string };
  if (!response.ok) throw new Problem(response.status, `${body.title ?? response.statusText}: ${body.detail ?? ''}`);
  return body;
}

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
