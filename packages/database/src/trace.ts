import type { SliceAlignments, SliceEvidence, Verdict } from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';
import { type AcknowledgementRow, type ActionRow, acknowledgementsOf, actionsOf } from './actions.ts';
import { type ClaimRow, claimsOf } from './claims.ts';
import { type OutboxEntry, publishedEvents } from './outbox.ts';
import { findUpload, type UploadRow, verdictsOf } from './uploads.ts';

/** All that is known of the way that an upload took. Each part is in order; times are milliseconds since 1970. */
export interface Trace {
  upload: UploadRow;
  /** In order of arrival; each carries the steps that made it. */
  alignments: { recordedAt: number; result: SliceAlignments }[];
  evidence: { recordedAt: number; result: SliceEvidence }[];
  claims: ClaimRow[];
  verdicts: Verdict[];
  actions: (ActionRow & { acknowledgements: AcknowledgementRow[] })[];
  /** What was sent, and when it reached the log. */
  sent: OutboxEntry[];
}

/** null when the upload is unknown. */
export async function traceOf(db: Queryable, id: string): Promise<Trace | null> {
  const upload = await findUpload(db, id);
  if (!upload) return null;
  const results = <T>(table: 'slice_alignments' | 'slice_evidence') =>
    db.query<{ recordedAt: number; result: T }>(
      `SELECT recorded_at AS "recordedAt", result FROM ${table} WHERE upload = $1 ORDER BY recorded_at, slice, shard`,
      [id],
    );
  const actions: Trace['actions'] = [];
  for (const action of await actionsOf(db, id)) {
    actions.push({ ...action, acknowledgements: await acknowledgementsOf(db, action.id) });
  }
  return {
    upload,
    alignments: await results<SliceAlignments>('slice_alignments'),
    evidence: await results<SliceEvidence>('slice_evidence'),
    claims: await claimsOf(db, id),
    verdicts: await verdictsOf(db, id),
    actions,
    sent: await publishedEvents(db, id),
  };
}
