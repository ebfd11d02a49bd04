import { type Database, isTimerDue, takeDueTimers } from '@vigil/database';
import type { Clock, Logger, Queryable } from '@vigil/runtime';

const POLL_MS = 500;
const BATCH = 50;

export interface TimerDeps {
  database: Database;
  clock: Clock;
  logger: Logger;
  handlers: Readonly<Record<string, (tx: Queryable, payload: never) => Promise<void>>>;
}

/** Brings rows of `timers` to those who set them, once each: the timer goes in the transaction that does its work. */
export async function runTimers(deps: TimerDeps, signal: AbortSignal): Promise<void> {
  while (!signal.aborted) {
    const taken = await takeTimers(deps);
    if (taken < BATCH) await Promise.allSettled([deps.clock.sleep(POLL_MS, signal)]);
  }
}

/** What is due now, a bounded number of it. Returns how many there were. */
export async function takeTimers({ database, clock, logger, handlers }: TimerDeps): Promise<number> {
  if (!(await isTimerDue(database.postgres, clock.now()))) return 0;
  return database.transaction(async (tx) => {
    const due = await takeDueTimers(tx, clock.now(), BATCH);
    for (const timer of due) {
      const handler = handlers[timer.kind];
      if (!handler) throw new Error(`no handler for timers of kind ${timer.kind}`);
      logger.info({ timer: timer.id }, 'timer is due');
      await handler(tx, timer.payload as never);
    }
    return due.length;
  });
}
