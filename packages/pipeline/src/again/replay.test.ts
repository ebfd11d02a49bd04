/** Real: the database that runs are written down in. Faked: the log, and what a second look comes to. */
import { codesEnvelope, openEnvelope, SliceCodes, TOPICS } from '@vigil/contracts';
import type { LogRecord } from '@vigil/event-log';
import { createLogger, realClock } from '@vigil/runtime';
import { expect, test } from 'vitest';
import { madeUpload, pictureFingerprint, randomCode, randomWords } from '../../../../test/support/made-uploads.ts';
import { openTestDatabase } from '../../../../test/support/postgres.ts';
import { type ReplayDeps, replay } from './replay.ts';

test('a run begins again at the first slice of an upload that waits for others, also where a later one was looked at sooner', async () => {
  await using database = await openTestDatabase();
  const code = randomCode(randomWords(20310102));
  const made = madeUpload('film', code, 1);
  const { event } = openEnvelope(SliceCodes, made.fingerprint);
  const records = [0, 1].map((slice): LogRecord => {
    const data = { ...event.data, slice, slices: 3 };
    const envelope = codesEnvelope(made.upload, { ...event, data }, pictureFingerprint(code));
    return { ...envelope, topic: TOPICS.fingerprints.name, partition: 0, offset: slice, time: 1 } as LogRecord;
  });
  const log = {
    ends: async () => [{ partition: 0, start: 0, end: 2 }],
    offsetAt: async () => 0,
    async *read() {
      yield* records;
    },
  };
  const looks = {
    async ofCodes({ event: { data } }: { event: { data: SliceCodes } }) {
      if (data.slice === 0) await realClock.sleep(50);
      return { results: [], same: [], trouble: null, manifest: null, seen: [data.slice], slices: data.slices };
    },
  };
  const deps = {
    ...{
      database,
      log,
      looks,
      clock: realClock,
      logger: createLogger({ level: 'silent' }),
      blobs: {},
      readUploads: {},
    },
    again: async () => ({ before: null, after: null, settled: 'unknown' }),
    liveFirst: async () => undefined,
  } as unknown as ReplayDeps;
  const done: number[] = [];
  await replay(deps, { apply: false, concurrency: 2 }, new AbortController().signal, (p) => done.push(p.done));
  expect(done).toEqual([0, 0, 2]);
});
