import { beginIdempotent, type Database, endIdempotent, freeIdempotent } from '@vigil/database';
import { Problem } from './problem.ts';
import type { Answer } from './route.ts';

/** A request that died with its process is taken over after this. */
const ABANDONED_MS = 10 * 60_000;
/** Answers are repeated for this long. */
export const IDEMPOTENCY_KEPT_MS = 7 * 24 * 3600 * 1000;

export const IDEMPOTENCY_KEY = /^[!-~]{1,200}$/;

export interface Once {
  principal: string;
  key: string;
  /** Method and address: the same key for another request is a mistake. */
  request: string;
  now: number;
  /** Of an answer that succeeds. */
  status: number;
  secret: readonly string[];
  run(): Promise<Answer>;
  /** SHA-256 of the body in hex, read to its end if it was not yet. */
  digest(): Promise<string>;
}

/**
 * Answers a POST once: the same request again gets the same answer, another one under the same key a conflict. Only what succeeded is
 * kept: what was refused changed nothing, and may be sent again. @throws Problem
 */
export async function once(database: Database, about: Once): Promise<{ answer: Answer; repeated: boolean }> {
  const { principal, key, request, now, status, secret, run, digest } = about;
  if (!IDEMPOTENCY_KEY.test(key))
    throw new Problem('bad-request', 'an idempotency key is 1 to 200 printable characters');
  const db = database.postgres;
  const known = await beginIdempotent(db, { principal, key, request, now, abandonedBefore: now - ABANDONED_MS });
  if (known) {
    if (known.request !== request || (known.digest !== null && known.digest !== (await digest()))) {
      throw new Problem(
        'idempotency-conflict',
        'the same idempotency key came with another request before: use a new one',
      );
    }
    if (known.status === null) {
      throw new Problem('in-progress', 'the request before is still being answered', {}, { 'retry-after': '2' });
    }
    return { answer: known.answer as Answer, repeated: true };
  }
  try {
    const answer = await run();
    const body = answer.body as Record<string, unknown> | undefined;
    const shown = body && secret.length > 0 ? { ...body, ...Object.fromEntries(secret.map((s) => [s, null])) } : body;
    const kept = { ...answer, ...(shown === undefined ? {} : { body: shown }) };
    await endIdempotent(db, { principal, key, digest: await digest(), status, answer: kept });
    return { answer, repeated: false };
  } catch (error) {
    await freeIdempotent(db, principal, key).catch(() => undefined);
    throw error;
  }
}
