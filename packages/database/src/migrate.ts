import type { Postgres, Queryable } from '@vigil/runtime';
import { migration0001 } from './migration-0001.ts';
import { migration0002 } from './migration-0002.ts';
import { migration0003 } from './migration-0003.ts';
import { migration0004 } from './migration-0004.ts';
import { migration0005 } from './migration-0005.ts';
import { migration0006 } from './migration-0006.ts';
import { migration0007 } from './migration-0007.ts';
import { migration0008 } from './migration-0008.ts';
import { migration0009 } from './migration-0009.ts';
import { migration0010 } from './migration-0010.ts';
import { migration0011 } from './migration-0011.ts';
import { migration0012 } from './migration-0012.ts';
import { migration0013 } from './migration-0013.ts';
import { migration0014 } from './migration-0014.ts';
import { migration0015 } from './migration-0015.ts';
import { migration0016 } from './migration-0016.ts';

export interface Migration {
  /** Rising by one; never changed once released. */
  number: number;
  name: string;
  sql: string;
}

export const MIGRATIONS: readonly Migration[] = [
  { number: 1, name: 'first', sql: migration0001 },
  { number: 2, name: 'actions', sql: migration0002 },
  { number: 3, name: 'removals', sql: migration0003 },
  { number: 4, name: 'cases', sql: migration0004 },
  { number: 5, name: 'layouts', sql: migration0005 },
  { number: 6, name: 'reports', sql: migration0006 },
  { number: 7, name: 'api', sql: migration0007 },
  { number: 8, name: 'console', sql: migration0008 },
  { number: 9, name: 'endpoints', sql: migration0009 },
  { number: 10, name: 'brakes', sql: migration0010 },
  { number: 11, name: 'claims by version', sql: migration0011 },
  { number: 12, name: 'judging again', sql: migration0012 },
  { number: 13, name: 'erasure', sql: migration0013 },
  { number: 14, name: 'messages', sql: migration0014 },
  { number: 15, name: 'holds, policies, exports', sql: migration0015 },
  { number: 16, name: 'look-back-queue', sql: migration0016 },
];

/** The schema that is there (0: none), and the one that this release knows. */
export async function schemaOf(db: Queryable): Promise<{ present: number; newest: number }> {
  const newest = MIGRATIONS.at(-1)?.number ?? 0;
  const [there] = await db.query<{ found: boolean }>(`SELECT to_regclass('schema_migrations') IS NOT NULL AS found`);
  if (!there!.found) return { present: 0, newest };
  const [row] = await db.query<{ number: number }>('SELECT coalesce(max(number), 0) AS number FROM schema_migrations');
  return { present: row!.number, newest };
}

/** Any number that nobody else takes for an advisory lock: "vigil" in ASCII. */
const LOCK = 0x766967696c;

/**
 * Brings the schema forward, each step in one transaction, one process at a time. Returns the steps that were taken.
 * @throws Error when the database is of a newer release: there is no way back.
 */
export async function migrate(postgres: Postgres, migrations = MIGRATIONS): Promise<number[]> {
  const taken: number[] = [];
  const newest = migrations.at(-1)?.number ?? 0;
  for (;;) {
    const step = await postgres.transaction(async (tx) => {
      // Another process may be at it for longer than a statement is allowed to take.
      await tx.query('SET LOCAL statement_timeout = 0');
      await tx.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
      await tx.query(
        `CREATE TABLE IF NOT EXISTS schema_migrations (
           number int PRIMARY KEY, name text NOT NULL, applied_at timestamptz NOT NULL DEFAULT now())`,
      );
      const [row] = await tx.query<{ number: number }>(
        'SELECT coalesce(max(number), 0) AS number FROM schema_migrations',
      );
      const present = row!.number;
      if (present > newest) {
        throw new Error(`the database has schema ${present}, this release knows ${newest}: start a newer release`);
      }
      const next = migrations.find((m) => m.number === present + 1);
      if (!next) return null;
      await tx.query(next.sql);
      await tx.query('INSERT INTO schema_migrations (number, name) VALUES ($1, $2)', [next.number, next.name]);
      return next.number;
    });
    if (step === null) return taken;
    taken.push(step);
  }
}
