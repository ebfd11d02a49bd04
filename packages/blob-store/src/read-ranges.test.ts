import { Readable } from 'node:stream';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BlobStore } from './blob-store.ts';
import { blobSource, createBlockCache } from './read-ranges.ts';

const data = Uint8Array.from({ length: 10_007 }, (_, i) => (i * 31 + (i >> 8)) & 255);

function counted(bytes = data) {
  const requests: [number, number][] = [];
  const signals: AbortSignal[] = [];
  const store: Pick<BlobStore, 'get'> = {
    async get(_bucket, _key, range, signal) {
      const { start, end } = range!;
      requests.push([start, end]);
      if (signal) signals.push(signal);
      await new Promise(setImmediate);
      signal?.throwIfAborted();
      return Readable.from([...chunks(bytes.subarray(start, end))]);
    },
  };
  return { store, requests, signals };
}

function* chunks(bytes: Uint8Array) {
  for (let at = 0; at < bytes.length; at += 300) yield Buffer.from(bytes.subarray(at, at + 300));
}

const whole = async (pieces: Promise<Uint8Array[]>) => new Uint8Array(Buffer.concat(await pieces));

const small = { blockBytes: 1000, blocks: 4, ahead: 1 };

describe('reading an object by ranges', () => {
  it('gives the bytes asked for, whatever the ranges and however many at once', async () => {
    const range = fc.tuple(fc.integer({ min: 0, max: 10_100 }), fc.integer({ min: 0, max: 4000 }));
    await fc.assert(
      fc.asyncProperty(fc.array(range, { maxLength: 12 }), fc.boolean(), async (ranges, together) => {
        const source = blobSource(counted().store, 'b', 'k', { size: data.length }, { ...small, ahead: 3 });
        const check = async ([start, length]: [number, number]) => {
          expect(await whole(source.read(start, start + length))).toEqual(data.slice(start, start + length));
        };
        if (together) await Promise.all(ranges.map(check));
        else for (const one of ranges) await check(one);
      }),
      { numRuns: 60 },
    );
  });

  it('asks once for a block, one after another or at the same time', async () => {
    const { store, requests } = counted();
    const source = blobSource(store, 'b', 'k', { size: data.length }, small);
    await Promise.all([source.read(0, 10), source.read(500, 510), source.read(990, 1000)]);
    for (let at = 0; at < 1000; at += 10) await source.read(at, at + 10);
    expect(requests).toEqual([[0, 1000]]);
  });

  it('gives a block as soon as its own bytes are there, and what came whole stays good when the rest fails', async () => {
    const rest = Promise.withResolvers<void>();
    async function* slowly([start, end]: [number, number]) {
      yield data.subarray(start, start + 1500);
      await rest.promise;
      yield data.subarray(start + 1500, end);
    }
    const requests: [number, number][] = [];
    const store: Pick<BlobStore, 'get'> = {
      async get(_bucket, _key, range) {
        requests.push([range!.start, range!.end]);
        return Readable.from(slowly(requests.at(-1)!));
      },
    };
    const source = blobSource(store, 'b', 'k', { size: 4000 }, { ...small, ahead: 8 });
    expect(await whole(source.read(0, 1000))).toEqual(data.slice(0, 1000));
    const later = source.read(1000, 2000);
    later.catch(() => undefined);
    rest.reject(new Error('the connection broke'));
    await expect(later).rejects.toThrow('the connection broke');
    expect(requests).toEqual([[0, 4000]]);
    // Nothing of a request that failed is kept.
    expect(await whole(source.read(0, 1000))).toEqual(data.slice(0, 1000));
    expect(requests.length).toBe(2);
  });

  it('asks for ever more blocks at once where it reads on, and at once for one range', async () => {
    const { store, requests } = counted();
    const source = blobSource(store, 'b', 'k', { size: data.length }, { blockBytes: 1000, blocks: 16, ahead: 4 });
    for (let at = 0; at < data.length; at += 100) await source.read(at, at + 100);
    expect(requests).toEqual([
      [0, 1000],
      [1000, 3000],
      [3000, 7000],
      [7000, 10_007],
    ]);
    const other = counted();
    await blobSource(other.store, 'b', 'k', { size: data.length }, small).read(1500, 2500);
    expect(other.requests).toEqual([[1000, 3000]]);
  });

  it('hands on the very memory that the store gave, across blocks too', async () => {
    const stored = new Uint8Array(3000);
    const store: Pick<BlobStore, 'get'> = {
      get: async (_bucket, _key, range) =>
        Readable.from([Buffer.from(stored.buffer, range!.start, range!.end - range!.start)]),
    };
    const source = blobSource(store, 'b', 'k', { size: stored.length }, { ...small, blocks: 16 });
    const pieces = await source.read(500, 2500);
    expect(pieces.map((piece) => [piece.byteOffset, piece.length])).toEqual([
      [500, 500],
      [1000, 1000],
      [2000, 500],
    ]);
    expect(pieces.every((piece) => piece.buffer === stored.buffer)).toBe(true);
  });

  it('asks for a small object once', async () => {
    const { store, requests } = counted();
    const source = blobSource(store, 'b', 'k', { size: 3500 }, { blockBytes: 1000, blocks: 16, ahead: 4 });
    for (const at of [0, 2900, 700, 3400]) await source.read(at, at + 100);
    expect(requests).toEqual([[0, 3500]]);
  });

  it('keeps few blocks, the last used ones, and passes large reads through', async () => {
    const { store, requests } = counted();
    const source = blobSource(store, 'b', 'k', { size: data.length }, small);
    for (const block of [0, 2, 4, 6, 0, 8]) await source.read(block * 1000, block * 1000 + 5);
    expect(requests).toHaveLength(5);
    await source.read(0, 5);
    expect(requests).toHaveLength(5);
    await source.read(2000, 2005);
    expect(requests).toHaveLength(6);
    expect(await whole(source.read(1, 9999))).toEqual(data.slice(1, 9999));
    expect(requests.at(-1)).toEqual([1, 9999]);
  });

  it('is not disturbed when one of two readers gives up; the request ends when both do', async () => {
    const { store, signals } = counted();
    const source = blobSource(store, 'b', 'k', { size: data.length }, small);
    const [one, two] = [new AbortController(), new AbortController()];
    const first = source.read(0, 10, one.signal);
    const second = source.read(5, 15, two.signal);
    one.abort();
    await expect(first).rejects.toMatchObject({ name: 'AbortError' });
    expect(await whole(second)).toEqual(data.slice(5, 15));
    expect(signals[0]!.aborted).toBe(false);
    const third = source.read(3000, 3010, two.signal);
    two.abort();
    await expect(third).rejects.toMatchObject({ name: 'AbortError' });
    expect(signals[1]!.aborted).toBe(true);
    expect(await whole(source.read(3000, 3010))).toEqual(data.slice(3000, 3010));
  });

  it('asks again after a failure', async () => {
    const { store } = counted();
    let failures = 1;
    const flaky: Pick<BlobStore, 'get'> = {
      async get(...args) {
        if (failures-- > 0) throw new Error('out of reach');
        return store.get(...args);
      },
    };
    const source = blobSource(flaky, 'b', 'k', { size: data.length }, small);
    await expect(source.read(0, 10)).rejects.toThrow('out of reach');
    expect(await whole(source.read(0, 10))).toEqual(data.slice(0, 10));
  });

  it('says that the object is another one when bytes are missing', async () => {
    const { store } = counted(data.subarray(0, 500));
    const source = blobSource(store, 'b', 'k', { size: data.length }, small);
    await expect(source.read(0, 10)).rejects.toMatchObject({ code: 'missing' });
  });

  it('reads nothing past the end', async () => {
    const { store, requests } = counted();
    const source = blobSource(store, 'b', 'k', { size: data.length }, small);
    expect(await whole(source.read(20_000, 30_000))).toHaveLength(0);
    expect(await whole(source.read(5, 5))).toHaveLength(0);
    expect(requests).toEqual([]);
    expect(await whole(source.read(10_000, 99_999))).toEqual(data.slice(10_000));
  });

  it('shares blocks between sources of one version, and keeps those that several have read', async () => {
    const { store, requests } = counted();
    const cache = createBlockCache(6);
    const open = (version: string) =>
      blobSource(store, 'b', 'k', { size: data.length, version }, { blockBytes: 1000, ahead: 1, cache });
    const index = [9000, 10_007] as const;
    for (const slice of [0, 2000, 4000, 6000]) {
      const source = open('v1');
      await source.read(...index);
      for (let at = slice; at < slice + 2000; at += 500) {
        expect(await whole(source.read(at, at + 500))).toEqual(data.slice(at, at + 500));
      }
    }
    expect(requests.filter(([, end]) => end > 9000)).toEqual([[9000, 10_007]]);
    expect(requests).toHaveLength(9);
    await open('v2').read(...index);
    expect(requests).toHaveLength(10);
  });

  it('asks the store for the version that it was opened for', async () => {
    const versions: (string | undefined)[] = [];
    const store: Pick<BlobStore, 'get'> = {
      async get(_bucket, _key, range) {
        versions.push(range?.version);
        return Readable.from([Buffer.alloc(10)]);
      },
    };
    await blobSource(store, 'b', 'k', { size: 10, version: 'v7' }).read(0, 10);
    await blobSource(store, 'b', 'k', { size: 10 }).read(0, 10);
    expect(versions).toEqual(['v7', undefined]);
  });
});
