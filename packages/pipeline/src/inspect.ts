import { type Step, sliceName, type Verdict } from '@vigil/contracts';
import {
  acknowledgementsOf,
  actionsOf,
  type Database,
  findUpload,
  listReferences,
  publishedEvents,
  resultsOf,
  verdictsOf,
} from '@vigil/database';
import { type Clock, parseTraceparent } from '@vigil/runtime';
import type { SimilarityIndex } from '@vigil/similarity';
import { type Environment, REACHABLE } from './environment.ts';

export interface ReferenceView {
  id: string;
  version: number;
  work: string;
  title: string;
  holder: string;
  kind: 'image' | 'video' | null;
  duration: number | null;
  state: string;
  reason: string | null;
}

export interface UploadView {
  upload: string;
  /** Null while it is being judged. */
  verdict: Verdict | null;
  mediaState: 'shown' | 'disabled';
  revisions: number;
}

export interface TraceView {
  upload: string;
  /** Its id in whatever collects spans; null of uploads that were planned before there were traces. */
  trace: string | null;
  receivedAt: number;
  /** In order of time; `part` names the slice (and shard) that a step was about, '' for the whole upload. */
  steps: (Step & { part: string })[];
}

export interface Health {
  ready: boolean;
  checks: Record<string, string>;
  library: ReturnType<SimilarityIndex['stats']>;
}

/** What can be asked of a running instance. */
export interface Inspect {
  references(): Promise<ReferenceView[]>;
  upload(id: string): Promise<UploadView | null>;
  /** Every step that an upload took; null when it was never heard of. */
  trace(id: string): Promise<TraceView | null>;
  health(): Promise<Health>;
}

export function createInspect(deps: {
  database: Database;
  environment: Pick<Environment, 'checks'>;
  index: SimilarityIndex;
  clock: Clock;
}): Inspect {
  const { database, environment, index, clock } = deps;
  const db = database.postgres;
  return {
    references: () => listReferences(db),

    async upload(id) {
      const row = await findUpload(db, id);
      if (!row) return null;
      return { upload: id, verdict: row.verdict, mediaState: row.mediaState, revisions: row.verdict?.revision ?? 0 };
    },

    async trace(id) {
      const row = await findUpload(db, id);
      if (!row) return null;
      const { alignments, evidence } = await resultsOf(db, id);
      const steps: TraceView['steps'] = [];
      const planned = row.manifest?.outcome;
      const slices = planned?.status === 'planned' ? planned.slices : Number.POSITIVE_INFINITY;
      const add = (part: string, list: readonly Step[]) => {
        for (const step of list) steps.push({ ...step, part });
      };
      add('', row.manifest?.steps ?? []);
      for (const a of alignments)
        add(
          sliceName(a.slice, slices),
          a.steps.filter((s) => s.stage !== 'plan'),
        );
      for (const e of evidence)
        add(
          sliceName(e.slice, slices),
          e.steps.filter((s) => s.stage === 'confirm'),
        );
      for (const v of await verdictsOf(db, id)) {
        const note = [v.reason, ...v.decisions.map((d) => `${d.action} by ${d.rule} (${d.evidence.reference.id})`)];
        const outcome = `${v.verdict}, revision ${v.revision} (${v.cause})`;
        add('', [
          {
            stage: 'decide',
            startedAt: v.decidedAt,
            endedAt: v.decidedAt,
            outcome,
            note: note.filter(Boolean).join('; '),
          },
        ]);
      }
      for (const e of await publishedEvents(db, id)) {
        add('', [
          {
            stage: 'publish',
            startedAt: e.createdAt,
            endedAt: e.publishedAt ?? clock.now(),
            outcome: e.publishedAt ? e.topic : 'waiting',
            note: e.type,
          },
        ]);
      }
      for (const action of await actionsOf(db, id)) {
        const stage = 'acknowledge';
        const words = await acknowledgementsOf(db, action.id);
        for (const { surface, status, at, note, recordedAt } of words) {
          const by = `by its own clock ${new Date(at).toISOString()}`;
          const more = { outcome: status, note: [note, by].filter(Boolean).join('; ') };
          add(surface, [{ stage, startedAt: recordedAt, endedAt: recordedAt, ...more }]);
        }
        const sent = `${action.action} ${action.id}, sent ${action.attempts === 1 ? 'once' : `${action.attempts} times`}`;
        if (action.closedAt !== null) {
          const outcome = `closed (${action.closedWhy})`;
          add('', [{ stage, startedAt: action.sentAt, endedAt: action.closedAt, outcome, note: sent }]);
        } else {
          const waits = action.surfaces.filter((s) => !words.some((w) => w.surface === s && w.status === 'done'));
          const outcome = `waits for ${waits.join(', ')}`;
          add('', [{ stage, startedAt: action.sentAt, endedAt: clock.now(), outcome, note: sent }]);
        }
      }
      steps.sort((a, b) => a.startedAt - b.startedAt || a.endedAt - b.endedAt);
      const trace = parseTraceparent(row.manifest?.trace)?.traceId ?? null;
      return { upload: id, trace, receivedAt: row.manifest?.event.receivedAt ?? steps[0]?.startedAt ?? 0, steps };
    },

    async health() {
      const checks = await environment.checks();
      return { ready: Object.values(checks).every((c) => c === REACHABLE), checks, library: index.stats() };
    },
  };
}
