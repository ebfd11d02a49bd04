import type { ClaimProcedure, ClaimState, Decision, Ground } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';

/** One reference, or one notice, against one upload. */
export interface ClaimRow {
  id: string;
  case: string;
  upload: string;
  /** Of its case. */
  account: string | null;
  work: string;
  holder: string;
  /** Null for a claim that rests on a notice by hand; then `notice` is set. */
  reference: string | null;
  version: number | null;
  notice: string | null;
  ground: Ground;
  territories: string[];
  state: ClaimState;
  procedure: ClaimProcedure;
  /** What was found, by which policy and rule; null without a reference. */
  decision: Decision | null;
  openedAt: number;
  changedAt: number;
}

const COLUMNS = `c.id, c.case_id AS "case", c.upload, k.account, k.work, k.holder, c.reference, c.version, c.notice, c.ground, c.territories, c.state,
  c.procedure, c.decision, c.opened_at AS "openedAt", c.changed_at AS "changedAt"`;
const ROW = `SELECT ${COLUMNS} FROM claims c JOIN cases k ON k.id = c.case_id`;

/** false, and nothing changes: there is one of this reference or notice against this upload already. */
export async function insertClaim(
  tx: Queryable,
  claim: Omit<ClaimRow, 'account' | 'work' | 'holder'>,
): Promise<boolean> {
  const rows = await tx.query(
    `INSERT INTO claims (id, case_id, upload, reference, version, notice, ground, territories, state, procedure, decision,
       opened_at, changed_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) ON CONFLICT DO NOTHING RETURNING id`,
    [
      claim.id,
      claim.case,
      claim.upload,
      claim.reference,
      claim.version,
      claim.notice,
      claim.ground,
      jsonb(claim.territories),
      claim.state,
      jsonb(claim.procedure),
      claim.decision && jsonb(claim.decision),
      claim.openedAt,
      claim.changedAt,
    ],
  );
  return rows.length > 0;
}

/** What may change of a claim. The caller holds the upload's row (`lockUpload`), and the case's (`lockCase`). */
export async function saveClaim(tx: Queryable, claim: ClaimRow): Promise<void> {
  const { id, version, ground, territories, state, procedure, decision, changedAt } = claim;
  await tx.query(
    `UPDATE claims SET version = $2, ground = $3, territories = $4, state = $5, procedure = $6, decision = $7, changed_at = $8
     WHERE id = $1`,
    [id, version, ground, jsonb(territories), state, jsonb(procedure), decision && jsonb(decision), changedAt],
  );
}

export async function findClaim(db: Queryable, id: string): Promise<ClaimRow | null> {
  const rows = await db.query<ClaimRow>(`${ROW} WHERE c.id = $1`, [id]);
  return rows[0] ?? null;
}

/** In the order in which they were opened. */
export const claimsOf = (db: Queryable, upload: string): Promise<ClaimRow[]> =>
  db.query<ClaimRow>(`${ROW} WHERE c.upload = $1 ORDER BY c.opened_at, c.id`, [upload]);

/** In the order in which they were opened. */
export const claimsOfCase = (db: Queryable, id: string): Promise<ClaimRow[]> =>
  db.query<ClaimRow>(`${ROW} WHERE c.case_id = $1 ORDER BY c.opened_at, c.id`, [id]);

/** The first claim of each case that rests on a notice, in order of case. */
export const claimsByNotice = (db: Queryable, notice: string): Promise<ClaimRow[]> =>
  db.query<ClaimRow>(
    `SELECT DISTINCT ON (c.case_id) ${COLUMNS} FROM claims c JOIN cases k ON k.id = c.case_id
     WHERE c.notice = $1 AND c.upload IN (SELECT jsonb_array_elements_text(uploads) FROM notices WHERE id = $1)
     ORDER BY c.case_id, c.opened_at, c.id`,
    [notice],
  );

/** All claims that rest on a notice, in the order in which they were opened. */
export const claimsOfNotice = (db: Queryable, notice: string): Promise<ClaimRow[]> =>
  db.query<ClaimRow>(
    `${ROW} WHERE c.notice = $1 AND c.upload IN (SELECT jsonb_array_elements_text(uploads) FROM notices WHERE id = $1)
     ORDER BY c.opened_at, c.id`,
    [notice],
  );

/** Claims by a version of a reference that have not ended, some at a time, in order of id. */
export const claimsByReference = (
  db: Queryable,
  { id, version }: { id: string; version: number },
  after: string,
  limit: number,
): Promise<ClaimRow[]> =>
  db.query<ClaimRow>(
    `${ROW} WHERE c.reference = $1 AND c.version = $2 AND c.id > $3
     AND c.state NOT IN ('reversed', 'put-back', 'dismissed', 'withdrawn') ORDER BY c.id LIMIT $4`,
    [id, version, after, limit],
  );

/** A holder's claims that rest on its rules alone and that nobody contests, some at a time, in order of id. */
export const uncontestedClaims = (db: Queryable, holder: string, after: string, limit: number): Promise<ClaimRow[]> =>
  db.query<ClaimRow>(
    `${ROW} WHERE k.holder = $1 AND c.id > $2 AND c.ground = 'rights-holder-rule' AND c.state IN ('open', 'taken-down')
     ORDER BY c.id LIMIT $3`,
    [holder, after, limit],
  );

/** Everybody's, or one holder's, or one case's; newest first. */
export const listClaims = (
  db: Queryable,
  about: {
    holder?: string | undefined;
    case?: string | undefined;
    state?: ClaimState | undefined;
    before?: { openedAt: number; id: string } | undefined;
    limit: number;
  },
): Promise<ClaimRow[]> =>
  db.query<ClaimRow>(
    `${ROW}
     WHERE ($1::text IS NULL OR k.holder = $1) AND ($2::text IS NULL OR c.state = $2)
       AND ($3::bigint IS NULL OR (c.opened_at, c.id) < ($3, $4::text)) AND ($6::text IS NULL OR c.case_id = $6)
     ORDER BY c.opened_at DESC, c.id DESC LIMIT $5`,
    [
      ...[about.holder ?? null, about.state ?? null, about.before?.openedAt ?? null, about.before?.id ?? null],
      ...[about.limit, about.case ?? null],
    ],
  );
