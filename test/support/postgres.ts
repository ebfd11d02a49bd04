import { randomBytes } from 'node:crypto';
import { type Database, openDatabase } from '@vigil/database';
import { openPostgres, type Queryable } from '@vigil/runtime';
import { inject } from 'vitest';
import type {} from '../global-setup.ts';
import { until } from './until.ts';

export interface TestDatabase {
  url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/** A database of its own with Vigil's tables in it, dropped when disposed of. For one test file, or one test. */
export const createTestDatabase = (): Promise<TestDatabase> => createFrom(inject('postgresTemplate'));

/** The same with nothing in it. */
export const createEmptyDatabase = (): Promise<TestDatabase> => createFrom('template1');

/** Files are copied: a server of which nothing must survive has no reason to log them. */
async function createFrom(template: string): Promise<TestDatabase> {
  const server = inject('postgresUrl');
  const name = `vigil_test_${randomBytes(6).toString('hex')}`;
  await using admin = openPostgres({ url: server, max: 1 });
  await admin.query(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return {
    url: url.href,
    async [Symbol.asyncDispose]() {
      await using again = openPostgres({ url: server, max: 1 });
      await again.query(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`);
    },
  };
}

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
