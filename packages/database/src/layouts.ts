import type { Queryable } from '@vigil/runtime';

/** In how many shards the library is searched for the uploads that are planned from now on; the others are finished as planned. */
export interface LayoutRow {
  shards: number;
  currentSince: number;
  /** null: it is the current one. */
  endedAt: number | null;
}

/** The number of shards that uploads are planned for. The very first to ask says what it is. */
export async function currentShards(db: Queryable, first: number, now: number): Promise<number> {
  const look = () => db.query<{ shards: number }>('SELECT shards FROM index_layouts WHERE ended_at IS NULL');
  const [known] = await look();
  if (known) return known.shards;
  await db.query('INSERT INTO index_layouts (shards, current_since) VALUES ($1, $2) ON CONFLICT DO NOTHING', [
    first,
    now,
  ]);
  const [made] = await look();
  return made!.shards;
}

export async function listLayouts(db: Queryable): Promise<LayoutRow[]> {
  return db.query<LayoutRow>(
    `SELECT shards, current_since AS "currentSince", ended_at AS "endedAt" FROM index_layouts ORDER BY shards`,
  );
}

/** From the commit on uploads are planned for so many shards. False when they are already. */
export async function switchLayout(tx: Queryable, shards: number, now: number): Promise<boolean> {
  const [old] = await tx.query<{ shards: number }>(
    'SELECT shards FROM index_layouts WHERE ended_at IS NULL FOR UPDATE',
  );
  if (old?.shards === shards) return false;
  await tx.query('UPDATE index_layouts SET ended_at = $1 WHERE ended_at IS NULL', [now]);
  await tx.query(
    `INSERT INTO index_layouts (shards, current_since) VALUES ($1, $2)
     ON CONFLICT (shards) DO UPDATE SET current_since = $2, ended_at = NULL`,
    [shards, now],
  );
  return true;
}

/** Uploads without a verdict, by the number of shards that they were planned for. */
export async function openUploads(db: Queryable): Promise<Map<number, number>> {
  const rows = await db.query<{ shards: number; uploads: number }>(
    `SELECT (manifest->'outcome'->>'shards')::int AS shards, count(*) AS uploads FROM uploads
     WHERE verdict IS NULL AND manifest->'outcome' ? 'shards' GROUP BY 1`,
  );
  return new Map(rows.map((r) => [r.shards, r.uploads]));
}
