import { openDatabase, openTemporaryPostgres } from '@vigil/database';
import type { TestProject } from 'vitest/node';
import { createDatabase } from './support/create-database.ts';

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
  await using opening = new AsyncDisposableStack();
  const server = process.env.VIGIL_TEST_DATABASE_URL || opening.use(await openTemporaryPostgres()).url;
  const template = opening.use(await createDatabase(server, 'template1'));
  await (await openDatabase({ url: template.url, max: 1 }))[Symbol.asyncDispose]();
  project.provide('postgresUrl', server);
  project.provide('postgresTemplate', template.name);
  const open = opening.move();
  return () => open.disposeAsync();
}
