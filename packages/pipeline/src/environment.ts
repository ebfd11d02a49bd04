import type { BlobStore } from '@vigil/blob-store';
import { TOPICS } from '@vigil/contracts';
import type { Database } from '@vigil/database';
import type { EventLog } from '@vigil/event-log';
import { type Clock, isRetriable, type Logger } from '@vigil/runtime';
import { OWN_BUCKET } from './emit.ts';

/**
 * What a process lives on: database, log and blobs. Tells an event that cannot be done from a world in which nothing can,
 * and keeps what only needs to wait from ending the process.
 */
export interface Environment {
  /** One entry a store, a part that waits, and what was added: `reachable`, or what is wrong. Answers within `ANSWER_MS`. */
  checks(): Promise<Record<string, string>>;
  /** Something more that has to be so for this process to be ready; `look` throws what is wrong. */
  add(name: string, look: () => void): void;
  /** Some store, or some bucket of one, does not answer anybody. What was asked a moment ago is not asked again. */
  isBroken(): Promise<boolean>;
  /**
   * Runs a part to its end; where its environment breaks it is begun again after a pause, however often, and meanwhile
   * named by `checks`. @throws what is not retriable
   */
  rideOut(part: string, signal: AbortSignal, work: () => Promise<void>): Promise<void>;
}

export const REACHABLE = 'reachable';
const ANSWER_MS = 2000;
const FRESH_MS = 1000;
const PAUSE_MS = [100, 500, 1000, 3000];

export function createEnvironment(deps: {
  database: Pick<Database, 'postgres'>;
  log: Pick<EventLog, 'ends'>;
  blobs: Pick<BlobStore, 'stat'>;
  /** That events may name. Each may lie with somebody else, and be away while ours answers. */
  buckets: readonly string[];
  clock: Clock;
  logger: Logger;
}): Environment {
  const { database, log, blobs, buckets, clock, logger } = deps;
  const waiting = new Map<string, string>();
  const questions: [string, () => Promise<unknown>][] = [
    ['database', () => database.postgres.query('SELECT 1')],
    ['log', () => log.ends(TOPICS.uploads.name)],
    ['blobs', () => blobs.stat(OWN_BUCKET, 'is-it-there')],
    ...buckets.map((b): [string, () => Promise<unknown>] => [`bucket ${b}`, () => blobs.stat(b, 'is-it-there')]),
  ];
  const open = new Map<string, Promise<unknown>>();
  let last: { at: number; answers: Promise<Record<string, string>> } | undefined;

  const more = new Map<string, () => void>();

  /** Who does not answer is not asked a second time meanwhile: several buckets that hang would take every connection to the store. */
  function put([name, question]: (typeof questions)[number]): Promise<unknown> {
    const asked = open.get(name) ?? question().finally(() => open.delete(name));
    open.set(name, asked);
    return asked;
  }

  async function ask(): Promise<Record<string, string>> {
    const answers = questions.map(async (one) => [one[0], await answerOf(() => put(one))] as const);
    return Object.fromEntries(await Promise.all(answers));
  }

  function recent(): Promise<Record<string, string>> {
    if (!last || clock.now() - last.at > FRESH_MS) last = { at: clock.now(), answers: ask() };
    return last.answers;
  }

  return {
    async checks() {
      const added = [...more].map(async ([name, look]) => [name, await answerOf(async () => look())] as const);
      return { ...(await ask()), ...Object.fromEntries(await Promise.all(added)), ...Object.fromEntries(waiting) };
    },
    add: (name, look) => void more.set(name, look),
    async isBroken() {
      return Object.values(await recent()).some((answer) => answer !== REACHABLE);
    },
    async rideOut(part, signal, work) {
      for (let failures = 0; !signal.aborted; ) {
        const startedAt = clock.now();
        try {
          return await work();
        } catch (error) {
          if (signal.aborted || !isRetriable(error)) throw error;
          // What ran for a while had recovered in between.
          failures = clock.now() - startedAt > 10_000 ? 1 : failures + 1;
          waiting.set(part, `waits: ${String(error)}`);
          logger.warn({ part, failures, error }, 'cannot go on, and waits');
          await Promise.allSettled([clock.sleep(PAUSE_MS[Math.min(failures, PAUSE_MS.length) - 1]!, signal)]);
          waiting.delete(part);
        }
      }
    },
  };
}

async function answerOf(question: () => Promise<unknown>): Promise<string> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<string>((resolve) => {
    timer = setTimeout(resolve, ANSWER_MS, `no answer within ${ANSWER_MS / 1000} s`);
  });
  const asked = question().then(
    () => REACHABLE,
    (error: unknown) => String(error),
  );
  return Promise.race([asked, late]).finally(() => clearTimeout(timer));
}
