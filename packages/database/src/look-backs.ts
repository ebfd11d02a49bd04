import type { MediaLocation, ReferenceKey } from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';
import { keyColumns } from './reference-keys.ts';

/** A reference that is live, and with which not all that was uploaded before has been compared yet. */
export interface NewReference extends ReferenceKey {
  media: MediaLocation;
  kind: 'image' | 'video' | null;
  slices: number;
  liveAt: number;
  /** How far the index had read when it went live; null: not known. */
  checkpoint: number | null;
}

const ROW = `SELECT id, version, media, kind, slices, live_at AS "liveAt", index_checkpoint AS checkpoint FROM reference_versions`;

/** Longest live first. What is not live any more leaves the queue unlooked for. */
export const newReferences = (db: Queryable, limit: number): Promise<NewReference[]> =>
  db.query<NewReference>(
    `WITH head AS MATERIALIZED (
       SELECT * FROM look_back_queue ORDER BY live_at, reference, version LIMIT $1
     ), found AS MATERIALIZED (
       SELECT h.live_at AS since, r.* FROM head h
       CROSS JOIN LATERAL (${ROW} WHERE id = h.reference AND version = h.version AND state = 'live' OFFSET 0) r
     ), gone AS (
       DELETE FROM look_back_queue q USING head h
       WHERE q.reference = h.reference AND q.version = h.version
         AND NOT EXISTS (SELECT 1 FROM found f WHERE f.id = h.reference AND f.version = h.version)
     )
     SELECT id, version, media, kind, slices, "liveAt", checkpoint FROM found ORDER BY since, id, version`,
    [limit],
  );

/** How many there are, and since when the first of them is live. */
export async function lookBackLag(db: Queryable): Promise<{ waiting: number; oldest: number | null }> {
  const [row] = await db.query<{ waiting: number; oldest: number | null }>(
    'SELECT count(*) AS waiting, min(live_at) AS oldest FROM look_back_queue',
  );
  return row!;
}

/** They have gone live just now. */
export async function queueLookBack(tx: Queryable, keys: readonly ReferenceKey[]): Promise<void> {
  await tx.query(
    `INSERT INTO look_back_queue (live_at, reference, version)
     SELECT now_ms(), k.reference, k.version FROM unnest($1::text[], $2::int[]) AS k (reference, version)
     ON CONFLICT DO NOTHING`,
    keyColumns(keys),
  );
}

/** Live ones by id, or all that went live since a time, whether they were looked back for or not. */
export const liveSince = (
  db: Queryable,
  { ids, since }: { ids?: readonly string[] | undefined; since?: number | undefined },
): Promise<NewReference[]> =>
  db.query<NewReference>(
    `${ROW} WHERE state = 'live' AND slices IS NOT NULL AND ($1::text[] IS NULL OR id = ANY($1))
       AND ($2::bigint IS NULL OR live_at >= $2) ORDER BY live_at, id, version`,
    [ids ?? null, since ?? null],
  );

export async function markLookedBack(db: Queryable, keys: readonly ReferenceKey[]): Promise<void> {
  await db.query(
    `DELETE FROM look_back_queue q USING unnest($1::text[], $2::int[]) AS k (reference, version)
     WHERE q.reference = k.reference AND q.version = k.version`,
    keyColumns(keys),
  );
}
