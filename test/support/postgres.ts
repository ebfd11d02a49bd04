import { type Database, openDatabase } from '@vigil/database';
import type { Queryable } from '@vigil/runtime';
import { inject } from 'vitest';
import type {} from '../global-setup.ts';
import { createDatabase, type TestDatabase } from './create-database.ts';
import { until } from './until.ts';

export type { TestDatabase };

/** A database of its own with Vigil's tables in it, dropped when disposed of. For one test file, or one test. */
export const createTestDatabase = (): Promise<TestDatabase> =>
  createDatabase(inject('postgresUrl'), inject('postgresTemplate'));

/** The same with nothing in it. */
export const createEmptyDatabase = (): Promise<TestDatabase> => createDatabase(inject('postgresUrl'), 'template1');

/** A test database, opened. */
export async function openTestDatabase(max = 10): Promise<Database> {
  const server = await createTestDatabase();
  const database = await openDatabase({ url: server.url, max });
  return {
    ...database,
    async [Symbol.asyncDispose]() {
      await database[Symbol.asyncDispose]();
      await server[Symbol.asyncDispose]();
    },
  };
}

/** Resolves when one statement of this database waits for a lock that another holds. @param db beside both */
export async function lockWait(db: Queryable): Promise<void> {
  const waits = `SELECT 1 FROM pg_stat_activity WHERE datname = current_database() AND wait_event_type = 'Lock'`;
  await until('a wait for a lock', async () => (await db.query(waits)).length === 1);
}
