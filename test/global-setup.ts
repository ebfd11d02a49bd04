import { randomBytes } from 'node:crypto';
import { openDatabase, openTemporaryPostgres } from '@vigil/database';
import { openPostgres } from '@vigil/runtime';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of a server on which tests may create databases; see support/postgres.ts. */
    postgresUrl: string;
    /** Name of a database with Vigil's tables, which nobody uses: copying it takes a tenth of migrating another. */
    postgresTemplate: string;
  }
}

/** One real PostgreSQL for the whole run: the one that VIGIL_TEST_DATABASE_URL names, or a temporary one of our own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.VIGIL_TEST_DATABASE_URL;
  const server = given ? null : await openTemporaryPostgres();
  const url = given ?? server!.url;
  const template = `vigil_test_template_${randomBytes(6).toString('hex')}`;
  const ask = async (sql: string): Promise<void> => {
    await using admin = openPostgres({ url, max: 1 });
    await admin.query(sql);
  };
  await ask(`CREATE DATABASE ${template}`);
  const migrated = new URL(url);
  migrated.pathname = `/${template}`;
  await (await openDatabase({ url: migrated.href, max: 1 }))[Symbol.asyncDispose]();
  project.provide('postgresUrl', url);
  project.provide('postgresTemplate', template);
  return async () => {
    if (server) await server[Symbol.asyncDispose]();
    else await ask(`DROP DATABASE ${template} WITH (FORCE)`);
  };
}
