/** Real: the database. Faked: the log's ends, and a store that nobody may ask. */
import { codeToHex } from '@vigil/contracts';
import {
  type Database,
  lookBackLag,
  markLookedBack,
  newReferences,
  queueLookBack,
  registerHashes,
} from '@vigil/database';
import { createLogger, createMetrics, realClock } from '@vigil/runtime';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { randomCode, randomWords } from '../../../../test/support/made-uploads.ts';
import { openTestDatabase } from '../../../../test/support/postgres.ts';
import { hashMedia } from '../hash-lists.ts';
import { followLookBack } from './follow-look-back.ts';
import { loadNewOnes } from './look-back.ts';

const codes = Array.from(
  { length: 300 },
  (
    (next) => () =>
      randomCode(next)
  )(randomWords(20310101)),
);
const unasked = {
  slice: async () => {
    throw new Error('nobody has to ask the store');
  },
};

let database: Database;
beforeEach(async () => {
  database = await openTestDatabase();
  await database.transaction(async (tx) => {
    const about = { holder: 'h', work: 'w', title: 't', now: 1 };
    const pictures = codes.map((code) => ({ id: codeToHex(code), media: hashMedia(code), name: '' }));
    await registerHashes(tx, about, pictures);
    await tx.query(`UPDATE reference_versions SET state = 'live', live_at = 1`);
    await queueLookBack(
      tx,
      codes.map((code) => ({ id: codeToHex(code), version: 1 })),
    );
  });
});
afterEach(() => database[Symbol.asyncDispose]());

test('where nothing was uploaded before, references are compared with nothing, and nothing of them is read', async () => {
  const stop = new AbortController();
  const log = { ends: async () => [{ partition: 0, start: 7, end: 7 }] };
  const logger = createLogger({ level: 'silent' });
  const deps = { database, log, logger, clock: realClock, metrics: createMetrics(), references: unasked };
  const following = followLookBack({ ...deps, delayMs: 0, surfaces: [] } as never, stop.signal);
  while ((await lookBackLag(database.postgres)).waiting > 0) await realClock.sleep(20);
  stop.abort();
  await following;
});

test('references that are hashes are loaded from their rows', async () => {
  using loaded = await loadNewOnes(await newReferences(database.postgres, 1000), unasked);
  expect(loaded.references).toHaveLength(codes.length);
  expect(loaded.sieve.codes).toBe(codes.length);
  const last = codes.at(-1)!;
  expect(loaded.index.search('picture', last).map((h) => h.origin.reference.id)).toEqual([codeToHex(last)]);
});

test('what was disabled before its turn came is not looked back for, and does not keep the queue open', async () => {
  const [gone, ...left] = codes.map((code) => codeToHex(code));
  await database.postgres.query(`UPDATE reference_versions SET state = 'disabled' WHERE id = $1`, [gone]);
  const found = await newReferences(database.postgres, 1000);
  expect(new Set(found.map((r) => r.id))).toEqual(new Set(left));
  expect((await lookBackLag(database.postgres)).waiting).toBe(left.length);
  await markLookedBack(database.postgres, found);
  expect(await lookBackLag(database.postgres)).toEqual({ waiting: 0, oldest: null });
});
