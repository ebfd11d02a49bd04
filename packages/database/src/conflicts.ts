import type { ReferenceKey, Span } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';
import { papersOf, savePaper } from './papers.ts';
import { setTimer } from './timers.ts';
import type { PageOf } from './works.ts';

/**
 * earlier: the reference that was first keeps acting where both show the same, the newcomer does not. newcomer: the other way
 * round. both: each acts (one licensed it from the other, or they own it together).
 */
export const CONFLICT_OUTCOMES = ['earlier', 'newcomer', 'both'] as const;
export type ConflictOutcome = (typeof CONFLICT_OUTCOMES)[number];
export type ConflictSide = 'earlier' | 'newcomer';

/** Two holders' references show the same. Until it is settled the earlier one acts, and the newcomer's part is review only. */
export interface Conflict {
  id: string;
  earlier: ReferenceKey & { holder: string };
  newcomer: ReferenceKey & { holder: string };
  spans: { earlier: Span; newcomer: Span }[];
  openedAt: number;
  /** Nobody said anything by then: `earlier`. */
  dueAt: number;
  outcome: ConflictOutcome | null;
  settledAt: number | null;
  /** A side, `operator`, or `silence`. */
  settledBy: string | null;
  /** What each side would agree to. */
  offers: { earlier: ConflictOutcome | null; newcomer: ConflictOutcome | null };
  version: number;
}

export const CONFLICT_DUE = 'conflict-due';
const CLOCK_MS = 30 * 24 * 3600 * 1000;

const COLUMNS = `id, jsonb_build_object('id', earlier, 'version', earlier_version, 'holder', earlier_holder) AS earlier,
  jsonb_build_object('id', newcomer, 'version', newcomer_version, 'holder', newcomer_holder) AS newcomer,
  spans, opened_at AS "openedAt", due_at AS "dueAt", outcome, settled_at AS "settledAt", settled_by AS "settledBy",
  jsonb_build_object('earlier', earlier_offers, 'newcomer', newcomer_offers) AS offers, version`;

/** Opens it and starts its clock; one that is there already stays as it is. */
export async function openConflict(
  tx: Queryable,
  about: Pick<Conflict, 'id' | 'earlier' | 'newcomer' | 'spans'>,
): Promise<void> {
  const { id, earlier, newcomer, spans } = about;
  const [made] = await tx.query<{ openedAt: number }>(
    `INSERT INTO conflicts (id, earlier, earlier_version, earlier_holder, newcomer, newcomer_version, newcomer_holder, spans,
       opened_at, due_at)
     SELECT $1, $2, $3, $4, $5, $6, $7, $8, now, now + $9 FROM (SELECT now_ms() AS now) AS clock
     ON CONFLICT (id) DO NOTHING RETURNING opened_at AS "openedAt"`,
    [
      id,
      ...[earlier.id, earlier.version, earlier.holder],
      ...[newcomer.id, newcomer.version, newcomer.holder],
      jsonb(spans),
      CLOCK_MS,
    ],
  );
  if (!made) return;
  const dueAt = made.openedAt + CLOCK_MS;
  await setTimer(tx, { id: `${CONFLICT_DUE}:${id}`, kind: CONFLICT_DUE, dueAt, payload: { conflict: id } });
}

export async function findConflict(db: Queryable, id: string, lock = false): Promise<Conflict | null> {
  const rows = await db.query<Conflict>(`SELECT ${COLUMNS} FROM conflicts WHERE id = $1${lock ? ' FOR UPDATE' : ''}`, [
    id,
  ]);
  return rows[0] ?? null;
}

/** Newest first; of a holder those in which it is either side. */
export async function listConflicts(db: Queryable, { holder, after, limit }: PageOf): Promise<Conflict[]> {
  return db.query<Conflict>(
    `SELECT ${COLUMNS} FROM conflicts WHERE ($1::text IS NULL OR $1 IN (earlier_holder, newcomer_holder))
     AND ($2::bigint IS NULL OR (opened_at, id) < ($2, $3)) ORDER BY opened_at DESC, id DESC LIMIT $4`,
    [holder, after?.[0] ?? null, after?.[1] ?? null, limit],
  );
}

/** What one side would agree to. */
export async function offerOutcome(
  tx: Queryable,
  id: string,
  side: ConflictSide,
  offer: ConflictOutcome,
): Promise<void> {
  const column = side === 'earlier' ? 'earlier_offers' : 'newcomer_offers';
  await tx.query(`UPDATE conflicts SET ${column} = $2, version = version + 1 WHERE id = $1`, [id, offer]);
}

/** Returns false when it was settled before. */
export async function settleConflict(
  tx: Queryable,
  id: string,
  { outcome, by, now }: { outcome: ConflictOutcome; by: string; now: number },
): Promise<boolean> {
  const rows = await tx.query(
    `UPDATE conflicts SET outcome = $2, settled_by = $3, settled_at = $4, version = version + 1
     WHERE id = $1 AND outcome IS NULL RETURNING id`,
    [id, outcome, by, now],
  );
  return rows.length > 0;
}

/** What one side, or an operator, wrote to the other: a paper of the conflict. `body` is null once it was erased. */
export interface ConflictMessage {
  id: string;
  side: ConflictSide | 'operator';
  body: string | null;
  sentAt: number;
  erasedAt: number | null;
  erasedWhy: string | null;
}

const MESSAGE = 'message-';
const MOST_SHOWN = 500;

export async function addConflictMessage(
  tx: Queryable,
  conflict: string,
  { id, side, body, sentAt }: Pick<ConflictMessage, 'id' | 'side' | 'body' | 'sentAt'>,
): Promise<ConflictMessage> {
  await savePaper(tx, { id, subject: conflict, kind: MESSAGE + side, content: { body }, now: sentAt });
  return { id, side, body, sentAt, erasedAt: null, erasedWhy: null };
}

/** Oldest first, MOST_SHOWN of them. */
export async function conflictMessages(db: Queryable, conflict: string): Promise<ConflictMessage[]> {
  return (await papersOf(db, conflict, MOST_SHOWN)).map(({ id, kind, content, writtenAt, erasedAt, erasedWhy }) => ({
    id,
    side: kind.slice(MESSAGE.length) as ConflictMessage['side'],
    body: (content as { body: string } | null)?.body ?? null,
    sentAt: writtenAt,
    ...{ erasedAt, erasedWhy },
  }));
}

/**
 * Parts of references that may only be reviewed, because another holder's act there: by reference id. An earlier reference that
 * was disabled stands in nobody's way.
 */
export async function contestedSpans(db: Queryable, ids: readonly string[]): Promise<Map<string, Span[]>> {
  if (ids.length === 0) return new Map();
  const rows = await db.query<{ id: string; span: Span }>(
    `SELECT c.newcomer AS id, s->'newcomer' AS span FROM conflicts c
       JOIN reference_versions r ON r.id = c.earlier AND r.version = c.earlier_version AND r.state <> 'disabled',
       jsonb_array_elements(c.spans) s
     WHERE c.newcomer = ANY($1) AND (c.outcome IS NULL OR c.outcome = 'earlier')
     UNION ALL
     SELECT c.earlier, s->'earlier' FROM conflicts c
       JOIN reference_versions r ON r.id = c.newcomer AND r.version = c.newcomer_version AND r.state <> 'disabled',
       jsonb_array_elements(c.spans) s
     WHERE c.earlier = ANY($1) AND c.outcome = 'newcomer'`,
    [ids],
  );
  const spans = new Map<string, Span[]>();
  for (const { id, span } of rows) spans.set(id, [...(spans.get(id) ?? []), span]);
  return spans;
}
