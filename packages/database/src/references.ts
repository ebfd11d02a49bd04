import { type MediaLocation, type Policy, placeOf, type ReferenceKey, referenceKey } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';
import { policiesFor } from './policies.ts';
import { keyColumns } from './reference-keys.ts';
import type { PageOf } from './works.ts';

export const REFERENCE_STATES = ['received', 'fingerprinted', 'checked', 'live', 'disabled', 'rejected'] as const;
/**
 * received: its media lie there. fingerprinted: its codes are there. checked: every shard has said what else holds the same; not
 * yet in every replica. live: every upload is compared with it. disabled: no more, by a person. rejected: nothing to compare
 * with, see `reason`.
 */
export type ReferenceState = (typeof REFERENCE_STATES)[number];

/** What a check at ingest found: worth knowing, or a reason for caution. `other` is a reference of the same holder. */
export interface Finding {
  check: 'length' | 'overlap-own' | 'overlap-other';
  detail: string;
  other?: string;
  /** Of overlap-other: what to settle with the other side. */
  conflict?: string;
}

export interface ReferenceRow extends ReferenceKey {
  work: string;
  title: string;
  holder: string;
  media: MediaLocation;
  kind: 'image' | 'video' | null;
  state: ReferenceState;
  reason: string | null;
  /** Seconds; 0 for images, null until it was looked at. */
  duration: number | null;
  slices: number | null;
  /** Slices that some replica has loaded. */
  loaded: number;
  name: string | null;
  findings: Finding[];
  receivedAt: number;
  fingerprintedAt: number | null;
  checkedAt: number | null;
  liveAt: number | null;
  disabledAt: number | null;
}

/** What is to be known of a reference in order to judge by it. */
export interface ReferenceFacts {
  live: boolean;
  work: string;
  holder: string;
  duration: number;
  policy: Policy;
}

/** Registered at once. */
const MANY_ROWS = 500;
/** A process that serves others beside stands still while it takes in so many: some milliseconds. */
const LIVE_AT_ONCE = 2000;
const ROW = `SELECT r.id, r.version, r.work, w.title, r.holder, r.media, r.kind, r.state, r.reason, r.duration, r.slices,
  (SELECT count(DISTINCT s.slice) FROM reference_slices s WHERE s.reference = r.id AND s.version = r.version) AS loaded,
  r.name, r.findings, r.received_at AS "receivedAt", r.fingerprinted_at AS "fingerprintedAt",
  r.checked_at AS "checkedAt", r.live_at AS "liveAt", r.disabled_at AS "disabledAt"
  FROM reference_versions r JOIN works w ON w.id = r.work`;

/** Returns false, and changes nothing, when this version is known already. */
export async function registerReference(
  tx: Queryable,
  about: {
    reference: ReferenceKey;
    work: string;
    title: string;
    holder: string;
    media: MediaLocation;
    name?: string;
    now: number;
  },
): Promise<boolean> {
  const { reference, work, title, holder, media, name = null, now } = about;
  await tx.query('INSERT INTO works (id, holder, title) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING', [
    work,
    holder,
    title,
  ]);
  const rows = await tx.query(
    `INSERT INTO reference_versions (id, version, work, holder, media, received_at, name) VALUES ($1, $2, $3, $4, $5, $6, $7)
     ON CONFLICT (id, version) DO NOTHING RETURNING id`,
    [reference.id, reference.version, work, holder, jsonb(media), now, name],
  );
  return rows.length > 0;
}

/**
 * Pictures that are known by a hash alone, all of one work, planned at once. One that was disabled protects again as a version of its
 * own. Returns by id which version there is now, and whether it is new.
 */
export async function registerHashes(
  tx: Queryable,
  about: { work: string; title: string; holder: string; now: number },
  pictures: readonly { id: string; media: MediaLocation; name: string }[],
): Promise<Map<string, { version: number; isNew: boolean }>> {
  const { work, title, holder, now } = about;
  await tx.query('INSERT INTO works (id, holder, title) VALUES ($1, $2, $3) ON CONFLICT (id) DO NOTHING', [
    work,
    holder,
    title,
  ]);
  const ids = pictures.map((p) => p.id);
  const newest = await tx.query<{ id: string; version: number; state: ReferenceState }>(
    `SELECT DISTINCT ON (id) id, version, state FROM reference_versions WHERE id = ANY ($1) ORDER BY id, version DESC`,
    [ids],
  );
  const versions = new Map(ids.map((id) => [id, 1]));
  for (const { id, version, state } of newest) versions.set(id, state === 'disabled' ? version + 1 : version);
  const rows = await tx.query<{ id: string }>(
    `INSERT INTO reference_versions (id, version, work, holder, media, name, kind, duration, slices, received_at, planned_at)
     SELECT p.id, p.version, $1, $2, p.media::jsonb, p.name, 'image', 0, 1, $3, now_ms()
     FROM unnest($4::text[], $5::int[], $6::text[], $7::text[]) AS p (id, version, media, name) ORDER BY p.id
     ON CONFLICT (id, version) DO NOTHING RETURNING id`,
    [
      ...[work, holder, now, ids, ids.map((id) => versions.get(id))],
      ...[pictures.map((p) => jsonb(p.media)), pictures.map((p) => p.name)],
    ],
  );
  if (rows.length >= MANY_ROWS) await learnSize(tx);
  const made = new Set(rows.map((r) => r.id));
  return new Map([...versions].map(([id, version]) => [id, { version, isNew: made.has(id) }]));
}

/**
 * As long as the planner knows nothing of the table it walks much of it for each row of a batch: seconds instead of milliseconds, until
 * autovacuum comes by.
 */
async function learnSize(tx: Queryable): Promise<void> {
  const [table] = await tx.query<{ reltuples: number }>(
    "SELECT reltuples FROM pg_class WHERE oid = 'reference_versions'::regclass",
  );
  if (table!.reltuples < MANY_ROWS) await tx.query('ANALYZE reference_versions');
}

/** What a look at its container said. */
export async function planReference(
  db: Queryable,
  { id, version }: ReferenceKey,
  plan: { kind: 'image' | 'video'; duration: number; slices: number },
): Promise<void> {
  await db.query(
    `UPDATE reference_versions SET kind = $3, duration = $4, slices = $5, planned_at = coalesce(planned_at, now_ms())
     WHERE id = $1 AND version = $2`,
    [id, version, plan.kind, plan.duration, plan.slices],
  );
}

/** It protects nothing, and `reason` says why. A reference that is live, or that a person disabled, stays what it is. */
export async function rejectReference(db: Queryable, { id, version }: ReferenceKey, reason: string): Promise<void> {
  await db.query(
    `UPDATE reference_versions SET state = 'rejected', reason = $3
     WHERE id = $1 AND version = $2 AND state IN ('received', 'fingerprinted', 'checked')`,
    [id, version, reason],
  );
}

/**
 * From the commit on no claim by it is opened: whoever judges holds a shared lock on the row (`referenceFacts`), so this
 * waits for those who have looked already, and all others see it. Returns false when there is nothing to disable.
 */
export async function disableReference(
  tx: Queryable,
  { id, version }: ReferenceKey,
  reason: string,
  now: number,
): Promise<boolean> {
  const rows = await tx.query(
    `UPDATE reference_versions SET state = 'disabled', reason = $3, disabled_at = $4
     WHERE id = $1 AND version = $2 AND state <> 'disabled' RETURNING id`,
    [id, version, reason, now],
  );
  return rows.length > 0;
}

export interface LibraryReference extends ReferenceKey {
  state: 'received' | 'fingerprinted' | 'checked' | 'live';
  kind: 'image' | 'video' | null;
  slices: number | null;
}

/** Every version that an index may hold, some at a time: those that are live, and those that are on their way to it. */
export async function* liveReferences(
  db: Queryable,
  shard?: { number: number; of: number },
): AsyncGenerator<LibraryReference[]> {
  let after: readonly [id: string, version: number] = ['', 0];
  while (true) {
    const rows = await db.query<LibraryReference>(
      `SELECT id, version, state, kind, slices FROM reference_versions
       WHERE state IN ('received', 'fingerprinted', 'checked', 'live') AND (id, version) > ($1, $2)
       ORDER BY id, version LIMIT $3`,
      [...after, LIVE_AT_ONCE],
    );
    yield shard ? rows.filter((r) => placeOf(r.id, shard.of) === shard.number) : rows;
    const last = rows.at(-1);
    if (!last || rows.length < LIVE_AT_ONCE) return;
    after = [last.id, last.version];
  }
}

/** Newest first. */
export async function listReferences(db: Queryable, limit = 1000): Promise<ReferenceRow[]> {
  return db.query<ReferenceRow>(`${ROW} ORDER BY r.received_at DESC, r.id LIMIT $1`, [limit]);
}

/** The newest version of each, newest first. Of one holder (or, null, of all), of one work, in one state. */
export async function listReferencesOf(
  db: Queryable,
  about: PageOf & { work?: string | undefined; state?: ReferenceState | undefined },
): Promise<ReferenceRow[]> {
  const { holder, work = null, state = null, after, limit } = about;
  return db.query<ReferenceRow>(
    `${ROW} WHERE ($1::text IS NULL OR r.holder = $1) AND ($2::text IS NULL OR r.work = $2)
       AND ($3::text IS NULL OR r.state = $3) AND ($4::bigint IS NULL OR (r.received_at, r.id) < ($4, $5))
       AND NOT EXISTS (SELECT FROM reference_versions n WHERE n.id = r.id AND n.version > r.version)
     ORDER BY r.received_at DESC, r.id DESC LIMIT $6`,
    [holder, work, state, after?.[0] ?? null, after?.[1] ?? null, limit],
  );
}

/** That version, or the newest one. */
export async function findReference(db: Queryable, id: string, version?: number): Promise<ReferenceRow | null> {
  const rows = await db.query<ReferenceRow>(
    `${ROW} WHERE r.id = $1 AND ($2::int IS NULL OR r.version = $2) ORDER BY r.version DESC LIMIT 1`,
    [id, version ?? null],
  );
  return rows[0] ?? null;
}

export async function findReferences(db: Queryable, keys: readonly ReferenceKey[]): Promise<ReferenceRow[]> {
  return db.query<ReferenceRow>(
    `${ROW} WHERE (r.id, r.version) IN (SELECT * FROM unnest($1::text[], $2::int[])) ORDER BY r.id, r.version`,
    keyColumns(keys),
  );
}

/**
 * By `referenceKey`. Read inside the transaction that writes the claim: the rows stay locked (shared) until its end, so
 * that none of them is disabled between the look and the claim. Versions that are unknown are missing.
 */
export async function referenceFacts(
  tx: Queryable,
  keys: readonly ReferenceKey[],
): Promise<Map<string, ReferenceFacts>> {
  if (keys.length === 0) return new Map();
  const rows = await tx.query<
    ReferenceKey & { work: string; holder: string; state: ReferenceState; duration: number | null }
  >(
    `SELECT id, version, work, holder, state, duration FROM reference_versions
     WHERE (id, version) IN (SELECT * FROM unnest($1::text[], $2::int[])) ORDER BY id, version FOR SHARE`,
    keyColumns(keys),
  );
  const policies = await policiesFor(
    tx,
    rows.map(({ holder, work, id }) => ({ holder, work, reference: id })),
  );
  return new Map(
    rows.map((row, i) => {
      const { work, holder, state, duration } = row;
      return [
        referenceKey(row),
        { live: state === 'live', work, holder, duration: duration ?? 0, policy: policies[i]! },
      ];
    }),
  );
}
