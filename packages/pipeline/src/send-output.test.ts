import { TOPICS } from '@vigil/contracts';
import { type Database, outboxLag } from '@vigil/database';
import { createFakeClock } from '@vigil/runtime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { openTestDatabase } from '../../../test/support/postgres.ts';
import type { Output } from './outcome.ts';
import { sendOutput } from './send-output.ts';

/** Real: the database. */
let database: Database;
const clock = createFakeClock();
beforeAll(async () => {
  database = await openTestDatabase();
});
afterAll(() => database[Symbol.asyncDispose]());

const output = (bytes: number, key = 'up_1'): Output => ({
  ...{ to: 'verdicts', key, id: `ev_${bytes}`, type: 't' },
  // With its quotes.
  data: 'x'.repeat(bytes - 2),
});
const commit = (one: Output) => database.transaction((tx) => sendOutput(tx, one, clock.now()));

test('what the log would refuse is never committed, and takes back what was to be committed with it', async () => {
  const { maxBytes } = TOPICS.verdicts;
  await commit(output(maxBytes));
  await expect(commit(output(maxBytes + 1))).rejects.toMatchObject({ name: 'EventLogError', retriable: false });
  await expect(commit(output(9, 'k'.repeat(1025)))).rejects.toMatchObject({ name: 'EventLogError', retriable: false });
  expect((await outboxLag(database.postgres)).waiting).toBe(1);
});
