import { placeOf, type ReferenceKey, referenceKey } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';
import { settleChecks } from './checks.ts';
import type { ReferenceState } from './references.ts';

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

export interface LoadedSlice {
  reference: ReferenceKey;
  slice: number;
  slices: number;
  /** Frames fit to be compared with; 0 where there is none. */
  usable: number;
  /** Why there are no codes, if there are none. */
  failed: string | null;
  /** What other references of this shard hold of it already. */
  overlaps?: readonly Overlap[] | undefined;
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
    [keys.map((k) => k.id), keys.map((k) => k.version)],
  );
  return new Set(rows.map(referenceKey));
}

/** What a replica of a shard that does not hold these slices says of them: what its own references show as well. */
export async function markSlicesChecked(
  db: Queryable,
  replica: Replica,
  checked: readonly Omit<LoadedSlice, 'usable' | 'failed'>[],
): Promise<void> {
  const changed = await addChecks(db, replica, checked);
  const slices = new Map(checked.map((c) => [referenceKey(c.reference), c]));
  for (const key of [...changed].sort()) await settleReference(db, slices.get(key)!.reference, slices.get(key)!.slices);
}

async function addChecks(
  db: Queryable,
  { shards, shard, replica }: Replica,
  checked: readonly Omit<LoadedSlice, 'usable' | 'failed'>[],
): Promise<Set<string>> {
  const rows = await db.query<ReferenceKey>(
    `INSERT INTO reference_checks (reference, version, slice, shared, shards, shard, replica)
     SELECT c.id, c.version, c.slice, c.shared::jsonb, $5, $6, $7
     FROM unnest($1::text[], $2::int[], $3::int[], $4::text[]) AS c (id, version, slice, shared)
     JOIN reference_versions r ON r.id = c.id AND r.version = c.version AND r.checked_at IS NULL
     ON CONFLICT DO NOTHING RETURNING reference AS id, version`,
    [
      checked.map((c) => c.reference.id),
      checked.map((c) => c.reference.version),
      checked.map((c) => c.slice),
      checked.map((c) => jsonb(c.overlaps ?? [])),
      ...[shards, shard, replica],
    ],
  );
  return new Set(rows.map(referenceKey));
}

/**
 * One replica has these slices in its index, and has looked what else holds the same. With the last slice in the last replica that is to hold it, of whatever layout,
 * and a word of every other shard of some layout, a reference is live, or rejected when none of its slices has anything to compare with. Saying it again is cheap and changes
 * nothing. `checkpoint`: how far the index has read, these slices among it. Returns by `referenceKey` what those references are now; those that nobody registered are missing.
 */
export async function markSlicesLoaded(
  db: Queryable,
  replica: Replica,
  loaded: readonly LoadedSlice[],
  checkpoint: number | null = null,
): Promise<Map<string, ReferenceState>> {
  const column = <T>(of: (one: LoadedSlice) => T): T[] => loaded.map(of);
  const fresh = await db.query<ReferenceKey>(
    `INSERT INTO reference_slices (reference, version, slice, usable, failed, shards, shard, replica)
     SELECT l.id, l.version, l.slice, l.usable, l.failed, $6, $7, $8
     FROM unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::text[]) AS l (id, version, slice, usable, failed)
     JOIN reference_versions r ON r.id = l.id AND r.version = l.version
     ON CONFLICT DO NOTHING RETURNING reference AS id, version`,
    [
      column((l) => l.reference.id),
      column((l) => l.reference.version),
      column((l) => l.slice),
      column((l) => l.usable),
      column((l) => l.failed),
      replica.shards,
      replica.shard,
      replica.replica,
    ],
  );
  if (fresh.length > 0) await registerReplica(db, replica);
  const rest = await settlePictures(db, replica, loaded, checkpoint);
  const checked = rest.length > 0 ? await addChecks(db, replica, rest) : new Set<string>();
  if (rest.length > 0 && (fresh.length > 0 || checked.size > 0)) {
    const open = new Set(rest.map((l) => referenceKey(l.reference)));
    const changed = new Set([...fresh.map(referenceKey).filter((key) => open.has(key)), ...checked]);
    const slices = new Map(loaded.map((l) => [referenceKey(l.reference), l]));
    for (const key of [...changed].sort())
      await settleReference(db, slices.get(key)!.reference, slices.get(key)!.slices, checkpoint);
  }
  const states = await db.query<ReferenceKey & { state: ReferenceState }>(
    `SELECT id, version, state FROM reference_versions
     WHERE (id, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))`,
    [column((l) => l.reference.id), column((l) => l.reference.version)],
  );
  return new Map(states.map((row) => [referenceKey(row), row.state]));
}

/**
 * Pictures that nothing else shows, where one replica holds the whole library: nobody else is asked, so all of them are live, or
 * rejected, by one statement. Lists of hashes come by the hundred thousand. Returns what is not so simple.
 */
async function settlePictures(
  db: Queryable,
  replica: Replica,
  loaded: readonly LoadedSlice[],
  checkpoint: number | null,
): Promise<readonly LoadedSlice[]> {
  const simple = loaded.filter((l) => l.slices === 1 && (l.overlaps ?? []).length === 0);
  if (replica.shards !== 1 || simple.length < 2) return loaded;
  const [row] = await db.query<{ n: number }>('SELECT count(*) AS n FROM index_replicas');
  if (row!.n !== 1) return loaded;
  const settled = await db.query<ReferenceKey>(
    `UPDATE reference_versions r SET checked_at = coalesce(checked_at, now_ms()),
       fingerprinted_at = coalesce(fingerprinted_at, now_ms()),
       state = CASE WHEN l.usable > 0 THEN 'live' ELSE 'rejected' END,
       live_at = CASE WHEN l.usable > 0 THEN now_ms() END, index_checkpoint = $5,
       reason = CASE WHEN l.usable = 0
         THEN coalesce(l.failed, 'too-little: there is nothing in it to compare with') END
     FROM unnest($1::text[], $2::int[], $3::int[], $4::text[]) AS l (id, version, usable, failed)
     WHERE r.id = l.id AND r.version = l.version AND r.kind = 'image' AND r.state IN ('received', 'fingerprinted')
     RETURNING r.id, r.version`,
    [
      simple.map((l) => l.reference.id),
      simple.map((l) => l.reference.version),
      simple.map((l) => l.usable),
      simple.map((l) => l.failed),
      checkpoint,
    ],
  );
  const done = new Set(settled.map(referenceKey));
  return loaded.filter((l) => !done.has(referenceKey(l.reference)));
}

/** Live, rejected, or further on its way, by what the replicas have loaded; true when that changed it. */
async function settleReference(
  db: Queryable,
  { id, version }: ReferenceKey,
  slices: number,
  checkpoint: number | null = null,
): Promise<boolean> {
  // Two replicas may say their last slices at once: whoever counts second must see what the first has written.
  const [row] = await db.query<{ state: ReferenceState }>(
    'SELECT state FROM reference_versions WHERE id = $1 AND version = $2 FOR NO KEY UPDATE',
    [id, version],
  );
  if (!row || !['received', 'fingerprinted', 'checked'].includes(row.state)) return false;
  const replicas = await db.query<{ shards: number; shard: number; n: number; usable: number; failed: string | null }>(
    `SELECT r.shards, r.shard, count(s.slice) AS n, coalesce(sum(s.usable), 0)::bigint AS usable, min(s.failed) AS failed
     FROM index_replicas r LEFT JOIN reference_slices s
       ON s.shards = r.shards AND s.replica = r.replica AND s.reference = $1 AND s.version = $2
     GROUP BY r.shards, r.shard, r.replica`,
    [id, version],
  );
  const asked = replicas.filter((r) => placeOf(id, r.shards) === r.shard);
  const whole = asked.filter((r) => r.n >= slices);
  if (whole.length === 0) return false;
  let state: ReferenceState = 'fingerprinted';
  let reason: string | null = null;
  if (whole[0]!.usable === 0) {
    state = 'rejected';
    reason = whole[0]!.failed ?? 'too-little: there is nothing in it to compare with';
  } else if (await settleChecks(db, { id, version }, slices)) {
    state = whole.length === asked.length ? 'live' : 'checked';
  }
  const changed = await db.query(
    `UPDATE reference_versions SET state = $3, reason = $4, fingerprinted_at = coalesce(fingerprinted_at, now_ms()),
       live_at = CASE WHEN $3 = 'live' THEN now_ms() END, index_checkpoint = $5
     WHERE id = $1 AND version = $2 AND state <> $3 RETURNING id`,
    [id, version, state, reason, checkpoint],
  );
  return changed.length > 0;
}

/**
 * A replica that is gone for good is waited for no more; one that comes back registers itself again. What it alone had kept back
 * is live from here on. Returns how many references that were, or null when there is no such replica.
 */
export async function removeReplica(db: Queryable, { shards, shard, replica }: Replica): Promise<number | null> {
  const key = [shards, shard, replica];
  const gone = await db.query(
    'DELETE FROM index_replicas WHERE shards = $1 AND shard = $2 AND replica = $3 RETURNING 1',
    key,
  );
  await db.query('DELETE FROM reference_slices WHERE shards = $1 AND shard = $2 AND replica = $3', key);
  if (gone.length === 0) return null;
  const waiting = await db.query<{ id: string; version: number; slices: number }>(
    `SELECT id, version, slices FROM reference_versions
     WHERE state IN ('received', 'fingerprinted', 'checked') AND slices IS NOT NULL ORDER BY id, version`,
  );
  let settled = 0;
  for (const { slices, ...reference } of waiting) if (await settleReference(db, reference, slices)) settled++;
  return settled;
}
