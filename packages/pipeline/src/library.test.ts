/** Longer than 400 lines, because all cases share one world: a log, a database and a store, and a way to restart in it. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type BlobStore, BlobStoreError, openFileBlobStore, readBlob } from '@vigil/blob-store';
import {
  deadSpec,
  deadTopic,
  encodeFingerprint,
  jsonEnvelope,
  type ReferenceEvent,
  referenceKey,
  TOPICS,
} from '@vigil/contracts';
import {
  type Database,
  disableReference,
  findReference,
  listReplicas,
  openDatabase,
  planReference,
  registerReference,
} from '@vigil/database';
import { type EventLog, type LogRecord, openPostgresEventLog } from '@vigil/event-log';
import { createFakeClock, createLogger, type FakeClock } from '@vigil/runtime';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { type MadeReference, madeFingerprint, madeSlice } from '../../../test/support/made-library.ts';
import { createTestDatabase, type TestDatabase } from '../../../test/support/postgres.ts';
import { type Library, openLibrary } from './library.ts';
import { SNAPSHOT_REACH_MS, snapshotKey } from './library-snapshot.ts';
import { createReferenceCodes } from './reference-codes.ts';

/** Faked: time. Real: log and database (PostgreSQL), the store, the index. */
describe('library', () => {
  const stack: AsyncDisposable[] = [];
  let world: World;

  interface World {
    server: TestDatabase;
    database: Database;
    log: EventLog;
  }
  let blobs: BlobStore;
  let clock: FakeClock;
  let said: string[];
  let counted: string[];
  /** Records that the last one to open has read, and whether it began with a snapshot. */
  let read: number;
  let fromSnapshot: boolean;

  async function openWorld(): Promise<World> {
    const server = await createTestDatabase();
    const database = await openDatabase({ url: server.url, max: 6 });
    const log = await openPostgresEventLog({ postgres: database.postgres, clock, tombstoneMs: 24 * HOUR });
    await log.ensureTopics(Object.values(TOPICS));
    stack.push(server, database, log);
    return { server, database, log };
  }

  beforeEach(async () => {
    const root = await mkdtemp(path.join(tmpdir(), 'vigil-library-'));
    clock = createFakeClock(Date.UTC(2030, 0, 1));
    blobs = await openFileBlobStore({ root, now: clock.now });
    stack.push({ [Symbol.asyncDispose]: () => rm(root, { recursive: true }) }, blobs);
    world = await openWorld();
    [said, counted] = [[], []];
  });
  afterEach(async () => {
    while (stack.length > 0) await stack.pop()![Symbol.asyncDispose]();
  });

  const HOUR = 3_600_000;
  const film = (id: string, slices = 2): MadeReference => ({
    reference: { id, version: 1 },
    slices,
    codes: 20,
    seed: 1,
  });

  /** A replica, opened and closed by hand, so that it ends as the test says. */
  async function open(more: { replica?: string; number?: number; of?: number; in?: World } = {}): Promise<Library> {
    const { database, log } = more.in ?? world;
    const logger = createLogger({ level: 'info', to: { write: (line) => said.push(line) } });
    const shard = { number: more.number ?? 0, of: more.of ?? 1 };
    const references = createReferenceCodes(blobs, database.postgres, { logger });
    const replica = more.replica ?? 'a';
    const metrics = {
      add: (name: string, labels?: object) => void counted.push([name, ...Object.values(labels ?? {})].join(' ')),
    };
    const from = { log, blobs, database, references, shard, replica, threads: 0, metrics };
    const library = await openLibrary({ ...from, clock, logger });
    ({ records: read, snapshot: fromSnapshot } = JSON.parse(
      said.findLast((line) => line.includes('library is loaded'))!,
    ));
    return library;
  }
  const crash = async (library: Library) => void library;

  async function register({ reference, slices }: MadeReference, { database } = world): Promise<void> {
    const media = { source: 't', bucket: 'references', key: reference.id, version: '' };
    await registerReference(database.postgres, {
      reference,
      work: reference.id,
      title: 't',
      holder: 'h',
      media,
      now: 1,
    });
    await planReference(database.postgres, reference, { kind: 'video', duration: 30 * slices, slices });
  }
  async function learn(made: MadeReference, slices = [...Array(made.slices).keys()], { log } = world): Promise<void> {
    await log.append(slices.map((n) => madeSlice(made, n)));
  }
  async function add(...ids: string[]): Promise<void> {
    for (const id of ids) {
      await register(film(id));
      await learn(film(id));
    }
  }
  /** As the rights-holders' side does it: a row, and an event. */
  async function disable(id: string, tell = true): Promise<void> {
    await disableReference(world.database.postgres, { id, version: 1 }, 'withdrawn', clock.now());
    if (tell) await tellOf(id, 'disabled');
  }
  async function tellOf(id: string, action: ReferenceEvent['action']): Promise<void> {
    const data: ReferenceEvent = {
      ...{ action, reference: { id, version: 1 }, work: id, holder: 'h', receivedAt: clock.now() },
      media: { source: 't', bucket: 'references', key: id, version: '' },
    };
    const about = {
      id: `ev_${id}_${action}`,
      type: `vigil.reference.${action}`,
      source: 'vigil',
      subject: id,
      time: 1,
    };
    await world.log.append([{ topic: TOPICS.references.name, ...jsonEnvelope(`${id}@1`, { ...about, data }) }]);
  }
  const stateOf = async (id: string) => (await findReference(world.database.postgres, id))!.state;
  const held = (library: Library) =>
    library.index
      .references()
      .map((r) => r.id)
      .sort();
  /** What a search finds of both slices of each film: the films that answer. */
  const found = (library: Library, ...ids: string[]) =>
    ids.filter((id) =>
      [0, 1].every((n) => {
        const { bits } = madeFingerprint(film(id), n).tables[0]!;
        const hits = library.index.search('picture', bits);
        return hits.filter((h) => h.distance === 0 && h.origin.reference.id === id).length === 20;
      }),
    );
  const saves = () => said.filter((line) => line.includes('wrote a snapshot')).length;
  const heard = (words: string) => said.some((line) => line.includes(words));

  test('a restart reads the snapshot and what came since, and holds what it held', async () => {
    const a = await open();
    await add('one', 'two', 'three');
    await a.catchUp();
    await a.save();
    await crash(a);
    await add('four');
    const again = await open();
    expect(read).toBe(2);
    expect(found(again, 'one', 'two', 'three', 'four')).toEqual(['one', 'two', 'three', 'four']);
    expect(held(again)).toEqual(['four', 'one', 'three', 'two']);
    expect(fromSnapshot).toBe(true);
    expect(await stateOf('four')).toBe('live');
  });

  test('what it cannot understand, and no log of ours would take as it is, is put away and stops nothing', async () => {
    const dead = deadTopic(TOPICS.references.name);
    await world.log.ensureTopics([deadSpec(TOPICS.references)]);
    const headers = { more: 'h'.repeat(16 * 1024 - 4) };
    await world.log.append([{ topic: TOPICS.references.name, key: 'k', headers, value: new Uint8Array(9) }]);
    await add('one');
    await using a = await open();
    expect(found(a, 'one')).toEqual(['one']);
    const letters: LogRecord[] = [];
    for (const { partition } of await world.log.ends(dead))
      for await (const letter of world.log.read(dead, partition, 0)) letters.push(letter);
    expect(letters.map((letter) => [letter.headers.vigil_stage, letter.headers.vigil_cut])).toEqual([
      ['library', 'headers'],
    ]);
  });

  test('a drain writes the snapshot; a replica on another machine reads it; one that learned nothing writes none', async () => {
    const a = await open();
    await add('one', 'two');
    await a.catchUp();
    await a[Symbol.asyncDispose]();
    const written = (await blobs.stat('vigil', 'index/1/0'))!;
    await clock.advance(10 * 60_000);
    const b = await open({ replica: 'b' });
    expect(read).toBe(0);
    expect(found(b, 'one', 'two')).toEqual(['one', 'two']);
    await b[Symbol.asyncDispose]();
    expect(await blobs.stat('vigil', 'index/1/0')).toEqual(written);
  });

  test('a drain ends while the store says nothing, with a snapshot that was begun and without one', async () => {
    const { stat } = blobs;
    const [a, b] = [await open(), await open({ replica: 'b' })];
    await add('one');
    await a.catchUp();
    const asked = Promise.withResolvers<void>();
    blobs.stat = () => {
      asked.resolve();
      return new Promise(() => undefined);
    };
    const stop = new AbortController();
    const following = b.follow(stop.signal);
    await asked.promise;
    stop.abort(new Error('draining'));
    await clock.advance(1000);
    await following;
    await Promise.all([a, b].map((library) => library[Symbol.asyncDispose]()));
    expect(saves()).toBe(0);
    expect(heard('no snapshot of the index was written at the end')).toBe(true);
    blobs.stat = stat;
  });

  test('while it follows, a snapshot is written at first, then every ten minutes in which something was learned', async () => {
    const a = await open();
    const stop = new AbortController();
    const following = a.follow(stop.signal);
    await add('one');
    const minutes = async (n: number) => {
      for (let i = 0; i < n * 4; i++) {
        await expect.poll(() => clock.sleepers, { interval: 2, timeout: 10_000 }).toBeGreaterThan(0);
        await clock.advance(15_000);
      }
      await expect.poll(() => clock.sleepers, { interval: 2, timeout: 10_000 }).toBeGreaterThan(0);
    };
    await minutes(1);
    await expect.poll(saves, { timeout: 10_000 }).toBe(1);
    await add('two');
    await minutes(8);
    expect(saves()).toBe(1);
    await minutes(4);
    await expect.poll(saves, { timeout: 10_000 }).toBe(2);
    expect(await listReplicas(world.database.postgres)).toMatchObject([
      { replica: 'a', checkpoint: a.checkpoint(), seenAt: expect.any(Number) },
    ]);
    stop.abort(new Error('enough'));
    await clock.advance(1000);
    await following;
    await a[Symbol.asyncDispose]();
    expect(saves()).toBe(2);
  });

  describe('a library in which nothing happens', () => {
    const half = SNAPSHOT_REACH_MS / 2;
    const asleep = () => expect.poll(() => clock.sleepers, { interval: 2, timeout: 10_000 }).toBeGreaterThan(0);

    test('is written again before its snapshot ends, and tried again when that fails', async () => {
      const first = await open();
      await add('one');
      await first.catchUp();
      await first.save();
      const { put } = blobs;
      let failures = 1;
      blobs = { ...blobs, put: (...given) => (failures-- > 0 ? Promise.reject(new Error('away')) : put(...given)) };
      const a = await open();
      const stop = new AbortController();
      const following = a.follow(stop.signal);
      await asleep();
      await clock.advance(half);
      await asleep();
      expect(saves()).toBe(1);
      await clock.advance(60_000);
      await expect.poll(() => heard('no snapshot of the index was written'), { timeout: 10_000 }).toBe(true);
      await asleep();
      expect(saves()).toBe(1);
      await clock.advance(10 * 60_000);
      await expect.poll(saves, { timeout: 10_000 }).toBe(2);
      await asleep();
      stop.abort(new Error('enough'));
      await clock.advance(1000);
      await following;
      await clock.advance(half);
      const late = await open();
      expect([read, fromSnapshot, found(late, 'one')]).toEqual([0, true, ['one']]);
    });

    test('is written at the end of a process when its snapshot is old', async () => {
      const first = await open();
      await add('one');
      await first.catchUp();
      await first.save();
      const a = await open();
      await clock.advance(half + 1);
      await a.catchUp();
      await a[Symbol.asyncDispose]();
      expect(saves()).toBe(2);
    });

    test('is as old as its last look at the log, whenever it was written', async () => {
      const a = await open();
      await add('one');
      await a.catchUp();
      await clock.advance(SNAPSHOT_REACH_MS);
      // The log was away meanwhile: what was removed in that time this replica has not read.
      await a.save();
      await clock.advance(60_000);
      await open();
      expect([fromSnapshot, heard('hours old')]).toEqual([false, true]);
    });
  });

  describe('no removed reference comes back after a restart', () => {
    const restart = async (library: Library) => {
      await crash(library);
      return open();
    };

    test('removed before the snapshot, even when slices of it come later', async () => {
      const a = await open();
      await add('kept', 'gone');
      await a.catchUp();
      await disable('gone');
      await a.catchUp();
      await a.save();
      await learn(film('gone'), [1]);
      const b = await restart(a);
      expect(read).toBe(1);
      expect([held(b), found(b, 'kept', 'gone')]).toEqual([['kept'], ['kept']]);
    });

    test('removed after the snapshot', async () => {
      const a = await open();
      await add('kept', 'gone');
      await a.catchUp();
      await a.save();
      await disable('gone');
      await a.catchUp();
      const b = await restart(a);
      expect([held(b), found(b, 'kept', 'gone')]).toEqual([['kept'], ['kept']]);
    });

    test('removed while nobody was there, known by the row alone', async () => {
      const a = await open();
      await add('kept', 'gone');
      await a.catchUp();
      await a[Symbol.asyncDispose]();
      await disable('gone', false);
      const b = await open();
      expect(read).toBe(0);
      expect([held(b), found(b, 'kept', 'gone')]).toEqual([['kept'], ['kept']]);
    });

    test('erased from log and database, its tombstones compacted away', async () => {
      const a = await open();
      await add('kept', 'gone');
      await a.catchUp();
      await a.save();
      await disable('gone');
      for (const topic of [TOPICS.references.name, TOPICS.referenceCodes.name]) {
        const keys = topic === TOPICS.references.name ? ['gone@1'] : ['gone@1/0', 'gone@1/1'];
        await world.log.append(keys.map((key) => ({ topic, key, headers: {}, value: null })));
      }
      const { postgres } = world.database;
      await postgres.query(`DELETE FROM reference_slices WHERE reference = 'gone'`);
      await postgres.query(`DELETE FROM reference_versions WHERE id = 'gone'`);

      const soon = await restart(a);
      expect([held(soon), found(soon, 'kept', 'gone')]).toEqual([['kept'], ['kept']]);

      await world.log.maintain();
      await clock.advance(25 * HOUR);
      // What stands at a partition's end is never compacted away: another reference comes after.
      await add('later', 'later2', 'later3', 'later4', 'later5', 'later6');
      await world.log.maintain();
      said = [];
      const late = await open();
      expect(heard('hours old')).toBe(true);
      expect(held(late)).not.toContain('gone');
      expect(found(late, 'kept', 'gone', 'later')).toEqual(['kept', 'later']);
    });

    test('a tombstone alone removes it too', async () => {
      const a = await open();
      await add('kept', 'gone');
      await a.catchUp();
      await a.save();
      await world.log.append([{ topic: TOPICS.referenceCodes.name, key: 'gone@1/0', headers: {}, value: null }]);
      await a.catchUp();
      expect(held(a)).toEqual(['kept']);
    });

    test('one that is allowed again comes back, by the event or by the row', async () => {
      const a = await open();
      await add('back');
      for (const n of [0, 1]) {
        await blobs.put('vigil', `codes/back@1/${n}`, encodeFingerprint(madeFingerprint(film('back'), n)));
      }
      await a.catchUp();
      await disable('back');
      await a.catchUp();
      expect(held(a)).toEqual([]);
      await a.save();
      await world.database.postgres.query(`UPDATE reference_versions SET state = 'live' WHERE id = 'back'`);
      await a.reconcile();
      expect(found(a, 'back')).toEqual(['back']);
      const b = await restart(a);
      expect(found(b, 'back')).toEqual(['back']);
    });
  });

  describe('a snapshot that cannot be trusted is refused aloud, and the log is read anew', () => {
    async function written(): Promise<void> {
      const a = await open();
      await add('one', 'two');
      await a.catchUp();
      await a.save();
      said = [];
    }
    const bytes = () => readBlob(blobs, 'vigil', snapshotKey({ number: 0, of: 1 }), 1e9);

    test('of another log', async () => {
      await written();
      const other = await openWorld();
      for (const id of ['three', 'four', 'five']) {
        await register(film(id, 9), other);
        await learn(film(id, 9), [...Array(9).keys()], other);
      }
      const library = await open({ in: other });
      expect(held(library)).toEqual(['five', 'four', 'three']);
      expect(heard('another log')).toBe(true);
    });

    test('of a log that began anew and is shorter', async () => {
      await written();
      const other = await openWorld();
      const library = await open({ in: other });
      expect(held(library)).toEqual([]);
      expect(heard('another log')).toBe(true);
    });

    test('of another layout', async () => {
      await written();
      await blobs.put('vigil', snapshotKey({ number: 1, of: 2 }), await bytes());
      const library = await open({ number: 1, of: 2 });
      expect(heard('it is of shard 0 of 1, not of shard 1 of 2')).toBe(true);
      expect(read).toBe(4);
      await library[Symbol.asyncDispose]();
    });

    test('older than tombstones are kept, but not before', async () => {
      await written();
      await clock.advance(SNAPSHOT_REACH_MS);
      await open();
      expect(read).toBe(0);
      await clock.advance(60_000);
      const library = await open();
      expect([read, heard('hours old'), found(library, 'one', 'two')]).toEqual([4, true, ['one', 'two']]);
    });

    test('altered or cut short', async () => {
      await written();
      const good = await bytes();
      for (const at of [100, good.length >> 1, good.length - 40]) {
        const bad = Uint8Array.from(good);
        bad[at]! ^= 1;
        await blobs.put('vigil', snapshotKey({ number: 0, of: 1 }), bad);
        said = [];
        const library = await open();
        expect([read, heard('is refused'), found(library, 'one', 'two')]).toEqual([4, true, ['one', 'two']]);
      }
      await blobs.put('vigil', snapshotKey({ number: 0, of: 1 }), good.subarray(0, good.length >> 1));
      await open();
      expect(read).toBe(4);
    });
  });

  describe('a slice whose event was too large for the log, and is gone from the store', () => {
    /** As `recordOf` sends it, but that nothing lies there. */
    const learnLost = async (made: MadeReference, slice: number) => {
      const { headers, ...record } = madeSlice(made, slice);
      const spilled = { 'content-type': 'application/vnd.vigil.spilled', vigil_content_type: headers['content-type']! };
      const value = new TextEncoder().encode(JSON.stringify({ key: 'spilled/none', sha256: 'none', size: 9 }));
      await world.log.append([{ ...record, headers: { ...headers, ...spilled }, value }]);
    };
    const keep = (made: MadeReference, slice: number) =>
      blobs.put(
        'vigil',
        `codes/${referenceKey(made.reference)}/${slice}`,
        encodeFingerprint(madeFingerprint(made, slice)),
      );
    const dead = async () => (await world.log.ends(deadTopic(CODES))).reduce((n, { end }) => n + end, 0);
    const CODES = TOPICS.referenceCodes.name;
    beforeEach(() => world.log.ensureTopics([deadSpec(TOPICS.referenceCodes)]));

    test('is read from where its codes lie a second time, in whatever shard', async () => {
      const ids = ['one', 'two', 'three', 'four'];
      for (const id of ids) {
        await register(film(id));
        await learn(film(id), [0]);
        await learnLost(film(id), 1);
        await keep(film(id), 1);
      }
      const [a, b] = [await open({ of: 2 }), await open({ number: 1, of: 2, replica: 'b' })];
      for (const library of [a, b]) await library.catchUp();
      expect([...found(a, ...ids), ...found(b, ...ids)].sort()).toEqual([...ids].sort());
      expect(await Promise.all(ids.map(stateOf))).toEqual(ids.map(() => 'live'));
      expect([await dead(), counted]).toEqual([0, []]);
    });

    test('is put away, seen and counted where those are gone too, and the index goes on', async () => {
      await register(film('lost'));
      await learnLost(film('lost'), 0);
      await keep(film('lost'), 1);
      await learnLost(film('lost'), 1);
      await add('one');
      const a = await open();
      expect([held(a), found(a, 'one', 'lost')]).toEqual([['lost', 'one'], ['one']]);
      expect([await dead(), counted]).toEqual([1, [`vigil_dead_letters_total ${CODES}`]]);
      expect(heard('the codes of lost@1/0 are gone from the store')).toBe(true);
      expect(await stateOf('lost')).not.toBe('live');
      await learnLost(film('one'), 7);
      await add('two');
      await a.catchUp();
      expect([await dead(), found(a, 'two')]).toEqual([2, ['two']]);
    });

    test('is nobody’s when its reference is gone, and waited for when the store is', async () => {
      await register(film('gone'));
      await learnLost(film('gone'), 0);
      await learnLost(film('unknown'), 0);
      await disable('gone', false);
      const a = await open();
      expect([held(a), await dead()]).toEqual([[], 0]);
      await register(film('kept'));
      await learnLost(film('kept'), 0);
      blobs.get = () => Promise.reject(new BlobStoreError('unavailable', 'away'));
      await expect(a.catchUp()).rejects.toMatchObject({ code: 'unavailable' });
      expect(await dead()).toBe(0);
    });

    test('is waited for without putting away again what was put away before it', async () => {
      const a = await open();
      await register(film('kept'));
      await world.log.append([{ topic: CODES, key: 'kept@1/0', headers: {}, value: new Uint8Array(9) }]);
      await learnLost(film('kept'), 0);
      const { get } = blobs;
      blobs.get = () => Promise.reject(new BlobStoreError('unavailable', 'away'));
      for (let tries = 0; tries < 3; tries++) await expect(a.catchUp()).rejects.toMatchObject({ code: 'unavailable' });
      expect([await dead(), counted]).toEqual([1, [`vigil_dead_letters_total ${CODES}`]]);
      blobs.get = get;
      await keep(film('kept'), 0);
      await a.catchUp();
      expect([held(a), await dead()]).toEqual([['kept'], 1]);
    });
  });

  test('the checkpoint of a replica that restarts is never smaller, with a snapshot, without, and after compaction', async () => {
    const a = await open();
    await add('one', 'two', 'three');
    await a.catchUp();
    for (let i = 0; i < 3; i++) await learn(film('one'));
    await a.catchUp();
    const before = a.checkpoint();
    expect(before).toBe(12);
    await world.log.maintain();
    const rebuilt = await open({ replica: 'rebuilt' });
    expect(rebuilt.checkpoint()).toBe(before);
    await a.save();
    const restored = await open({ replica: 'restored' });
    expect(restored.checkpoint()).toBe(before);
    await add('four');
    for (const library of [a, rebuilt, restored]) {
      await library.catchUp();
      expect(library.checkpoint()).toBe(before + 2);
    }
  });

  test('half a reference in a snapshot counts as loaded by whoever reads it', async () => {
    const a = await open();
    await register(film('half'));
    await learn(film('half'), [0]);
    await a.catchUp();
    await a.save();
    const b = await open({ replica: 'b' });
    await learn(film('half'), [1]);
    await a.catchUp();
    expect(await stateOf('half')).toBe('checked');
    await b.catchUp();
    expect(await stateOf('half')).toBe('live');
    expect(referenceKey((await findReference(world.database.postgres, 'half'))!)).toBe('half@1');
  });

  test('what was read and not told the database yet is told by whoever reads the snapshot, of other shards as well', async () => {
    let away = false;
    const database: Database = {
      ...world.database,
      transaction: (fn) => (away ? Promise.reject(new Error('the database is away')) : world.database.transaction(fn)),
    };
    const here = await open({ of: 2, in: { ...world, database } });
    const there = await open({ of: 2, number: 1 });
    const ids = Array.from({ length: 8 }, (_, n) => `film-${n}`);
    await add(...ids);
    away = true;
    await expect(here.catchUp()).rejects.toThrow('away');
    await here.save();
    await crash(here);
    await open({ of: 2 });
    expect(fromSnapshot).toBe(true);
    await there.catchUp();
    expect(await Promise.all(ids.map(stateOf))).toEqual(ids.map(() => 'live'));
  });

  test('a shard holds its own part, and the snapshots of shards are apart', async () => {
    const ids = Array.from({ length: 12 }, (_, n) => `film-${n}`);
    const halves = [await open({ of: 2 }), await open({ of: 2, number: 1 })];
    await add(...ids);
    for (const half of halves) {
      await half.catchUp();
      await half.save();
    }
    const again = [await open({ of: 2 }), await open({ of: 2, number: 1 })];
    expect(read).toBe(0);
    expect(again.map(held)).toEqual(halves.map(held));
    expect(again.flatMap(held).sort()).toEqual([...ids].sort());
    expect(await Promise.all(ids.map(stateOf))).toEqual(ids.map(() => 'live'));
  });
});
