import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type BlobStore, openFileBlobStore } from '@vigil/blob-store';
import { jsonEnvelope, type Manifest, TOPICS } from '@vigil/contracts';
import { currentShards, type Database, lockUpload, registerReplica, replicaSeen, saveManifest } from '@vigil/database';
import { type EventLog, openPostgresEventLog } from '@vigil/event-log';
import { createFakeClock, type FakeClock } from '@vigil/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openTestDatabase } from '../../../test/support/postgres.ts';
import { createLayout } from './layout.ts';
import { createLayouts, type Layouts } from './layouts.ts';

/** Faked: time, and the matchers, who only say that they are there. Real: log, database, store. */
describe('layouts', () => {
  let stack: AsyncDisposableStack;
  let database: Database;
  let log: EventLog;
  let blobs: BlobStore;
  let clock: FakeClock;
  let layouts: Layouts;

  beforeEach(async () => {
    stack = new AsyncDisposableStack();
    const root = await mkdtemp(path.join(tmpdir(), 'vigil-layouts-'));
    stack.defer(() => rm(root, { recursive: true }));
    blobs = stack.use(await openFileBlobStore({ root }));
    database = stack.use(await openTestDatabase());
    clock = createFakeClock(Date.UTC(2030, 0, 1));
    log = stack.use(await openPostgresEventLog({ postgres: database.postgres, clock }));
    await log.ensureTopics(Object.values(TOPICS));
    layouts = createLayouts({ database, log, blobs, clock });
    await currentShards(database.postgres, 2, clock.now());
  });
  afterEach(() => stack.disposeAsync());

  const seen = async (shards: number, ...numbers: number[]) => {
    for (const shard of numbers) {
      const replica = { shards, shard, replica: `m${shard}-of-${shards}` };
      await replicaSeen(database.postgres, replica, 0, clock.now());
    }
  };
  const about = async (shards: number) => (await layouts.view()).layouts.find((l) => l.shards === shards);
  const manifest = (upload: string, shards: number): Manifest => ({
    upload,
    event: {
      ...{ action: 'created', visibility: 'public', receivedAt: 1 },
      media: { source: 's', bucket: 'b', key: upload, version: '1' },
    },
    outcome: {
      ...{ status: 'planned', slices: 1, shards, epoch: shards },
      probe: {
        ...{ kind: 'video', format: 'mp4', codec: 'h264', width: 640, height: 360, duration: 30 },
        ...{ startTime: 0, frameRate: 25, size: 1, notes: [] },
      },
    },
    ...{ deadline: 9, steps: [] },
  });
  /** As the planner does it. */
  const send = (upload: string, shards: number) => {
    const event = { id: `ev_${upload}`, type: 'vigil.upload.planned', source: 'vigil', subject: upload, time: 1 };
    const data = manifest(upload, shards);
    return log.append([{ topic: TOPICS.manifests.name, ...jsonEnvelope(upload, { ...event, data }) }]);
  };
  /** As `decide` does it. */
  const hear = (upload: string, shards: number) =>
    database.transaction(async (tx) => {
      await lockUpload(tx, upload);
      await saveManifest(tx, upload, manifest(upload, shards));
    });
  const readManifests = async () => {
    const stop = new AbortController();
    const { done } = log.consume({
      ...{ group: 'decide-manifests', topics: [TOPICS.manifests.name], concurrency: 1, signal: stop.signal },
      handle: async () => undefined,
      bury: async () => undefined,
    });
    await expect
      .poll(async () => {
        const committed = await log.committed('decide-manifests', TOPICS.manifests.name);
        const ends = await log.ends(TOPICS.manifests.name);
        return ends.every((e) => (committed.find((c) => c.partition === e.partition)?.offset ?? 0) === e.end);
      })
      .toBe(true);
    stop.abort(new Error('enough'));
    await done;
  };

  test('a change waits until each new shard has a matcher that keeps up, and says which has none', async () => {
    await seen(2, 0, 1);
    expect(await layouts.change(3)).toMatchObject({
      done: false,
      layout: { waitsFor: [0, 1, 2].map((n) => expect.stringContaining(`shard ${n} of 3 has no matcher`)) },
    });
    await seen(3, 0, 1);
    await registerReplica(database.postgres, { shards: 3, shard: 2, replica: 'slow' });
    expect(await layouts.change(3)).toMatchObject({
      done: false,
      layout: { state: 'preparing', waitsFor: ['shard 2 of 3: slow is loading'] },
    });
    await seen(3, 2);
    expect((await about(3))!.state).toBe('ready');
    await clock.advance(20_000);
    expect((await about(3))!.waitsFor[0]).toBe('shard 0 of 3: m0-of-3 is silent');
    await seen(3, 0, 1, 2);
    expect(await layouts.change(3)).toMatchObject({ done: true, layout: { state: 'current' } });
    expect(await layouts.change(3)).toMatchObject({ done: true });
    expect(await currentShards(database.postgres, 2, 0)).toBe(3);
  });

  test('a matcher that has much of the library to read does not take over', async () => {
    await seen(1, 0);
    const records = Array.from({ length: 1100 }, (_, n) => ({
      ...{ topic: TOPICS.referenceCodes.name, key: `r${n}@1/0`, headers: {}, value: new Uint8Array(1) },
    }));
    await log.append(records);
    expect((await layouts.change(1)).layout.waitsFor).toEqual([
      'shard 0 of 1: m0-of-1 has 1100 records of the library to read',
    ]);
    expect((await layouts.view()).replicas).toMatchObject([{ replica: 'm0-of-1', state: 'ready', behind: 1100 }]);
  });

  test('the old layout is drained when nothing can come for it any more', async () => {
    await seen(2, 0, 1);
    await seen(3, 0, 1, 2);
    await hear('up_open', 2);
    await layouts.change(3);
    expect(await about(2)).toMatchObject({ state: 'draining', uploads: 1 });
    // A planner that asked just before the change: its manifest comes now, and is not heard of at once.
    await send('up_late', 2);
    await clock.advance(61_000);
    expect((await about(2))!.waitsFor).toEqual([
      '1 uploads planned for it have no verdict yet',
      '1 uploads are planned, and not heard of by decide',
    ]);
    await readManifests();
    await hear('up_late', 2);
    expect(await about(2)).toMatchObject({ state: 'draining', uploads: 2 });
    await send('up_new', 3);
    await database.postgres.query(`UPDATE uploads SET verdict = '{}'`);
    expect(await about(2)).toEqual({ shards: 2, state: 'drained', uploads: 0, waitsFor: [] });
  });

  test('planners hear of a change within a second, and several agree', async () => {
    await seen(3, 0, 1, 2);
    const planners = [createLayout(database, clock, 2), createLayout(database, clock, 7)];
    expect(await Promise.all(planners.map((ask) => ask()))).toEqual([2, 2]);
    await layouts.change(3);
    expect(await planners[0]!()).toBe(2);
    await clock.advance(1000);
    expect(await Promise.all(planners.map((ask) => ask()))).toEqual([3, 3]);
  });

  test('a replica is taken away when it is gone, by a name that says which', async () => {
    await seen(2, 0, 1);
    await replicaSeen(database.postgres, { shards: 2, shard: 0, replica: 'twice' }, 0, clock.now());
    await replicaSeen(database.postgres, { shards: 2, shard: 1, replica: 'twice' }, 0, clock.now());
    await expect(layouts.remove('nobody')).rejects.toThrow('there is no replica nobody');
    await expect(layouts.remove('m0-of-2')).rejects.toThrow('was seen 0 s ago: stop it first');
    await clock.advance(16_000);
    await expect(layouts.remove('twice')).rejects.toThrow('twice is a replica of 0/2, 1/2: say which');
    await expect(layouts.remove('m0-of-2', { shard: { number: 1, of: 2 } })).rejects.toThrow('is a replica of 0/2');
    expect(await layouts.remove('twice', { shard: { number: 1, of: 2 } })).toMatchObject({
      removed: { shard: 1 },
      live: 0,
    });
    expect((await layouts.view()).replicas.map((r) => r.replica)).toEqual(['m0-of-2', 'twice', 'm1-of-2']);
  });

  test('with the last replica of an old layout its snapshots go, never those of the current one', async () => {
    await seen(1, 0);
    await seen(2, 0);
    for (const key of ['index/1/0', 'index/2/0']) await blobs.put('vigil', key, new Uint8Array(9));
    await layouts.remove('m0-of-1', { force: true });
    await layouts.remove('m0-of-2', { force: true });
    expect(await blobs.stat('vigil', 'index/1/0')).toBeNull();
    expect(await blobs.stat('vigil', 'index/2/0')).not.toBeNull();
  });
});
