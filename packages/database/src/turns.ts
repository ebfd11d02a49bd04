import type { Queryable } from '@vigil/runtime';

/** What is done one at a time, each by a name of its own. A number stands for one thing for ever: releases run side by side. (Runs of replay and look-back have 7.) */
const NUMBERS = { object: 0, notices: 1, strikes: 2, endpoints: 3 } as const;

/** Waits until nobody else is at it, and keeps others waiting until the transaction ends: each sees all that came before. */
export async function takeTurn(tx: Queryable, at: keyof typeof NUMBERS, name: string): Promise<void> {
  await tx.query('SELECT pg_advisory_xact_lock(hashtextextended($1, $2))', [name, NUMBERS[at]]);
}
