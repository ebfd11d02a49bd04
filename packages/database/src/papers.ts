import { randomBytes } from 'node:crypto';
import { derivedId, type Paper } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';
import { canonical, hex, sha256 } from './canonical.ts';

/** What a person wrote. `content` and `salt` are null once it was erased. */
export interface PaperRow {
  id: string;
  subject: string;
  kind: string;
  content: unknown;
  salt: Uint8Array | null;
  digest: string;
  writtenAt: number;
  erasedAt: number | null;
  erasedBy: string | null;
  erasedWhy: string | null;
}

/**
 * Keeps what a person wrote in a row that can be erased. What it returns may stand in a chain: the digest is salted, so that nobody
 * finds the content by guessing once the salt is gone.
 * @param about.id where the same may be sent twice; the first one stays, and is what is returned
 */
export async function savePaper(
  tx: Queryable,
  about: { id?: string; subject: string; kind: string; content: unknown; now: number },
): Promise<Paper> {
  const { subject, kind, content, now } = about;
  const salt = randomBytes(32);
  const id = about.id ?? derivedId('paper', subject, kind, salt.toString('hex'));
  // As the database gives it back: it does not take every character.
  const kept = JSON.parse(jsonb(content)) as unknown;
  const digest = sha256(salt, canonical(kept));
  const [first] = await tx.query<{ digest: string }>(
    `INSERT INTO papers (id, subject, kind, content, salt, digest, written_at) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (id) DO UPDATE SET id = excluded.id RETURNING encode(digest, 'hex') AS digest`,
    [id, subject, kind, jsonb(kept), salt, digest, now],
  );
  return { id, digest: first!.digest };
}

const ROW = `SELECT id, subject, kind, content, salt, encode(digest, 'hex') AS digest, written_at AS "writtenAt",
  erased_at AS "erasedAt", erased_by AS "erasedBy", erased_why AS "erasedWhy" FROM papers`;

export async function findPaper(db: Queryable, id: string): Promise<PaperRow | null> {
  const rows = await db.query<PaperRow>(`${ROW} WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

export async function findPapers(db: Queryable, ids: readonly string[]): Promise<PaperRow[]> {
  return ids.length === 0 ? [] : db.query<PaperRow>(`${ROW} WHERE id = ANY ($1)`, [ids]);
}

/** Oldest first. */
export const papersOf = (db: Queryable, subject: string, limit: number | null = null): Promise<PaperRow[]> =>
  db.query<PaperRow>(`${ROW} WHERE subject = $1 ORDER BY written_at, id LIMIT $2`, [subject, limit]);

/** Does the content still give the digest that the chain holds? Of erased ones nothing can be said: true. */
export const paperIsWhole = ({
  content,
  salt,
  digest,
  erasedAt,
}: Pick<PaperRow, 'content' | 'salt' | 'digest' | 'erasedAt'>): boolean =>
  erasedAt !== null || (salt !== null && hex(sha256(salt, canonical(content))) === digest);

/** Content and salt are gone for ever, of all papers of a subject or of one; returns the ids of those that had any. */
export async function erasePapers(
  tx: Queryable,
  { subject, paper = null }: { subject: string; paper?: string | null | undefined },
  { at, by, why }: { at: number; by: string; why: string },
): Promise<string[]> {
  const rows = await tx.query<{ id: string }>(
    `UPDATE papers SET content = NULL, salt = NULL, erased_at = $3, erased_by = $4, erased_why = $5
     WHERE subject = $1 AND ($2::text IS NULL OR id = $2) AND erased_at IS NULL RETURNING id`,
    [subject, paper, at, by, why],
  );
  return rows.map((r) => r.id);
}
