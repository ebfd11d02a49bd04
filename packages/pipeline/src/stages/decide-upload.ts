import {
  actionId,
  type Decision,
  derivedId,
  ENGINE_VERSION,
  Manifest,
  type Opened,
  RADIUS,
  type ReferenceKey,
  referenceKey,
  SliceAlignments,
  SliceEvidence,
  type TakedownEvent,
  TOPICS,
  type Verdict,
} from '@vigil/contracts';
import {
  cancelTimer,
  type Database,
  enqueue,
  lockUpload,
  markDeleted,
  markUploadedAgain,
  openClaim,
  recordAlignments,
  recordEvidence,
  referenceFacts,
  resultsOf,
  saveManifest,
  saveVerdict,
  setMediaState,
  setTimer,
  type UploadRow,
} from '@vigil/database';
import type { Clock, Queryable } from '@vigil/runtime';
import type { Actions } from '../actions.ts';
import { envelopeOf } from '../emit.ts';
import { INCOMPLETE, type Judgement, judge } from '../judgement.ts';
import { done, type Outcome, type Output, skipped } from '../outcome.ts';
import { happenedBefore, hear } from '../removal.ts';
import type { Stage } from '../run-stage.ts';

export interface DecideDeps {
  database: Database;
  actions: Actions;
  clock: Clock;
  concurrency: number;
  /** Called after a transaction wrote to the outbox. */
  published(): void;
}

export const DEADLINE = 'upload-deadline';

/**
 * The only writer of claims and verdicts. Each result is a row; when the row is new, the upload is judged anew from all
 * its rows, in the transaction that writes the row, the claim, the verdict and the outgoing events.
 */
export function decideUpload({ database, actions, clock, concurrency, published }: DecideDeps) {
  /** Writes one result and judges; `write` says whether it was new. */
  async function take(upload: string, write: (tx: Queryable, row: UploadRow) => Promise<boolean>): Promise<Outcome> {
    const what = await database.transaction(async (tx) => {
      const row = await lockUpload(tx, upload);
      if (!(await write(tx, row))) return null;
      return settle(tx, await lockUpload(tx, upload), false);
    });
    if (what === null) return skipped('known already');
    if (what > 0) published();
    return done();
  }

  /** Judges one upload inside a transaction that holds its row. Returns how many events it put into the outbox. */
  async function settle(tx: Queryable, row: UploadRow, deadlinePassed: boolean): Promise<number> {
    const { manifest } = row;
    if (!manifest) return 0;
    const { alignments, evidence } = await resultsOf(tx, row.id);
    const keys = new Map<string, ReferenceKey>();
    for (const e of evidence) {
      if (e.outcome.status !== 'confirmed') continue;
      for (const found of e.outcome.evidence) keys.set(referenceKey(found.reference), found.reference);
    }
    const facts = await referenceFacts(tx, [...keys.values()]);
    // What was deleted before it was judged ends so, once; what had been judged stays as it is.
    if (row.deleted && row.verdict) return 0;
    const judged = judge({
      manifest: row.deleted && row.mediaState === 'shown' ? deleted(manifest) : manifest,
      alignments,
      evidence,
      references: (key) => facts.get(referenceKey(key)) ?? null,
    });
    const final = judged.complete || deadlinePassed || row.deleted;
    const now = clock.now();

    const acting: { decision: Decision; case: string }[] = [];
    for (const decision of final ? judged.decisions : judged.certain) {
      if (decision.action !== 'takedown' && decision.action !== 'review') continue;
      const { work, holder } = facts.get(referenceKey(decision.evidence.reference))!;
      const claim = await openClaim(tx, {
        upload: row.id,
        account: manifest.event.account ?? null,
        work,
        holder,
        decision,
        now,
      });
      if (claim.state === 'open' && decision.action === 'takedown') acting.push({ decision, case: claim.case });
    }

    let sent = 0;
    const send = async (output: Output) => {
      await enqueue(tx, { topic: TOPICS[output.to].name, ...envelopeOf(output, now) });
      sent++;
    };

    let { mediaState } = row;
    const strictest = acting[0];
    if (strictest && mediaState === 'shown' && manifest.outcome.status === 'planned' && !row.deleted) {
      const { work, holder } = facts.get(referenceKey(strictest.decision.evidence.reference))!;
      const takedown = takedownOf(row, manifest, strictest.decision, { work, holder, case: strictest.case }, now);
      await actions.send(tx, takedown);
      sent++;
      mediaState = 'disabled';
      await setMediaState(tx, row.id, mediaState, row.epoch);
    }
    if (!final) return sent;

    const verdict = verdictOf(row, manifest, judged, mediaState, now);
    if (row.verdict && !differs(row.verdict, verdict)) return sent;
    await saveVerdict(tx, verdict);
    await cancelTimer(tx, `${DEADLINE}:${row.id}`);
    const id = derivedId('ev', row.id, 'verdict', verdict.revision);
    await send({ to: 'verdicts', key: row.id, id, type: 'vigil.upload.judged', data: verdict });
    if (!judged.complete && !row.deleted) {
      const message = `not all of ${row.id} was judged in time`;
      const alarm = { kind: 'incomplete', subject: row.id, message, at: now };
      await send({ to: 'alarms', key: row.id, id: derivedId('ev', id, 'alarm'), type: 'vigil.alarm', data: alarm });
    }
    return sent;
  }

  /** What the platform said and what planning made of it: a new upload, one that is gone, or one that takes others' place. */
  async function takeManifest(manifest: Manifest): Promise<Outcome> {
    const { upload, event } = manifest;
    const what = await database.transaction(async (tx) => {
      const { gone, outdated } = await hear(tx, manifest);
      const ids = [...new Set(event.action === 'deleted' ? gone : [...gone, upload])].sort();
      // All rows before any event: the outbox is locked from the first event on.
      const rows: UploadRow[] = [];
      for (const id of ids) rows.push(await lockUpload(tx, id));
      let sent: number | null = null;
      for (const row of rows) {
        const changed = gone.includes(row.id)
          ? await forget(tx, row, manifest)
          : await receive(tx, row, outdated ? deleted(manifest) : manifest);
        if (changed) sent = (sent ?? 0) + (await settle(tx, await lockUpload(tx, row.id), false));
      }
      return sent;
    });
    if (what === null) return skipped('known already');
    if (what > 0) published();
    return done();
  }

  async function forget(tx: Queryable, row: UploadRow, manifest: Manifest): Promise<boolean> {
    if (row.deleted) return false;
    if (row.manifest && happenedBefore(manifest.event, row.manifest.event)) return false;
    await markDeleted(tx, row.id);
    await actions.close(tx, row.id, 'deleted');
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
    if (row.manifest && (gone || !row.deleted)) return false;
    if (gone) await markDeleted(tx, row.id);
    if (row.deleted && !gone) await markUploadedAgain(tx, row.id);
    await saveManifest(tx, row.id, manifest);
    const dueAt = manifest.deadline;
    await setTimer(tx, { id: `${DEADLINE}:${row.id}`, kind: DEADLINE, dueAt, payload: { upload: row.id } });
    return true;
  }

  const recordManifest: Stage<Manifest> = {
    name: 'decide-manifest',
    group: 'decide-manifests',
    consumes: ['manifests'],
    concurrency,
    schema: Manifest,
    run: ({ event }: Opened<Manifest>) => takeManifest(event.data),
  };

  const recordSlice: Stage<SliceAlignments> = {
    name: 'decide-alignments',
    group: 'decide-alignments',
    consumes: ['alignments'],
    concurrency,
    schema: SliceAlignments,
    run: ({ event }) => take(event.data.upload, (tx) => recordAlignments(tx, event.data)),
  };

  const recordProposal: Stage<SliceEvidence> = {
    name: 'decide-evidence',
    group: 'decide-evidence',
    consumes: ['evidence'],
    concurrency,
    schema: SliceEvidence,
    run: ({ event }) => take(event.data.upload, (tx) => recordEvidence(tx, event.data)),
  };

  return {
    stages: { recordManifest, recordSlice, recordProposal },
    /** The time is up: what is not judged by now goes to a person. */
    async deadline(tx: Queryable, upload: string): Promise<void> {
      const row = await lockUpload(tx, upload);
      if (row.verdict === null) await settle(tx, row, true);
    },
  };
}

function verdictOf(row: UploadRow, manifest: Manifest, judged: Judgement, mediaState: string, now: number): Verdict {
  const planned = manifest.outcome.status === 'planned' ? manifest.outcome : null;
  return {
    upload: row.id,
    media: manifest.event.media,
    kind: planned?.probe.kind ?? null,
    account: manifest.event.account ?? null,
    revision: row.revision + 1,
    cause: causeOf(row),
    supersedes: row.revision || null,
    // What is down stays down until its claims are settled, whatever a later look says.
    verdict: mediaState === 'disabled' ? 'taken-down' : judged.verdict,
    reason: mediaState === 'disabled' ? null : judged.reason,
    decisions: judged.decisions.slice(0, MOST_DECISIONS).map(slim),
    duration: planned?.probe.kind === 'video' ? planned.probe.duration : 0,
    coverage: judged.coverage,
    failures: judged.failures,
    engine: ENGINE_VERSION,
    checkpoints: judged.checkpoints,
    receivedAt: manifest.event.receivedAt,
    decidedAt: now,
  };
}

function causeOf({ verdict, revision }: UploadRow): Verdict['cause'] {
  if (verdict) return verdict.reason?.startsWith(INCOMPLETE) ? 'late' : 'redelivery';
  return revision === 0 ? 'first' : 're-upload';
}

/** The manifest of an upload that is gone, whatever was planned. */
function deleted(manifest: Manifest): Manifest {
  return {
    ...manifest,
    outcome: { status: 'rejected', reason: 'deleted', detail: 'the platform deleted or replaced it' },
  };
}

/** Strictest first: what follows these adds nothing that anybody acts on, and an event has to stay small. */
const MOST_DECISIONS = 20;

/** Without the pictures of each segment, which only joining needs; claims keep them. */
function slim(decision: Decision): Decision {
  const segments = decision.evidence.segments.map(({ pictures: _, ...segment }) => segment);
  return { ...decision, evidence: { ...decision.evidence, segments } };
}

/** A revision is written only when something is said differently. */
function differs(a: Verdict, b: Verdict): boolean {
  const said = (v: Verdict) =>
    JSON.stringify([
      v.verdict,
      v.reason,
      v.decisions.map((d) => `${referenceKey(d.evidence.reference)}=${d.action}`).sort(),
    ]);
  return said(a) !== said(b);
}

function takedownOf(
  row: UploadRow,
  manifest: Manifest,
  decision: Decision,
  owner: { work: string; holder: string; case: string },
  now: number,
): TakedownEvent {
  const { evidence } = decision;
  const planned = manifest.outcome.status === 'planned' ? manifest.outcome : null;
  const { media } = manifest.event;
  return {
    id: actionId(row.id, media.version, 'takedown', row.epoch),
    action: 'takedown',
    upload: row.id,
    media,
    kind: planned!.probe.kind,
    account: manifest.event.account ?? null,
    reference: evidence.reference,
    ...owner,
    territories: decision.territories,
    segments: slim(decision).evidence.segments,
    longest: evidence.longest,
    total: evidence.total,
    share: evidence.share,
    altered: evidence.altered,
    codeKind: evidence.kind,
    radius: RADIUS,
    confidence: evidence.confidence,
    manifest: decision.manifest,
    rule: decision.rule,
    policy: decision.policy,
    ground: 'rights-holder-rule',
    automatedDetection: true,
    automatedDecision: true,
    epoch: row.epoch,
    attempt: 1,
    supersedes: null,
    engine: ENGINE_VERSION,
    latency: { receivedAt: manifest.event.receivedAt, decidedAt: now },
  };
}
