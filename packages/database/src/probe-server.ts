import type { Postgres } from '@vigil/runtime';

/** What a database server says of itself, and lets us do. */
export interface ServerFacts {
  /** Major version, like 17. */
  version: number;
  /** Its clock, in milliseconds since 1970. */
  now: number;
  connections: { used: number; most: number };
  /** What was committed survives a crash of the server. */
  durable: boolean;
}

export const PROBES = 'vigil_doctor_probe';

/**
 * Asks, and does what the pipeline does: makes a table, writes, reads and takes an advisory lock, in a transaction that is rolled back.
 * @throws PostgresError with what is not allowed
 */
export async function probeServer(postgres: Postgres): Promise<ServerFacts> {
  const [facts] = await postgres.query<{ version: number; now: number; used: number; most: number; durable: boolean }>(
    `SELECT current_setting('server_version_num')::int / 10000 AS version,
       (extract(epoch FROM clock_timestamp()) * 1000)::bigint AS now,
       (SELECT count(*) FROM pg_stat_activity WHERE backend_type = 'client backend') AS used,
       current_setting('max_connections')::int AS most,
       current_setting('fsync') = 'on' AND current_setting('synchronous_commit') <> 'off' AS durable`,
  );
  const undo = new Error('rolled back on purpose');
  try {
    await postgres.transaction(async (tx) => {
      await tx.query(`CREATE TABLE ${PROBES} (id int PRIMARY KEY, data jsonb NOT NULL)`);
      await tx.query(`CREATE FUNCTION ${PROBES}() RETURNS int LANGUAGE sql AS 'SELECT 1'`);
      await tx.query(`INSERT INTO ${PROBES} VALUES (1, '{}')`);
      await tx.query(`SELECT id FROM ${PROBES} FOR UPDATE SKIP LOCKED`);
      await tx.query('SELECT pg_advisory_xact_lock(0)');
      throw undo;
    });
  } catch (error) {
    if (error !== undo) throw error;
  }
  const { version, now, used, most, durable } = facts!;
  return { version, now, connections: { used, most }, durable };
}
