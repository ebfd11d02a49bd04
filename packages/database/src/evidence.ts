import type { Manifest, ReferenceKey, SliceEvidence } from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';

/** What was confirmed of one upload against references of a holder, work or reference, in a stretch of time. */
export interface JudgedUpload {
  upload: string;
  manifest: Manifest;
  /** Of the layout that it was planned for; null when all of it is of another. */
  evidence: SliceEvidence[] | null;
}

/** Newest first; at most `limit` uploads. */
export async function evidenceOf(
  db: Queryable,
  about: {
    holder: string;
    work?: string | undefined;
    reference?: string | undefined;
    since: number;
    until: number;
    limit: number;
  },
): Promise<JudgedUpload[]> {
  const { holder, work = null, reference = null, since, until, limit } = about;
  return db.query<JudgedUpload>(
    `WITH mine AS (SELECT DISTINCT id FROM reference_versions
       WHERE holder = $1 AND ($2::text IS NULL OR work = $2) AND ($3::text IS NULL OR id = $3)),
     touched AS (
       SELECT s.upload, max(s.recorded_at) AS at FROM slice_evidence s
       WHERE s.recorded_at >= $4 AND s.recorded_at < $5 AND s.result->'outcome'->>'status' = 'confirmed'
         AND EXISTS (SELECT FROM jsonb_array_elements(s.result->'outcome'->'evidence') e
                     JOIN mine ON mine.id = e->'reference'->>'id')
       GROUP BY s.upload ORDER BY at DESC LIMIT $6)
     SELECT t.upload, u.manifest, (SELECT jsonb_agg(s.result ORDER BY s.slice, s.shard) FROM slice_evidence s
       WHERE s.upload = t.upload AND s.shards = (u.manifest->'outcome'->>'shards')::int
         AND s.result->'outcome'->>'status' = 'confirmed') AS evidence
     FROM touched t JOIN uploads u ON u.id = t.upload WHERE u.manifest->'outcome' ? 'shards' ORDER BY t.at DESC`,
    [holder, work, reference, since, until, limit],
  );
}

/** One frame of an upload that hit a reference. */
export interface FoundHit {
  /** Seconds. */
  upload: number;
  reference: number;
  /** Bits that differ. */
  distance: number;
}

/** What of an upload hit a version of a reference, as its slices said, in order of the upload's time; at most `limit`. */
export const hitsOf = (
  db: Queryable,
  upload: string,
  { id, version }: ReferenceKey,
  limit: number,
): Promise<FoundHit[]> =>
  db.query<FoundHit>(
    `SELECT DISTINCT (h->>'at')::double precision AS upload, (h->>'ref')::double precision AS reference,
       (h->>'distance')::int AS distance
     FROM slice_alignments s
     CROSS JOIN LATERAL jsonb_array_elements(s.result->'outcome'->'alignments') a
     CROSS JOIN LATERAL jsonb_array_elements(a->'hits') h
     WHERE s.upload = $1 AND s.result->'outcome'->>'status' = 'alignments'
       AND a->'reference'->>'id' = $2 AND (a->'reference'->>'version')::int = $3
     ORDER BY 1, 2, 3 LIMIT $4`,
    [upload, id, version, limit],
  );
