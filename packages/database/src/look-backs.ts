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

/** Longest live first. */
export const newReferences = (db: Queryable, limit: number): Promise<NewReference[]> =>
  db.query<NewReference>(
    `${ROW} WHERE state = 'live' AND looked_back_at IS NULL AND slices IS NOT NULL ORDER BY live_at, id, version LIMIT $1`,
    [limit],
  );

/** How many there are, and since when the first of them is live. */
export async function lookBackLag(db: Queryable): Promise<{ waiting: number; oldest: number | null }> {
  const [row] = await db.query<{ waiting: number; oldest: number | null }>(
    `SELECT count(*) AS waiting, min(live_at) AS oldest FROM reference_versions
     WHERE state = 'live' AND looked_back_at IS NULL AND slices IS NOT NULL`,
  );
  return row!;
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

export async function markLookedBack(db: Queryable, keys: readonly ReferenceKey[], now: number): Promise<void> {
  await db.query(
    `UPDATE reference_versions SET looked_back_at = $3
     WHERE (id, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))`,
    [...keyColumns(keys), now],
  );
}
