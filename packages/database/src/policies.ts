import { Policy } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';

/** What a policy holds for: all of a holder's works, one work, or one reference. */
export interface PolicyScope {
  holder: string;
  work?: string | undefined;
  reference?: string | undefined;
}

/** A new version; the one with the highest number is in force. A version that is there already stays as it is. */
export async function savePolicy(tx: Queryable, policy: Policy, scope: PolicyScope): Promise<void> {
  await tx.query(
    `INSERT INTO policies (id, version, holder, work, reference, data) VALUES ($1, $2, $3, $4, $5, $6)
     ON CONFLICT (id, version) DO NOTHING`,
    [policy.id, policy.version, scope.holder, scope.work ?? null, scope.reference ?? null, jsonb(policy)],
  );
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
  const rows = await db.query<{ holder: string; work: string | null; reference: string | null; data: unknown }>(
    `SELECT DISTINCT ON (id) holder, work, reference, data FROM policies WHERE holder = ANY($1) ORDER BY id, version DESC`,
    [[...new Set(scopes.map((s) => s.holder))]],
  );
  return scopes.map(({ holder, work, reference }) => {
    const own = rows.filter((r) => r.holder === holder);
    const found =
      own.find((r) => r.reference === reference) ??
      own.find((r) => r.reference === null && r.work === work) ??
      own.find((r) => r.reference === null && r.work === null);
    return Policy.parse(found?.data ?? {});
  });
}
