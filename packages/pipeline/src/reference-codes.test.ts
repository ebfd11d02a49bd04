/** Real: a store of files, and the codes in it. Faked: the database, which knows of no hash, or how many slices there are. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openFileBlobStore } from '@vigil/blob-store';
import { encodeFingerprint } from '@vigil/contracts';
import { afterAll, expect, test } from 'vitest';
import { pictureFingerprint, randomCode, randomWords } from '../../../test/support/made-uploads.ts';
import { OWN_BUCKET } from './emit.ts';
import { createReferenceCodes } from './reference-codes.ts';
import { codesKey } from './stages/fingerprint-slice.ts';

const root = await mkdtemp(path.join(tmpdir(), 'vigil-codes-'));
afterAll(() => rm(root, { recursive: true }));

test('codes that are cut short or of a newer format count as missing, are said and counted, and stop nobody', async () => {
  await using blobs = await openFileBlobStore({ root });
  const reference = { id: 'ref', version: 1 };
  const whole = encodeFingerprint(pictureFingerprint(randomCode(randomWords(5))));
  const newer = whole.slice();
  newer[5 + newer[4]!] = 200;
  for (const [slice, bytes] of [whole, whole.subarray(0, 40), newer, whole].entries())
    await blobs.put(OWN_BUCKET, codesKey('ref@1', slice), bytes);
  const [said, counted] = [[] as unknown[], [] as unknown[]];
  const codes = createReferenceCodes(blobs, { query: async () => [] } as never, {
    logger: { error: (about: { key: string }) => void said.push(about.key) } as never,
    metrics: { add: (name: string, labels?: object) => void counted.push([name, labels]) } as never,
  });
  expect(await codes.between(reference, 0, 100)).toHaveLength(2);
  expect(await codes.slice(reference, 1)).toBe(null);
  expect(said).toEqual([1, 2, 1].map((n) => codesKey('ref@1', n)));
  expect(counted[0]).toEqual(['vigil_stage_errors_total', { stage: 'references', kind: 'codes' }]);
});

test('no slice is asked for beyond the last one, which a still is at once; how many there are is asked once', async () => {
  await using files = await openFileBlobStore({ root });
  const whole = encodeFingerprint(pictureFingerprint(randomCode(randomWords(6))));
  await files.put(OWN_BUCKET, codesKey('still@1', 0), whole);
  const asked: string[] = [];
  const blobs = {
    ...files,
    get: (bucket: string, key: string) => {
      asked.push(key);
      return files.get(bucket, key);
    },
  };
  let rows: { slices: number | null }[] = [{ slices: 1 }];
  let looks = 0;
  const query = async () => {
    looks++;
    return rows;
  };
  const codes = createReferenceCodes(blobs, { query } as never, { logger: { error: () => undefined } });
  for (let n = 0; n < 3; n++) expect(await codes.between({ id: 'still', version: 1 }, 0, 0)).toHaveLength(1);
  expect([asked, looks]).toEqual([[codesKey('still@1', 0)], 1]);
  // Not planned yet, as far as is known.
  rows = [{ slices: null }];
  await codes.between({ id: 'other', version: 1 }, 40, 50);
  expect(asked.slice(1)).toEqual([0, 1, 2].map((n) => codesKey('other@1', n)));
});
