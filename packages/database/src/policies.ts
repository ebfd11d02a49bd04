import { Policy } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';
import { contestedSpans } from './conflicts.ts';
import type { PageOf } from './works.ts';

/** What a policy holds for: all of a holder's works, one work, or one reference. */
export interface PolicyScope {
  holder: string;
  work?: string | undefined;
  reference?: string | undefined;
}

export interface PolicyRow {
  id: string;
  version: number;
  holder: string;
  work: string | null;
  reference: string | null;
  policy: Policy;
  createdAt: number;
  createdBy: string | null;
}

const ROW = `SELECT id, version, holder, work, reference, data AS policy, created_at AS "createdAt",
  created_by AS "createdBy" FROM policies p`;
const NEWEST = 'NOT EXISTS (SELECT FROM policies n WHERE n.id = p.id AND n.version > p.version)';

/** Those in force, newest first. Of one holder, or (null) of all. */
export async function listPolicies(db: Queryable, { holder, after, limit }: PageOf): Promise<PolicyRow[]> {
  return db.query<PolicyRow>(
    `${ROW} WHERE ($1::text IS NULL OR holder = $1) AND ${NEWEST}
     AND ($2::bigint IS NULL OR (created_at, id) < ($2, $3)) ORDER BY created_at DESC, id DESC LIMIT $4`,
    [holder, after?.[0] ?? null, after?.[1] ?? null, limit],
  );
}

/** Newest first. */
export async function policyVersions(db: Queryable, id: string, limit = 200): Promise<PolicyRow[]> {
  return db.query<PolicyRow>(`${ROW} WHERE id = $1 ORDER BY version DESC LIMIT $2`, [id, limit]);
}

/** A new version; the one with the highest number is in force. A version that is there already stays as it is, and the answer is false. */
export async function savePolicy(
  tx: Queryable,
  policy: Policy,
  scope: PolicyScope,
  by: { createdBy?: string } = {},
): Promise<boolean> {
  const rows = await tx.query(
    `INSERT INTO policies (id, version, holder, work, reference, data, created_by) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (id, version) DO NOTHING RETURNING id`,
    [
      policy.id,
      policy.version,
      scope.holder,
      scope.work ?? null,
      scope.reference ?? null,
      jsonb(policy),
      by.createdBy ?? null,
    ],
  );
  return rows.length > 0;
}

/** The narrowest that there is: of the reference, of the work, of the holder; else the default of the contracts. */
export async function policyFor(db: Queryable, scope: Required<PolicyScope>): Promise<Policy> {
  const [policy] = await policiesFor(db, [scope as { holder: string; work: string; reference: string }]);
  return policy!;
}

/** `policyFor` of several at once, in the same order. */
export async function policiesFor(
  db: Queryable,
  scopes: readonly { holder: string; work: string; reference: string }[],
): Promise<Policy[]> {
  if (scopes.length === 0) return [];
  const each = (of: 'holder' | 'work' | 'reference') => [...new Set(scopes.map((s) => s[of]))];
  // A holder may have as many as it likes, and this is asked in the transaction that judges: only those that may hold here are read.
  const rows = await db.query<{ holder: string; work: string | null; reference: string | null; data: unknown }>(
    `SELECT DISTINCT ON (id) holder, work, reference, data FROM policies WHERE holder = ANY($1)
       AND (reference = ANY($2) OR reference IS NULL AND (work = ANY($3) OR work IS NULL)) ORDER BY id, version DESC`,
    [each('holder'), each('reference'), each('work')],
  );
  const contested = await contestedSpans(db, each('reference'));
  return scopes.map(({ holder, work, reference }) => {
    const own = rows.filter((r) => r.holder === holder);
    const found =
      own.find((r) => r.reference === reference) ??
      own.find((r) => r.reference === null && r.work === work) ??
      own.find((r) => r.reference === null && r.work === null);
    const spans = contested.get(reference) ?? [];
    return { ...Policy.parse(found?.data ?? {}), contested: spans.map((span) => ({ reference, span })) };
  });
}
