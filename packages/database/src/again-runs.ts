import { jsonb, type Queryable } from '@vigil/runtime';

/** A stretch of a partition that a run goes through, and how far it is. */
export interface RunPlace {
  topic: string;
  partition: number;
  start: number;
  end: number;
  /** All before this offset is done. */
  next: number;
}

/** A replay or a look-back: what it goes through, and how far it is, so that another process can go on with it. */
export interface RunRow {
  id: string;
  kind: 'replay' | 'look-back';
  spec: unknown;
  apply: boolean;
  state: 'running' | 'done';
  places: RunPlace[];
  tally: Record<string, number>;
  begunAt: number;
  changedAt: number;
}

const ROW = `SELECT id, kind, spec, apply, state, places, tally, begun_at AS "begunAt", changed_at AS "changedAt" FROM again_runs`;

export async function findRun(db: Queryable, id: string): Promise<RunRow | null> {
  return (await db.query<RunRow>(`${ROW} WHERE id = $1`, [id]))[0] ?? null;
}

/** The newest look-back that acts and has not ended. */
export async function openLookBack(db: Queryable): Promise<RunRow | null> {
  const [run] = await db.query<RunRow>(
    `${ROW} WHERE kind = 'look-back' AND apply AND state = 'running' ORDER BY begun_at DESC, id LIMIT 1`,
  );
  return run ?? null;
}

/** The run begins, or begins anew: what it had found before is forgotten. */
export async function beginRun(tx: Queryable, run: Omit<RunRow, 'state' | 'changedAt'>): Promise<void> {
  await tx.query('DELETE FROM again_runs WHERE id = $1', [run.id]);
  await tx.query(
    `INSERT INTO again_runs (id, kind, spec, apply, places, tally, begun_at, changed_at) VALUES ($1, $2, $3, $4, $5, $6, $7, $7)`,
    [run.id, run.kind, jsonb(run.spec), run.apply, jsonb(run.places), jsonb(run.tally), run.begunAt],
  );
}

/** How far it is, with what was found on the way: both or neither. */
export async function saveRun(
  tx: Queryable,
  run: Pick<RunRow, 'id' | 'state' | 'places' | 'tally'>,
  findings: readonly RunFinding[],
  now: number,
): Promise<void> {
  const { id, state, places, tally } = run;
  await saveFindings(tx, id, findings);
  await tx.query('UPDATE again_runs SET state = $2, places = $3, tally = $4, changed_at = $5 WHERE id = $1', [
    id,
    state,
    jsonb(places),
    jsonb(tally),
    now,
  ]);
}

export interface RunFinding {
  upload: string;
  finding: unknown;
}

/** The first that a run says of an upload stands: what it says after that is about its own work. */
export async function saveFindings(tx: Queryable, run: string, findings: readonly RunFinding[]): Promise<void> {
  if (findings.length === 0) return;
  await tx.query(
    `INSERT INTO again_findings (run, upload, finding)
     SELECT $1, f.upload, f.finding::jsonb FROM unnest($2::text[], $3::text[]) AS f (upload, finding) ON CONFLICT DO NOTHING`,
    [run, findings.map((f) => f.upload), findings.map((f) => jsonb(f.finding))],
  );
}

/** What a run has said of these uploads so far. */
export async function findingsAmong<T>(
  db: Queryable,
  run: string,
  uploads: readonly string[],
): Promise<Map<string, T>> {
  const rows = await db.query<{ upload: string; finding: T }>(
    'SELECT upload, finding FROM again_findings WHERE run = $1 AND upload = ANY($2)',
    [run, uploads],
  );
  return new Map(rows.map((r) => [r.upload, r.finding]));
}

/** Some at a time, in order of upload. */
export async function findingsOf<T>(db: Queryable, run: string, after: string, limit = 500): Promise<T[]> {
  const rows = await db.query<{ finding: T }>(
    'SELECT finding FROM again_findings WHERE run = $1 AND upload > $2 ORDER BY upload LIMIT $3',
    [run, after, limit],
  );
  return rows.map((r) => r.finding);
}

export async function purgeRuns(db: Queryable, before: number): Promise<void> {
  await db.query('DELETE FROM again_runs WHERE changed_at < $1', [before]);
}
