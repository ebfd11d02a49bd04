import type { SliceAlignments, SliceEvidence } from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';
import type { UploadRow } from './uploads.ts';

/** Which uploads were judged by something that is older than what is asked for. All that are given must hold. */
export interface JudgedBefore {
  /** The engine's version is a lower number than this. */
  engine?: number | undefined;
  /** Some decision was made under this policy, in a version below. */
  policy?: { id: string; version: number } | undefined;
  /** Some slice was last searched before the index had read so far. */
  checkpoint?: number | undefined;
  /** Of the newest verdict: begins with this. */
  reason?: string | undefined;
}

/** Of these uploads those that were; an upload without a verdict was judged by nothing, and counts. */
export async function judgedBefore(
  db: Queryable,
  uploads: readonly string[],
  { engine, policy, checkpoint, reason }: JudgedBefore,
): Promise<Set<string>> {
  const rows = await db.query<{ id: string }>(
    `SELECT id FROM uploads u WHERE id = ANY($1)
       AND ($2::int IS NULL OR verdict IS NULL OR (verdict->>'engine')::int < $2)
       AND ($3::text IS NULL OR EXISTS (SELECT FROM jsonb_array_elements(verdict->'decisions') d
             WHERE d->'policy'->>'id' = $3 AND (d->'policy'->>'version')::int < $4))
       AND ($5::bigint IS NULL OR verdict IS NULL
            OR EXISTS (SELECT FROM slice_alignments a WHERE a.upload = u.id AND a.checkpoint < $5))
       AND ($6::text IS NULL OR starts_with(verdict->>'reason', $6))`,
    [uploads, engine ?? null, policy?.id ?? null, policy?.version ?? null, checkpoint ?? null, reason ?? null],
  );
  return new Set(rows.map((r) => r.id));
}

/** What is known of an upload that is to be judged again. */
export interface KnownUpload extends Pick<UploadRow, 'id' | 'deleted' | 'manifest' | 'verdict'> {
  alignments: SliceAlignments[];
  evidence: SliceEvidence[];
}

/** Those that were heard of, with all results of each. */
export async function knownUploads(db: Queryable, uploads: readonly string[]): Promise<Map<string, KnownUpload>> {
  const rows = await db.query<Omit<KnownUpload, 'alignments' | 'evidence'>>(
    'SELECT id, deleted, manifest, verdict FROM uploads WHERE id = ANY($1)',
    [uploads],
  );
  const known = new Map(rows.map((row) => [row.id, { ...row, alignments: [], evidence: [] } as KnownUpload]));
  for (const [table, into] of [
    ['slice_alignments', 'alignments'],
    ['slice_evidence', 'evidence'],
  ] as const) {
    const results = await db.query<{ result: SliceAlignments & SliceEvidence }>(
      `SELECT result FROM ${table} WHERE upload = ANY($1)`,
      [uploads],
    );
    for (const { result } of results) known.get(result.upload)?.[into].push(result as never);
  }
  return known;
}

/** These slices were searched again in a library that has grown, and the answer was the same. */
export async function confirmResults(
  db: Queryable,
  same: readonly Pick<SliceAlignments, 'upload' | 'shards' | 'slice' | 'shard' | 'checkpoint'>[],
): Promise<void> {
  if (same.length === 0) return;
  await db.query(
    `UPDATE slice_alignments a SET checkpoint = s.checkpoint,
       result = jsonb_set(a.result, '{checkpoint}', to_jsonb(s.checkpoint))
     FROM unnest($1::text[], $2::int[], $3::int[], $4::int[], $5::bigint[]) AS s (upload, shards, slice, shard, checkpoint)
     WHERE a.upload = s.upload AND a.shards = s.shards AND a.slice = s.slice AND a.shard = s.shard
       AND a.checkpoint < s.checkpoint`,
    [
      same.map((s) => s.upload),
      same.map((s) => s.shards),
      same.map((s) => s.slice),
      same.map((s) => s.shard),
      same.map((s) => s.checkpoint),
    ],
  );
}
