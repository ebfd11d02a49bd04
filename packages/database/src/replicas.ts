import { type ReferenceKey, referenceKey } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';
import { keyColumns } from './reference-keys.ts';
import type { ReferenceState } from './references.ts';
import { lockOpen, settleReferences } from './settle-references.ts';

/** So many are looked at by one statement. */
const SETTLED_AT_ONCE = 1000;

/** One copy of one shard of the library, in a layout of so many shards. */
export interface Replica {
  shards: number;
  shard: number;
  replica: string;
}

export interface ReplicaRow extends Replica {
  registeredAt: number;
  /** When it was last known to keep up; null while it has yet to read to the end of the log. */
  seenAt: number | null;
  checkpoint: number;
}

/** It counts from here on: what becomes live must be loaded by it too. */
export async function registerReplica(db: Queryable, { shards, shard, replica }: Replica): Promise<void> {
  await db.query('INSERT INTO index_replicas (shards, shard, replica) VALUES ($1, $2, $3) ON CONFLICT DO NOTHING', [
    shards,
    shard,
    replica,
  ]);
}

/** It keeps up with the log, and has read so far. */
export async function replicaSeen(db: Queryable, r: Replica, checkpoint: number, now: number): Promise<void> {
  await db.query(
    `INSERT INTO index_replicas (shards, shard, replica, checkpoint, seen_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (shards, shard, replica) DO UPDATE SET checkpoint = $4, seen_at = $5`,
    [r.shards, r.shard, r.replica, checkpoint, now],
  );
}

/** In order of layout, shard and name. */
export async function listReplicas(db: Queryable): Promise<ReplicaRow[]> {
  return db.query<ReplicaRow>(
    `SELECT shards, shard, replica, registered_at AS "registeredAt", seen_at AS "seenAt", checkpoint
     FROM index_replicas ORDER BY shards, shard, replica`,
  );
}

/** A slice that a replica has compared with what it holds. */
export interface CheckedSlice {
  reference: ReferenceKey;
  slice: number;
  slices: number;
  /** What other references of this shard hold of it already. */
  overlaps?: readonly Overlap[] | undefined;
}

export interface LoadedSlice extends CheckedSlice {
  /** Frames fit to be compared with; 0 where there is none. */
  usable: number;
  /** Why there are no codes, if there are none. */
  failed: string | null;
}

/** A stretch of a newcomer that another reference holds as well: seconds in the newcomer, and in the other. */
export interface Overlap {
  other: ReferenceKey;
  span: [number, number];
  otherSpan: [number, number];
}

/** Those that are not checked to the end yet, by `referenceKey`. */
export async function uncheckedReferences(db: Queryable, keys: readonly ReferenceKey[]): Promise<Set<string>> {
  const rows = await db.query<ReferenceKey>(
    `SELECT id, version FROM reference_versions WHERE checked_at IS NULL AND state IN ('received', 'fingerprinted')
       AND (id, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))`,
    keyColumns(keys),
  );
  return new Set(rows.map(referenceKey));
}

/**
 * One replica has these slices in its index, and has looked what else holds the same; of `checked`, which other shards hold, it has only
 * looked. With the last slice in the last replica that is to hold it, of whatever layout, and a word of every other shard of some layout, a reference is live, or
 * rejected when none of its slices has anything to compare with. Saying it again is cheap and changes nothing. `checkpoint`: how far the
 * index has read, these slices among it. Returns by `referenceKey` what the loaded ones are now; those that nobody registered are missing.
 * In a transaction: all of it by some statements, however many there are, since lists of hashes come by the hundred thousand.
 */
export async function markSlicesLoaded(
  tx: Queryable,
  replica: Replica,
  loaded: readonly LoadedSlice[],
  checkpoint: number | null = null,
  checked: readonly CheckedSlice[] = [],
): Promise<Map<string, ReferenceState>> {
  const { shards, shard, replica: name } = replica;
  const all: readonly CheckedSlice[] = [...loaded, ...checked];
  // Two replicas may say their last slices at once: whoever counts second sees what the first has written.
  const open = await lockOpen(
    tx,
    all.map((one) => one.reference),
  );
  const fresh = await tx.query<ReferenceKey>(
    `INSERT INTO reference_slices (reference, version, slice, usable, failed, shards, shard, replica)
     SELECT l.id, l.version, l.slice, l.usable, l.failed, $6, $7, $8
     FROM unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::text[]) AS l (id, version, slice, usable, failed)
     JOIN reference_versions r ON r.id = l.id AND r.version = l.version
     ON CONFLICT DO NOTHING RETURNING reference AS id, version`,
    [...sliceColumns(loaded), loaded.map((l) => l.usable), loaded.map((l) => l.failed), shards, shard, name],
  );
  if (fresh.length > 0) await registerReplica(tx, replica);
  const unchecked = all.filter((one) => open.get(referenceKey(one.reference))?.checkedAt === null);
  // Where one shard holds all, what it says of the only slice is all that there is to be said: nobody need remember it.
  const isAll = (one: CheckedSlice) => shards === 1 && one.slices === 1;
  const said = new Map(unchecked.filter(isAll).map((one) => [referenceKey(one.reference), one.overlaps ?? []]));
  const kept = unchecked.filter((one) => !isAll(one));
  const looked = await rememberChecks(tx, replica, kept);
  const slices = new Map(all.map((one) => [referenceKey(one.reference), one.slices]));
  const changed = new Set([...[...fresh, ...looked].map(referenceKey), ...said.keys()]);
  const rows = [...open]
    .filter(([key]) => changed.has(key))
    .map(([key, row]) => ({ ...row, slices: slices.get(key)! }));
  const settled = await settleReferences(tx, rows, { checkpoint, said });
  const states = new Map<string, ReferenceState>();
  for (const { reference } of loaded) {
    const key = referenceKey(reference);
    const state = settled.get(key) ?? open.get(key)?.state;
    if (state) states.set(key, state);
  }
  const others = loaded.map((one) => one.reference).filter((key) => !open.has(referenceKey(key)));
  for (const row of await findStates(tx, others)) states.set(referenceKey(row), row.state);
  return states;
}

async function rememberChecks(tx: Queryable, { shards, shard, replica }: Replica, checks: readonly CheckedSlice[]) {
  if (checks.length === 0) return [];
  return tx.query<ReferenceKey>(
    `INSERT INTO reference_checks (reference, version, slice, shared, shards, shard, replica)
     SELECT c.id, c.version, c.slice, c.shared::jsonb, $5, $6, $7
     FROM unnest($1::text[], $2::int[], $3::int[], $4::text[]) AS c (id, version, slice, shared)
     ON CONFLICT DO NOTHING RETURNING reference AS id, version`,
    [...sliceColumns(checks), checks.map((c) => jsonb(c.overlaps ?? [])), shards, shard, replica],
  );
}

const findStates = async (tx: Queryable, keys: readonly ReferenceKey[]) =>
  keys.length === 0
    ? []
    : tx.query<ReferenceKey & { state: ReferenceState }>(
        `SELECT id, version, state FROM reference_versions
         WHERE (id, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))`,
        keyColumns(keys),
      );

const sliceColumns = (some: readonly CheckedSlice[]) => [
  ...keyColumns(some.map((one) => one.reference)),
  some.map((one) => one.slice),
];

/**
 * A replica that is gone for good is waited for no more; one that comes back registers itself again. What it alone had kept back
 * is live from here on. Returns how many references that were, or null when there is no such replica.
 */
export async function removeReplica(tx: Queryable, { shards, shard, replica }: Replica): Promise<number | null> {
  const key = [shards, shard, replica];
  const gone = await tx.query(
    'DELETE FROM index_replicas WHERE shards = $1 AND shard = $2 AND replica = $3 RETURNING 1',
    key,
  );
  await tx.query('DELETE FROM reference_slices WHERE shards = $1 AND shard = $2 AND replica = $3', key);
  if (gone.length === 0) return null;
  const waiting = await tx.query<ReferenceKey & { slices: number }>(
    `SELECT id, version, slices FROM reference_versions
     WHERE state IN ('received', 'fingerprinted', 'checked') AND slices IS NOT NULL ORDER BY id, version`,
  );
  let settled = 0;
  for (let at = 0; at < waiting.length; at += SETTLED_AT_ONCE) {
    const some = waiting.slice(at, at + SETTLED_AT_ONCE);
    const open = await lockOpen(tx, some);
    const rows = some.flatMap(({ slices, ...one }) => {
      const row = open.get(referenceKey(one));
      return row ? [{ ...row, slices }] : [];
    });
    settled += (await settleReferences(tx, rows)).size;
  }
  return settled;
}
