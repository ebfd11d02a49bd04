import { placeOf } from '@vigil/contracts';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { openTestDatabase } from '../../../test/support/postgres.ts';
import { currentShards, listLayouts, openUploads, switchLayout } from './layouts.ts';
import type { Database } from './open-database.ts';
import { disableReference, findReference, planReference, registerHashes, registerReference } from './references.ts';
import {
  type LoadedSlice,
  listReplicas,
  markSlicesLoaded,
  type Replica,
  registerReplica,
  removeReplica,
  replicaSeen,
} from './replicas.ts';
import { manifest, media, verdict } from './testing.ts';
import { lockUpload, saveManifest, saveVerdict } from './uploads.ts';

let database: Database;
beforeEach(async () => {
  database = await openTestDatabase();
});
afterEach(() => database[Symbol.asyncDispose]());

async function register(id: string, slices = 2) {
  const reference = { id, version: 1 };
  await registerReference(database.postgres, {
    ...{ reference, work: `w_${id}`, title: id, holder: 'h', media, now: 100 },
  });
  await planReference(database.postgres, reference, { kind: 'video', duration: 30 * slices, slices });
  return reference;
}
const of = (shards: number, shard: number, replica: string): Replica => ({ shards, shard, replica });
const slice = (id: string, n: number, slices = 2): LoadedSlice => ({
  ...{ reference: { id, version: 1 }, slice: n, slices, usable: 9, failed: null },
});
const mark = async (replica: Replica, ...slices: LoadedSlice[]) => [
  ...(await markSlicesLoaded(database.postgres, replica, slices)),
];
const stateOf = async (id: string) => (await findReference(database.postgres, id))!.state;
/** Some id that lies there in both layouts. */
const idAt = (...places: [number, number][]) =>
  Array.from({ length: 1000 }, (_, n) => `r${n}`).find((id) => places.every(([n, of]) => placeOf(id, of) === n))!;

test('a reference is live with the last slice in the last replica, whichever comes last', async () => {
  await register('r');
  await registerReplica(database.postgres, of(1, 0, 'a'));
  await registerReplica(database.postgres, of(1, 0, 'b'));
  expect(await mark(of(1, 0, 'a'), slice('r', 0))).toEqual([['r@1', 'received']]);
  expect(await mark(of(1, 0, 'b'), slice('r', 0))).toEqual([['r@1', 'received']]);
  expect(await mark(of(1, 0, 'a'), slice('r', 1))).toEqual([['r@1', 'checked']]);
  expect(await mark(of(1, 0, 'b'), slice('r', 1), slice('r', 0))).toEqual([['r@1', 'live']]);
  expect(await findReference(database.postgres, 'r')).toMatchObject({ loaded: 2, liveAt: expect.any(Number) });
});

test('many slices of many references are marked at once, known or not', async () => {
  for (const id of ['x', 'y', 'z']) await register(id);
  const all = ['x', 'y', 'z', 'ghost'].flatMap((id) => [slice(id, 0), slice(id, 1)]);
  const states = await mark(of(1, 0, 'a'), ...all);
  expect(states.sort()).toEqual(['x@1', 'y@1', 'z@1'].map((key) => [key, 'live']));
  expect((await mark(of(1, 0, 'a'), ...all)).length).toBe(3);
});

test('two replicas that finish at the same time do not wait for each other for ever', async () => {
  await registerReplica(database.postgres, of(1, 0, 'a'));
  await registerReplica(database.postgres, of(1, 0, 'b'));
  for (let round = 0; round < 10; round++) {
    const id = `race${round}`;
    await register(id, 1);
    const finish = (name: string) =>
      database.transaction((tx) => markSlicesLoaded(tx, of(1, 0, name), [slice(id, 0, 1)]));
    await Promise.all([finish('a'), finish('b')]);
    expect(await stateOf(id)).toBe('live');
  }
});

test('of each layout the shard that is to hold it is waited for, and no other', async () => {
  const id = idAt([1, 2], [0, 3]);
  await register(id, 1);
  // Equal numbers of another layout are other shards: this one holds other references.
  for (const r of [of(2, 0, 'm'), of(2, 1, 'm'), of(3, 0, 'm'), of(3, 1, 'm')])
    await registerReplica(database.postgres, r);
  expect(await mark(of(2, 1, 'm'), slice(id, 0, 1))).toEqual([[`${id}@1`, 'fingerprinted']]);
  expect(await mark(of(3, 0, 'm'), slice(id, 0, 1))).toEqual([[`${id}@1`, 'fingerprinted']]);
  // Loaded wherever it is to be, it waits for a word of the other shards of one layout on what they hold of it.
  const check = (r: Replica) => database.transaction((tx) => markSlicesLoaded(tx, r, [], null, [slice(id, 0, 1)]));
  await check(of(3, 1, 'm'));
  expect(await stateOf(id)).toBe('fingerprinted');
  await check(of(2, 0, 'm'));
  expect(await stateOf(id)).toBe('live');
  await check(of(2, 0, 'm'));
  expect(await stateOf(id)).toBe('live');
});

test('pictures that nothing else shows are live by one statement; what shows the same is looked at', async () => {
  await registerReplica(database.postgres, of(1, 0, 'a'));
  const media = { source: 'hash-list', bucket: '', key: '', version: '' };
  const about = { work: 'w', title: 'W', holder: 'h', now: 1 };
  const ids = ['p1', 'p2', 'p3'];
  const pictures = ids.map((id) => ({ id, media, name: id }));
  const again = () => database.transaction((tx) => registerHashes(tx, about, pictures));
  const all = (isNew: boolean) => new Map(ids.map((id) => [id, { version: 1, isNew }]));
  expect(await again()).toEqual(all(true));
  expect(await again()).toEqual(all(false));
  const overlaps: LoadedSlice['overlaps'] = [{ other: { id: 'p1', version: 1 }, span: [0, 0], otherSpan: [0, 0] }];
  const p3 = { ...slice('p3', 0, 1), overlaps };
  const states = await mark(of(1, 0, 'a'), slice('p1', 0, 1), { ...slice('p2', 0, 1), usable: 0 }, p3);
  expect(states.sort()).toEqual([
    ['p1@1', 'live'],
    ['p2@1', 'rejected'],
    ['p3@1', 'live'],
  ]);
  const rows = await Promise.all(ids.map((id) => findReference(database.postgres, id)));
  expect(rows.map((r) => r!.findings.map((f) => f.check))).toEqual([[], [], ['overlap-own']]);
  expect(rows.map((r) => r!.checkedAt !== null)).toEqual([true, true, true]);
});

test('a hundred references are on their way by some statements, with however many replicas and shards', async () => {
  const media = { source: 'hash-list', bucket: '', key: '', version: '' };
  const layouts = {
    replicas: [of(1, 0, 'a'), of(1, 0, 'b')],
    shards: [of(2, 0, 'a'), of(2, 1, 'b')],
    changing: [of(1, 0, 'a'), of(2, 0, 'b'), of(2, 1, 'c')],
  };
  for (const [name, replicas] of Object.entries(layouts)) {
    await database.postgres.query('DELETE FROM index_replicas');
    for (const r of replicas) await registerReplica(database.postgres, r);
    const ids = Array.from({ length: 100 }, (_, n) => `${name}_${n}`);
    const pictures = ids.map((id) => ({ id, media, name: id }));
    const about = { work: 'w', title: 'W', holder: 'h', now: 1 };
    await database.transaction((tx) => registerHashes(tx, about, pictures));
    let asked = 0;
    const say = (r: Replica) =>
      database.transaction((tx) => {
        const counting = {
          query(text: string, values?: unknown[]) {
            asked++;
            return tx.query(text, values);
          },
        } as typeof tx;
        const [own, others] = [true, false].map((is) => ids.filter((id) => (placeOf(id, r.shards) === r.shard) === is));
        const of = (some: string[] | undefined) =>
          some!.map((id) => ({ ...slice(id, 0, 1), usable: id.endsWith('_7') ? 0 : 9 }));
        return markSlicesLoaded(counting, r, of(own), 1, of(others));
      });
    // In both orders at once: neither waits for the other for ever.
    await Promise.all(replicas.map(say));
    expect(asked, name).toBeLessThan(15 * replicas.length);
    const rows = await Promise.all(ids.map((id) => findReference(database.postgres, id)));
    expect(
      rows.map((r) => r!.state),
      name,
    ).toEqual(ids.map((id) => (id.endsWith('_7') ? 'rejected' : 'live')));
    expect(rows.every((r) => r!.checkedAt !== null && (r!.liveAt !== null) === (r!.state === 'live'))).toBe(true);
    expect(await database.postgres.query('SELECT 1 FROM reference_checks')).toEqual([]);
  }
});

test('what only a removed replica kept back is live at once, what a person disabled is not', async () => {
  for (const r of [of(1, 0, 'here'), of(1, 0, 'gone')]) await registerReplica(database.postgres, r);
  for (const id of ['waits', 'disabled', 'half']) await register(id);
  await mark(of(1, 0, 'here'), slice('waits', 0), slice('waits', 1), slice('disabled', 0), slice('disabled', 1));
  await mark(of(1, 0, 'here'), slice('half', 0));
  await disableReference(database.postgres, { id: 'disabled', version: 1 }, 'withdrawn', 1);
  expect(await stateOf('waits')).toBe('checked');
  expect(await removeReplica(database.postgres, of(1, 0, 'gone'))).toBe(1);
  expect(await removeReplica(database.postgres, of(1, 0, 'gone'))).toBeNull();
  expect(await Promise.all(['waits', 'disabled', 'half'].map(stateOf))).toEqual(['live', 'disabled', 'received']);
});

test('a replica that says that it keeps up is listed so, also after it was removed', async () => {
  await registerReplica(database.postgres, of(2, 1, 'm'));
  expect(await listReplicas(database.postgres)).toMatchObject([{ ...of(2, 1, 'm'), seenAt: null, checkpoint: 0 }]);
  await removeReplica(database.postgres, of(2, 1, 'm'));
  await replicaSeen(database.postgres, of(2, 1, 'm'), 120, 5000);
  expect(await listReplicas(database.postgres)).toMatchObject([{ ...of(2, 1, 'm'), seenAt: 5000, checkpoint: 120 }]);
});

test('the first to ask says what the layout is; one is current, and old ones are remembered', async () => {
  expect(await Promise.all([1, 2].map((n) => currentShards(database.postgres, 2, n)))).toEqual([2, 2]);
  expect(await currentShards(database.postgres, 7, 9)).toBe(2);
  const change = (shards: number, now: number) => database.transaction((tx) => switchLayout(tx, shards, now));
  expect(await change(2, 20)).toBe(false);
  expect(await change(3, 30)).toBe(true);
  expect(await currentShards(database.postgres, 2, 31)).toBe(3);
  expect(await change(2, 40)).toBe(true);
  expect(await listLayouts(database.postgres)).toMatchObject([
    { shards: 2, currentSince: 40, endedAt: null },
    { shards: 3, currentSince: 30, endedAt: 40 },
  ]);
});

test('uploads without a verdict are counted by their layout', async () => {
  const probe = {
    ...{ kind: 'video' as const, format: 'mp4', codec: 'h264', width: 640, height: 360, duration: 60 },
    ...{ startTime: 0, frameRate: 25, size: 1, notes: [] },
  };
  await database.transaction(async (tx) => {
    for (const [id, shards] of [
      ['up_a', 2],
      ['up_b', 2],
      ['up_c', 3],
      ['up_done', 3],
    ] as const) {
      await lockUpload(tx, id);
      const outcome = { status: 'planned' as const, probe, slices: 2, shards, epoch: shards };
      await saveManifest(tx, id, { ...manifest(id), outcome });
    }
    await lockUpload(tx, 'up_rejected');
    await saveManifest(tx, 'up_rejected', manifest('up_rejected'));
    await saveVerdict(tx, verdict('up_done', 1));
  });
  expect([...(await openUploads(database.postgres))].sort()).toEqual([
    [2, 2],
    [3, 1],
  ]);
});
