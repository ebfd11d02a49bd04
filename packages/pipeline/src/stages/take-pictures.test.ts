import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openFileBlobStore, readBlob } from '@vigil/blob-store';
import { DEFAULT_TERMS } from '@vigil/cases';
import type { MediaLocation, Pictures, Probe } from '@vigil/contracts';
import { openEnvelope, Pictures as Wanted } from '@vigil/contracts';
import { caseEvents, claimsOf, markDeleted, picturesOf, relayBatch, verifyAudit } from '@vigil/database';
import { openFingerprinter } from '@vigil/fingerprint';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { ffmpegHere, run } from '../../../../test/support/ffmpeg.ts';
import { openTestDatabase } from '../../../../test/support/postgres.ts';
import { openCaseBench } from '../claims/cases-testing.ts';
import { createLedger } from '../claims/ledger.ts';
import { OWN_BUCKET } from '../emit.ts';
import { createLanes } from '../lanes.ts';
import { createMedia } from '../media.ts';
import { takePictures } from './take-pictures.ts';

/** Real: database, store, decoders, a film and a piece of it made on the spot. */
const stack = new AsyncDisposableStack();
const database = stack.use(await openTestDatabase());
const folder = await mkdtemp(path.join(tmpdir(), 'vigil-pictures-'));
stack.defer(() => rm(folder, { recursive: true, force: true }));
const blobs = stack.use(await openFileBlobStore({ root: path.join(folder, 'blobs') }));
const ffmpeg = await ffmpegHere();
const fingerprinter = stack.use(await openFingerprinter({ threads: 1, ffmpeg }));
afterAll(() => stack.disposeAsync());

const bench = openCaseBench(database);
const { clock } = bench;
const media = createMedia(blobs, fingerprinter, ['b', 'references']);
const ledger = createLedger({ now: clock.now, terms: DEFAULT_TERMS });
const stage = takePictures({ media, blobs, database, ledger, lanes: createLanes(1), clock, concurrency: 1 });
const never = new AbortController().signal;
const take = (data: Pictures) =>
  stage.run({ event: { id: 'e', type: 't', source: 's', subject: 'x', time: 0, data }, codes: null }, never);

let probe: Probe;
let film: MediaLocation;
beforeAll(async () => {
  const made = async (bucket: string, key: string, ...args: string[]) => {
    const file = path.join(folder, 'made.mp4');
    await run(ffmpeg.ffmpeg, ['-v', 'error', '-nostdin', '-y', ...args, '-c:v', 'mpeg4', '-q:v', '3', file]);
    const { version } = await blobs.put(bucket, key, await readFile(file));
    return { source: 's', bucket, key, version };
  };
  const lavfi = ['-f', 'lavfi', '-i', 'testsrc=s=640x360:r=10:d=130'];
  await made('references', 'ref', ...lavfi);
  film = await made('b', 'piece', '-ss', '100', ...lavfi, '-t', '25');
  const opened = await media.open(film);
  if (opened.status === 'rejected') throw new Error(opened.detail);
  const probed = await fingerprinter.probe(opened.source);
  if (probed.status === 'rejected') throw new Error(probed.detail);
  probe = probed.probe;
  await bench.reference('ref');
});

/** What decide asks for when it opens a claim, about media that lie where this test has put them. */
async function wanted(upload: string): Promise<Pictures> {
  await bench.say(upload);
  await bench.found(upload, [{ reference: 'ref' }]);
  const found: Pictures[] = [];
  while (
    (await relayBatch(database, 100, async (records) => {
      for (const r of records) if (r.topic === 'vigil.pictures') found.push(openEnvelope(Wanted, r).event.data);
    })) > 0
  );
  expect(found).toHaveLength(1);
  return { ...found[0]!, media: film, probe };
}

test('pairs of frames are kept with the claim, and their digests in its chain', async () => {
  const event = await wanted('up_1');
  expect(event.pairs).toEqual([
    { upload: 10, reference: 110 },
    { upload: 3, reference: 103 },
    { upload: 17, reference: 117 },
  ]);
  expect(await take(event)).toEqual({ kind: 'done', outputs: [] });
  const [claim] = await claimsOf(database.postgres, 'up_1');
  const pictures = await picturesOf(database.postgres, claim!.id);
  expect(pictures.map((p) => [p.n, p.uploadTime, p.referenceTime])).toEqual([
    [0, 10, 110],
    [1, 3, 103],
    [2, 17, 117],
  ]);
  const differences: number[] = [];
  for (const { uploadKey, referenceKey } of pictures) {
    const jpegs = await Promise.all([uploadKey, referenceKey].map((key) => readBlob(blobs, OWN_BUCKET, key, 1e6)));
    for (const jpeg of jpegs) {
      expect([...jpeg.subarray(0, 3)]).toEqual([0xff, 0xd8, 0xff]);
      expect(jpeg.length).toBeLessThan(50_000);
    }
    differences.push(Math.abs(jpegs[0]!.length - jpegs[1]!.length) / jpegs[1]!.length);
  }
  // The test picture shows a running clock: the same frame coded twice is about as large.
  expect(Math.max(...differences)).toBeLessThan(0.15);
  const last = (await caseEvents(database.postgres, claim!.case)).at(-1)!;
  expect(last).toMatchObject({
    kind: 'pictures',
    claim: claim!.id,
    data: { pictures: [{ n: 0 }, { n: 1 }, { n: 2 }] },
  });
  expect((await verifyAudit(database.postgres)).broken).toBeNull();
  expect(await take(event)).toEqual({ kind: 'skipped', reason: 'known already' });
});

test('what cannot be shown is said, and is no reason to wait', async () => {
  const event = await wanted('up_2');
  expect(await take({ ...event, media: { ...film, key: 'gone' } })).toEqual({
    kind: 'skipped',
    reason: 'the upload cannot be opened: b/gone',
  });
  expect(await take({ ...event, reference: { id: 'none', version: 1 } })).toMatchObject({ kind: 'skipped' });
  expect(await take({ ...event, pairs: [{ upload: 9000, reference: 9000 }] })).toEqual({
    kind: 'skipped',
    reason: 'no picture could be made',
  });
  await markDeleted(database.postgres, 'up_2');
  expect(await take(event)).toEqual({ kind: 'skipped', reason: 'the upload is deleted' });
});
