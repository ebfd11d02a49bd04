import { DEFAULT_TERMS, type Terms } from '@vigil/cases';
import {
  Alarm,
  type Alignment,
  codeToHex,
  type Evidence,
  type Manifest,
  openEnvelope,
  type SliceAlignments,
  type SliceEvidence,
  TakedownEvent,
  Verdict,
} from '@vigil/contracts';
import {
  type Database,
  markSlicesLoaded,
  planReference,
  registerReference,
  relayBatch,
  savePolicy,
} from '@vigil/database';
import type { BrakeLimits } from '@vigil/decision';
import { createFakeClock, createLogger } from '@vigil/runtime';
import { decideUpload } from '../stages/decide-upload.ts';
import { looseBrakes } from '../testing.ts';
import { takeTimers } from '../timers.ts';
import { createWitnesses } from '../watching/witnesses.ts';
import { createActions } from './actions.ts';
import { createBrakes } from './brakes.ts';
import { createCases } from './cases.ts';
import { createLedger } from './ledger.ts';

/** 14 November 2029, a Wednesday. */
export const START = Date.parse('2029-11-14T17:00:00Z');
export const DAY = 24 * 3600 * 1000;

/**
 * Uploads, references and claims on a real database, for tests. Faked: time, and the results that other stages would have sent.
 */
export function openCaseBench(database: Database, limits?: BrakeLimits, more: Partial<Terms> = {}) {
  const clock = createFakeClock(START);
  const terms = { ...DEFAULT_TERMS, ...more };
  const actions = createActions({ clock, settings: { surfaces: [], deadlineSeconds: 600, resendSeconds: [30] } });
  const ledger = createLedger({ now: clock.now, terms });
  const cases = createCases({ database, actions, ledger, clock, terms });
  const brakes = limits ? createBrakes({ database, clock, limits }) : looseBrakes(database, clock);
  const witnesses = createWitnesses({ database, brakes, clock });
  const decide = decideUpload({ database, actions, ledger, brakes, clock, concurrency: 1 });
  const handlers = {
    ...actions.handlers,
    ...cases.handlers,
    ...decide.handlers,
    ...witnesses.handlers,
  };
  const timers = { database, clock, logger: createLogger({ level: 'silent' }), handlers };
  const never = new AbortController().signal;
  const run = <T>(stage: { run(input: never, signal: AbortSignal, alive: () => void): unknown }, data: T) =>
    stage.run(
      { event: { id: 'e', type: 't', source: 's', subject: 'x', time: 0, data }, codes: null } as never,
      never,
      () => undefined,
    );
  const mediaOf = (upload: string) => ({ source: 's', bucket: 'b', key: upload, version: 'v1' });

  const say = (
    upload: string,
    {
      account = 'acc' as string | null,
      action = 'created' as Manifest['event']['action'],
      slices = 1,
      duration = null as number | null,
      receivedAt = clock.now(),
    } = {},
  ) =>
    run<Manifest>(decide.stages.recordManifest, {
      upload,
      event: { action, media: mediaOf(upload), ...(account ? { account } : {}), visibility: 'public', receivedAt },
      outcome:
        action === 'deleted'
          ? { status: 'rejected', reason: 'deleted', detail: 'x' }
          : {
              status: 'planned',
              probe: {
                ...{
                  kind: 'video',
                  format: 'mp4',
                  codec: 'h264',
                  width: 640,
                  height: 360,
                  duration: duration ?? 30 * slices,
                },
                ...{ startTime: 0, frameRate: 25, size: 1, notes: [] },
              },
              slices,
              shards: 1,
              epoch: 0,
            },
      deadline: clock.now() + 3600_000,
      steps: [],
    });

  return {
    database,
    clock,
    cases,
    brakes,
    witnesses,
    say,

    async reference(
      id: string,
      more: { work?: string; holder?: string; territories?: string[]; version?: number } = {},
    ): Promise<void> {
      const { work = `work_${id}`, holder = 'h', territories, version = 1 } = more;
      const reference = { id, version };
      const media = { source: 't', bucket: 'references', key: id, version: '' };
      await registerReference(database.postgres, { reference, work, title: 't', holder, media, now: 1 });
      await planReference(database.postgres, reference, { kind: 'video', duration: 600, slices: 1 });
      const replica = { shards: 1, shard: 0, replica: 'r' };
      const slice = { reference, slice: 0, slices: 1, usable: 9, failed: null };
      await markSlicesLoaded(database.postgres, replica, [slice]);
      if (!territories) return;
      const policy = { id: `policy_${id}`, version: 1, territories, minContiguousSeconds: 4, minUploadShare: 0.6 };
      const rest = {
        onManifest: 'takedown',
        onPossible: 'review',
        onStill: 'monitor',
        excluded: [],
        contested: [],
        allowlist: [],
      } as const;
      await savePolicy(
        database.postgres,
        { ...policy, ...rest, excluded: [], contested: [], allowlist: [], minCoverage: 0.9 },
        { holder, work, reference: id },
      );
    },

    /**
     * What the slices of an upload were found to copy, judged at once: `seconds` of a film, 20 of them are manifest, which begin `from`
     * in it, and `at` in the upload. `code`: what the upload shows there.
     */
    async found(
      upload: string,
      found: readonly {
        reference: string;
        seconds?: number;
        from?: number;
        at?: number;
        code?: string;
        version?: number;
      }[],
      checkpoint = 1,
    ): Promise<void> {
      const proposal = found.length > 0 ? `pr_${upload}_${checkpoint}` : null;
      await run<SliceAlignments>(decide.stages.recordSlice, {
        ...{
          upload,
          slice: 0,
          shards: 1,
          shard: 0,
          span: [0, 30],
          checkpoint,
          frames: { seen: 10, usable: 10 },
          steps: [],
        },
        outcome: proposal
          ? { status: 'alignments', alignments: found.flatMap(hitOf), proposal }
          : { status: 'nothing', why: 'x' },
      });
      if (!proposal) return;
      const evidence = found.map(({ reference, seconds = 20, from = 100, at = 0, version = 1 }) =>
        copied({ id: reference, version }, seconds, from, at),
      );
      const outcome: SliceEvidence['outcome'] = { status: 'confirmed', evidence };
      await run<SliceEvidence>(decide.stages.recordProposal, {
        proposal,
        upload,
        slice: 0,
        shards: 1,
        shard: 0,
        checkpoint,
        outcome,
        steps: [],
      });
    },

    /** Lets milliseconds go by, likewise. */
    async pass(ms: number): Promise<void> {
      await clock.advance(ms);
      while ((await takeTimers(timers)) > 0);
    },

    /** Lets days go by, and all timers that become due on the way do their work. */
    async wait(days: number): Promise<void> {
      await clock.advance(days * DAY);
      while ((await takeTimers(timers)) > 0);
    },

    /** Everything that went out since the last call, in order. */
    async sent() {
      const out = { actions: [] as TakedownEvent[], verdicts: [] as Verdict[], alarms: [] as Alarm[] };
      const take: Parameters<typeof relayBatch>[2] = async (records) => {
        for (const record of records) {
          if (record.topic === 'vigil.takedowns') out.actions.push(openEnvelope(TakedownEvent, record).event.data);
          if (record.topic === 'vigil.verdicts') out.verdicts.push(openEnvelope(Verdict, record).event.data);
          if (record.topic === 'vigil.alarms') out.alarms.push(openEnvelope(Alarm, record).event.data);
        }
      };
      while ((await relayBatch(database, 100, take)) > 0);
      return out;
    },
  };
}
export type CaseBench = ReturnType<typeof openCaseBench>;

function hitOf({ reference, from = 100, code }: { reference: string; from?: number; code?: string }): Alignment[] {
  if (!code) return [];
  return [
    {
      ...{ reference: { id: reference, version: 1 }, kind: 'picture', referenceMedia: 'video', altered: {} },
      ...{ offset: from, speed: 1, frames: 1, hits: [{ at: 0, ref: from, distance: 9, quality: 100, code }] },
    },
  ];
}

function copied(reference: Evidence['reference'], seconds: number, from: number, at: number): Evidence {
  const code = (i: number) => codeToHex(new Uint8Array(32).map((_, k) => (k * 37 + i * 101 + k * i * 13) & 255));
  return {
    reference,
    referenceMedia: 'video',
    kind: 'picture',
    altered: {},
    segments: [
      {
        upload: [at, at + seconds],
        reference: [from, from + seconds],
        offset: from - at,
        speed: 1,
        frames: { matched: 2 * seconds, eligible: 2 * seconds },
        distance: { mean: 10, worst: 20 },
        distinct: 8,
        pictures: Array.from({ length: 8 }, (_, i) => ({ at: at + (i * seconds) / 8, code: code(i) })),
        timed: true,
      },
    ],
    longest: seconds,
    total: seconds,
    share: { upload: seconds / 30, reference: seconds / 600 },
    confidence: 0.99,
  };
}
