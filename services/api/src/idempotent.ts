import {
  type BegunRequest,
  beginIdempotent,
  type Database,
  endIdempotent,
  freeIdempotent,
  leaveIdempotent,
} from '@vigil/database';
import { z } from 'zod';
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
  run(begun: BegunRequest): Promise<Answer>;
  /** SHA-256 of the body in hex, read to its end if it was not yet; `early`: it is there before anything is done. */
  digest(): Promise<string>;
  early: boolean;
  /** It was done, and its answer could not be kept. */
  unkept(error: unknown): void;
}

/**
 * Answers a POST once: the same request again gets the same answer, another one under the same key a conflict. What was refused changed
 * nothing, is not kept, and may be sent again in another form. What failed may have been done all the same: the same request takes it
 * over, at once or, when its process died, after a while, with the same ids. Once it is done its key is never given up: at worst the
 * answer is not kept, and is found again by whoever takes over. @throws Problem
 */
export async function once(database: Database, about: Once): Promise<{ answer: Answer; repeated: boolean }> {
  const { principal, key, request, now, status, secret, run, digest, early, unkept } = about;
  if (!IDEMPOTENCY_KEY.test(key))
    throw new Problem('bad-request', 'an idempotency key is 1 to 200 printable characters');
  const db = database.postgres;
  const abandonedBefore = now - ABANDONED_MS;
  const asked = { principal, key, request, digest: early ? await digest() : null, now, abandonedBefore };
  const begun = await beginIdempotent(db, asked);
  if ('known' in begun) {
    const { known } = begun;
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
  let answer: Answer;
  try {
    answer = await run(begun.ours);
  } catch (error) {
    const mine = { principal, key, begunAt: now };
    const given = changedNothing(error) ? freeIdempotent(db, mine) : leaveIdempotent(db, mine, abandonedBefore);
    await given.catch(() => undefined);
    throw error;
  }
  try {
    const body = answer.body as Record<string, unknown> | undefined;
    const shown = body && secret.length > 0 ? { ...body, ...Object.fromEntries(secret.map((s) => [s, null])) } : body;
    const kept = { ...answer, ...(shown === undefined ? {} : { body: shown }) };
    await endIdempotent(db, { principal, key, digest: await digest(), status, answer: kept });
  } catch (error) {
    unkept(error);
  }
  return { answer, repeated: false };
}

const changedNothing = (error: unknown): boolean =>
  error instanceof z.ZodError || (error instanceof Problem && error.status < 500);
