import { randomBytes } from 'node:crypto';
import { openPostgres } from '@vigil/runtime';

export interface TestDatabase {
  name: string;
  url: string;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * A copy of a database that nobody uses, dropped when disposed of. Its files are copied: a server of which nothing must survive has no
 * reason to log them.
 */
export async function createDatabase(server: string, template: string): Promise<TestDatabase> {
  const name = `vigil_test_${randomBytes(6).toString('hex')}`;
  const ask = async (sql: string): Promise<void> => {
    await using admin = openPostgres({ url: server, max: 1 });
    await admin.query(sql);
  };
  await ask(`CREATE DATABASE ${name} TEMPLATE ${template} STRATEGY file_copy`);
  const url = new URL(server);
  url.pathname = `/${name}`;
  return { name, url: url.href, [Symbol.asyncDispose]: () => ask(`DROP DATABASE IF EXISTS ${name} WITH (FORCE)`) };
}
