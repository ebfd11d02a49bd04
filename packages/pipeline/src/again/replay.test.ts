/** Real: the database that runs are written down in. Faked: the log, and what a second look comes to. */
import { codesEnvelope, MalformedEvent, openEnvelope, SliceCodes, TOPICS } from '@vigil/contracts';
import type { Database } from '@vigil/database';
import type { LogRecord } from '@vigil/event-log';
import { createLogger, realClock } from '@vigil/runtime';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { madeUpload, pictureFingerprint, randomCode, randomWords } from '../../../../test/support/made-uploads.ts';
import { openTestDatabase } from '../../../../test/support/postgres.ts';
import { type ReplayDeps, type ReplayRequest, replay } from './replay.ts';
import type { Looked, SecondLooks } from './second-look.ts';

let database: Database;
beforeEach(async () => {
  database = await openTestDatabase();
});
afterEach(() => database[Symbol.asyncDispose]());

const code = randomCode(randomWords(20310102));
const made = madeUpload('film', code, 1);

/** Slices of one upload, one a record, from offset 0 on. */
function slicesOf(slices: number): LogRecord[] {
  const { event } = openEnvelope(SliceCodes, made.fingerprint);
  return Array.from({ length: slices }, (_, slice) => {
    const envelope = codesEnvelope(
      made.upload,
      { ...event, data: { ...event.data, slice, slices } },
      pictureFingerprint(code),
    );
    return { ...envelope, topic: TOPICS.fingerprints.name, partition: 0, offset: slice, time: 1 } as LogRecord;
  });
}

const seen = ({ slice, slices }: SliceCodes): Looked => ({
  ...{ results: [], same: [], trouble: null, manifest: null, seen: [slice], slices },
});

async function replayed(
  records: readonly LogRecord[],
  look: (data: SliceCodes) => Promise<Looked>,
  request: Partial<ReplayRequest> = {},
) {
  const log = {
    ends: async () => [{ partition: 0, start: 0, end: records.length }],
    offsetAt: async () => 0,
    async *read(_topic: string, _partition: number, from: number, to: number) {
      yield* records.slice(from, to);
    },
  };
  const looks: Pick<SecondLooks, 'ofCodes'> = { ofCodes: ({ event }) => look(event.data) };
  const deps = {
    ...{ database, log, looks, clock: realClock, logger: createLogger({ level: 'silent' }) },
    ...{ blobs: {}, readUploads: {}, liveFirst: async () => undefined },
    again: async () => ({ before: null, after: null, settled: 'unknown' }),
  } as unknown as ReplayDeps;
  const [done, goesOn] = [[] as number[], [] as (number | null)[]];
  const asked = { apply: false, concurrency: 2, ...request };
  const run = await replay(deps, asked, new AbortController().signal, (p) => {
    done.push(p.done);
    goesOn.push(p.goesOn);
  });
  return { run, done, goesOn };
}

test('a run begins again at the first slice of an upload that waits for others, also where a later one was looked at sooner', async () => {
  const records = slicesOf(3).slice(0, 2);
  const { done } = await replayed(records, async (data) => {
    if (data.slice === 0) await realClock.sleep(50);
    return seen(data);
  });
  expect(done).toEqual([0, 0, 2]);
});

test('an upload that cannot be looked at again fails by itself, and the run ends', async () => {
  const { run } = await replayed(slicesOf(1), async () => {
    throw new MalformedEvent('codes are missing');
  });
  expect(run).toMatchObject({ state: 'done', tally: { failed: 1 } });
  const rows = await database.postgres.query('SELECT finding FROM again_findings');
  expect(rows).toMatchObject([{ finding: { upload: made.upload, outcome: 'failed', detail: 'codes are missing' } }]);
});

test('several stretches of one partition are all gone through', async () => {
  const looked: string[] = [];
  const records = Array.from({ length: 8 }, (_, offset) => {
    const { fingerprint } = madeUpload(`film-${offset}`, code, 1);
    return { ...fingerprint, partition: 0, offset, time: 1 } as LogRecord;
  });
  const offsets = [1, 4].map((from) => ({ partition: 0, from, to: from + 2 }));
  const look = async (data: SliceCodes) => {
    looked.push(data.media.key);
    return seen(data);
  };
  const { run } = await replayed(records, look, { offsets, concurrency: 1 });
  expect(run.places.map(({ start, end }) => [start, end])).toEqual([
    [1, 3],
    [4, 6],
  ]);
  expect(looked).toEqual(['film-1', 'film-2', 'film-4', 'film-5']);
});

test('what was begun in the same words is gone on with, aloud, and not where they mean another time by now', async () => {
  const asked = { since: '26h' };
  const since = Date.UTC(2030, 0, 31, 8);
  const fail = async () => {
    throw new Error('killed');
  };
  await expect(replayed(slicesOf(1), fail, { since, asked })).rejects.toThrow('killed');
  const [{ begunAt }] = (await database.postgres.query('SELECT begun_at AS "begunAt" FROM again_runs')) as [
    { begunAt: number },
  ];
  const again = (more: Partial<ReplayRequest>) => replayed(slicesOf(1), async (data) => seen(data), { asked, ...more });
  const later = since + 10 * 24 * 3600_000;
  await expect(again({ since: later })).rejects.toThrow(
    `a replay in these words was begun at ${new Date(begunAt).toISOString()}, of what came from 2030-01-31T08:00:00.000Z to`,
  );
  await expect(again({ since: later })).rejects.toThrow('--resume goes on with it, --restart begins anew');
  await expect(replayed(slicesOf(1), fail, { since: later, asked, resume: true })).rejects.toThrow('killed');
  expect((await again({ since: since + 60_000 })).goesOn[0]).toBe(begunAt);
  expect((await again({ since: later, restart: true })).goesOn[0]).toBe(null);
});
