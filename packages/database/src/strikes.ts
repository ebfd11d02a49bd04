import type { Queryable } from '@vigil/runtime';
import { takeTurn } from './turns.ts';

export interface StrikeRow {
  case: string;
  account: string;
  at: number;
  expiresAt: number;
  revokedAt: number | null;
}

/**
 * Strikes of an account are counted one at a time, until the transaction ends: each sees all that came before. Take it after the rows of
 * cases, and of several accounts in order.
 */
export async function lockStrikesOf(tx: Queryable, account: string): Promise<void> {
  await takeTurn(tx, 'strikes', account);
}

/** One a case: the first claim that earned it made it; it is gone when none of them upholds it any more. */
export async function saveStrike(tx: Queryable, strike: StrikeRow): Promise<void> {
  await tx.query(
    `INSERT INTO strikes (case_id, account, at, expires_at, revoked_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (case_id) DO UPDATE SET at = $3, expires_at = $4, revoked_at = $5`,
    [strike.case, strike.account, strike.at, strike.expiresAt, strike.revokedAt],
  );
}

const ROW = 'SELECT case_id AS "case", account, at, expires_at AS "expiresAt", revoked_at AS "revokedAt" FROM strikes';

export async function findStrike(db: Queryable, id: string): Promise<StrikeRow | null> {
  const rows = await db.query<StrikeRow>(`${ROW} WHERE case_id = $1`, [id]);
  return rows[0] ?? null;
}

/** All that an account ever had, oldest first; those that stand are neither revoked nor expired. */
export const strikesOf = (db: Queryable, account: string): Promise<StrikeRow[]> =>
  db.query<StrikeRow>(`${ROW} WHERE account = $1 ORDER BY at, case_id`, [account]);

export const strikeStands = ({ revokedAt, expiresAt }: StrikeRow, now: number): boolean =>
  revokedAt === null && expiresAt > now;
