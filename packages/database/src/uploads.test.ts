import { afterAll, expect, test } from 'vitest';
import { openTestDatabase } from '../../../test/support/postgres.ts';
import { enqueue } from './outbox.ts';
import { alignments, event, evidence, manifest, openClaim, verdict } from './testing.ts';
import { traceOf } from './trace.ts';
import {
  findUpload,
  lockUpload,
  markDeleted,
  recordAlignments,
  recordEvidence,
  resultsOf,
  saveManifest,
  saveVerdict,
  setBlocked,
  verdictsOf,
} from './uploads.ts';

const database = await openTestDatabase();
afterAll(() => database[Symbol.asyncDispose]());
const db = database.postgres;

test('an upload is made once and judged by one at a time', async () => {
  let inside = 0;
  let most = 0;
  await Promise.all(
    Array.from({ length: 8 }, () =>
      database.transaction(async (tx) => {
        const row = await lockUpload(tx, 'up_race');
        most = Math.max(most, ++inside);
        await tx.query('SELECT pg_sleep(0.002)');
        await setBlocked(tx, row.id, [], row.epoch + 1);
        inside--;
      }),
    ),
  );
  expect(most).toBe(1);
  expect((await findUpload(db, 'up_race'))!.epoch).toBe(8);
});

test('a fresh upload knows nothing yet; its manifest fills it in', async () => {
  await database.transaction(async (tx) => {
    expect(await lockUpload(tx, 'up_m')).toEqual({
      id: 'up_m',
      media: null,
      account: null,
      manifest: null,
      deleted: false,
      epoch: 0,
      mediaState: 'shown',
      blocked: [],
      revision: 0,
      verdict: null,
      receivedAt: null,
      settledAt: null,
    });
    await saveManifest(tx, 'up_m', manifest('up_m'));
    await markDeleted(tx, 'up_m');
  });
  const row = await findUpload(db, 'up_m');
  expect(row).toMatchObject({ account: 'acc_1', receivedAt: 1000, deleted: true });
  expect(row!.manifest).toEqual(manifest('up_m'));
  expect(await findUpload(db, 'up_none')).toBeNull();
});

test('a later checkpoint replaces a result, an equal or earlier one is a redelivery', async () => {
  await database.transaction(async (tx) => {
    await lockUpload(tx, 'up_c');
    expect(await recordAlignments(tx, alignments('up_c', 1, 5))).toBe(true);
    expect(await recordAlignments(tx, alignments('up_c', 1, 5, 'again'))).toBe(false);
    expect(await recordAlignments(tx, alignments('up_c', 1, 4, 'late'))).toBe(false);
    expect(await recordAlignments(tx, alignments('up_c', 0, 4))).toBe(true);
    expect(await recordAlignments(tx, { ...alignments('up_c', 1, 1, 'other shard'), shard: 1 })).toBe(true);
    expect(await recordAlignments(tx, alignments('up_c', 1, 6, 'newer'))).toBe(true);
    expect(await recordEvidence(tx, evidence('up_c', 1, 5))).toBe(true);
    expect(await recordEvidence(tx, evidence('up_c', 1, 5, 'again'))).toBe(false);
    expect(await recordEvidence(tx, evidence('up_c', 1, 6, 'newer'))).toBe(true);
  });
  const { alignments: a, evidence: e } = await resultsOf(db, 'up_c');
  expect(a).toEqual([
    alignments('up_c', 0, 4),
    alignments('up_c', 1, 6, 'newer'),
    { ...alignments('up_c', 1, 1, 'other shard'), shard: 1 },
  ]);
  expect(e).toEqual([evidence('up_c', 1, 6, 'newer')]);
});

test('verdicts are revisions, each written once, the newest is the upload’s', async () => {
  await database.transaction(async (tx) => {
    await lockUpload(tx, 'up_v');
    await saveVerdict(tx, verdict('up_v', 1));
    await saveVerdict(tx, verdict('up_v', 2));
  });
  expect(await verdictsOf(db, 'up_v')).toEqual([verdict('up_v', 1), verdict('up_v', 2)]);
  expect(await findUpload(db, 'up_v')).toMatchObject({ revision: 2, settledAt: 1500, verdict: verdict('up_v', 2) });
  await expect(database.transaction((tx) => saveVerdict(tx, verdict('up_v', 2)))).rejects.toMatchObject({
    code: '23505',
    retriable: false,
  });
});

test('a trace holds everything that is known', async () => {
  expect(await traceOf(db, 'up_t')).toBeNull();
  await database.transaction(async (tx) => {
    await lockUpload(tx, 'up_t');
    await saveManifest(tx, 'up_t', manifest('up_t'));
    await recordAlignments(tx, alignments('up_t', 1, 1));
    // Times are kept in milliseconds.
    await tx.query('SELECT pg_sleep(0.003)');
    await recordAlignments(tx, alignments('up_t', 0, 1));
    await recordEvidence(tx, evidence('up_t', 0, 1));
    await openClaim(tx, { upload: 'up_t', account: null, reference: 'ref_t' });
    await saveVerdict(tx, verdict('up_t', 1));
    await enqueue(tx, event('ev_t', 'vigil.verdicts', 'up_t'));
  });
  const trace = await traceOf(db, 'up_t');
  expect(trace!.upload.manifest!.steps[0]!.stage).toBe('plan');
  expect(trace!.alignments.map((a) => a.result.slice)).toEqual([1, 0]);
  expect(trace!.evidence).toHaveLength(1);
  expect(trace!.claims).toMatchObject([{ reference: 'ref_t', state: 'open' }]);
  expect(trace!.verdicts).toEqual([verdict('up_t', 1)]);
  expect(trace!.sent).toMatchObject([{ id: 'ev_t', topic: 'vigil.verdicts', publishedAt: null }]);
});
