import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { type BlobStore, BlobStoreError, openFileBlobStore } from '@vigil/blob-store';
import type { Probe } from '@vigil/contracts';
import type { Fingerprinter, MediaSource } from '@vigil/fingerprint';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { createMedia } from './media.ts';

/** Faked: the fingerprinter, which reads all bytes and says what they are. Real: the store, on files. */
describe('media', () => {
  let root: string;
  let blobs: BlobStore;
  let stats: number;
  const signal = new AbortController().signal;

  const fingerprinter = {
    fingerprint: async (source: MediaSource) => {
      const text = Buffer.concat(await source.read(0, source.size)).toString();
      return { status: 'rejected', reason: 'corrupt', detail: text };
    },
  } as unknown as Fingerprinter;
  const probe = (size: number) => ({ kind: 'image', size }) as Probe;
  const open = () => {
    const stat: BlobStore['stat'] = (bucket, key) => {
      stats++;
      return blobs.stat(bucket, key);
    };
    return createMedia({ ...blobs, stat }, fingerprinter, ['uploads']);
  };
  const read = (at: { key?: string; bucket?: string; version: string }, size: number) =>
    open().fingerprint(
      { source: 's', bucket: 'uploads', key: 'a', ...at },
      { probe: probe(size), span: [0, 0], purpose: 'upload' },
      signal,
    );

  beforeEach(async () => {
    root = await mkdtemp(path.join(tmpdir(), 'vigil-media-'));
    blobs = await openFileBlobStore({ root });
    stats = 0;
  });
  afterEach(async () => {
    await blobs[Symbol.asyncDispose]();
    await rm(root, { recursive: true, force: true });
  });

  test('reads what was probed without asking the store about it once more', async () => {
    const { version } = await blobs.put('uploads', 'a', Buffer.from('pixels'));
    expect(await read({ version }, 6)).toMatchObject({ detail: 'pixels' });
    expect(stats).toBe(0);
  });

  test('asks about what has no version', async () => {
    await blobs.put('uploads', 'a', Buffer.from('pixels'));
    expect(await read({ version: '' }, 6)).toMatchObject({ detail: 'pixels' });
    expect(stats).toBe(1);
  });

  test('an object that is gone or another one by now is missing, no error', async () => {
    const { version } = await blobs.put('uploads', 'a', Buffer.from('pixels'));
    await blobs.put('uploads', 'a', Buffer.from('others'));
    expect(await read({ version }, 6)).toMatchObject({ status: 'rejected', reason: 'missing' });
    await blobs.delete('uploads', 'a');
    expect(await read({ version }, 6)).toMatchObject({ status: 'rejected', reason: 'missing' });
  });

  test('a store that cannot be read is an error', async () => {
    const { version } = await blobs.put('uploads', 'a', Buffer.from('pixels'));
    blobs = { ...blobs, get: () => Promise.reject(new BlobStoreError('unavailable', 'no answer')) };
    await expect(read({ version }, 6)).rejects.toThrow('no answer');
  });

  test('opens configured buckets only', async () => {
    expect(await read({ bucket: 'vigil', version: 'v' }, 6)).toMatchObject({ reason: 'not-allowed' });
  });
});
