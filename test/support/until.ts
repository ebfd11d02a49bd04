import { setTimeout as sleep } from 'node:timers/promises';

export interface Patience {
  /** Default: a minute. */
  seconds?: number;
  /** Rejects when it is of no use to wait any longer. */
  failed?: Promise<unknown>;
}

/** Looks again and again until there is something. @throws that the time is up, or what `look` or `failed` throw */
export async function until<T>(
  what: string,
  look: () => Promise<T | null | undefined | false>,
  { seconds = 60, failed }: Patience = {},
): Promise<T> {
  const end = Date.now() + seconds * 1000;
  for (;;) {
    const found = await look();
    if (found !== null && found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`${what}: not within ${seconds} s`);
    await (failed ? Promise.race([sleep(100), failed]) : sleep(100));
  }
}
