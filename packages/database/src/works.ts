import { jsonb, type Queryable } from '@vigil/runtime';

/** What a rights-holder protects. `details` are the holder's own: identifiers, year, whatever tells it from others. */
export interface WorkRow {
  id: string;
  holder: string;
  title: string;
  details: Record<string, string>;
  version: number;
  createdAt: number;
}

/** Whose rows: of one holder, or (null) of all. The end of the page before, in the order of the list. */
export interface PageOf {
  holder: string | null;
  after: [number, string] | null;
  limit: number;
}

const COLUMNS = 'id, holder, title, details, version, created_at AS "createdAt"';

/** Returns false when there is a work of that id already. */
export async function addWork(tx: Queryable, work: Omit<WorkRow, 'version'>): Promise<boolean> {
  const rows = await tx.query(
    `INSERT INTO works (id, holder, title, details, created_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (id) DO NOTHING RETURNING id`,
    [work.id, work.holder, work.title, jsonb(work.details), work.createdAt],
  );
  return rows.length > 0;
}

export async function findWork(db: Queryable, id: string): Promise<WorkRow | null> {
  const rows = await db.query<WorkRow>(`SELECT ${COLUMNS} FROM works WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

/** Newest first. */
export async function listWorks(db: Queryable, { holder, after, limit }: PageOf): Promise<WorkRow[]> {
  return db.query<WorkRow>(
    `SELECT ${COLUMNS} FROM works WHERE ($1::text IS NULL OR holder = $1)
     AND ($2::bigint IS NULL OR (created_at, id) < ($2, $3)) ORDER BY created_at DESC, id DESC LIMIT $4`,
    [holder, after?.[0] ?? null, after?.[1] ?? null, limit],
  );
}

/** Null when it is not of that version any more. */
export async function changeWork(
  tx: Queryable,
  id: string,
  version: number,
  change: { title?: string | undefined; details?: Record<string, string> | undefined },
): Promise<WorkRow | null> {
  const rows = await tx.query<WorkRow>(
    `UPDATE works SET title = coalesce($3, title), details = coalesce($4, details), version = version + 1
     WHERE id = $1 AND version = $2 RETURNING ${COLUMNS}`,
    [id, version, change.title ?? null, change.details ? jsonb(change.details) : null],
  );
  return rows[0] ?? null;
}
