/** Real: the file store that takes the names. Intake itself is tested with the pipeline, in test/network. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { openFileBlobStore } from '@vigil/blob-store';
import { expect, test } from 'vitest';
import { mediaKey } from './intake.ts';

test.each([
  ['of 86 letters of three bytes', `${'電'.repeat(86)}.mp4`],
  ['of 300 letters of four bytes, not cut inside of one', `${'𠮷'.repeat(300)}.mp4`],
  ['of one byte a letter', `${'a'.repeat(300)}.mp4`],
  ['that begins with dots once it is cut', `${'a'.repeat(100)}${'.'.repeat(250)}.mp4`],
  ['with half of a letter in it', `film\ud842.mp4`],
])('a name %s can be stored, and keeps its end', async (_, name) => {
  const root = await mkdtemp(path.join(tmpdir(), 'vigil-intake-'));
  await using blobs = await openFileBlobStore({ root, baseUrl: 'http://localhost' });
  const key = mediaKey(name, 'id');
  expect(key).toMatch(/^id\/[^.]/);
  expect(key).toMatch(/mp4$/);
  expect(key.isWellFormed()).toBe(true);
  expect(Buffer.byteLength(key)).toBeLessThanOrEqual(203);
  await blobs.put('uploads', key, Buffer.from('film'));
  expect(await blobs.stat('uploads', key)).toMatchObject({ size: 4 });
  await rm(root, { recursive: true });
});
