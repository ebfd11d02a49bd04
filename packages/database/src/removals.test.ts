import type { Postgres } from '@vigil/runtime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestDatabase } from '../../../test/support/postgres.ts';
import type { Database } from './open-database.ts';
import { lockObject, removalsOf, saveRemoval, uploadsOfObject } from './removals.ts';
import { manifest, verdict } from './testing.ts';
import {
  findUpload,
  isDeleted,
  lockUpload,
  markDeleted,
  markUploadedAgain,
  saveManifest,
  saveVerdict,
  setBlocked,
} from './uploads.ts';

let database: Database;
let db: Postgres;
beforeAll(async () => {
  database = await openTestDatabase();
  db = database.postgres;
});
afterAll(() => database[Symbol.asyncDispose]());

const media = { source: 's', bucket: 'b', key: 'k', version: 'v1' };

test('removals are of a version or of all, and the newest word replaces the older one', async () => {
  const one = { media, receivedAt: 5, sequencer: '0A', kept: null };
  const all = { media: { ...media, version: '' }, receivedAt: 6, sequencer: null, kept: 'up_2' };
  for (const removal of [one, all, { ...one, receivedAt: 7 }]) await saveRemoval(db, removal);
  const found = await removalsOf(db, media);
  expect(found.sort((a, b) => a.receivedAt - b.receivedAt)).toEqual([all, { ...one, receivedAt: 7 }]);
  expect(await removalsOf(db, { ...media, version: 'v2' })).toEqual([all]);
  expect(await removalsOf(db, { ...media, source: 'other' })).toEqual([]);
});

test('uploads of an object are found whatever their version', async () => {
  for (const [id, of] of Object.entries({
    up_b: media,
    up_a: { ...media, version: 'v2' },
    up_c: { ...media, key: 'other' },
    up_d: { ...media, source: 'other' },
  })) {
    await lockUpload(db, id);
    const m = manifest(id);
    await saveManifest(db, id, { ...m, event: { ...m.event, media: of } });
  }
  await lockUpload(db, 'up_without_manifest');
  expect((await uploadsOfObject(db, media)).sort()).toEqual(['up_a', 'up_b']);
  await markDeleted(db, 'up_b');
  expect(await uploadsOfObject(db, media)).toEqual(['up_a']);
});

test('one at a time speaks of an object', async () => {
  const heard: string[] = [];
  const released = Promise.withResolvers<void>();
  const first = database.transaction(async (tx) => {
    await lockObject(tx, media);
    await released.promise;
    heard.push('first');
  });
  const held = `SELECT 1 FROM pg_locks JOIN pg_database d ON d.oid = database
    WHERE locktype = 'advisory' AND d.datname = current_database()`;
  await expect.poll(() => db.query(held)).toHaveLength(1);
  const second = database.transaction(async (tx) => {
    await lockObject(tx, { ...media, version: 'v2' });
    heard.push('second');
  });
  await database.transaction((tx) => lockObject(tx, { ...media, key: 'other' }));
  heard.push('another object');
  released.resolve();
  await Promise.all([first, second]);
  expect(heard).toEqual(['another object', 'first', 'second']);
});

test('what is uploaded again is shown again, and a takedown of it is a new one', async () => {
  await lockUpload(db, 'up_again');
  await saveManifest(db, 'up_again', manifest('up_again'));
  await saveVerdict(db, verdict('up_again', 1));
  await setBlocked(db, 'up_again', ['*'], 0);
  await markDeleted(db, 'up_again');
  expect(await isDeleted(db, 'up_again')).toBe(true);
  await markUploadedAgain(db, 'up_again');
  expect(await findUpload(db, 'up_again')).toMatchObject({
    deleted: false,
    epoch: 1,
    mediaState: 'shown',
    revision: 1,
    verdict: null,
  });
  await markDeleted(db, 'up_again');
  await markUploadedAgain(db, 'up_again');
  expect((await findUpload(db, 'up_again'))!.epoch).toBe(1);
  expect(await isDeleted(db, 'up_unknown')).toBe(false);
});
