import type { Queryable } from '@vigil/runtime';

/**
 * Forgets what the slices of old uploads were found to hold: those received before a time, a bounded number of uploads a call.
 * Verdicts, claims with their evidence, and cases stay. Returns how many uploads.
 */
export async function purgeResults(db: Queryable, before: number, limit = 500): Promise<number> {
  const rows = await db.query<{ id: string }>(
    `SELECT id FROM uploads u WHERE received_at < $1 AND EXISTS (SELECT 1 FROM slice_alignments a WHERE a.upload = u.id)
     ORDER BY received_at LIMIT $2`,
    [before, limit],
  );
  for (const { id } of rows) await forgetResults(db, id);
  return rows.length;
}

/** All results of one upload. */
export async function forgetResults(db: Queryable, upload: string): Promise<void> {
  await db.query('DELETE FROM slice_evidence WHERE upload = $1', [upload]);
  await db.query('DELETE FROM slice_alignments WHERE upload = $1', [upload]);
}

/** Forgets messages about which nothing more is tried, or to endpoints that are disabled; a bounded number of each a call. */
export async function purgeDeliveries(db: Queryable, before: number, limit = 10_000): Promise<number> {
  const settled = await db.query(
    `DELETE FROM webhook_deliveries WHERE id IN (
       SELECT id FROM webhook_deliveries WHERE due_at IS NULL AND created_at < $1 ORDER BY created_at LIMIT $2) RETURNING 1 AS gone`,
    [before, limit],
  );
  const disabled = await db.query(
    `DELETE FROM webhook_deliveries WHERE id IN (
       SELECT d.id FROM webhook_endpoints e JOIN webhook_deliveries d ON d.endpoint = e.id
       WHERE e.disabled_at IS NOT NULL AND d.due_at IS NOT NULL AND d.created_at < $1 LIMIT $2) RETURNING 1 AS gone`,
    [before, limit],
  );
  return settled.length + disabled.length;
}
