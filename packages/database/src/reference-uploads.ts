import type { Queryable } from '@vigil/runtime';

/** Media of a reference on their way into the store in parts. */
export interface ReferenceUpload {
  id: string;
  holder: string;
  work: string;
  name: string;
  /** Bytes: of all, and of each part but the last. */
  size: number;
  partBytes: number;
  objectKey: string;
  storeId: string;
  state: 'open' | 'complete' | 'abandoned';
  reference: string | null;
  version: number | null;
  createdAt: number;
  expiresAt: number;
}

const COLUMNS = `id, holder, work, name, size, part_bytes AS "partBytes", object_key AS "objectKey", store_id AS "storeId",
  state, reference, version, created_at AS "createdAt", expires_at AS "expiresAt"`;

/** Returns false when there is an upload of that id already. */
export async function addReferenceUpload(
  tx: Queryable,
  upload: Omit<ReferenceUpload, 'state' | 'reference' | 'version'>,
): Promise<boolean> {
  const { id, holder, work, name, size, partBytes, objectKey, storeId, createdAt, expiresAt } = upload;
  const rows = await tx.query(
    `INSERT INTO reference_uploads (id, holder, work, name, size, part_bytes, object_key, store_id, created_at, expires_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10) ON CONFLICT (id) DO NOTHING RETURNING id`,
    [id, holder, work, name, size, partBytes, objectKey, storeId, createdAt, expiresAt],
  );
  return rows.length > 0;
}

export async function findReferenceUpload(db: Queryable, id: string): Promise<ReferenceUpload | null> {
  const rows = await db.query<ReferenceUpload>(`SELECT ${COLUMNS} FROM reference_uploads WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

/** Returns false when it is not open any more. */
export async function endReferenceUpload(
  tx: Queryable,
  id: string,
  end: { state: 'complete'; reference: string; version: number } | { state: 'abandoned' },
): Promise<boolean> {
  const made = end.state === 'complete' ? end : null;
  const rows = await tx.query(
    `UPDATE reference_uploads SET state = $2, reference = $3, version = $4 WHERE id = $1 AND state = 'open' RETURNING id`,
    [id, end.state, made?.reference ?? null, made?.version ?? null],
  );
  return rows.length > 0;
}

/** Open ones whose time is over. */
export async function expiredReferenceUploads(db: Queryable, now: number, limit = 100): Promise<ReferenceUpload[]> {
  return db.query<ReferenceUpload>(
    `SELECT ${COLUMNS} FROM reference_uploads WHERE state = 'open' AND expires_at < $1 ORDER BY expires_at LIMIT $2`,
    [now, limit],
  );
}
