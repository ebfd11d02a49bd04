import { openPostgres } from '@vigil/runtime';
import { expect, test } from 'vitest';
import { createEmptyDatabase } from '../../../test/support/postgres.ts';
import { conflictMessages } from './conflicts.ts';
import { MIGRATIONS, migrate } from './migrate.ts';
import { findPapers, paperIsWhole } from './papers.ts';

test('the schema is built once, however many start at the same time, and not again', async () => {
  await using server = await createEmptyDatabase();
  await using one = openPostgres({ url: server.url, max: 2 });
  await using two = openPostgres({ url: server.url, max: 2 });
  const taken = await Promise.all([migrate(one), migrate(two)]);
  expect(taken.flat().sort((a, b) => a - b)).toEqual(MIGRATIONS.map((m) => m.number));
  expect(await migrate(one)).toEqual([]);
});

test('a step that fails leaves the schema as it was, and the steps before it', async () => {
  await using server = await createEmptyDatabase();
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
  await using server = await createEmptyDatabase();
  await using postgres = openPostgres({ url: server.url, max: 2 });
  const steps = [1, 2].map((number) => ({ number, name: 'step', sql: 'SELECT 1' }));
  await migrate(postgres, steps);
  await expect(migrate(postgres, steps.slice(0, 1))).rejects.toThrow('the database has schema 2, this release knows 1');
});

test('messages about a conflict that were there before they could be erased are papers, word for word', async () => {
  await using server = await createEmptyDatabase();
  await using postgres = openPostgres({ url: server.url, max: 2 });
  await migrate(
    postgres,
    MIGRATIONS.filter((m) => m.number < 14),
  );
  for (const id of ['a', 'b']) {
    await postgres.query('INSERT INTO works (id, holder, title, created_at) VALUES ($1, $1, $1, 0)', [id]);
    await postgres.query(
      `INSERT INTO reference_versions (id, version, work, holder, media, received_at) VALUES ($1, 1, $1, $1, '{}', 0)`,
      [id],
    );
  }
  await postgres.query(
    `INSERT INTO conflicts (id, earlier, earlier_version, earlier_holder, newcomer, newcomer_version, newcomer_holder, spans, opened_at, due_at)
     VALUES ('c', 'a', 1, 'a', 'b', 1, 'b', '[]', 1, 2)`,
  );
  const bodies = ['plain', 'two\nlines, a "quote", a \\ and a \ttab', 'é, 好, 😀, \u0001 and \u007f', '</script>'];
  for (const [n, body] of bodies.entries())
    await postgres.query(`INSERT INTO conflict_messages VALUES ($1, 'c', $2, $3, $4)`, [
      `msg_${n}`,
      n === 1 ? 'operator' : 'newcomer',
      body,
      n,
    ]);
  expect(await migrate(postgres)).toContain(14);
  expect(await conflictMessages(postgres, 'c')).toEqual(
    bodies.map((body, n) => ({
      id: `msg_${n}`,
      side: n === 1 ? 'operator' : 'newcomer',
      ...{ body, sentAt: n, erasedAt: null, erasedWhy: null },
    })),
  );
  const papers = await findPapers(
    postgres,
    bodies.map((_, n) => `msg_${n}`),
  );
  expect(papers.map((p) => [paperIsWhole(p), p.salt?.length])).toEqual(bodies.map(() => [true, 32]));
});
