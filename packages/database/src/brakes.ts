import { type ReferenceKey, referenceKey } from '@vigil/contracts';
import { jsonb, type Queryable } from '@vigil/runtime';

export interface BrakeRow {
  id: string;
  brake: 'hot-reference' | 'flood-reference' | 'flood-holder' | 'all';
  /** A reference's id, a holder, or '*'. */
  subject: string;
  why: string;
  everything: boolean;
  /** 'person', 'counts', or the witness that was red. */
  cause: string;
  setBy: string;
  setAt: number;
  releasedBy: string | null;
  releasedAt: number | null;
  rejudged: boolean | null;
  /** Takedowns that it keeps, or kept, back. */
  held: number;
}

const ROW = `SELECT b.id, b.brake, b.subject, b.why, b.everything, b.cause, b.set_by AS "setBy", b.set_at AS "setAt",
  b.released_by AS "releasedBy", b.released_at AS "releasedAt", b.rejudged,
  (SELECT count(*) FROM brake_holds h WHERE h.brake = b.id) AS held FROM brakes b`;

/** Those that concern a reference and its holder, widest first. */
export const brakesInForce = (
  db: Queryable,
  { reference, holder }: { reference: string; holder: string },
): Promise<Pick<BrakeRow, 'id' | 'brake' | 'everything' | 'why'>[]> =>
  db.query(
    `SELECT id, brake, everything, why FROM brakes WHERE released_at IS NULL AND (brake, subject) IN
       (('all', '*'), ('flood-holder', $2), ('flood-reference', $1), ('hot-reference', $1)) ORDER BY brake`,
    [reference, holder],
  );

/** In force, or (`all`) every one there ever was; newest first. */
export const listBrakes = (
  db: Queryable,
  { all, limit = 200 }: { all: boolean; limit?: number },
): Promise<BrakeRow[]> =>
  db.query<BrakeRow>(`${ROW} WHERE $1 OR b.released_at IS NULL ORDER BY b.set_at DESC, b.id LIMIT $2`, [all, limit]);

export async function findBrake(db: Queryable, id: string): Promise<BrakeRow | null> {
  const rows = await db.query<BrakeRow>(`${ROW} WHERE b.id = $1`, [id]);
  return rows[0] ?? null;
}

/** The one in force of that name and subject: this one, or one that was there already (`known`). */
export async function setBrake(
  tx: Queryable,
  brake: Pick<BrakeRow, 'id' | 'brake' | 'subject' | 'why' | 'everything' | 'cause' | 'setBy' | 'setAt'>,
): Promise<{ id: string; known: boolean }> {
  const made = await tx.query<{ id: string }>(
    `INSERT INTO brakes (id, brake, subject, why, everything, cause, set_by, set_at)
     VALUES ($1, $2, $3, $4, $5, $6, $7, $8) ON CONFLICT (brake, subject) WHERE released_at IS NULL DO NOTHING RETURNING id`,
    [brake.id, brake.brake, brake.subject, brake.why, brake.everything, brake.cause, brake.setBy, brake.setAt],
  );
  if (made[0]) return { id: made[0].id, known: false };
  const [there] = await tx.query<{ id: string }>(
    'SELECT id FROM brakes WHERE brake = $1 AND subject = $2 AND released_at IS NULL',
    [brake.brake, brake.subject],
  );
  return { id: there!.id, known: true };
}

/** false: it is not in force. */
export async function releaseBrake(
  tx: Queryable,
  id: string,
  { by, now, rejudge }: { by: string; now: number; rejudge: boolean },
): Promise<boolean> {
  const rows = await tx.query<{ brake: string; subject: string }>(
    `UPDATE brakes SET released_by = $2, released_at = $3, rejudged = $4 WHERE id = $1 AND released_at IS NULL
     RETURNING brake, subject`,
    [id, by, now, rejudge],
  );
  const [released] = rows;
  if (!released) return false;
  // What has tripped it was looked at: it takes as much again to trip the next one.
  const { brake, subject } = released;
  const scope = { 'hot-reference': 'reference', 'flood-reference': 'reference', 'flood-holder': 'holder', all: 'all' }[
    brake
  ]!;
  if (scope === 'reference') await tx.query('DELETE FROM brake_marks WHERE reference = $1', [subject]);
  await tx.query(
    `UPDATE takedown_hours SET n = 0 WHERE scope = $1 AND (scope = 'all' OR subject = $2) AND hour >= $3`,
    [scope, subject, hourOf(now) - 1],
  );
  return true;
}

/**
 * A takedown is kept back. One that another brake keeps stays with that one; one that may pass is held no more. A later version of its
 * reference is held anew, and so is (`anew`) what was taken back meanwhile.
 */
export async function saveHold(
  tx: Queryable,
  hold: { upload: string; reference: ReferenceKey; brake: string; now: number; anew: boolean },
): Promise<void> {
  await tx.query(
    `INSERT INTO brake_holds (upload, reference, version, brake, held_at) VALUES ($1, $2, $3, $4, $5)
     ON CONFLICT (upload, reference) DO UPDATE SET version = $3, brake = $4, held_at = $5, passed = false
     WHERE brake_holds.version < $3 OR $6 OR (NOT brake_holds.passed AND EXISTS
       (SELECT FROM brakes b WHERE b.id = brake_holds.brake AND b.released_at IS NOT NULL))`,
    [hold.upload, hold.reference.id, hold.reference.version, hold.brake, hold.now, hold.anew],
  );
}

/**
 * By `referenceKey`: references whose takedowns of an upload may pass whatever brakes say, because one that held them was released
 * for good.
 */
export async function passedOf(tx: Queryable, upload: string): Promise<Set<string>> {
  const rows = await tx.query<ReferenceKey>(
    'SELECT reference AS id, version FROM brake_holds WHERE upload = $1 AND passed',
    [upload],
  );
  return new Set(rows.map(referenceKey));
}

/** Uploads that a brake holds, some at a time, in order of id. */
export const heldBy = (db: Queryable, brake: string, after: string, limit: number): Promise<HoldRow[]> =>
  db.query<HoldRow>(
    `SELECT upload, reference, held_at AS "heldAt" FROM brake_holds WHERE brake = $1 AND upload > $2
     ORDER BY upload, reference LIMIT $3`,
    [brake, after, limit],
  );
export interface HoldRow {
  upload: string;
  reference: string;
  heldAt: number;
}

export async function passHold(tx: Queryable, brake: string, upload: string): Promise<void> {
  await tx.query('UPDATE brake_holds SET passed = true WHERE brake = $1 AND upload = $2', [brake, upload]);
}

/** Marks of a reference since a time, oldest first; there are never more than the limits of brakes allow, and a few. */
export async function marksOf<T>(tx: Queryable, reference: string, since: number): Promise<T[]> {
  const rows = await tx.query<{ mark: T }>(
    'SELECT mark FROM brake_marks WHERE reference = $1 AND marked_at > $2 ORDER BY marked_at, upload LIMIT 500',
    [reference, since],
  );
  return rows.map((r) => r.mark);
}

export async function saveMark(
  tx: Queryable,
  { upload, reference, now, mark }: { upload: string; reference: string; now: number; mark: unknown },
): Promise<void> {
  await tx.query(
    `INSERT INTO brake_marks (upload, reference, marked_at, mark) VALUES ($1, $2, $3, $4)
     ON CONFLICT (upload, reference) DO UPDATE SET mark = $4`,
    [upload, reference, now, jsonb(mark)],
  );
}

/** What looked slight turned out to be a long copy. */
export async function dropMark(tx: Queryable, upload: string, reference: string): Promise<void> {
  await tx.query('DELETE FROM brake_marks WHERE upload = $1 AND reference = $2', [upload, reference]);
}

/** `subject` of all: any of a few, over which the count is spread so that those who count do not wait for one row. */
export interface HourSubject {
  scope: 'reference' | 'holder' | 'all';
  subject: string;
}
const HOUR = 3600_000;
const hourOf = (ms: number): number => Math.floor(ms / HOUR);

/**
 * Takedowns in the hour that ends now: this hour's, and of the one before the share that still counts. `busiest`: the largest of the
 * hours before, of `days`; of all together it is not looked for. null: only all together are counted.
 */
export async function takedownsInHour(
  db: Queryable,
  about: { reference: string; holder: string } | null,
  now: number,
  days: number,
): Promise<Record<HourSubject['scope'], { n: number; busiest: number }>> {
  const hour = hourOf(now);
  const rows = await db.query<{ scope: HourSubject['scope']; hour: number; n: number }>(
    `SELECT scope, hour, sum(n)::bigint AS n FROM takedown_hours WHERE scope = 'all' AND hour > $1 GROUP BY scope, hour
     UNION ALL SELECT scope, hour, n FROM takedown_hours
     WHERE (scope, subject) IN (('reference', $3), ('holder', $4)) AND hour > $2`,
    [hour - 2, hour - 2 - 24 * days, about?.reference ?? null, about?.holder ?? null],
  );
  const left = 1 - (now % HOUR) / HOUR;
  const of = (scope: HourSubject['scope']) => {
    const mine = rows.filter((r) => r.scope === scope);
    const at = (h: number) => mine.find((r) => r.hour === h)?.n ?? 0;
    const busiest = mine.filter((r) => r.hour < hour - 1).reduce((most, r) => Math.max(most, r.n), 0);
    return { n: at(hour) + Math.floor(left * at(hour - 1)), busiest };
  };
  return { reference: of('reference'), holder: of('holder'), all: of('all') };
}

/** The last thing of a transaction but the outbox: whoever counts the same waits for its end. */
export async function countTakedown(tx: Queryable, subjects: readonly HourSubject[], now: number): Promise<void> {
  await tx.query(
    `INSERT INTO takedown_hours AS t (scope, subject, hour, n)
     SELECT s.scope, s.subject, $3::bigint, 1 FROM unnest($1::text[], $2::text[]) AS s (scope, subject) ORDER BY s.scope, s.subject
     ON CONFLICT (scope, subject, hour) DO UPDATE SET n = t.n + 1`,
    [subjects.map((s) => s.scope), subjects.map((s) => s.subject), hourOf(now)],
  );
}

const KEPT_HOURS = 31 * 24;
const MARKS_KEPT_MS = 24 * HOUR;

/** Forgets what no brake looks at any more. */
export async function purgeBrakes(db: Queryable, now: number): Promise<void> {
  await db.query('DELETE FROM takedown_hours WHERE hour < $1', [hourOf(now) - KEPT_HOURS]);
  await db.query('DELETE FROM brake_marks WHERE marked_at < $1', [now - MARKS_KEPT_MS]);
}
