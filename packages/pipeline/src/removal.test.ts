import { DEFAULT_TERMS } from '@vigil/cases';
import {
  type Manifest,
  openEnvelope,
  type Probe,
  type SliceAlignments,
  TakedownEvent,
  uploadId,
  Verdict,
} from '@vigil/contracts';
import { type Database, findUpload, markDeleted, relayBatch, setBlocked } from '@vigil/database';
import { createFakeClock } from '@vigil/runtime';
import { afterAll, beforeAll, beforeEach, describe, expect, test } from 'vitest';
import { openTestDatabase } from '../../../test/support/postgres.ts';
import { createActions } from './claims/actions.ts';
import { createLedger } from './claims/ledger.ts';
import { happenedBefore, wentAfter } from './removal.ts';
import { DEADLINE, decideUpload } from './stages/decide-upload.ts';
import { looseBrakes } from './testing.ts';

/** Real: the database. Faked: time, and what other stages would have sent. */
describe('uploads that are deleted or replaced', () => {
  let database: Database;
  let key: string;
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
    key = `film_${n++}`;
    await sent();
  });

  const media = (version: string) => ({ source: 's', bucket: 'b', key, version });
  const id = (version: string) => uploadId(media(version));
  const run = <T>(stage: { run(input: never, signal: AbortSignal, alive: () => void): unknown }, data: T) =>
    stage.run(
      { event: { id: 'e', type: 't', source: 's', subject: 'x', time: 0, data }, codes: null } as never,
      never,
      () => undefined,
    );

  type Said = [action: Manifest['event']['action'], version: string, receivedAt: number, sequencer?: string];
  const probe: Probe = {
    ...{ kind: 'video', format: 'mp4', codec: 'h264', width: 640, height: 360, duration: 60 },
    ...{ startTime: 0, frameRate: 25, size: 1, notes: [] },
  };
  const say = ([action, version, receivedAt, sequencer]: Said) =>
    run<Manifest>(decide.stages.recordManifest, {
      upload: id(version),
      event: { action, media: media(version), visibility: 'public', receivedAt, ...(sequencer ? { sequencer } : {}) },
      outcome:
        action === 'deleted'
          ? { status: 'rejected', reason: 'deleted', detail: 'x' }
          : { status: 'planned', probe, slices: 2, shards: 1, epoch: 0 },
      deadline: clock.now() + 1000,
      steps: [],
    });
  const judge = async (version: string) => {
    for (const slice of [0, 1]) {
      await run<SliceAlignments>(decide.stages.recordSlice, {
        ...{ upload: id(version), slice, shards: 1, shard: 0, span: [slice * 30, slice * 30 + 30], checkpoint: 1 },
        ...{ outcome: { status: 'nothing', why: 'x' }, frames: { seen: 9, usable: 9 }, steps: [] },
      });
    }
  };
  /** Everything that went out since the last call. */
  async function sent() {
    const verdicts: Verdict[] = [];
    const takedowns: TakedownEvent[] = [];
    while (
      (await relayBatch(database, 100, async (events) => {
        for (const e of events) {
          if (e.topic === 'vigil.verdicts') verdicts.push(openEnvelope(Verdict, e).event.data);
          if (e.topic === 'vigil.takedowns') takedowns.push(openEnvelope(TakedownEvent, e).event.data);
        }
      })) > 0
    );
    return { verdicts: verdicts.map((v) => [v.upload, v.verdict, v.reason, v.revision, v.cause]), takedowns };
  }
  const gone = (version: string, revision = 1) => [id(version), 'rejected', 'deleted', revision, 'first'];
  const cleared = (version: string, revision = 1, cause = 'first') => [id(version), 'cleared', null, revision, cause];

  test('deleted while it is judged: that is its verdict, at once and once', async () => {
    await say(['created', 'v1', 1]);
    await say(['deleted', 'v1', 2]);
    expect((await sent()).verdicts).toEqual([gone('v1')]);
    await judge('v1');
    await say(['deleted', 'v1', 2]);
    await database.transaction((tx) => decide.handlers[DEADLINE](tx, { upload: id('v1') }));
    expect((await sent()).verdicts).toEqual([]);
  });

  test('deleted after it was judged: nothing more is said', async () => {
    await say(['created', 'v1', 1]);
    await judge('v1');
    await say(['deleted', 'v1', 2]);
    expect((await sent()).verdicts).toEqual([cleared('v1')]);
    expect((await findUpload(database.postgres, id('v1')))!.deleted).toBe(true);
  });

  test('told to be deleted before it is told to be there', async () => {
    await say(['deleted', 'v1', 2]);
    await say(['created', 'v1', 1]);
    await judge('v1');
    expect((await sent()).verdicts).toEqual([gone('v1')]);
  });

  test('without a version all versions are meant, those too that come late', async () => {
    await say(['created', 'v1', 1]);
    await say(['created', 'v2', 2]);
    await say(['deleted', '', 5]);
    await say(['created', 'v3', 3]);
    await say(['created', 'v4', 6]);
    await judge('v4');
    const { verdicts } = await sent();
    expect(verdicts.sort()).toEqual([gone('v1'), gone('v2'), gone('v3'), cleared('v4')].sort());
  });

  test('another object of the same bucket is left alone', async () => {
    await say(['created', 'v1', 1]);
    const other = key;
    key = `${key}/other`;
    await say(['deleted', '', 5]);
    key = other;
    await judge('v1');
    expect((await sent()).verdicts).toEqual([cleared('v1')]);
  });

  test('replaced: the versions before it are gone, its own work goes on', async () => {
    await say(['created', 'v1', 1]);
    await say(['replaced', 'v2', 2]);
    expect((await sent()).verdicts).toEqual([gone('v1')]);
    await say(['replaced', 'v2', 2]);
    await say(['created', 'v1', 1]);
    await judge('v1');
    await judge('v2');
    expect((await sent()).verdicts).toEqual([cleared('v2')]);
  });

  test('uploaded again unchanged after it was deleted, it is judged again', async () => {
    await say(['created', 'v1', 1]);
    await judge('v1');
    await setBlocked(database.postgres, id('v1'), ['*'], 0);
    await say(['deleted', 'v1', 2]);
    await sent();
    await say(['created', 'v1', 3]);
    expect((await sent()).verdicts).toEqual([cleared('v1', 2, 're-upload')]);
    expect(await findUpload(database.postgres, id('v1'))).toMatchObject({
      deleted: false,
      mediaState: 'shown',
      epoch: 1,
    });
    await say(['deleted', 'v1', 2]);
    await say(['created', 'v1', 3]);
    expect((await sent()).verdicts).toEqual([]);
    expect((await findUpload(database.postgres, id('v1')))!.deleted).toBe(false);
  });

  test('uploaded again before what was left of it is judged: the results of both times count', async () => {
    await say(['created', 'v1', 1]);
    await say(['deleted', 'v1', 2]);
    await say(['created', 'v1', 3]);
    expect((await sent()).verdicts).toEqual([gone('v1')]);
    await judge('v1');
    expect((await sent()).verdicts).toEqual([cleared('v1', 2, 're-upload')]);
  });

  test('its slices go on whoever hears of it first, and those of what went are left', async () => {
    const went = (receivedAt: number, sequencer?: string) =>
      wentAfter(database.postgres, id('v1'), { media: media('v1'), receivedAt, sequencer });
    await say(['created', 'v1', 1]);
    expect(await went(1)).toBe(false);
    await say(['deleted', 'v1', 2]);
    // The planner has read the next message, and sent slices; `decide` has not, and calls the upload deleted.
    expect((await findUpload(database.postgres, id('v1')))!.deleted).toBe(true);
    expect([await went(1), await went(3)]).toEqual([true, false]);
    await say(['created', 'v1', 3]);
    expect([await went(1), await went(3)]).toEqual([true, false]);
    await say(['deleted', '', 4]);
    expect(await went(3)).toBe(true);
    // In the same millisecond the store's own order tells.
    await say(['created', 'v1', 4, '0A']);
    await say(['deleted', 'v1', 5, '0B']);
    expect([await went(5, '0A'), await went(5, '0C'), await went(5)]).toEqual([true, false, true]);
    // What replaces others is not gone with them.
    await say(['replaced', 'v1', 6]);
    expect(await went(6)).toBe(false);
    expect(await wentAfter(database.postgres, id('v0'), { media: media('v0'), receivedAt: 6 })).toBe(true);
  });

  test('a deadline counts for what was uploaded again', async () => {
    await say(['created', 'v1', 1]);
    await say(['deleted', 'v1', 2]);
    await say(['created', 'v1', 3]);
    await sent();
    await database.transaction((tx) => decide.handlers[DEADLINE](tx, { upload: id('v1') }));
    const [verdict] = (await sent()).verdicts;
    expect(verdict).toEqual([id('v1'), 'in-review', expect.stringMatching(/^incomplete/), 2, 're-upload']);
  });

  test('in whatever order and however often it is told, the same is gone in the end', async () => {
    const story: Said[] = [
      ['created', 'v1', 1],
      ['replaced', 'v2', 2],
      ['deleted', 'v2', 3],
      ['created', 'v2', 4],
      ['replaced', 'v3', 5],
      ['deleted', '', 6],
      ['created', 'v3', 7],
    ];
    for (let round = 0; round < 12; round++) {
      key = `told_${round}`;
      const told = [...story, ...story].map((said, i) => [((i + 1) * (round * 2 + 5) * 7919) % 101, said] as const);
      for (const [, said] of told.sort((a, b) => a[0] - b[0])) await say(said);
      const rows = await Promise.all(['v1', 'v2', 'v3'].map((v) => findUpload(database.postgres, id(v))));
      expect(rows.map((row) => row!.deleted)).toEqual([true, true, false]);
    }
  });

  test('two versions that replace each other at the same time do not wait for each other for ever', async () => {
    for (const version of ['v1', 'v2', 'v3']) await say(['created', version, 1]);
    await Promise.all([
      say(['replaced', 'v4', 3]),
      say(['replaced', 'v5', 4]),
      say(['deleted', '', 2]),
      ...['v1', 'v2', 'v3', 'v4', 'v5'].map(judge),
    ]);
    const rows = await Promise.all(['v1', 'v2', 'v3', 'v4', 'v5'].map((v) => findUpload(database.postgres, id(v))));
    expect(rows.map((row) => row!.deleted)).toEqual([true, true, true, true, false]);
  });

  test('what is gone is taken down no more, even if work on it ends later', async () => {
    await say(['created', 'v1', 1]);
    await markDeleted(database.postgres, id('v1'));
    await judge('v1');
    expect((await sent()).takedowns).toEqual([]);
  });
});

test('sequencers order what happened to one object, times do without them', () => {
  const at = (receivedAt: number, sequencer?: string) => ({ receivedAt, sequencer });
  expect(happenedBefore(at(2, '0055AED6DCD90281E5'), at(1, '0055AED6DCD90281F0'))).toBe(true);
  expect(happenedBefore(at(1, '0055aed6dcd90281f0'), at(2, '0055AED6DCD90281E5'))).toBe(false);
  expect(happenedBefore(at(1, '0A'), at(2, '0A00'))).toBe(false);
  expect(happenedBefore(at(1, '0A'), at(2, '0A01'))).toBe(true);
  expect(happenedBefore(at(1, 'FF'), at(2))).toBe(true);
  expect(happenedBefore(at(2), at(2))).toBe(false);
});
