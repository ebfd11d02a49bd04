import { afterAll, expect, test } from 'vitest';
import { openTestDatabase } from '../../../test/support/postgres.ts';

import { cancelTimer, postponeTimer, setTimer, takeDueTimers } from './timers.ts';

const database = await openTestDatabase();
afterAll(() => database[Symbol.asyncDispose]());
const db = database.postgres;
const set = (id: string, dueAt: number, payload: unknown = {}) => setTimer(db, { id, kind: 'test', dueAt, payload });
const take = (now: number, limit = 10) => database.transaction((tx) => takeDueTimers(tx, now, limit));

test('what is due comes, earliest first, once', async () => {
  await set('late', 300);
  await set('b', 20, [1, 'two']);
  await set('a', 10);
  expect(await take(100)).toEqual([
    { id: 'a', kind: 'test', dueAt: 10, payload: {}, attempts: 0 },
    { id: 'b', kind: 'test', dueAt: 20, payload: [1, 'two'], attempts: 0 },
  ]);
  expect(await take(100)).toEqual([]);
  await cancelTimer(db, 'late');
  expect(await take(1000)).toEqual([]);
});

test('setting again moves a timer; postponing counts', async () => {
  await set('t', 10);
  await set('t', 50, { n: 2 });
  expect(await take(49)).toEqual([]);
  await postponeTimer(db, 't', 60);
  expect(await take(59)).toEqual([]);
  expect(await take(60)).toEqual([{ id: 't', kind: 'test', dueAt: 60, payload: { n: 2 }, attempts: 1 }]);
});

test('two takers share what is due, and a rollback gives it back', async () => {
  for (let i = 0; i < 10; i++) await set(`s${i}`, i);
  const both = Promise.withResolvers<void>();
  const taken: string[][] = [];
  const taker = () =>
    database.transaction(async (tx) => {
      const mine = (await takeDueTimers(tx, 100, 5)).map((t) => t.id);
      if (taken.push(mine) === 2) both.resolve();
      await both.promise;
      if (mine.includes('s0')) throw new Error('my handler failed');
    });
  const ends = await Promise.allSettled([taker(), taker()]);
  expect(ends.map((e) => e.status).sort()).toEqual(['fulfilled', 'rejected']);
  expect(new Set(taken.flat()).size).toBe(10);
  const back = taken.find((ids) => ids.includes('s0'))!;
  expect((await take(100)).map((t) => t.id)).toEqual(back);
});

test('cancelling a timer that is being taken does not wait for it', async () => {
  await set('busy', 1);
  await database.transaction(async (tx) => {
    expect(await takeDueTimers(tx, 10, 1)).toHaveLength(1);
    await cancelTimer(db, 'busy');
  });
  expect(await take(10)).toEqual([]);
});
