import { afterAll, beforeAll, expect, test } from 'vitest';
import { createEmptyDatabase, type TestDatabase } from '../../../test/support/postgres.ts';
import { jsonb, openPostgres, type Postgres, PostgresError } from './postgres.ts';

let database: TestDatabase;
let postgres: Postgres;
beforeAll(async () => {
  database = await createEmptyDatabase();
  postgres = openPostgres({ url: database.url, max: 4 });
});
afterAll(async () => {
  await postgres?.[Symbol.asyncDispose]();
  await database?.[Symbol.asyncDispose]();
});

test('types arrive as the program uses them', async () => {
  const [row] = await postgres.query(
    `SELECT 5::bigint AS big, count(*) AS n, $1::jsonb AS json, $2::bytea AS bytes, '{1,NULL,3}'::bigint[] AS list`,
    [jsonb([{ a: 1 }]), Uint8Array.of(0, 255)],
  );
  expect(row).toEqual({ big: 5, n: 1, json: [{ a: 1 }], bytes: Uint8Array.of(0, 255), list: [1, null, 3] });
  expect((row!.bytes as Uint8Array).buffer.byteLength).toBe(2);
  expect(row!.bytes).not.toBeInstanceOf(Buffer);
});

test('a bigint that a number cannot hold is an error, not another number', async () => {
  await expect(postgres.query('SELECT 9007199254740993::bigint')).rejects.toMatchObject({
    code: '22003',
    retriable: false,
  });
});

test('jsonb takes text that PostgreSQL would refuse', async () => {
  const value = { 'k\0ey': ['a\0b', '\ud800', 'plain', { deep: '\udfff!' }] };
  const [row] = await postgres.query('SELECT $1::jsonb AS v', [jsonb(value)]);
  expect(row!.v).toEqual({ 'k\ufffdey': ['a\ufffdb', '\ufffd', 'plain', { deep: '\ufffd!' }] });
});

test('a failed transaction leaves nothing, and its connection is fit for use', async () => {
  await postgres.query('CREATE TABLE things (id int PRIMARY KEY)');
  const failing = postgres.transaction(async (tx) => {
    await tx.query('INSERT INTO things VALUES (1)');
    throw new Error('changed my mind');
  });
  await expect(failing).rejects.toThrow('changed my mind');
  expect(await postgres.query('SELECT * FROM things')).toEqual([]);
  expect(await postgres.transaction((tx) => tx.query('SELECT 1 AS one'))).toEqual([{ one: 1 }]);
});

test('a swallowed error inside a transaction does not pass for a commit', async () => {
  const swallowing = postgres.transaction(async (tx) => {
    await tx.query('INSERT INTO things VALUES (7)');
    await tx.query('SELECT 1/0').catch(() => undefined);
    return 'fine';
  });
  await expect(swallowing).rejects.toMatchObject({ code: '25P02' });
});

test('statements of transactions are prepared once a connection, and outlive a change of their table', async () => {
  await using one = openPostgres({ url: database.url, max: 1 });
  await one.query('CREATE TABLE changing (id int PRIMARY KEY, size int NOT NULL)');
  const sizeOf = (id: number) =>
    one.transaction(async (tx) => (await tx.query('SELECT size FROM changing WHERE id = $1', [id]))[0]);
  const prepared = () => one.query(`SELECT statement FROM pg_prepared_statements WHERE statement LIKE '%changing%'`);
  await one.transaction((tx) => tx.query('INSERT INTO changing VALUES ($1, $2)', [1, 7]));
  expect(await sizeOf(1)).toEqual({ size: 7 });
  expect(await sizeOf(2)).toBeUndefined();
  expect(await prepared()).toHaveLength(2);
  await one.query('ALTER TABLE changing ALTER COLUMN size TYPE text');
  expect(await sizeOf(1)).toEqual({ size: '7' });
  expect(await prepared()).toHaveLength(1);
  await one.query('SELECT $1::int AS id FROM changing', [1]);
  expect(await prepared()).toHaveLength(1);
});

test('however many connections have prepared what a change of its table has outdated', async () => {
  await using many = openPostgres({ url: database.url, max: 8 });
  await many.query('CREATE TABLE changing_too (id int PRIMARY KEY, size int NOT NULL)');
  await many.query('INSERT INTO changing_too VALUES (1, 7)');
  const atOnce = () => {
    const all = Promise.withResolvers<void>();
    let begun = 0;
    const one = async () =>
      many.transaction(async (tx) => {
        const [row] = await tx.query('SELECT size FROM changing_too WHERE id = $1', [1]);
        if (++begun === 8) all.resolve();
        await all.promise;
        return row;
      });
    return Promise.all(Array.from({ length: 8 }, one));
  };
  await atOnce();
  await many.query('ALTER TABLE changing_too ALTER COLUMN size TYPE text');
  for (let n = 0; n < 8; n++) {
    const rows = await many.transaction((tx) => tx.query('SELECT size FROM changing_too WHERE id = $1', [1]));
    expect(rows).toEqual([{ size: '7' }]);
  }
  expect(await atOnce()).toEqual(Array(8).fill({ size: '7' }));
});

test('a query after the end of its transaction is refused', async () => {
  const tx = await postgres.transaction(async (t) => t);
  await expect(tx.query('SELECT 1')).rejects.toThrow('after its transaction had ended');
});

test('a deadlock is tried again until both have passed', async () => {
  await postgres.query('CREATE TABLE counts (id int PRIMARY KEY, n int NOT NULL)');
  await postgres.query('INSERT INTO counts VALUES (1, 0), (2, 0)');
  let meet: (() => void) | undefined;
  const met = new Promise<void>((resolve) => {
    meet = resolve;
  });
  let arrived = 0;
  let runs = 0;
  const both = (first: number, second: number, other: () => Promise<void>) => {
    let attempts = 0;
    return postgres.transaction(async (tx) => {
      runs++;
      // A row is anyone's as soon as it is let go: whoever is tried again could have it before the one that waited for it.
      if (++attempts > 1) await other();
      await tx.query('UPDATE counts SET n = n + 1 WHERE id = $1', [first]);
      if (++arrived === 2) meet!();
      await met;
      await tx.query('UPDATE counts SET n = n + 1 WHERE id = $1', [second]);
    });
  };
  const one: Promise<void> = both(1, 2, () => two);
  const two: Promise<void> = both(2, 1, () => one);
  await Promise.all([one, two]);
  expect(runs).toBe(3);
  expect(await postgres.query('SELECT n FROM counts ORDER BY id')).toEqual([{ n: 2 }, { n: 2 }]);
});

test('errors say whether the environment is to blame', async () => {
  const wrong = await postgres.query('SELECT nonsense').catch((e: unknown) => e);
  expect(wrong).toBeInstanceOf(PostgresError);
  expect(wrong).toMatchObject({ retriable: false, code: '42703' });
  await using nowhere = openPostgres({ url: 'postgresql://vigil@127.0.0.1:1/none' });
  await expect(nowhere.query('SELECT 1')).rejects.toMatchObject({ retriable: true, code: 'ECONNREFUSED' });
});

test('a listener hears notifications, and is woken after its connection was cut', async () => {
  const heard: string[] = [];
  let wake: (() => void) | undefined;
  const until = (n: number) =>
    new Promise<void>((resolve) => {
      wake = () => heard.length >= n && resolve();
      wake();
    });
  await using _ = await postgres.listen('news', (payload) => {
    heard.push(payload);
    wake?.();
  });
  await postgres.query(`NOTIFY news, 'one'`);
  await until(1);
  await postgres.query(
    `SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() AND query LIKE 'LISTEN%'`,
  );
  await until(2);
  await postgres.query(`NOTIFY news, 'two'`);
  await until(3);
  expect(heard).toEqual(['one', '', 'two']);
});

test('a session holds its advisory lock, and says when it lost it', async () => {
  await using one = await postgres.session();
  await using two = await postgres.session();
  const lock = 'SELECT pg_try_advisory_lock(42) AS mine, pg_backend_pid() AS pid';
  const [first] = await one.query(lock);
  expect(first!.mine).toBe(true);
  expect((await two.query(lock))[0]!.mine).toBe(false);
  const lost = new Promise<void>((resolve) => one.lost.addEventListener('abort', () => resolve()));
  await postgres.query('SELECT pg_terminate_backend($1)', [first!.pid]);
  await lost;
  expect((await two.query(lock))[0]!.mine).toBe(true);
});
