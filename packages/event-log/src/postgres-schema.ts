import type { Postgres } from '@vigil/runtime';

/** "vigil" as a number: one process at a time creates the tables. */
const MIGRATION_LOCK = 0x76_69_67_69;

/**
 * `position` is what the port calls an offset (a reserved word in SQL). Times are milliseconds since 1970.
 *
 * vigil_log_partition has one row a partition; whoever appends updates it and so holds its lock until he commits or rolls
 * back. That one lock is what makes the order of offsets the order of visibility, without gaps.
 * The rows that change all the time (partitions, owners) leave room in their pages, so that updates stay in place.
 */
const TABLES = [
  `CREATE TABLE IF NOT EXISTS vigil_log_topic (
     id int GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
     name text NOT NULL UNIQUE,
     partitions int NOT NULL,
     cleanup text NOT NULL,
     retention_ms bigint,
     max_bytes int NOT NULL
   )`,
  `CREATE TABLE IF NOT EXISTS vigil_log_partition (
     topic int NOT NULL REFERENCES vigil_log_topic,
     partition int NOT NULL,
     start_position bigint NOT NULL DEFAULT 0,
     next_position bigint NOT NULL DEFAULT 0,
     last_time bigint NOT NULL DEFAULT 0,
     compacted_to bigint NOT NULL DEFAULT 0,
     PRIMARY KEY (topic, partition)
   ) WITH (fillfactor = 20)`,
  `CREATE TABLE IF NOT EXISTS vigil_log_record (
     topic int NOT NULL,
     partition int NOT NULL,
     position bigint NOT NULL,
     time bigint NOT NULL,
     size int NOT NULL,
     keyed boolean NOT NULL,
     key text NOT NULL,
     headers text NOT NULL,
     value bytea,
     PRIMARY KEY (topic, partition, position)
   )`,
  // Codes are noise to a compressor.
  'ALTER TABLE vigil_log_record ALTER COLUMN value SET STORAGE EXTERNAL',
  // Only compacted topics pay for these.
  `CREATE INDEX IF NOT EXISTS vigil_log_record_key ON vigil_log_record (topic, partition, key, position) WHERE keyed`,
  `CREATE INDEX IF NOT EXISTS vigil_log_record_tombstone ON vigil_log_record (topic, partition, position)
     WHERE keyed AND value IS NULL`,
  'CREATE TABLE IF NOT EXISTS vigil_log_group (name text PRIMARY KEY)',
  `CREATE TABLE IF NOT EXISTS vigil_log_member (
     id text PRIMARY KEY,
     group_name text NOT NULL REFERENCES vigil_log_group,
     topics int[] NOT NULL,
     lease_until timestamptz NOT NULL
   ) WITH (fillfactor = 20)`,
  `CREATE TABLE IF NOT EXISTS vigil_log_owner (
     group_name text NOT NULL,
     topic int NOT NULL,
     partition int NOT NULL,
     member text,
     generation bigint NOT NULL DEFAULT 0,
     committed bigint,
     deaths text NOT NULL DEFAULT '',
     PRIMARY KEY (group_name, topic, partition)
   ) WITH (fillfactor = 20)`,
];

/** Creates what is missing; safe to run by many processes at once, and again. */
export async function migrate(postgres: Postgres): Promise<void> {
  const [row] = await postgres.query<{ there: boolean }>(`SELECT to_regclass('vigil_log_owner') IS NOT NULL AS there`);
  if (row?.there) return;
  await postgres.transaction(async (tx) => {
    await tx.query('SELECT pg_advisory_xact_lock($1)', [MIGRATION_LOCK]);
    for (const statement of TABLES) await tx.query(statement);
  });
}
