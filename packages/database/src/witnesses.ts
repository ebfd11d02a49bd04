import type { Queryable } from '@vigil/runtime';

/** The newest word of a canary or an index about itself. */
export interface WitnessRow {
  name: string;
  state: 'green' | 'red';
  message: string;
  at: number;
  /** Since when it has said so, and how often in a row. */
  since: number;
  streak: number;
}

const ROW = 'SELECT name, state, message, at, since, streak FROM witnesses';

/** Writes it down. Returns what it is now, and what it was before; null: it never spoke. */
export async function saveWitness(
  tx: Queryable,
  { name, state, message, at }: Pick<WitnessRow, 'name' | 'state' | 'message' | 'at'>,
): Promise<{ now: WitnessRow; before: WitnessRow | null }> {
  const [before] = await tx.query<WitnessRow>(`${ROW} WHERE name = $1 FOR UPDATE`, [name]);
  const [now] = await tx.query<WitnessRow>(
    `INSERT INTO witnesses AS w (name, state, message, at, since, streak) VALUES ($1, $2, $3, $4, $4, 1)
     ON CONFLICT (name) DO UPDATE SET state = $2, message = $3, at = $4,
       since = CASE WHEN w.state = $2 THEN w.since ELSE $4 END,
       streak = CASE WHEN w.state = $2 THEN w.streak + 1 ELSE 1 END
     RETURNING name, state, message, at, since, streak`,
    [name, state, message, at],
  );
  return { now: now!, before: before ?? null };
}

export const listWitnesses = (db: Queryable): Promise<WitnessRow[]> => db.query<WitnessRow>(`${ROW} ORDER BY name`);

/** Those that say that what is found may be wrong: an index that finds what it must not, a clean clip that was taken down. */
export async function distrusted(db: Queryable): Promise<string[]> {
  const rows = await db.query<{ name: string }>(
    `SELECT name FROM witnesses WHERE state = 'red' AND message LIKE '%wrong:%'
       AND (name = 'canary-clean' OR name LIKE 'index-%') ORDER BY name`,
  );
  return rows.map((r) => r.name);
}

export async function forgetWitness(db: Queryable, name: string): Promise<void> {
  await db.query('DELETE FROM witnesses WHERE name = $1', [name]);
}
