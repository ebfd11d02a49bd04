import {
  type Decision,
  derivedId,
  ENGINE_VERSION,
  isLeft,
  MAX_FAILURES,
  Manifest,
  type Opened,
  type ReferenceKey,
  referenceKey,
  type Segment,
  SliceAlignments,
  SliceEvidence,
  type Verdict,
} from '@vigil/contracts';
import {
  type ClaimRow,
  cancelTimer,
  claimsOf,
  countAlignments,
  type Database,
  forgetResults,
  lockUpload,
  markDeleted,
  markUploadedAgain,
  recordAlignments,
  recordEvidence,
  referenceFacts,
  replaceResult,
  resultsOf,
  saveManifest,
  setTimer,
  type UploadRow,
} from '@vigil/database';
import type { Clock, Queryable } from '@vigil/runtime';
import type { Actions } from '../claims/actions.ts';
import { BRAKE_RELEASED, type Brakes, releaseHeld } from '../claims/brakes.ts';
import { claimFound, dropDisabled } from '../claims/found-claims.ts';
import type { Ledger } from '../claims/ledger.ts';
import { alignMedia, slim } from '../claims/media-state.ts';
import { differs, publishVerdict, standing } from '../claims/revision.ts';
import { INCOMPLETE, type Judgement, judge } from '../judgement.ts';
import { done, type Outcome, skipped } from '../outcome.ts';
import { READERS } from '../readers.ts';
import { happenedBefore, hear } from '../removal.ts';
import type { Stage } from '../run-stage.ts';
import { sendAlarm } from '../send-output.ts';

export interface DecideDeps {
  database: Database;
  actions: Actions;
  ledger: Ledger;
  brakes: Brakes;
  clock: Clock;
  concurrency: number;
}

/** What a second look at an upload came to: per slice and shard, with the evidence of what was proposed. */
export interface SecondLook {
  results: readonly { alignments: SliceAlignments; evidence: SliceEvidence | null }[];
  /** Where nobody has planned the upload yet. */
  manifest?: Manifest | null;
}

interface Again {
  cause: Verdict['cause'];
  dry: boolean;
  /** Written down in the same transaction, so that whoever is killed after it does not forget what was done. */
  note?: (tx: Queryable, judged: Rejudged) => Promise<void>;
}

export interface Rejudged {
  before: Verdict | null;
  after: Verdict | null;
  /** incomplete: not all results are there, so that nothing is said yet. unknown: nobody has planned it. */
  settled: 'judged' | 'incomplete' | 'deleted' | 'unknown';
}

/** Rolls back what is not to be: a dry run, the row of an upload that nobody has planned. */
class Undone extends Error {}

export const DEADLINE = 'upload-deadline';
/** Kind of the timers that forget what a deleted upload was found to hold. */
export const FORGET = 'forget-upload';
/** Messages on the same media may still be under way in another order: uploaded again at once, the results count. */
const FORGET_MS = 3600 * 1000;

/**
 * The only writer of claims and verdicts. Each result is a row; when the row is new, the upload is judged anew from all
 * its rows, in the transaction that writes the row, the claim, the verdict and the outgoing events.
 */
export function decideUpload({ database, actions, ledger, brakes, clock, concurrency }: DecideDeps) {
  /** Writes one result and judges; `write` says whether it was new, `matters` whether it can change the judgement. */
  async function take(
    { upload, slice }: Pick<SliceAlignments, 'upload' | 'slice'>,
    write: (tx: Queryable) => Promise<boolean>,
    matters: (tx: Queryable, row: UploadRow) => Promise<boolean> = async () => true,
  ): Promise<Outcome> {
    return database.transaction(async (tx) => {
      const row = await lockUpload(tx, upload);
      if (!(await write(tx))) return skipped('known already');
      if (await matters(tx, row)) await settle(tx, row, false, causeOf(row, slice));
      return done();
    });
  }

  /**
   * Most slices have nothing to say. Of those only the last one can complete the judgement, so that an upload of n slices
   * is not judged n times over all of them.
   */
  async function mayDecide(tx: Queryable, { id, manifest, verdict }: UploadRow, { outcome, shards }: SliceAlignments) {
    if (manifest?.outcome.status !== 'planned' || verdict) return true;
    if (outcome.status === 'alignments' && outcome.proposal !== null) return true;
    // Its own layout's results are among these, and it can complete no other's.
    return (await countAlignments(tx, id)) >= manifest.outcome.slices * shards;
  }

  /** Judges one upload inside a transaction that holds its row. */
  async function settle(
    tx: Queryable,
    row: UploadRow,
    deadlinePassed: boolean,
    cause: Verdict['cause'] = causeOf(row),
  ): Promise<void> {
    const { manifest } = row;
    if (!manifest) return;
    const { alignments, evidence } = await resultsOf(tx, row.id);
    const keys = new Map<string, ReferenceKey>();
    for (const e of evidence) {
      if (e.outcome.status !== 'confirmed') continue;
      for (const found of e.outcome.evidence) keys.set(referenceKey(found.reference), found.reference);
    }
    const facts = await referenceFacts(tx, [...keys.values()]);
    // What was deleted before it was judged ends so, once; what had been judged stays as it is.
    if (row.deleted && row.verdict) return;
    const free = judge({
      manifest: row.deleted && row.mediaState === 'shown' ? deleted(manifest) : manifest,
      alignments,
      evidence,
      references: (key) => facts.get(referenceKey(key)) ?? null,
    });
    const final = free.complete || deadlinePassed || row.deleted;
    const now = clock.now();
    const known = await claimsOf(tx, row.id);
    const decisions = await brakes.apply(tx, {
      row,
      claims: known,
      decisions: row.deleted ? [] : final ? free.decisions : free.certain,
      holderOf: (decision) => facts.get(referenceKey(decision.evidence.reference))!.holder,
      alignments,
      final,
    });
    const judged = { ...free, decisions };

    const found = decisions
      .filter(({ action }) => action === 'takedown' || action === 'review')
      .map((decision) => {
        const { work, holder } = facts.get(referenceKey(decision.evidence.reference))!;
        return { decision, work, holder };
      });
    if (found.length > 0) await claimFound(tx, { ledger, row, known, found, final });
    const claims = found.length > 0 ? await claimsOf(tx, row.id) : known;
    const blocked = await alignMedia(tx, { row, claims, actions, ledger, now });
    if (!final) return;

    const verdict = verdictOf(row, manifest, judged, blocked, claims, cause, now);
    if (row.verdict && !differs(row.verdict, verdict)) return;
    const id = await publishVerdict(tx, verdict, manifest.trace);
    await cancelTimer(tx, `${DEADLINE}:${row.id}`);
    if (!judged.complete && !row.deleted) {
      const message = `not all of ${row.id} was judged in time`;
      await sendAlarm(tx, derivedId('ev', id, 'alarm'), { kind: 'incomplete', subject: row.id, message, at: now });
    }
  }

  /** What the platform said and what planning made of it: a new upload, one that is gone, or one that takes others' place. */
  async function takeManifest(manifest: Manifest): Promise<Outcome> {
    const { upload, event } = manifest;
    return database.transaction(async (tx) => {
      const { gone, outdated } = await hear(tx, manifest);
      const ids = [...new Set(event.action === 'deleted' ? gone : [...gone, upload])].sort();
      // All rows before any event: the outbox is locked from the first event on.
      const rows: UploadRow[] = [];
      for (const id of ids) rows.push(await lockUpload(tx, id));
      let isKnown = true;
      for (const row of rows) {
        const changed = gone.includes(row.id)
          ? await forget(tx, row, manifest)
          : await receive(tx, row, outdated ? deleted(manifest) : manifest);
        if (!changed) continue;
        isKnown = false;
        await settle(tx, await lockUpload(tx, row.id), false);
      }
      return isKnown ? skipped('known already') : done();
    });
  }

  async function forget(tx: Queryable, row: UploadRow, manifest: Manifest): Promise<boolean> {
    if (row.deleted) return false;
    if (row.manifest && happenedBefore(manifest.event, row.manifest.event)) return false;
    await markDeleted(tx, row.id);
    await actions.close(tx, row.id, 'deleted');
    const dueAt = clock.now() + FORGET_MS;
    await setTimer(tx, { id: `${FORGET}:${row.id}`, kind: FORGET, dueAt, payload: { upload: row.id } });
    if (!row.manifest) await saveManifest(tx, row.id, deleted(manifest));
    return true;
  }

  async function receive(tx: Queryable, row: UploadRow, manifest: Manifest): Promise<boolean> {
    const gone = manifest.outcome.status === 'rejected' && manifest.outcome.reason === 'deleted';
    if (row.manifest && !row.deleted && happenedBefore(row.manifest.event, manifest.event)) {
      // Uploaded again unchanged; a removal that happened in between may yet be told.
      const { receivedAt, sequencer } = manifest.event;
      const event = { ...row.manifest.event, receivedAt, ...(sequencer ? { sequencer } : {}) };
      await saveManifest(tx, row.id, { ...row.manifest, event });
    }
    // Whoever reads a dead letter again may find what could not be looked at then.
    const atLast = givenUp(row.manifest) && !givenUp(manifest);
    if (row.manifest && (gone || !row.deleted) && !(atLast && !gone)) return false;
    if (gone) await markDeleted(tx, row.id);
    if (row.deleted && !gone) await uploadedAgain(tx, row.id);
    await saveManifest(tx, row.id, manifest);
    const dueAt = manifest.deadline;
    await setTimer(tx, { id: `${DEADLINE}:${row.id}`, kind: DEADLINE, dueAt, payload: { upload: row.id } });
    return true;
  }

  async function uploadedAgain(tx: Queryable, upload: string): Promise<void> {
    await markUploadedAgain(tx, upload);
    const claims = (await claimsOf(tx, upload)).filter((c) => c.reference !== null);
    const keys = claims.map((c) => ({ id: c.reference!, version: c.version! }));
    const facts = await referenceFacts(tx, keys);
    const live = (id: string, version: number) => facts.get(referenceKey({ id, version }))?.live ?? false;
    await dropDisabled(tx, { ledger, upload, live });
  }

  const recordManifest: Stage<Manifest> = {
    ...READERS.manifests,
    concurrency,
    schema: Manifest,
    run: ({ event }: Opened<Manifest>) => takeManifest(event.data),
  };

  const recordSlice: Stage<SliceAlignments> = {
    ...READERS.alignments,
    concurrency,
    schema: SliceAlignments,
    run: ({ event: { data } }) =>
      take(
        data,
        (tx) => recordAlignments(tx, data),
        (tx, row) => mayDecide(tx, row, data),
      ),
  };

  const recordProposal: Stage<SliceEvidence> = {
    ...READERS.evidence,
    concurrency,
    schema: SliceEvidence,
    run: ({ event }) => take(event.data, (tx) => recordEvidence(tx, event.data)),
  };

  /**
   * Judges an upload again, by results of a second look that take the place of those recorded. One transaction: claims, takedowns and
   * at most one further revision, or, of a dry run, nothing. Uploads without a verdict get their first one.
   */
  async function again(upload: string, { results, manifest, cause, dry, note }: SecondLook & Again): Promise<Rejudged> {
    let found: Rejudged | null = null;
    const work = async (tx: Queryable): Promise<void> => {
      const row = await lockUpload(tx, upload);
      if (!row.manifest && manifest) await saveManifest(tx, upload, manifest);
      const heard = row.manifest ?? manifest;
      if (!heard || row.deleted) {
        found = { before: row.verdict, after: row.verdict, settled: row.deleted ? 'deleted' : 'unknown' };
        throw new Undone();
      }
      for (const { alignments, evidence } of results) {
        if (!(await replaceResult(tx, 'slice_alignments', alignments))) continue;
        if (evidence) await replaceResult(tx, 'slice_evidence', evidence);
      }
      await settle(tx, { ...row, manifest: heard }, false, row.verdict ? cause : causeOf(row));
      const { verdict } = await lockUpload(tx, upload);
      found = { before: row.verdict, after: verdict, settled: verdict ? 'judged' : 'incomplete' };
      if (dry) throw new Undone();
      await note?.(tx, found);
    };
    await database.transaction(work).catch((error: unknown) => {
      if (!(error instanceof Undone)) throw error;
    });
    return found!;
  }

  return {
    again,
    stages: { recordManifest, recordSlice, recordProposal },
    handlers: {
      /** The time is up: what is not judged by now goes to a person. */
      async [DEADLINE](tx: Queryable, { upload }: { upload: string }): Promise<void> {
        const row = await lockUpload(tx, upload);
        if (row.verdict === null) await settle(tx, row, true);
      },
      [BRAKE_RELEASED]: releaseHeld(clock, async (tx, upload) => {
        await settle(tx, await lockUpload(tx, upload), false, 'review');
      }),
      async [FORGET](tx: Queryable, { upload }: { upload: string }): Promise<void> {
        const row = await lockUpload(tx, upload);
        if (row.deleted) await forgetResults(tx, upload);
      },
    },
  };
}

function verdictOf(
  row: UploadRow,
  manifest: Manifest,
  judged: Judgement,
  blocked: readonly string[],
  claims: readonly ClaimRow[],
  cause: Verdict['cause'],
  now: number,
): Verdict {
  const planned = manifest.outcome.status === 'planned' ? manifest.outcome : null;
  return {
    upload: row.id,
    media: manifest.event.media,
    kind: planned?.probe.kind ?? null,
    account: manifest.event.account ?? null,
    revision: row.revision + 1,
    cause,
    supersedes: row.revision || null,
    ...standing(judged, blocked, claims),
    decisions: shown(judged.decisions),
    duration: planned?.probe.kind === 'video' ? planned.probe.duration : 0,
    coverage: judged.coverage,
    failures: judged.failures.slice(0, MAX_FAILURES),
    ...(judged.failures.length > MAX_FAILURES ? { failuresInAll: judged.failures.length } : {}),
    engine: ENGINE_VERSION,
    checkpoints: judged.checkpoints,
    receivedAt: manifest.event.receivedAt,
    decidedAt: now,
  };
}

/** @param slice whose result it is that is judged by */
function causeOf({ verdict, revision, manifest }: UploadRow, slice = 0): Verdict['cause'] {
  const planned = manifest?.outcome.status === 'planned' ? manifest.outcome : null;
  const isLate = verdict?.reason?.startsWith(INCOMPLETE) || (planned && isLeft(slice, planned.slices));
  if (verdict) return isLate ? 'late' : 'redelivery';
  return revision === 0 ? 'first' : 're-upload';
}

const givenUp = (manifest: Manifest | null): boolean =>
  manifest?.outcome.status === 'rejected' && manifest.outcome.reason === 'given-up';

/** The manifest of an upload that is gone, whatever was planned. */
function deleted(manifest: Manifest): Manifest {
  return {
    ...manifest,
    outcome: { status: 'rejected', reason: 'deleted', detail: 'the platform deleted or replaced it' },
  };
}

/** Strictest first: what follows these adds nothing that anybody acts on, and an event has to stay small. */
const MOST_DECISIONS = 20;
/** Of all decisions together. An upload that copies many works in many places shows the longest of each; totals count all. */
const MOST_SEGMENTS = 400;

function shown(decisions: readonly Decision[]): Decision[] {
  const named = decisions.slice(0, MOST_DECISIONS);
  const most = Math.floor(MOST_SEGMENTS / named.length);
  return named.map((decision) => {
    const { evidence, ...rest } = slim(decision);
    const longest = evidence.segments.toSorted((a, b) => seconds(b) - seconds(a)).slice(0, most);
    return { ...rest, evidence: { ...evidence, segments: evidence.segments.filter((s) => longest.includes(s)) } };
  });
}

const seconds = ({ upload: [start, end] }: Segment): number => end - start;
