import { BlobStoreError } from '@vigil/blob-store';
import { MalformedEvent } from '@vigil/contracts';
import { EventLogError } from '@vigil/event-log';
import { type Clock, isRetriable, type Logger, storable } from '@vigil/runtime';
import type { Environment } from './environment.ts';
import { done } from './outcome.ts';
import type { Stage } from './run-stage.ts';

/** From one try to the next. */
const RETRY_MS = [50, 200, 1000, 3000, 5000];
/**
 * An event that cannot be done for reasons outside of it, while all stores answer others, is given up after this many tries
 * (three minutes and more). What fails while a store, or a bucket, answers nobody does not count: an outage condemns no upload,
 * however long.
 */
export const MAX_TRIES = 40;

/** Milliseconds until the next try, after so many. */
export const pauseAfter = (tries: number): number =>
  RETRY_MS[Math.min(tries, RETRY_MS.length) - 1]! * (0.75 + Math.random() / 2);

/** It was tried `MAX_TRIES` times. */
class GivenUp extends Error {
  override name = 'GivenUp';
  readonly retriable = false;
}

/** Is it about this one event, which nobody will ever do, and not a bug? The others are to go on without it. */
export const cannotBeDone = (error: unknown): error is Error =>
  // Of the log: what came of the event is more than its topic takes.
  error instanceof MalformedEvent || error instanceof BlobStoreError || error instanceof EventLogError
    ? !isRetriable(error)
    : error instanceof GivenUp;

export interface Patience {
  clock: Clock;
  logger: Logger;
  environment: Pick<Environment, 'isBroken'>;
}

/**
 * For what is done outside of the loop, where nobody else tries again: as often, and as long, as the loop would.
 * @throws GivenUp; what is retriable, at once, while some store answers nobody; what else `work` throws
 */
export async function patiently<T>(
  work: () => Promise<T>,
  { clock, logger, environment }: Patience,
  signal: AbortSignal,
): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      if (signal.aborted || !isRetriable(error) || (await environment.isBroken())) throw error;
      if (tries >= MAX_TRIES) throw new GivenUp(`gave up after ${tries} tries: ${error}`, { cause: error });
      logger.warn({ tries, error }, 'will try again');
      await clock.sleep(pauseAfter(tries), signal);
    }
  }
}

/**
 * A stage outside of the loop: of an event that cannot be done it says what it says of one that the loop gives up. Where it has
 * nothing to say of such, it throws.
 * @throws as `patiently`
 */
export function givingUp<I>(stage: Stage<I>, patience: Patience): Stage<I> {
  const { giveUp } = stage;
  if (!giveUp) return stage;
  return {
    ...stage,
    async run(input, signal, alive) {
      try {
        return await patiently(() => stage.run(input, signal, alive), patience, signal);
      } catch (error) {
        if (signal.aborted || !cannotBeDone(error)) throw error;
        patience.logger.warn({ stage: stage.name, error }, 'cannot be done, and is given up');
        return done(await giveUp(input, storable(error.message)));
      }
    },
  };
}
