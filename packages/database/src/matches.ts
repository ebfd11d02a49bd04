import type { ReferenceKey } from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';

/** How many uploads match somewhere in each bucket of a reference's time line. */
export interface MatchCounts {
  /** Uploads that a claim was opened against. */
  uploads: number;
  /** From the reference's beginning, each so many seconds long. */
  buckets: number[];
}

/**
 * Counts, over the evidence of the claims, in how many uploads each part of a reference was found. An upload that shows a part twice
 * counts once for it. The time of a picture is one instant: one bucket.
 */
export async function countMatches(
  db: Queryable,
  { id, version }: ReferenceKey,
  { seconds, buckets }: { seconds: number; buckets: number },
): Promise<MatchCounts> {
  const rows = await db.query<{ bucket: number | null; uploads: number }>(
    `WITH mine AS (SELECT upload, decision FROM claims WHERE reference = $1 AND version = $2),
     spans AS (
       SELECT m.upload, range_agg(int4range(
         least($4 - 1, greatest(0, floor((s->'reference'->>0)::double precision / $3)))::int,
         least($4, greatest(1, ceil((s->'reference'->>1)::double precision / $3), 1 + floor((s->'reference'->>0)::double precision / $3)))::int)) AS covered
       FROM mine m CROSS JOIN LATERAL jsonb_array_elements(m.decision->'evidence'->'segments') s GROUP BY m.upload),
     edges AS (
       SELECT lower(r) AS bucket, 1 AS step FROM spans, unnest(covered) r
       UNION ALL SELECT upper(r), -1 FROM spans, unnest(covered) r)
     SELECT bucket, sum(sum(step)) OVER (ORDER BY bucket) AS uploads FROM edges GROUP BY bucket
     UNION ALL SELECT NULL, count(DISTINCT upload) FROM mine ORDER BY bucket NULLS LAST`,
    [id, version, seconds, buckets],
  );
  const counts = new Array<number>(buckets).fill(0);
  const edges = rows.filter((r) => r.bucket !== null);
  for (const [n, { bucket, uploads }] of edges.entries())
    counts.fill(Number(uploads), bucket!, edges[n + 1]?.bucket ?? buckets);
  return { uploads: Number(rows.at(-1)!.uploads), buckets: counts };
}
