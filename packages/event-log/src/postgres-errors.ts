import { PostgresError } from '@vigil/runtime';
import { EventLogError } from './event-log.ts';

/** The database's errors as the port's; all others as they are. */
export function translated(error: unknown): unknown {
  if (!(error instanceof PostgresError)) return error;
  return new EventLogError(`the event log's database: ${error.message}`, { retriable: error.retriable, cause: error });
}

export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translated(error);
  }
}

export async function* guardedIteration<T>(iterable: AsyncIterable<T>): AsyncGenerator<T> {
  try {
    yield* iterable;
  } catch (error) {
    throw translated(error);
  }
}
