import type { Acknowledgement, TakedownEvent } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';

export type ClosedWhy =
  /** Every surface that is waited for said `done`. */
  | 'acknowledged'
  /** None is waited for, or none any more. */
  | 'not-awaited'
  /** A newer action on the same upload took its place. */
  | 'superseded'
  /** The platform has deleted the media. */
  | 'deleted';

/** A takedown or restoration that was sent. */
export interface ActionRow {
  id: string;
  upload: string;
  action: TakedownEvent['action'];
  epoch: number;
  /** As it was first sent. */
  event: TakedownEvent;
  /** Those that were configured when it was first sent. */
  surfaces: string[];
  /** How often it was sent, and how often there was an alarm for it. */
  attempts: number;
  alarms: number;
  sentAt: number;
  lastSentAt: number;
  closedAt: number | null;
  closedWhy: ClosedWhy | null;
}

export interface AcknowledgementRow {
  action: string;
  surface: string;
  status: Acknowledgement['status'];
  /** By the surface's clock. */
  at: number;
  note: string | null;
  /** By ours. */
  recordedAt: number;
}

const ACTION = `SELECT id, upload, action, epoch, event, surfaces, attempts, alarms, sent_at AS "sentAt",
  last_sent_at AS "lastSentAt", closed_at AS "closedAt", closed_why AS "closedWhy" FROM actions`;
const MAX_NOTE = 2000;

/**
 * Adds an action, open. false: it is there already, and nothing changed. Whoever changes actions holds the upload's row
 * (`lockUpload`). @throws PostgresError 23505 when another action has its upload, epoch and kind.
 */
export async function addAction(
  tx: Queryable,
  { event, surfaces, now }: { event: TakedownEvent; surfaces: readonly string[]; now: number },
): Promise<boolean> {
  const rows = await tx.query(
    `INSERT INTO actions (id, upload, action, epoch, event, surfaces, attempts, sent_at, last_sent_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8) ON CONFLICT (id) DO NOTHING RETURNING id`,
    [event.id, event.upload, event.action, event.epoch, jsonb(event), jsonb(surfaces), event.attempt, now],
  );
  return rows.length > 0;
}

export async function findAction(db: Queryable, id: string): Promise<ActionRow | null> {
  const rows = await db.query<ActionRow>(`${ACTION} WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

/** In the order in which they were sent. */
export async function actionsOf(db: Queryable, upload: string): Promise<ActionRow[]> {
  return db.query<ActionRow>(`${ACTION} WHERE upload = $1 ORDER BY epoch, sent_at, id`, [upload]);
}

export async function closeAction(tx: Queryable, id: string, why: ClosedWhy, now: number): Promise<void> {
  await tx.query('UPDATE actions SET closed_at = $2, closed_why = $3 WHERE id = $1 AND closed_at IS NULL', [
    id,
    now,
    why,
  ]);
}

export async function reopenAction(tx: Queryable, id: string): Promise<void> {
  await tx.query('UPDATE actions SET closed_at = NULL, closed_why = NULL WHERE id = $1', [id]);
}

/** Returns the number of this sending: 2 for the first that repeats. */
export async function countAttempt(tx: Queryable, id: string, now: number): Promise<number> {
  const [row] = await tx.query<{ attempts: number }>(
    'UPDATE actions SET attempts = attempts + 1, last_sent_at = $2 WHERE id = $1 RETURNING attempts',
    [id, now],
  );
  return row!.attempts;
}

/** Returns the number of this alarm, from 1. */
export async function countAlarm(tx: Queryable, id: string): Promise<number> {
  const [row] = await tx.query<{ alarms: number }>(
    'UPDATE actions SET alarms = alarms + 1 WHERE id = $1 RETURNING alarms',
    [id],
  );
  return row!.alarms;
}

/**
 * What a surface says of an action that is known. Its latest word holds, and at the same instant `done`; a word that comes
 * again, or late, changes nothing and the answer is false.
 */
export async function recordAcknowledgement(tx: Queryable, said: Acknowledgement, now: number): Promise<boolean> {
  // PostgreSQL's text holds no NUL, and what people are shown on terminals holds no control characters at all.
  const note = said.note?.slice(0, MAX_NOTE).replace(/\p{Cc}/gu, '\u{fffd}') ?? null;
  const rows = await tx.query(
    `INSERT INTO acknowledgements AS known (action, surface, status, at, note, recorded_at)
     VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (action, surface) DO UPDATE SET status = $3, at = $4, note = $5, recorded_at = $6
     WHERE known.at < $4 OR (known.at = $4 AND known.status = 'failed' AND $3 = 'done')
     RETURNING surface`,
    [said.action, said.surface, said.status, Math.round(said.at), note, now],
  );
  return rows.length > 0;
}

/** The latest word of each surface, in order of arrival. */
export async function acknowledgementsOf(db: Queryable, action: string): Promise<AcknowledgementRow[]> {
  return db.query<AcknowledgementRow>(
    `SELECT action, surface, status, at, note, recorded_at AS "recordedAt" FROM acknowledgements
     WHERE action = $1 ORDER BY recorded_at, surface`,
    [action],
  );
}

/** Who was waited for when the newest action was sent. */
export async function newestSurfaces(db: Queryable): Promise<string[]> {
  const rows = await db.query<{ surfaces: string[] }>(
    `SELECT surfaces FROM actions WHERE action = 'takedown' ORDER BY sent_at DESC LIMIT 1`,
  );
  return rows[0]?.surfaces ?? [];
}
