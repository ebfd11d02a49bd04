import { openTemporaryPostgres } from '@vigil/database';
import type { TestProject } from 'vitest/node';

declare module 'vitest' {
  export interface ProvidedContext {
    /** Of a server on which tests may create databases; see support/postgres.ts. */
    postgresUrl: string;
  }
}

/** One real PostgreSQL for the whole run: the one that VIGIL_TEST_DATABASE_URL names, or a temporary one of our own. */
export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  const given = process.env.VIGIL_TEST_DATABASE_URL;
  const server = given ? null : await openTemporaryPostgres();
  project.provide('postgresUrl', given ?? server!.url);
  return async () => server?.[Symbol.asyncDispose]();
}
