import { type CaseEvent, type ClaimState, derivedId } from '@vigil/contracts';
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
  /** What its claims say together. */
  state: CaseState;
  /** When something last happened in it. */
  changedAt: number;
}
export const CASE_STATES = ['open', 'taken-down', 'contested', 'closed'] as const;
export type CaseState = (typeof CASE_STATES)[number];

const COLUMNS =
  'k.id, k.account, k.work, k.holder, k.opened_at AS "openedAt", k.seq, k.state, k.changed_at AS "changedAt"';
const ROW = `SELECT ${COLUMNS} FROM cases k`;

/** Of an account and a work, or of an upload and a work where the account is not known. */
export const caseId = (upload: string, account: string | null, work: string): string =>
  account === null ? derivedId('case', 'upload', upload, work) : derivedId('case', 'account', account, work);

/**
 * The row, made if missing, and ours until the transaction ends: one at a time adds to a chain. Take the rows of uploads first,
 * and of several cases take them in order of id.
 */
export async function lockCase(tx: Queryable, about: Omit<CaseRow, 'seq' | 'state' | 'changedAt'>): Promise<CaseRow> {
  const { id, account, work, holder, openedAt } = about;
  await tx.query(
    'INSERT INTO cases (id, account, work, holder, opened_at, changed_at) VALUES ($1, $2, $3, $4, $5, $5) ON CONFLICT (id) DO NOTHING',
    [id, account, work, holder, openedAt],
  );
  const [row] = await tx.query<CaseRow>(`${ROW} WHERE k.id = $1 FOR UPDATE`, [id]);
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
  await tx.query('UPDATE cases SET seq = $2, head = $3, changed_at = greatest(changed_at, $4) WHERE id = $1', [
    id,
    seq,
    head,
    events.at(-1)!.at,
  ]);
  return added;
}

export async function findCase(db: Queryable, id: string): Promise<CaseRow | null> {
  const rows = await db.query<CaseRow>(`${ROW} WHERE k.id = $1`, [id]);
  return rows[0] ?? null;
}

/** The states that the claims of a case are in, each once. The caller holds the case. */
export async function claimStatesOf(tx: Queryable, id: string): Promise<ClaimState[]> {
  const rows = await tx.query<{ state: ClaimState }>('SELECT DISTINCT state FROM claims WHERE case_id = $1', [id]);
  return rows.map((r) => r.state);
}

export async function saveCaseState(tx: Queryable, id: string, state: CaseState): Promise<void> {
  await tx.query('UPDATE cases SET state = $2 WHERE id = $1 AND state <> $2', [id, state]);
}

/** A case as a list shows it. */
export interface ListedCase extends CaseRow {
  title: string;
  claims: number;
  /** The earliest time until which somebody has to answer. */
  answerBy: number | null;
}

/** Newest first; `before` is the last one of the page before. */
export async function listCases(
  db: Queryable,
  about: {
    /** That one alone. */
    id?: string | undefined;
    holder?: string | undefined;
    account?: string | undefined;
    work?: string | undefined;
    state?: CaseState | undefined;
    /** Of an upload's claims. */
    upload?: string | undefined;
    before?: { openedAt: number; id: string } | undefined;
    limit: number;
  },
): Promise<ListedCase[]> {
  const { id, holder, account, work, state, upload, before, limit } = about;
  const values: unknown[] = [];
  const where = Object.entries({ id, holder, account, work, state }).flatMap(([column, value]) =>
    value === undefined ? [] : [`k.${column} = $${values.push(value)}`],
  );
  if (upload !== undefined) where.push(`k.id IN (SELECT case_id FROM claims WHERE upload = $${values.push(upload)})`);
  if (before)
    where.push(`(k.opened_at, k.id) < ($${values.push(before.openedAt)}::bigint, $${values.push(before.id)}::text)`);
  return db.query<ListedCase>(
    `SELECT p.*, coalesce(w.title, p.work) AS title, c.claims, c."answerBy" FROM (
       SELECT ${COLUMNS} FROM cases k ${where.length > 0 ? `WHERE ${where.join(' AND ')}` : ''}
       ORDER BY k.opened_at DESC, k.id DESC LIMIT $${values.push(limit)}) p
     LEFT JOIN works w ON w.id = p.work
     CROSS JOIN LATERAL (SELECT count(*) AS claims, min(CASE c.state
         WHEN 'disputed' THEN (c.procedure->'dispute'->>'answerBy')::bigint
         WHEN 'appealed' THEN (c.procedure->'appeal'->>'answerBy')::bigint END) AS "answerBy"
       FROM claims c WHERE c.case_id = p.id) c
     ORDER BY p."openedAt" DESC, p.id DESC`,
    values,
  );
}

/** The newest link of one of these kinds about a claim. */
export async function lastCaseEvent(
  db: Queryable,
  id: string,
  claim: string,
  kinds: readonly string[],
): Promise<CaseEvent | null> {
  const rows = await db.query<{ body: string }>(
    'SELECT body FROM case_events WHERE case_id = $1 AND claim = $2 AND kind = ANY ($3) ORDER BY seq DESC LIMIT 1',
    [id, claim, kinds],
  );
  return rows[0] ? (JSON.parse(rows[0].body) as CaseEvent) : null;
}

/** Whether somebody has taken this step since a time: for any claim of a case, or for one of those. */
export async function tookStep(
  db: Queryable,
  id: string,
  about: { kind: string; by: CaseEvent['by']; since: number; claims?: readonly string[] | undefined },
): Promise<boolean> {
  const { kind, by, since, claims } = about;
  const rows = await db.query(
    `SELECT seq FROM case_events WHERE case_id = $1 AND kind = $2 AND at >= $3 AND ($4::text[] IS NULL OR claim = ANY ($4))
       AND body::jsonb->'by'->>'role' = $5 AND body::jsonb->'by'->>'id' IS NOT DISTINCT FROM $6 LIMIT 1`,
    [id, kind, since, claims ?? null, by.role, by.id],
  );
  return rows.length > 0;
}

/** The chain, oldest first, from after a link. */
export async function caseEvents(db: Queryable, id: string, after = 0, limit = 1000): Promise<CaseEvent[]> {
  const rows = await db.query<{ body: string }>(
    'SELECT body FROM case_events WHERE case_id = $1 AND seq > $2::bigint ORDER BY seq LIMIT $3',
    [id, after, limit],
  );
  return rows.map(({ body }) => JSON.parse(body) as CaseEvent);
}
