import type { Manifest, MediaLocation, SliceAlignments, SliceEvidence, Verdict } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';

export type MediaState = 'shown' | 'disabled';

export interface UploadRow {
  id: string;
  media: MediaLocation | null;
  account: string | null;
  /** null: results have come before the manifest. */
  manifest: Manifest | null;
  deleted: boolean;
  /** Rises with a reversal or a changed action only: it is part of the takedown's id. */
  epoch: number;
  mediaState: MediaState;
  /** Where the media are disabled; empty when they are shown. */
  blocked: string[];
  /** Of the newest verdict; 0 before the first. */
  revision: number;
  /** null: not judged yet, or to be judged again. */
  verdict: Verdict | null;
  receivedAt: number | null;
  /** When the newest verdict was given. */
  settledAt: number | null;
}

const COLUMNS = `id, media, account, manifest, deleted, epoch, media_state AS "mediaState", blocked, revision, verdict,
  received_at AS "receivedAt", settled_at AS "settledAt"`;
const ROW = `SELECT ${COLUMNS} FROM uploads`;

export async function findUpload(db: Queryable, id: string): Promise<UploadRow | null> {
  const rows = await db.query<UploadRow>(`${ROW} WHERE id = $1`, [id]);
  return rows[0] ?? null;
}

/** Newest first. */
export async function listUploads(db: Queryable, limit = 100): Promise<UploadRow[]> {
  return db.query<UploadRow>(`${ROW} ORDER BY received_at DESC NULLS LAST, id LIMIT $1`, [limit]);
}

/** The row, made if missing, and ours until the transaction ends: one at a time judges an upload. */
export async function lockUpload(tx: Queryable, id: string): Promise<UploadRow> {
  const lock = () => tx.query<UploadRow>(`${ROW} WHERE id = $1 FOR UPDATE`, [id]);
  const [known] = await lock();
  if (known) return known;
  const insert = `INSERT INTO uploads (id) VALUES ($1) ON CONFLICT (id) DO NOTHING RETURNING ${COLUMNS}`;
  const [made] = await tx.query<UploadRow>(insert, [id]);
  if (made) return made;
  const [row] = await lock();
  return row!;
}

/** The first manifest; a later one replaces it. */
export async function saveManifest(tx: Queryable, id: string, manifest: Manifest): Promise<void> {
  const { media, account, receivedAt } = manifest.event;
  await tx.query('UPDATE uploads SET manifest = $2, media = $3, account = $4, received_at = $5 WHERE id = $1', [
    id,
    jsonb(manifest),
    jsonb(media),
    account ?? null,
    receivedAt,
  ]);
}

export async function markDeleted(tx: Queryable, id: string): Promise<void> {
  await tx.query('UPDATE uploads SET deleted = true WHERE id = $1', [id]);
}

export async function isDeleted(db: Queryable, id: string): Promise<boolean> {
  const rows = await db.query<{ deleted: boolean }>('SELECT deleted FROM uploads WHERE id = $1', [id]);
  return rows[0]?.deleted ?? false;
}

/**
 * The same media were uploaded once more after they had been deleted: they are shown again, and to be judged again. If they had
 * been disabled that is a reversal, so that the next takedown is another one.
 */
export async function markUploadedAgain(tx: Queryable, id: string): Promise<void> {
  await tx.query(
    `UPDATE uploads SET deleted = false, verdict = NULL, settled_at = NULL, media_state = 'shown', blocked = '[]',
     epoch = epoch + CASE media_state WHEN 'disabled' THEN 1 ELSE 0 END WHERE id = $1`,
    [id],
  );
}

/** Where the media are disabled from now on, under the epoch of the action that says so. */
export async function setBlocked(tx: Queryable, id: string, blocked: readonly string[], epoch: number): Promise<void> {
  await tx.query('UPDATE uploads SET media_state = $2, blocked = $3, epoch = $4 WHERE id = $1', [
    id,
    (blocked.length > 0 ? 'disabled' : 'shown') satisfies MediaState,
    jsonb(blocked),
    epoch,
  ]);
}

/**
 * What one shard says of one slice. A result of a later checkpoint replaces an earlier one; an equal or earlier one is a
 * redelivery: nothing changes and the answer is false.
 */
export const recordAlignments = (tx: Queryable, result: SliceAlignments): Promise<boolean> =>
  record(tx, 'slice_alignments', result, '<');

/** How many slices and shards have said something. */
export async function countAlignments(tx: Queryable, upload: string): Promise<number> {
  const rows = await tx.query<{ n: number }>('SELECT count(*) AS n FROM slice_alignments WHERE upload = $1', [upload]);
  return Number(rows[0]!.n);
}

/** What was confirmed of one slice and shard; same rule as `recordAlignments`. */
export const recordEvidence = (tx: Queryable, result: SliceEvidence): Promise<boolean> =>
  record(tx, 'slice_evidence', result, '<');

/**
 * A result of a second look takes the place of the recorded one unless that is of a later checkpoint: then the answer is false.
 * Unlike a delivery, one of the same checkpoint does: the look before may have been wrong.
 */
export const replaceResult = (
  tx: Queryable,
  table: 'slice_alignments' | 'slice_evidence',
  result: SliceAlignments | SliceEvidence,
): Promise<boolean> => record(tx, table, result, '<=');

async function record(
  tx: Queryable,
  table: 'slice_alignments' | 'slice_evidence',
  result: SliceAlignments | SliceEvidence,
  replaces: '<' | '<=',
): Promise<boolean> {
  const { upload, shards, slice, shard, checkpoint } = result;
  const rows = await tx.query(
    `INSERT INTO ${table} AS known (upload, shards, slice, shard, checkpoint, result) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (upload, shards, slice, shard) DO UPDATE SET checkpoint = $5, result = $6, recorded_at = now_ms()
     WHERE known.checkpoint ${replaces} $5 RETURNING slice`,
    [upload, shards, slice, shard, checkpoint, jsonb(result)],
  );
  return rows.length > 0;
}

/** The newest result of each slice and shard of each layout, in order of layout, slice and shard. */
export async function resultsOf(
  db: Queryable,
  upload: string,
): Promise<{ alignments: SliceAlignments[]; evidence: SliceEvidence[] }> {
  // One question: it is asked whenever an upload is judged.
  const rows = await db.query<
    { alignments: SliceAlignments; evidence: null } | { alignments: null; evidence: SliceEvidence }
  >(
    `SELECT result AS alignments, NULL::jsonb AS evidence, shards, slice, shard FROM slice_alignments WHERE upload = $1
     UNION ALL
     SELECT NULL::jsonb, result, shards, slice, shard FROM slice_evidence WHERE upload = $1
     ORDER BY shards, slice, shard`,
    [upload],
  );
  return {
    alignments: rows.flatMap(({ alignments }) => alignments ?? []),
    evidence: rows.flatMap(({ evidence }) => evidence ?? []),
  };
}

/** Adds a revision and makes it the upload's verdict. @throws PostgresError 23505 when that revision is there already. */
export async function saveVerdict(tx: Queryable, verdict: Verdict): Promise<void> {
  const { upload, revision, decidedAt } = verdict;
  await tx.query(
    `WITH revision AS (INSERT INTO verdicts (upload, revision, verdict, decided_at) VALUES ($1, $2, $3, $4))
     UPDATE uploads SET revision = $2, verdict = $3, settled_at = $4 WHERE id = $1`,
    [upload, revision, jsonb(verdict), decidedAt],
  );
}

/** In order of revision. */
export async function verdictsOf(db: Queryable, upload: string): Promise<Verdict[]> {
  const rows = await db.query<{ verdict: Verdict }>(
    'SELECT verdict FROM verdicts WHERE upload = $1 ORDER BY revision',
    [upload],
  );
  return rows.map((r) => r.verdict);
}
