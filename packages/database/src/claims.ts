import { type Decision, derivedId } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';

export type ClaimState = 'open' | 'disputed' | 'released' | 'withdrawn';

/** One reference against one upload. */
export interface Claim {
  id: string;
  upload: string;
  reference: string;
  version: number;
  case: string;
  state: ClaimState;
  action: Decision['action'];
  decision: Decision;
  openedAt: number;
  changedAt: number;
}

const COLUMNS = `id, upload, reference, version, case_id AS "case", state, action, decision,
  opened_at AS "openedAt", changed_at AS "changedAt"`;

/**
 * Opens the claim, and the case it belongs to, or brings an open one up to date. Ids derive from what they name, so a second
 * delivery opens nothing new. A claim that is disputed, released or withdrawn is returned as it is: what people have
 * decided is not overruled by a slice that comes again.
 */
export async function openClaim(
  tx: Queryable,
  about: { upload: string; account: string | null; work: string; holder: string; decision: Decision; now: number },
): Promise<Claim> {
  const { upload, account, work, holder, decision, now } = about;
  const { reference } = decision.evidence;
  const caseId =
    account === null ? derivedId('case', 'upload', upload, work) : derivedId('case', 'account', account, work);
  await tx.query(
    'INSERT INTO cases (id, account, work, holder, opened_at) VALUES ($1, $2, $3, $4, $5) ON CONFLICT (id) DO NOTHING',
    [caseId, account, work, holder, now],
  );
  const [claim] = await tx.query<Claim>(
    `INSERT INTO claims AS c (id, upload, reference, version, case_id, action, decision, opened_at, changed_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $8)
     ON CONFLICT (upload, reference) DO UPDATE SET version = $4, action = $6, decision = $7, changed_at = $8
       WHERE c.state = 'open'
     RETURNING ${COLUMNS}`,
    [
      derivedId('claim', upload, reference.id),
      upload,
      reference.id,
      reference.version,
      caseId,
      decision.action,
      jsonb(decision),
      now,
    ],
  );
  if (claim) return claim;
  const [settled] = await tx.query<Claim>(`SELECT ${COLUMNS} FROM claims WHERE upload = $1 AND reference = $2`, [
    upload,
    reference.id,
  ]);
  return settled!;
}

export async function claimsOf(db: Queryable, upload: string): Promise<Claim[]> {
  return db.query<Claim>(`SELECT ${COLUMNS} FROM claims WHERE upload = $1 ORDER BY opened_at, id`, [upload]);
}

export interface Case {
  id: string;
  account: string | null;
  work: string;
  holder: string;
  openedAt: number;
}

export async function findCase(db: Queryable, id: string): Promise<Case | null> {
  const rows = await db.query<Case>(
    'SELECT id, account, work, holder, opened_at AS "openedAt" FROM cases WHERE id = $1',
    [id],
  );
  return rows[0] ?? null;
}
