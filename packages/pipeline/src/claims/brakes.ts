import { fellWith } from '@vigil/cases';
import { type Decision, derivedId, isCanary, placeOf, referenceKey, type SliceAlignments } from '@vigil/contracts';
import {
  type BrakeRow,
  brakesInForce,
  type ClaimRow,
  countTakedown,
  type Database,
  distrusted,
  dropMark,
  findBrake,
  type HourSubject,
  heldBy,
  listBrakes,
  listWitnesses,
  marksOf,
  passedOf,
  passHold,
  releaseBrake,
  saveHold,
  saveMark,
  setBrake,
  setTimer,
  takedownsInHour,
  type UploadRow,
  type WitnessRow,
} from '@vigil/database';
import {
  type BrakeLimits,
  type BrakeName,
  braked,
  counts,
  holds,
  isUnlike,
  type Mark,
  markOf,
  trippedBy,
} from '@vigil/decision';
import type { Clock, Queryable } from '@vigil/runtime';
import { sendAlarm } from '../send-output.ts';
import { actingClaim } from './found-claims.ts';

/** Kind of the timers that judge again what a released brake had held, some uploads at a time. */
export const BRAKE_RELEASED = 'brake-released';
const BATCH = 20;
const HOUR_MS = 3600_000;
const HISTORY_DAYS = 30;
/** Rows that the count of all takedowns is spread over. */
const SPREAD = 8;

export interface BrakesView {
  brakes: BrakeRow[];
  /** What canaries and indexes say of themselves. */
  witnesses: WitnessRow[];
  /** Who says that what is found may be wrong; while somebody does, long copies are counted and held as well. */
  distrusted: string[];
  limits: BrakeLimits;
}

/**
 * Brakes: takedowns beyond what can be right go to a person instead. Counts, marks and holds are rows that are written in the transaction
 * that judges, so that all deciders share them.
 */
export interface Brakes {
  /**
   * Before claims are written: the decisions as brakes leave them. `final`: all of the upload was seen; before that a takedown that would
   * be held is left out and waits, because more of it may show that it is a long copy. The caller holds the upload's row.
   */
  apply(tx: Queryable, about: Applied): Promise<Decision[]>;
  view(options?: { all?: boolean }): Promise<BrakesView>;
  /** Uploads that it holds, in order of id. */
  held(id: string, after?: string, limit?: number): Promise<{ upload: string; reference: string; heldAt: number }[]>;
  /** By a person: holds everything of its subject. */
  set(brake: Exclude<BrakeName, 'hot-reference'>, subject: string, why: string, by: string): Promise<BrakeRow>;
  /**
   * What it held is judged again by what was found then, unless it is to be left to review. By default a brake of a reference or holder
   * judges again, and `all` does not: what a broken index has found is not to be acted on. null: no such brake; false: not in force.
   */
  release(id: string, by: string, rejudge?: boolean): Promise<BrakeRow | false | null>;
  /** The brake that a witness sets, and releases when it is well again. Inside the transaction that says so. */
  setFor(tx: Queryable, cause: string, why: string): Promise<void>;
  releaseFor(tx: Queryable, cause: string): Promise<void>;
}

interface Applied {
  row: UploadRow;
  /** All on the upload. */
  claims: readonly ClaimRow[];
  decisions: readonly Decision[];
  /** Of a takedown. */
  holderOf(decision: Decision): string;
  alignments: readonly SliceAlignments[];
  final: boolean;
}

export function createBrakes(deps: { database: Database; clock: Clock; limits: BrakeLimits }): Brakes {
  const { database, clock, limits } = deps;

  /** Of one wanted takedown: null, or the brake that keeps it back. */
  async function look(
    tx: Queryable,
    { mark, reference, holder, trusted }: { mark: Mark; reference: string; holder: string; trusted: boolean },
  ): Promise<Held | null> {
    const now = clock.now();
    const inForce = await brakesInForce(tx, { reference, holder });
    const keeper = inForce.find((b) => holds(b, mark, trusted));
    if (keeper) return { ...keeper };

    const marks = mark.solid && trusted ? [] : await marksOf<Mark>(tx, reference, now - HOUR_MS);
    const others = marks.filter((o) => o.upload !== mark.upload);
    const counted = counts(mark, others, trusted);
    const unlike = !mark.solid && isUnlike(mark, others);
    const inHour = await takedownsInHour(tx, counted ? { reference, holder } : null, now, HISTORY_DAYS);
    const slight = ({ n, busiest }: { n: number; busiest: number }) => ({ slight: n + (counted ? 1 : 0), busiest });
    const sums = {
      reference: slight(inHour.reference),
      holder: slight(inHour.holder),
      all: inHour.all.n + 1,
      unlike: others.length + (unlike ? 1 : 0),
    };
    const tripped = trippedBy(mark, sums, limits, trusted);
    if (tripped) {
      const subject = { 'flood-holder': holder, all: '*' }[tripped.brake as string] ?? reference;
      const { id } = await put(tx, { ...tripped, subject, everything: false, cause: 'counts', by: 'vigil' });
      return { id, brake: tripped.brake, why: tripped.why };
    }
    if (unlike) await saveMark(tx, { upload: mark.upload, reference, now, mark });
    if (mark.solid) await dropMark(tx, mark.upload, reference);
    const subjects: HourSubject[] = [{ scope: 'all', subject: `${placeOf(mark.upload, SPREAD)}` }];
    if (counted) subjects.push({ scope: 'reference', subject: reference }, { scope: 'holder', subject: holder });
    await countTakedown(tx, subjects, now);
    return null;
  }

  async function put(
    tx: Queryable,
    about: Pick<BrakeRow, 'brake' | 'subject' | 'why' | 'everything' | 'cause'> & { by: string },
  ): Promise<{ id: string; known: boolean }> {
    const now = clock.now();
    const { brake, subject, why } = about;
    const made = await setBrake(tx, {
      ...about,
      id: derivedId('brake', brake, subject, now),
      setBy: about.by,
      setAt: now,
    });
    if (made.known) return made;
    const of = { all: 'all takedowns', 'flood-holder': `holder ${subject}` }[brake as string] ?? `reference ${subject}`;
    const message = `${brake} is set for ${of}: ${why}. What it holds goes to review; \`vigil brakes\` shows it`;
    await sendAlarm(tx, derivedId('ev', made.id, 'set'), { kind: 'brake-set', subject: made.id, message, at: now });
    return made;
  }

  async function free(tx: Queryable, id: string, by: string, rejudge: boolean): Promise<boolean> {
    const now = clock.now();
    if (!(await releaseBrake(tx, id, { by, now, rejudge }))) return false;
    if (rejudge) {
      const timer = {
        id: `${BRAKE_RELEASED}:${id}`,
        kind: BRAKE_RELEASED,
        dueAt: now,
        payload: { brake: id, after: '' },
      };
      await setTimer(tx, timer);
    }
    return true;
  }

  return {
    async apply(tx, { row, claims, decisions, holderOf, alignments, final }) {
      const isFree = (d: Decision) => d.action !== 'takedown' || isCanary(holderOf(d));
      if (decisions.every(isFree)) return [...decisions];
      const planned = row.manifest?.outcome.status === 'planned' ? row.manifest.outcome : null;
      const duration = planned?.probe.kind === 'video' ? planned.probe.duration : 0;
      const upload = { id: row.id, account: row.manifest?.event.account ?? null, duration };
      let asked: { passed: Set<string>; trusted: boolean } | null = null;
      const left: Decision[] = [];
      for (const decision of decisions) {
        if (isFree(decision)) {
          left.push(decision);
          continue;
        }
        const key = decision.evidence.reference;
        const { id: reference } = key;
        const claim = actingClaim(claims, key);
        const mark = markOf(decision, upload, alignments);
        // Taken down already: by then it may have looked slight, and is a long copy now that all was seen.
        if (final && mark.solid && claim?.state === 'taken-down') await dropMark(tx, row.id, reference);
        // One that a policy let fall is opened again by this decision, and looked at as if it were new: what it was let pass for is over.
        const again = claim !== undefined && fellWith('policy', claim);
        if (claim && claim.state !== 'open' && !again) {
          left.push(decision);
          continue;
        }
        asked ??= { passed: await passedOf(tx, row.id), trusted: (await distrusted(tx)).length === 0 };
        const { passed, trusted } = asked;
        const about = { mark, reference, holder: holderOf(decision), trusted };
        const held = passed.has(referenceKey(key)) && !again ? null : await look(tx, about);
        if (!held) left.push(decision);
        else if (final) {
          await saveHold(tx, { upload: row.id, reference: key, brake: held.id, now: clock.now(), anew: again });
          left.push(braked(decision, held.brake, held.why));
        }
      }
      return left;
    },

    async view({ all = false } = {}) {
      const db = database.postgres;
      return {
        brakes: await listBrakes(db, { all }),
        witnesses: await listWitnesses(db),
        distrusted: await distrusted(db),
        limits,
      };
    },

    held: (id, after = '', limit = 100) => heldBy(database.postgres, id, after, limit),

    async set(brake, subject, why, by) {
      const { id } = await database.transaction((tx) =>
        put(tx, { brake, subject, why, everything: true, cause: 'person', by }),
      );
      return (await findBrake(database.postgres, id))!;
    },

    async release(id, by, rejudge) {
      const found = await findBrake(database.postgres, id);
      if (!found) return null;
      const done = await database.transaction((tx) => free(tx, id, by, rejudge ?? found.brake !== 'all'));
      return done && (await findBrake(database.postgres, id))!;
    },

    async setFor(tx, cause, why) {
      await put(tx, { brake: 'all', subject: '*', why, everything: true, cause, by: 'vigil' });
    },

    async releaseFor(tx, cause) {
      const rows = await listBrakes(tx, { all: false });
      for (const { id } of rows.filter((b) => b.cause === cause)) await free(tx, id, 'vigil', false);
    },
  };
}

interface Held {
  id: string;
  brake: BrakeName;
  why: string;
}

/** The timer's work: uploads that a released brake held are judged again; nothing holds them a second time. */
export function releaseHeld(clock: Pick<Clock, 'now'>, judgeAgain: (tx: Queryable, upload: string) => Promise<void>) {
  return async (tx: Queryable, { brake, after }: { brake: string; after: string }): Promise<void> => {
    const held = await heldBy(tx, brake, after, BATCH);
    for (const upload of [...new Set(held.map((h) => h.upload))].sort()) {
      await passHold(tx, brake, upload);
      await judgeAgain(tx, upload);
    }
    const last = held.at(-1)?.upload;
    if (held.length < BATCH || !last) return;
    const id = `${BRAKE_RELEASED}:${brake}:${last}`;
    await setTimer(tx, { id, kind: BRAKE_RELEASED, dueAt: clock.now(), payload: { brake, after: last } });
  };
}
