import { openPostgres } from '@vigil/runtime';
import { expect, test } from 'vitest';
import { createTestDatabase } from '../../../test/support/postgres.ts';
import { MIGRATIONS, migrate } from './migrate.ts';

test('the schema is built once, however many start at the same time, and not again', async () => {
  await using server = await createTestDatabase();
  await using one = openPostgres({ url: server.url, max: 2 });
  await using two = openPostgres({ url: server.url, max: 2 });
  const taken = await Promise.all([migrate(one), migrate(two)]);
  expect(taken.flat().sort((a, b) => a - b)).toEqual(MIGRATIONS.map((m) => m.number));
  expect(await migrate(one)).toEqual([]);
});

test('a step that fails leaves the schema as it was, and the steps before it', async () => {
  await using server = await createTestDatabase();
  await using postgres = openPostgres({ url: server.url, max: 2 });
  const steps = [
    { number: 1, name: 'good', sql: 'CREATE TABLE good (n int)' },
    { number: 2, name: 'bad', sql: 'CREATE TABLE half (n int); SELECT 1/0' },
  ];
  await expect(migrate(postgres, steps)).rejects.toMatchObject({ code: '22012' });
  expect(
    await postgres.query(`SELECT to_regclass('good') IS NOT NULL AS good, to_regclass('half') IS NULL AS none`),
  ).toEqual([{ good: true, none: true }]);
  const mended = [steps[0]!, { number: 2, name: 'bad', sql: 'CREATE TABLE half (n int)' }];
  expect(await migrate(postgres, mended)).toEqual([2]);
});

test('a database of a newer release is refused', async () => {
  await using server = await createTestDatabase();
  await using postgres = openPostgres({ url: server.url, max: 2 });
  const steps = [1, 2].map((number) => ({ number, name: 'step', sql: 'SELECT 1' }));
  await migrate(postgres, steps);
  await expect(migrate(postgres, steps.slice(0, 1))).rejects.toThrow('the database has schema 2, this release knows 1');
});
