/** Real: the database, and decide. Faked: the log, whose two records are an old upload and one that says it lies elsewhere, and the media. */
import { BlobStoreError } from '@vigil/blob-store';
import { codeToHex, Manifest, type Opened, openEnvelope, type Proposal, TOPICS } from '@vigil/contracts';
import { lockUpload, recordAlignments, saveManifest } from '@vigil/database';
import type { LogRecord } from '@vigil/event-log';
import { createLogger, realClock } from '@vigil/runtime';
import { expect, test } from 'vitest';
import { madeUpload, randomCode, randomWords } from '../../../../test/support/made-uploads.ts';
import { openTestDatabase } from '../../../../test/support/postgres.ts';
import { hashMedia } from '../hash-lists.ts';
import { confirmProposal } from '../stages/confirm-proposal.ts';
import { type LookBackDeps, loadNewOnes, lookBack } from './look-back.ts';

test('an old upload whose media may not be read any more fails by itself: the run goes on, and says so', async () => {
  await using database = await openTestDatabase();
  const code = randomCode(randomWords(20310103));
  const made = madeUpload('archived', code, 1);
  await database.transaction(async (tx) => {
    await lockUpload(tx, made.upload);
    await saveManifest(tx, made.upload, openEnvelope(Manifest, made.manifest).event.data);
    await recordAlignments(tx, {
      ...{ upload: made.upload, slice: 0, shards: 1, shard: 0, span: [0, 0], checkpoint: 5, steps: [] },
      ...{ outcome: { status: 'nothing', why: '' }, frames: { seen: 1, usable: 1 } },
    });
  });
  const about = { topic: TOPICS.fingerprints.name, partition: 0, time: 1 };
  const elsewhere = { 'content-type': 'application/vnd.vigil.spilled' };
  const records = [
    { ...made.fingerprint, ...about, offset: 0, headers: elsewhere, value: new TextEncoder().encode('nowhere') },
    { ...made.fingerprint, ...about, offset: 1 },
  ] as LogRecord[];
  const log = {
    ends: async (topic: string) => (topic === about.topic ? [{ partition: 0, start: 0, end: 2 }] : []),
    committed: async () => [{ partition: 0, offset: 2 }],
    async *read() {
      yield* records;
    },
  };
  const references = { slice: async () => null, between: async () => [] };
  const lanes = {
    run: () => Promise.reject(new BlobStoreError('not-allowed', 'uploads/archived: AccessDenied (403)')),
  };
  const confirm = confirmProposal({ lanes, references, clock: realClock, concurrency: 1 } as never);
  const id = codeToHex(code);
  const fresh = { id, version: 1, slices: 1, kind: 'image', media: hashMedia(code), checkpoint: 9 };
  using newOnes = await loadNewOnes([fresh as never], references);
  const deps = {
    ...{ database, log, blobs: {}, references, clock: realClock, logger: createLogger({ level: 'silent' }) },
    environment: { isBroken: async () => false },
    // As it is where codes do not suffice: what was proposed is read again.
    confirm: {
      ...confirm,
      run: (input: Opened<Proposal>, signal: AbortSignal) => confirm.run({ ...input, codes: null }, signal),
    },
    again: async () => {
      throw new Error('nothing is judged');
    },
    shards: async () => 1,
  } as unknown as LookBackDeps;
  const run = await lookBack(deps, newOnes, { apply: true }, new AbortController().signal);
  expect(run.state).toBe('done');
  expect(run.tally).toEqual({ slices: 2, codes: 1, near: 1, unreadable: 1, failed: 1 });
  const found = await database.postgres.query<{ finding: { detail: string } }>('SELECT finding FROM again_findings');
  expect(found.map((f) => f.finding.detail)).toEqual(['corrupt: uploads/archived: AccessDenied (403)']);
});
