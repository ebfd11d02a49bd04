/** Every way to a verdict, on one database and with one upload; what they share is most of it. */
import { DEFAULT_TERMS } from '@vigil/cases';
import {
  codeToHex,
  type Evidence,
  leftOf,
  MAX_FAILURES,
  MAX_SLICES,
  type Manifest,
  type Opened,
  openEnvelope,
  type SliceAlignments,
  type SliceEvidence,
  TakedownEvent,
  TOPICS,
  Verdict,
} from '@vigil/contracts';
import {
  actionsOf,
  type Database,
  disableReference,
  findUpload,
  markSlicesLoaded,
  planReference,
  registerReference,
  relayBatch,
} from '@vigil/database';
import { checkRecord } from '@vigil/event-log';
import { createFakeClock } from '@vigil/runtime';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openTestDatabase } from '../../../../test/support/postgres.ts';
import { createActions } from '../claims/actions.ts';
import { createLedger } from '../claims/ledger.ts';
import { looseBrakes } from '../testing.ts';
import { DEADLINE, decideUpload } from './decide-upload.ts';

/** Real: the database. Faked: time, and the results that other stages would have sent. */
describe('decide', () => {
  let database: Database;
  let reference: { id: string; version: number };
  let upload: string;
  let n = 0;
  const clock = createFakeClock();
  const ledger = createLedger({ now: clock.now, terms: DEFAULT_TERMS });
  let decide: ReturnType<typeof decideUpload>;
  const never = new AbortController().signal;

  beforeAll(async () => {
    database = await openTestDatabase();
    const actions = createActions({ clock, settings: { surfaces: [], deadlineSeconds: 600, resendSeconds: [30] } });
    const brakes = looseBrakes(database, clock);
    decide = decideUpload({ database, actions, ledger, brakes, clock, concurrency: 1 });
  });
  afterAll(() => database[Symbol.asyncDispose]());
  beforeEach(async () => {
    n++;
    upload = `up_${n}`;
    reference = { id: `ref_${n}`, version: 1 };
    await makeLive(reference);
    await sent();
  });

  async function makeLive(key: { id: string; version: number }): Promise<void> {
    const media = { source: 't', bucket: 'references', key: key.id, version: '' };
    await registerReference(database.postgres, {
      reference: key,
      work: `work_${key.id}`,
      title: 't',
      holder: 'h',
      media,
      now: 1,
    });
    await planReference(database.postgres, key, { kind: 'video', duration: 600, slices: 1 });
    const replica = { shards: 1, shard: 0, replica: 'r' };
    await markSlicesLoaded(database.postgres, replica, [
      { reference: key, slice: 0, slices: 1, usable: 9, failed: null },
    ]);
  }

  const opened = <T>(data: T): Opened<T> => ({
    event: { id: `ev_${Math.random()}`, type: 't', source: 's', subject: 'x', time: 0, data },
    codes: null,
  });
  const planned = (slices: number, more: Partial<Manifest> = {}, shards = 1) =>
    decide.stages.recordManifest.run(
      opened<Manifest>({
        upload,
        event: {
          action: 'created',
          media: { source: 's', bucket: 'b', key: upload, version: 'v1' },
          visibility: 'public',
          receivedAt: 5,
        },
        outcome: {
          status: 'planned',
          probe: {
            kind: 'video',
            format: 'mp4',
            codec: 'h264',
            width: 640,
            height: 360,
            duration: slices * 30,
            startTime: 0,
            frameRate: 25,
            size: 1,
            notes: [],
          },
          slices,
          shards,
          epoch: 0,
        },
        deadline: clock.now() + 1000,
        steps: [],
        ...more,
      }),
      never,
    );
  const aligned = (slice: number, outcome: SliceAlignments['outcome'], checkpoint = 1) =>
    decide.stages.recordSlice.run(
      opened<SliceAlignments>({
        upload,
        slice,
        shards: 1,
        shard: 0,
        span: [slice * 30, slice * 30 + 30],
        checkpoint,
        outcome,
        frames: { seen: 10, usable: 10 },
        steps: [],
      }),
      never,
    );
  const nothing = { status: 'nothing', why: 'nothing alike' } as const;
  const proposes = (id: string): SliceAlignments['outcome'] => ({ status: 'alignments', alignments: [], proposal: id });
  const confirmed = (slice: number, proposal: string, evidence: Evidence[], checkpoint = 1) =>
    decide.stages.recordProposal.run(
      opened<SliceEvidence>({
        proposal,
        upload,
        slice,
        shards: 1,
        shard: 0,
        checkpoint,
        outcome: evidence.length > 0 ? { status: 'confirmed', evidence } : { status: 'nothing', why: 'does not hold' },
        steps: [],
      }),
      never,
    );

  /** Evidence of a film that was followed for `seconds` from the start of a slice. */
  function copied(slice: number, seconds: number, of = reference): Evidence {
    const start = slice * 30;
    const code = (i: number) => codeToHex(new Uint8Array(32).map((_, k) => (k * 37 + i * 101 + k * i * 13) & 255));
    const pictures = Array.from({ length: 8 }, (_, i) => ({ at: start + i, code: code(i) }));
    return {
      reference: of,
      referenceMedia: 'video',
      kind: 'picture',
      altered: {},
      segments: [
        {
          upload: [start, start + seconds],
          reference: [start + 100, start + 100 + seconds],
          offset: 100,
          speed: 1,
          frames: { matched: 2 * seconds, eligible: 2 * seconds },
          distance: { mean: 10, worst: 20 },
          distinct: 8,
          pictures,
          timed: true,
        },
      ],
      longest: seconds,
      total: seconds,
      share: { upload: seconds / 30, reference: seconds / 600 },
      confidence: 0.99,
    };
  }

  async function sent() {
    const found = { takedowns: [] as TakedownEvent[], verdicts: [] as Verdict[], alarms: 0 };
    const take = (topic: string, record: Parameters<typeof openEnvelope>[1]) => {
      checkRecord({ topic, ...record }, { maxBytes: TOPICS.takedowns.maxBytes });
      if (topic === 'vigil.takedowns') found.takedowns.push(openEnvelope(TakedownEvent, record).event.data);
      else if (topic === 'vigil.verdicts') found.verdicts.push(openEnvelope(Verdict, record).event.data);
      else if (topic === 'vigil.alarms') found.alarms++;
    };
    const takeAll = async (events: Parameters<Parameters<typeof relayBatch>[2]>[0]) => {
      for (const e of events) take(e.topic, e);
    };
    while ((await relayBatch(database, 100, takeAll)) > 0);
    return found;
  }

  test('waits for every slice and proposal, then clears once', async () => {
    await aligned(1, nothing);
    await planned(2);
    await aligned(0, proposes('pr'));
    expect(await sent()).toEqual({ takedowns: [], verdicts: [], alarms: 0 });
    await confirmed(0, 'pr', []);
    expect((await sent()).verdicts).toMatchObject([
      { upload, revision: 1, cause: 'first', verdict: 'cleared', coverage: 1 },
    ]);
    expect(await confirmed(0, 'pr', [])).toEqual({ kind: 'skipped', reason: 'known already' });
    expect((await sent()).verdicts).toEqual([]);
  });

  test('what could not be looked at is rejected, and judged once somebody could', async () => {
    await planned(1, { outcome: { status: 'rejected', reason: 'given-up', detail: 'no luck' } });
    expect((await sent()).verdicts).toMatchObject([{ revision: 1, verdict: 'rejected', reason: 'given-up' }]);
    await planned(1);
    expect(await planned(1)).toEqual({ kind: 'skipped', reason: 'known already' });
    await aligned(0, nothing);
    expect((await sent()).verdicts).toMatchObject([{ revision: 2, verdict: 'cleared', supersedes: 1 }]);
    await planned(1, { outcome: { status: 'rejected', reason: 'given-up', detail: 'no luck' } });
    expect((await sent()).verdicts).toEqual([]);
  });

  test('the last of the slices that have nothing to say completes the judgement, also after the evidence', async () => {
    await planned(3);
    await aligned(0, nothing);
    await confirmed(1, 'pr', []);
    await aligned(1, proposes('pr'));
    expect((await sent()).verdicts).toEqual([]);
    await aligned(2, nothing);
    expect((await sent()).verdicts).toMatchObject([{ revision: 1, verdict: 'cleared', coverage: 1 }]);
  });

  test('takes down before the rest is seen, once; the verdict waits for the rest', async () => {
    await planned(3);
    await aligned(2, proposes('pr2'));
    await confirmed(2, 'pr2', [copied(2, 20)]);
    const early = await sent();
    expect(early.verdicts).toEqual([]);
    expect(early.takedowns).toMatchObject([
      { upload, action: 'takedown', reference, epoch: 0, attempt: 1, manifest: true, longest: 20 },
    ]);
    await aligned(0, proposes('pr0'));
    await confirmed(0, 'pr0', [copied(0, 30)]);
    await aligned(1, nothing);
    const late = await sent();
    expect(late.takedowns).toEqual([]);
    expect(late.verdicts).toMatchObject([{ verdict: 'taken-down', revision: 1 }]);
  });

  test('judged again by a second look: shown without a trace, then one further revision, and no second time', async () => {
    await planned(2);
    await aligned(0, nothing, 7);
    await aligned(1, nothing, 7);
    expect((await sent()).verdicts).toMatchObject([{ revision: 1, verdict: 'cleared' }]);
    const shared = { upload, slice: 0, shards: 1, shard: 0, steps: [] };
    // Of the same checkpoint: the look before was wrong.
    const seen = (checkpoint: number) => ({
      alignments: {
        ...shared,
        span: [0, 30] as [number, number],
        checkpoint,
        outcome: proposes('pr'),
        frames: { seen: 9, usable: 9 },
      },
      evidence: {
        ...shared,
        proposal: 'pr',
        checkpoint,
        outcome: { status: 'confirmed' as const, evidence: [copied(0, 30)] },
      },
    });
    const noted: (string | undefined)[] = [];
    const again = (checkpoint: number, dry: boolean) =>
      decide.again(upload, {
        ...{ results: [seen(checkpoint)], cause: 'replay', dry },
        note: async (_tx, { after }) => void noted.push(after?.verdict),
      });
    expect(await again(6, false)).toMatchObject({ before: { revision: 1 }, after: { revision: 1 } });
    expect(await again(7, true)).toMatchObject({
      settled: 'judged',
      before: { revision: 1 },
      after: { verdict: 'taken-down' },
    });
    expect(await sent()).toEqual({ takedowns: [], verdicts: [], alarms: 0 });

    await again(7, false);
    const applied = await sent();
    expect(applied.verdicts).toMatchObject([{ revision: 2, supersedes: 1, cause: 'replay', verdict: 'taken-down' }]);
    expect(applied.takedowns).toMatchObject([{ upload, reference, epoch: 0 }]);
    await again(7, false);
    expect(await sent()).toEqual({ takedowns: [], verdicts: [], alarms: 0 });
    expect(noted).toEqual(['cleared', 'taken-down', 'taken-down']);
    expect((await decide.again('up_nobody', { results: [], cause: 'replay', dry: false })).settled).toBe('unknown');
    expect(await findUpload(database.postgres, 'up_nobody')).toBeNull();
  });

  test('a takedown and the action that waits for its acknowledgements are written together, or not at all', async () => {
    const settings = { surfaces: ['web'], deadlineSeconds: 600, resendSeconds: [30] };
    const waiting = createActions({ clock, settings });
    const first = decide;
    const failing = {
      ...waiting,
      send: async (...given: Parameters<typeof waiting.send>) => {
        await waiting.send(...given);
        throw new Error('killed');
      },
    };
    const deps = {
      database,
      ledger,
      brakes: looseBrakes(database, clock),
      clock,
      concurrency: 1,
    };
    await planned(1);
    await aligned(0, proposes('pr'));
    decide = decideUpload({ ...deps, actions: failing });
    await expect(confirmed(0, 'pr', [copied(0, 30)])).rejects.toThrow('killed');
    expect(await actionsOf(database.postgres, upload)).toEqual([]);
    expect(await sent()).toMatchObject({ takedowns: [], verdicts: [] });
    decide = decideUpload({ ...deps, actions: waiting });
    await confirmed(0, 'pr', [copied(0, 30)]);
    decide = first;
    const { takedowns } = await sent();
    expect(takedowns).toHaveLength(1);
    expect(await actionsOf(database.postgres, upload)).toMatchObject([
      { id: takedowns[0]!.id, event: takedowns[0], surfaces: ['web'], attempts: 1, closedAt: null },
    ]);
  });

  test('from the instant that a reference is disabled nothing is taken down by it', async () => {
    await planned(1);
    await aligned(0, proposes('pr'));
    await disableReference(database.postgres, reference, 'a mistake', 9);
    await confirmed(0, 'pr', [copied(0, 30)]);
    const { takedowns, verdicts } = await sent();
    expect(takedowns).toEqual([]);
    expect(verdicts).toMatchObject([{ verdict: 'cleared' }]);
  });

  test('a later checkpoint gives a second revision, and what is down is not taken down twice', async () => {
    await planned(1);
    await aligned(0, nothing, 1);
    await aligned(0, proposes('newer'), 2);
    await confirmed(0, 'newer', [copied(0, 30)], 2);
    const first = await sent();
    expect(first.verdicts.map((v) => [v.revision, v.verdict, v.supersedes])).toEqual([
      [1, 'cleared', null],
      [2, 'taken-down', 1],
    ]);
    expect(first.takedowns.length).toBe(1);
    const other = { id: `${reference.id}_other`, version: 1 };
    await makeLive(other);
    await aligned(0, proposes('newest'), 3);
    await confirmed(0, 'newest', [copied(0, 30), copied(0, 30, other)], 3);
    const second = await sent();
    expect(second.takedowns).toEqual([]);
    expect(second.verdicts).toMatchObject([{ revision: 3, verdict: 'taken-down' }]);
    expect(second.verdicts[0]!.decisions.map((d) => d.evidence.reference.id).sort()).toEqual([reference.id, other.id]);
  });

  test('another work in what was left of a slice is a revision of its own, and nothing new in it is none', async () => {
    await planned(1);
    await aligned(0, proposes('first'));
    await confirmed(0, 'first', [copied(0, 12)]);
    expect((await sent()).verdicts).toMatchObject([{ revision: 1, verdict: 'taken-down', cause: 'first' }]);
    const other = { id: `${reference.id}_other`, version: 1 };
    await makeLive(other);
    await aligned(leftOf(0, 1), proposes('left'));
    expect((await sent()).verdicts).toEqual([]);
    await confirmed(leftOf(0, 1), 'left', [copied(0, 12, other)]);
    const { verdicts } = await sent();
    expect(verdicts).toMatchObject([{ revision: 2, verdict: 'taken-down', cause: 'late', coverage: 1 }]);
    expect(verdicts[0]!.decisions.map((d) => d.evidence.reference.id).sort()).toEqual([reference.id, other.id]);
    upload = `${upload}_second`;
    await planned(1);
    await aligned(0, proposes('one'));
    await confirmed(0, 'one', [copied(0, 12)]);
    await sent();
    await aligned(leftOf(0, 1), nothing);
    expect((await sent()).verdicts).toEqual([]);
  });

  test('an earlier result that comes late changes nothing', async () => {
    await planned(1);
    await aligned(0, proposes('newer'), 2);
    await confirmed(0, 'newer', [copied(0, 30)], 2);
    await sent();
    expect(await aligned(0, nothing, 1)).toEqual({ kind: 'skipped', reason: 'known already' });
    expect((await sent()).verdicts).toEqual([]);
  });

  test('at the deadline what was not judged goes to a person, with an alarm; later results revise that', async () => {
    await planned(2);
    await aligned(0, nothing);
    await database.transaction((tx) => decide.handlers[DEADLINE](tx, { upload }));
    const late = await sent();
    expect(late.alarms).toBe(1);
    expect(late.verdicts).toMatchObject([{ verdict: 'in-review', revision: 1, coverage: 0.5 }]);
    expect(late.verdicts[0]!.reason).toMatch(/^incomplete/);
    await aligned(1, nothing);
    expect((await sent()).verdicts).toMatchObject([{ verdict: 'cleared', revision: 2, cause: 'late', supersedes: 1 }]);
    await database.transaction((tx) => decide.handlers[DEADLINE](tx, { upload }));
    expect((await sent()).verdicts).toEqual([]);
  });

  test('what failed is said: all of it is a rejection, a part leaves too little coverage to clear', async () => {
    await planned(1);
    await aligned(0, { status: 'failed', reason: 'corrupt', detail: 'x' });
    expect((await sent()).verdicts).toMatchObject([{ verdict: 'rejected', reason: 'corrupt' }]);
    upload = `${upload}_second`;
    await planned(2);
    await aligned(0, nothing);
    await aligned(1, { status: 'failed', reason: 'too-slow', detail: 'x' });
    const { verdicts } = await sent();
    expect(verdicts).toMatchObject([
      { verdict: 'in-review', coverage: 0.5, failures: [{ slice: 1, shard: 0, reason: 'too-slow' }] },
    ]);
  });

  /** As long as a film may be, and of every slice and shard `outcome`. */
  async function twoDays(outcome: SliceAlignments['outcome']): Promise<void> {
    await planned(MAX_SLICES, {}, 3);
    const result = { upload, shards: 3, checkpoint: 1, frames: { seen: 0, usable: 0 }, steps: [], outcome };
    await database.postgres.query(
      `INSERT INTO slice_alignments (upload, shards, slice, shard, checkpoint, result)
       SELECT $1, 3, s, h, 1, $2::jsonb || jsonb_build_object('slice', s, 'shard', h, 'span', jsonb_build_array(s * 30, s * 30 + 30))
       FROM generate_series(0, $3::int - 1) AS s, generate_series(0, 2) AS h`,
      [upload, JSON.stringify(result), MAX_SLICES],
    );
  }
  const judgeNow = () => database.transaction((tx) => decide.handlers[DEADLINE](tx, { upload }));

  test('the verdict of the longest film in which nothing can be decoded names some of that, and fits its topic', async () => {
    await twoDays({ status: 'failed', reason: 'corrupt', detail: 'x' });
    await judgeNow();
    const { verdicts } = await sent();
    expect(verdicts).toMatchObject([{ verdict: 'rejected', reason: 'corrupt', failuresInAll: 3 * MAX_SLICES }]);
    expect(verdicts[0]!.failures).toHaveLength(MAX_FAILURES);
    expect(verdicts[0]!.failures[0]).toEqual({ slice: 0, shard: 0, reason: 'corrupt' });
  });

  test('a film that copies more works in more places than anybody reads fits as well, and shows the longest', async () => {
    const works = Array.from({ length: 24 }, (_, i) => ({ id: `${reference.id}_${i}`, version: 1 }));
    for (const work of works) await makeLive(work);
    // Numbers as they come out of a division, each place at an offset of its own, so that none joins another.
    const places = (of: typeof reference): Evidence => {
      const segments = Array.from({ length: 80 }, (_, i) => {
        const [from, speed, length] = [i * 60 + 1 / 3, 1 + 1 / 30 + i / 300, 4 + i / 7];
        const ref = ((i * 7919) % 400) + 1 / 7;
        return {
          upload: [from, from + length] as [number, number],
          reference: [ref, ref + length * speed] as [number, number],
          ...{ offset: ref - speed * from, speed, frames: { matched: 12, eligible: 12 } },
          ...{ distance: { mean: 10 + 1 / 3, worst: 20 }, distinct: 8, timed: true, correlation: 0.9 + 1 / 70 },
          ...{ inliers: 400, cells: 60 },
        };
      });
      return { ...copied(0, 20, of), segments };
    };
    const key = '\u0001'.repeat(1024);
    await planned(100, {
      event: {
        ...{ action: 'created', visibility: 'public', receivedAt: 5, account: '\u0001'.repeat(4096) },
        media: { source: 's', bucket: 'b', key, version: key },
      },
    });
    await confirmed(0, 'pr', works.map(places));
    await aligned(0, proposes('pr'));
    await judgeNow();
    const { verdicts, takedowns } = await sent();
    expect(takedowns).toHaveLength(1);
    const [{ decisions }] = verdicts as [Verdict];
    expect(decisions).toHaveLength(20);
    for (const { evidence } of decisions) {
      const { longest, total, segments } = evidence;
      expect(segments).toHaveLength(20);
      expect(Math.max(...segments.map((s) => s.upload[1] - s.upload[0]))).toBeCloseTo(longest);
      expect(segments.map((s) => s.upload[0])).toEqual(segments.map((s) => s.upload[0]).sort((a, b) => a - b));
      expect(total).toBeGreaterThan(segments.reduce((sum, s) => sum + s.upload[1] - s.upload[0], 0));
    }
  });

  test('a rejected upload gets its verdict at once', async () => {
    await planned(1, { outcome: { status: 'rejected', reason: 'no-picture', detail: 'only sound' } });
    expect((await sent()).verdicts).toMatchObject([
      { verdict: 'rejected', reason: 'no-picture', kind: null, revision: 1 },
    ]);
  });
});
