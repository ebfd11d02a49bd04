import { derivedId, type ReferenceKey, referenceKey } from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';
import { openConflict } from './conflicts.ts';
import { keyColumns } from './reference-keys.ts';
import type { Finding } from './references.ts';
import type { Overlap } from './replicas.ts';
import type { OpenReference } from './settle-references.ts';

/** Below this many seconds a film protects little: shorter copies are never manifest. */
const SHORT_SECONDS = 5;
/** Stretches that lie this near to each other are told as one, in seconds. */
const JOIN_SECONDS = 3;

/**
 * Draws the conclusions of all checks of references, of each once every shard of a layout has seen every slice: findings, and a conflict
 * for each other holder's reference that shows the same. By `referenceKey`; those of which some check is still to come, and those that
 * were checked before, are missing. `said`: what is known of some without asking. The caller holds the rows, and writes down what was found.
 */
export async function drawConclusions(
  tx: Queryable,
  rows: readonly (OpenReference & { slices: number })[],
  said: ReadonlyMap<string, readonly Overlap[]>,
): Promise<Map<string, Finding[]>> {
  const unchecked = rows.filter((row) => row.checkedAt === null);
  const conclusions = new Map<string, Finding[]>();
  for (const row of unchecked) {
    const overlaps = said.get(referenceKey(row));
    if (overlaps) conclusions.set(referenceKey(row), await findingsOf(tx, row, overlaps));
  }
  const pending = unchecked.filter((row) => !said.has(referenceKey(row)));
  if (pending.length === 0) return conclusions;
  const checks = await tx.query<ReferenceKey & { shards: number; shard: number; replica: string; overlaps: Overlap[] }>(
    `SELECT reference AS id, version, shards, shard, replica, shared AS "overlaps" FROM reference_checks
     WHERE (reference, version) IN (SELECT * FROM unnest($1::text[], $2::int[]))`,
    keyColumns(pending),
  );
  const byReference = Map.groupBy(checks, referenceKey);
  for (const row of pending) {
    const own = byReference.get(referenceKey(row)) ?? [];
    if (!areWhole(own, row.slices)) continue;
    const overlaps = own.flatMap((c) => c.overlaps);
    conclusions.set(referenceKey(row), await findingsOf(tx, row, overlaps));
  }
  return conclusions;
}

async function findingsOf(tx: Queryable, row: OpenReference, overlaps: readonly Overlap[]): Promise<Finding[]> {
  const findings: Finding[] = [];
  if (row.kind === 'video' && (row.duration ?? 0) < SHORT_SECONDS) {
    const detail = `${(row.duration ?? 0).toFixed(1)} s are little to judge by: a copy of less than 2 s is never manifest`;
    findings.push({ check: 'length', detail });
  }
  for (const { other, pairs } of joined(overlaps)) {
    const finding = await judgeOverlap(tx, row, other, pairs);
    if (finding) findings.push(finding);
  }
  return findings;
}

/** Is there a layout of which each shard, in some replica, has seen every slice? */
function areWhole(checks: readonly { shards: number; shard: number; replica: string }[], slices: number): boolean {
  const counts = new Map<string, number>();
  for (const { shards, shard, replica } of checks) {
    const who = JSON.stringify([shards, shard, replica]);
    counts.set(who, (counts.get(who) ?? 0) + 1);
  }
  const whole = new Map<number, Set<number>>();
  for (const [who, n] of counts) {
    const [shards, shard] = JSON.parse(who) as [number, number, string];
    if (n >= slices) whole.set(shards, (whole.get(shards) ?? new Set()).add(shard));
  }
  return [...whole].some(([shards, seen]) => seen.size === shards);
}

/** [from, to] in the newcomer, and in the other. */
type Pair = { span: [number, number]; otherSpan: [number, number] };

async function judgeOverlap(
  tx: Queryable,
  mine: OpenReference,
  other: ReferenceKey,
  pairs: Pair[],
): Promise<Finding | null> {
  const [found] = await tx.query<{ holder: string; state: string; receivedAt: number; liveAt: number | null }>(
    `SELECT holder, state, received_at AS "receivedAt", live_at AS "liveAt" FROM reference_versions
     WHERE id = $1 AND version = $2 FOR SHARE`,
    [other.id, other.version],
  );
  if (!found || found.state === 'disabled' || found.state === 'rejected') return null;
  const seconds = pairs.reduce((n, p) => n + p.span[1] - p.span[0], 0);
  const what = mine.kind === 'video' ? `${seconds.toFixed(1)} s of it` : 'the same picture';
  if (found.holder === mine.holder) {
    const detail = `${what} are in ${other.id}, a reference of your own, as well`;
    return { check: 'overlap-own', detail, other: other.id };
  }
  const earlierIsOther = found.liveAt !== null || found.receivedAt <= mine.receivedAt;
  const me = { id: mine.id, version: mine.version, holder: mine.holder };
  const they = { ...other, holder: found.holder };
  const spans = earlierIsOther
    ? pairs.map((p) => ({ earlier: p.otherSpan, newcomer: p.span }))
    : pairs.map((p) => ({ earlier: p.span, newcomer: p.otherSpan }));
  const [earlier, newcomer] = earlierIsOther ? [they, me] : [me, they];
  const id = derivedId('conflict', earlier.id, earlier.version, newcomer.id, newcomer.version);
  await openConflict(tx, { id, earlier, newcomer, spans });
  const detail = `${what} are in a reference of another holder as well; until that is settled, ${
    earlierIsOther ? 'copies of it go to a person and are not taken down' : 'yours, which was first, keeps acting'
  }`;
  return { check: 'overlap-other', detail, conflict: id };
}

/** By other reference; stretches that follow each other, of neighbouring slices say, are one. */
function joined(overlaps: readonly Overlap[]): { other: ReferenceKey; pairs: Pair[] }[] {
  const byOther = new Map<string, { other: ReferenceKey; pairs: Pair[] }>();
  const inOrder = [...overlaps].sort((a, b) => a.span[0] - b.span[0] || a.otherSpan[0] - b.otherSpan[0]);
  for (const { other, span, otherSpan } of inOrder) {
    const key = `${other.id}@${other.version}`;
    const found = byOther.get(key) ?? { other, pairs: [] };
    byOther.set(key, found);
    const last = found.pairs.at(-1);
    const follows =
      last && span[0] - last.span[1] <= JOIN_SECONDS && Math.abs(otherSpan[0] - last.otherSpan[1]) <= JOIN_SECONDS;
    if (last && (follows || span[1] <= last.span[1])) {
      last.span = [last.span[0], Math.max(last.span[1], span[1])];
      last.otherSpan = [Math.min(last.otherSpan[0], otherSpan[0]), Math.max(last.otherSpan[1], otherSpan[1])];
    } else {
      found.pairs.push({ span: [...span], otherSpan: [...otherSpan] });
    }
  }
  return [...byOther.values()];
}
