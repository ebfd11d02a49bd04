import { placeOf, type ReferenceKey, referenceKey } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';
import { drawConclusions } from './checks.ts';
import { queueLookBack } from './look-backs.ts';
import { keyColumns } from './reference-keys.ts';
import type { ReferenceState } from './references.ts';
import type { Overlap } from './replicas.ts';

/** A version that is not live yet, and that nobody has put an end to. */
export interface OpenReference extends ReferenceKey {
  state: 'received' | 'fingerprinted' | 'checked';
  holder: string;
  kind: 'image' | 'video' | null;
  duration: number | null;
  receivedAt: number;
  checkedAt: number | null;
}

/** Those of them that are open, by `referenceKey`; ours until the transaction ends. In order of id, so that nobody waits in a circle. */
export async function lockOpen(tx: Queryable, keys: readonly ReferenceKey[]): Promise<Map<string, OpenReference>> {
  const rows = await tx.query<OpenReference>(
    `SELECT id, version, state, holder, kind, duration, received_at AS "receivedAt", checked_at AS "checkedAt"
     FROM reference_versions
     WHERE (id, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))
       AND state IN ('received', 'fingerprinted', 'checked')
     ORDER BY id, version FOR NO KEY UPDATE`,
    keyColumns(keys),
  );
  return new Map(rows.map((row) => [referenceKey(row), row]));
}

/**
 * Live, rejected, or further on their way, by what the replicas have loaded and seen: all of them by some statements. The caller holds
 * the rows. `said`: by `referenceKey`, what one look has found that is all there is to look. Returns what those are now that it changed.
 */
export async function settleReferences(
  tx: Queryable,
  rows: readonly (OpenReference & { slices: number })[],
  about: { checkpoint?: number | null; said?: ReadonlyMap<string, readonly Overlap[]> } = {},
): Promise<Map<string, ReferenceState>> {
  const { checkpoint = null, said = new Map() } = about;
  if (rows.length === 0) return new Map();
  const loaded = await loadedBy(tx, rows);
  const whole = rows.filter((row) => loaded.get(referenceKey(row))!.usable !== null);
  const isUsable = (row: ReferenceKey) => loaded.get(referenceKey(row))!.usable! > 0;
  const findings = await drawConclusions(tx, whole.filter(isUsable), said);
  const next = whole.map((row) => {
    const { everywhere, failed } = loaded.get(referenceKey(row))!;
    const found = findings.get(referenceKey(row)) ?? null;
    const isChecked = found !== null || row.checkedAt !== null;
    const state: ReferenceState = !isUsable(row)
      ? 'rejected'
      : !isChecked
        ? 'fingerprinted'
        : everywhere
          ? 'live'
          : 'checked';
    const reason = state === 'rejected' ? (failed ?? 'too-little: there is nothing in it to compare with') : null;
    return {
      ...row,
      before: row.state,
      state,
      reason,
      found: state === 'rejected' ? [] : found,
    };
  });
  const changed = next.filter((row) => row.state !== row.before || row.found !== null);
  if (changed.length === 0) return new Map();
  await tx.query(
    `UPDATE reference_versions r SET state = l.state, reason = l.reason,
       fingerprinted_at = coalesce(fingerprinted_at, now_ms()),
       checked_at = CASE WHEN l.found IS NULL THEN checked_at ELSE coalesce(checked_at, now_ms()) END,
       findings = coalesce(l.found::jsonb, findings),
       live_at = CASE WHEN l.state = 'live' THEN now_ms() END, index_checkpoint = $6
     FROM unnest($1::text[], $2::int[], $3::text[], $4::text[], $5::text[]) AS l (id, version, state, reason, found)
     WHERE r.id = l.id AND r.version = l.version`,
    [
      ...keyColumns(changed),
      ...[changed.map((r) => r.state), changed.map((r) => r.reason)],
      ...[changed.map((r) => r.found && jsonb(r.found)), checkpoint],
    ],
  );
  const live = changed.filter((row) => row.state === 'live');
  if (live.length > 0) await queueLookBack(tx, live);
  const done = changed.filter((row) => row.found !== null);
  if (done.length > 0) {
    await tx.query(
      `DELETE FROM reference_checks WHERE (reference, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))`,
      keyColumns(done),
    );
  }
  return new Map(changed.filter((row) => row.state !== row.before).map((row) => [referenceKey(row), row.state]));
}

/**
 * By `referenceKey`: how much there is to compare with, by a replica that has every slice of it (null: there is none yet), and whether all
 * have that are to hold it, in whatever layout.
 */
async function loadedBy(tx: Queryable, rows: readonly (ReferenceKey & { slices: number })[]) {
  const replicas = await tx.query<{ shards: number; shard: number; replica: string }>(
    'SELECT shards, shard, replica FROM index_replicas ORDER BY shards, shard, replica',
  );
  const said = await tx.query<
    ReferenceKey & { shards: number; shard: number; replica: string; n: number; usable: number; failed: string | null }
  >(
    `SELECT reference AS id, version, shards, shard, replica, count(*) AS n, sum(usable)::bigint AS usable, min(failed) AS failed
     FROM reference_slices WHERE (reference, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))
     GROUP BY reference, version, shards, shard, replica`,
    keyColumns(rows),
  );
  const nameOf = (key: ReferenceKey, r: { shards: number; shard: number; replica: string }) =>
    JSON.stringify([key.id, key.version, r.shards, r.shard, r.replica]);
  const byName = new Map(said.map((one) => [nameOf(one, one), one]));
  return new Map(
    rows.map((row) => {
      const asked = replicas.filter((r) => placeOf(row.id, r.shards) === r.shard);
      const whole = asked.flatMap((r) => byName.get(nameOf(row, r)) ?? []).filter(({ n }) => n >= row.slices);
      const [first] = whole;
      const everywhere = whole.length === asked.length;
      return [referenceKey(row), { usable: first?.usable ?? null, failed: first?.failed ?? null, everywhere }];
    }),
  );
}
