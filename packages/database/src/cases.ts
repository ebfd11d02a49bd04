import { type CaseEvent, derivedId } from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';
import { canonical, sha256 } from './canonical.ts';

/** The claims of one work against one account. */
export interface CaseRow {
  id: string;
  /** Null where nobody's account is known: then each upload is a case of its own. */
  account: string | null;
  work: string;
  holder: string;
  openedAt: number;
  /** Links of its chain. */
  seq: number;
}

const ROW = 'SELECT id, account, work, holder, opened_at AS "openedAt", seq FROM cases';

/** Of an account and a work, or of an upload and a work where the account is not known. */
export const caseId = (upload: string, account: string | null, work: string): string =>
  account === null ? derivedId('case', 'upload', upload, work) : derivedId('case', 'account', account, work);

/**
 * The row, made if missing, and ours until the transaction ends: one at a time adds to a chain. Take the rows of uploads first,
 * and of several cases take them in order of id.
 */
export async function lockCase(tx: Queryable, about: Omit<CaseRow, 'seq'>): Promise<CaseRow> {
  const { id, account, work, holder, openedAt } = about;
  await tx.query(
    'INSERT INTO cases (id, account, work, holder, opened_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING',
    [id, account, work, holder, openedAt],
  );
  const [row] = await tx.query<CaseRow>(`${ROW} WHERE id = $1 FOR UPDATE`, [id]);
  return row!;
}

/** Adds links to the chain of a case that the caller has locked, in this order. Returns them with their numbers. */
export async function appendCaseEvents(
  tx: Queryable,
  id: string,
  events: readonly Omit<CaseEvent, 'case' | 'seq'>[],
): Promise<CaseEvent[]> {
  if (events.length === 0) return [];
  const [row] = await tx.query<{ seq: number; head: Uint8Array }>('SELECT seq, head FROM cases WHERE id = $1', [id]);
  let { seq, head } = row!;
  const added: CaseEvent[] = [];
  for (const event of events) {
    const link: CaseEvent = { case: id, seq: ++seq, ...event };
    const body = canonical(link);
    const hash = sha256(head, body);
    await tx.query('INSERT INTO case_events (case_id, seq, body, previous, hash) VALUES ($1, $2, $3, $4, $5)', [
      id,
      seq,
      body,
      head,
      hash,
    ]);
    head = hash;
    added.push(link);
  }
  await tx.query('UPDATE cases SET seq = $2, head = $3 WHERE id = $1', [id, seq, head]);
  return added;
}

export async function findCase(db: Queryable, id: string): Promise<CaseRow | null> {
  const rows = await db.query<CaseRow>(`${ROW} WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

/** Newest first; `before` is the last one of the page before. */
export const listCases = (
  db: Queryable,
  about: {
    holder?: string | undefined;
    account?: string | undefined;
    work?: string | undefined;
    before?: { openedAt: number; id: string } | undefined;
    limit: number;
  },
): Promise<CaseRow[]> =>
  db.query<CaseRow>(
    `${ROW} WHERE ($1::text IS NULL OR holder = $1) AND ($2::text IS NULL OR account = $2) AND ($3::text IS NULL OR work = $3)
       AND ($4::bigint IS NULL OR (opened_at, id) < ($4, $5::text))
     ORDER BY opened_at DESC, id DESC LIMIT $6`,
    [
      about.holder ?? null,
      about.account ?? null,
      about.work ?? null,
      about.before?.openedAt ?? null,
      about.before?.id ?? null,
      about.limit,
    ],
  );

/** The chain, oldest first, from after a link. */
export async function caseEvents(db: Queryable, id: string, after = 0, limit = 1000): Promise<CaseEvent[]> {
  const rows = await db.query<{ body: string }>(
    'SELECT body FROM case_events WHERE case_id = $1 AND seq > $2 ORDER BY seq LIMIT $3',
    [id, after, limit],
  );
  return rows.map(({ body }) => JSON.parse(body) as CaseEvent);
}
