import { jsonb, type Queryable } from '@vigil/runtime';
import { takeTurn } from './turns.ts';

/** A notice by hand as it came, complete or not. */
export interface NoticeRow {
  id: string;
  kind: 'dmca' | 'dsa';
  holder: string;
  work: string | null;
  /** Those of the uploads it named that are known. */
  uploads: string[];
  standing: 'complete' | 'substantially-complete' | 'defective';
  missing: unknown[];
  paper: string;
  receivedAt: number;
}

const ROW = `SELECT id, kind, holder, work, uploads, standing, missing, paper, received_at AS "receivedAt" FROM notices`;

export async function saveNotice(tx: Queryable, notice: NoticeRow): Promise<void> {
  const { id, kind, holder, work, uploads, standing, missing, paper, receivedAt } = notice;
  await tx.query(
    `INSERT INTO notices (id, kind, holder, work, uploads, standing, missing, paper, received_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)`,
    [id, kind, holder, work, jsonb(uploads), standing, jsonb(missing), paper, receivedAt],
  );
}

/**
 * What a sender's notices name is counted one notice at a time, until the transaction ends: each sees all that came before. Take it before
 * the notice is saved, and before the row of any upload.
 */
export async function lockNoticesOf(tx: Queryable, holder: string): Promise<void> {
  await takeTurn(tx, 'notices', holder);
}

/** How many uploads a sender's complete notices named since a time, each as often as it was named. */
export async function noticedSince(db: Queryable, holder: string, since: number): Promise<number> {
  const [row] = await db.query<{ n: number }>(
    `SELECT coalesce(sum(jsonb_array_length(uploads)), 0)::bigint AS n FROM notices
     WHERE holder = $1 AND received_at > $2 AND standing = 'complete'`,
    [holder, since],
  );
  return row!.n;
}

export async function findNotice(db: Queryable, id: string): Promise<NoticeRow | null> {
  const rows = await db.query<NoticeRow>(`${ROW} WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

/** Newest first. */
export const noticesOf = (db: Queryable, holder: string, limit = 100): Promise<NoticeRow[]> =>
  db.query<NoticeRow>(`${ROW} WHERE holder = $1 ORDER BY received_at DESC, id LIMIT $2`, [holder, limit]);
