/** Real: the database, and the log in it. */
import { deadSpec, deadTopic, TOPICS } from '@vigil/contracts';
import { type LogRecord, openPostgresEventLog } from '@vigil/event-log';
import { realClock } from '@vigil/runtime';
import { expect, test } from 'vitest';
import { openTestDatabase } from '../../../../test/support/postgres.ts';
import { deadLetter } from '../dead-letter.ts';
import { createStatus, type StatusDeps } from '../watching/status.ts';
import { createDeadLetters } from './dead-letters.ts';

const { name, maxBytes } = TOPICS.uploads;
const record = (key: string, length: number): LogRecord => ({
  ...{ topic: name, partition: 0, offset: 5, time: 1 },
  ...{ key, headers: { ce_id: 'ev_1' }, value: new TextEncoder().encode('x'.repeat(length)) },
});
const died = { reason: 'broken', stage: 'plan', group: 'plan' };

test('only what is whole is sent again; what was cut stays open, and can be looked at and dropped', async () => {
  await using database = await openTestDatabase();
  await using log = await openPostgresEventLog({ postgres: database.postgres });
  await log.ensureTopics(Object.values(TOPICS).flatMap((spec) => [spec, deadSpec(spec)]));
  await log.append([deadLetter(record('whole', 10), died), deadLetter(record('cut', maxBytes + 1), died)]);
  const letters = createDeadLetters({ database, log, clock: realClock });
  expect(await letters.catchUp()).toBe(2);

  expect(await letters.retry({}, 'ann')).toEqual({ settled: 1, gone: 0, cut: 1 });
  const sent: LogRecord[] = [];
  for (const { partition, start } of await log.ends(name))
    for await (const one of log.read(name, partition, start)) sent.push(one);
  expect(sent.map(({ key, headers }) => [key, headers.ce_id, headers.vigil_origin])).toEqual([
    ['whole', 'ev_1', undefined],
  ]);

  const [open] = await letters.letters({ state: 'open' });
  expect(open).toMatchObject({ topic: deadTopic(name), key: 'cut', reason: 'broken' });
  const shown = await letters.read(open!);
  expect(shown!.headers).toMatchObject({ vigil_cut: `value (of ${maxBytes + 1} bytes)`, vigil_origin: `${name}/0/5` });
  expect(await letters.drop({}, 'ann', 'they have sent it again')).toEqual({ settled: 1, gone: 0 });
});

test('a letter is open from its death on, whether anybody has read it or not, until it is tried again or dropped', async () => {
  await using database = await openTestDatabase();
  await using log = await openPostgresEventLog({ postgres: database.postgres });
  await log.ensureTopics(Object.values(TOPICS).flatMap((spec) => [spec, deadSpec(spec)]));
  const letters = createDeadLetters({ database, log, clock: realClock });
  const status = createStatus({ database, log, clock: realClock } as StatusDeps);
  expect(await status.deadLetters()).toEqual([]);
  await log.append(['one', 'two', 'three'].map((key) => deadLetter(record(key, 10), died)));
  expect(await status.deadLetters()).toEqual([{ topic: name, day: 3, kept: 3, open: 3 }]);
  await letters.catchUp();
  const [first] = await letters.letters({});
  await letters.drop({ letter: first! }, 'ann', 'nobody needs it');
  await log.append([deadLetter(record('four', 10), died)]);
  expect(await status.deadLetters()).toEqual([{ topic: name, day: 4, kept: 4, open: 3 }]);
  await letters.catchUp();
  await letters.retry({}, 'ann');
  expect(await status.deadLetters()).toEqual([{ topic: name, day: 4, kept: 4, open: 0 }]);
});
