import { jsonb, type Queryable } from '@vigil/runtime';

export interface Timer {
  id: string;
  kind: string;
  /** Milliseconds since 1970. */
  dueAt: number;
  payload: unknown;
  /** How often it was postponed by `postponeTimer`. */
  attempts: number;
}

/** Sets, or sets anew. */
export async function setTimer(tx: Queryable, timer: Omit<Timer, 'attempts'>): Promise<void> {
  await tx.query(
    `INSERT INTO timers (id, kind, due_at, payload) VALUES ($1, $2, $3, $4)
     ON CONFLICT (id) DO UPDATE SET kind = $2, due_at = $3, payload = $4, attempts = 0`,
    [timer.id, timer.kind, timer.dueAt, jsonb(timer.payload)],
  );
}

/**
 * A timer that is being taken this instant is not waited for, because its handler may wait for a row that we hold: it will
 * run. Handlers look first whether there is still something to do.
 */
export async function cancelTimer(tx: Queryable, id: string): Promise<void> {
  await tx.query('DELETE FROM timers WHERE id IN (SELECT id FROM timers WHERE id = $1 FOR UPDATE SKIP LOCKED)', [id]);
}

/** A look without a transaction: most find nothing. */
export async function isTimerDue(db: Queryable, now: number): Promise<boolean> {
  return (await db.query('SELECT 1 FROM timers WHERE due_at <= $1 LIMIT 1', [now])).length > 0;
}

/** Takes what is due, earliest first: gone when the transaction commits, back when it does not. Others get other timers. */
export async function takeDueTimers(tx: Queryable, now: number, limit: number): Promise<Timer[]> {
  const rows = await tx.query<Timer>(
    `DELETE FROM timers WHERE id IN (
       SELECT id FROM timers WHERE due_at <= $1 ORDER BY due_at LIMIT $2 FOR UPDATE SKIP LOCKED)
     RETURNING id, kind, due_at AS "dueAt", payload, attempts`,
    [now, limit],
  );
  return rows.sort((a, b) => a.dueAt - b.dueAt);
}

/** For a timer whose handler failed: later again, and counted. */
export async function postponeTimer(db: Queryable, id: string, dueAt: number): Promise<void> {
  await db.query('UPDATE timers SET due_at = $2, attempts = attempts + 1 WHERE id = $1', [id, dueAt]);
}
