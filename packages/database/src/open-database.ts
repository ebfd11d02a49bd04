import { openPostgres, type Postgres, type PostgresOptions, type Queryable } from '@vigil/runtime';
import { migrate } from './migrate.ts';
import { flushOutbox, openOutbox } from './outbox.ts';

/** The schema in its newest form, and the one way to write to it. */
export interface Database {
  readonly postgres: Postgres;
  /**
   * One transaction; what it puts into the outbox is written as its last statement. Begun again on deadlock, so `fn` must
   * do nothing outside of it that may not happen twice.
   */
  transaction<T>(fn: (tx: Queryable) => Promise<T>): Promise<T>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Connects and migrates. @throws PostgresError; Error when the schema is of a newer release. */
export async function openDatabase(options: PostgresOptions): Promise<Database> {
  const postgres = openPostgres(options);
  try {
    await migrate(postgres);
  } catch (error) {
    await postgres[Symbol.asyncDispose]();
    throw error;
  }
  return {
    postgres,
    transaction: (fn) =>
      postgres.transaction(async (tx) => {
        openOutbox(tx);
        const result = await fn(tx);
        await flushOutbox(tx);
        return result;
      }),
    [Symbol.asyncDispose]: () => postgres[Symbol.asyncDispose](),
  };
}
