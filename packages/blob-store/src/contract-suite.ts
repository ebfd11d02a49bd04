import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { type BlobStore, BlobStoreError, readBlob } from './blob-store.ts';

export interface BlobStoreHarness {
  store: BlobStore;
  /** Exists, is empty, and is nobody else's. */
  bucket: string;
  /** Returns when addresses made before it have aged by this much: a clock moved on, or a wait. */
  later(seconds: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const sha256 = (data: Uint8Array): string => createHash('sha256').update(data).digest('hex');

/** Bytes that depend on their place, so that a piece out of order is seen. */
function pattern(size: number, seed = 1): Uint8Array {
  const out = new Uint8Array(size);
  let v = seed;
  for (let i = 0; i < size; i++) {
    v = (Math.imul(v, 1664525) + 1013904223) >>> 0;
    out[i] = v >>> 24;
  }
  return out;
}

function* pieces(data: Uint8Array, size: number) {
  for (let at = 0; at < data.length; at += size) yield data.subarray(at, at + size);
}

async function drain(stream: Readable): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

/**
 * What every adapter of BlobStore must do. Allowed to differ, and therefore not tested: the form of versions, whether a
 * version stays when the same bytes are put again, and whether an object `a` and an object `a/b` may exist together.
 */
export function blobStoreContract(name: string, open: () => Promise<BlobStoreHarness>): void {
  describe(`${name}: contract of BlobStore`, () => {
    let harness: BlobStoreHarness;
    let store: BlobStore;
    let bucket: string;
    beforeAll(async () => {
      harness = await open();
      ({ store, bucket } = harness);
    });
    afterAll(() => harness?.[Symbol.asyncDispose]());

    const all = (key: string) => readBlob(store, bucket, key, 2 ** 24);
    const code = (promise: Promise<unknown>) =>
      promise.then(
        () => 'no error',
        (error) => (error instanceof BlobStoreError ? error.code : error),
      );

    it('gives back the bytes of a buffer, with size, type and version', async () => {
      const put = await store.put(bucket, 'films/one.bin', bytes('hello'), { contentType: 'video/mp4' });
      const stat = await store.stat(bucket, 'films/one.bin');
      expect(Buffer.from(await all('films/one.bin')).toString()).toBe('hello');
      expect(stat).toMatchObject({ size: 5, contentType: 'video/mp4', version: put.version });
      expect(put).toMatchObject({ size: 5, contentType: 'video/mp4' });
      expect(Math.abs(stat!.modifiedAt - Date.now())).toBeLessThan(15 * 60_000);
    });

    it('gives back 5 MB that came as a stream, whole and by range', async () => {
      const data = pattern(5_000_003);
      const put = await store.put(bucket, 'large', Readable.from(pieces(data, 70_001)), { sha256: sha256(data) });
      expect(put.size).toBe(data.length);
      expect(sha256(await all('large'))).toBe(sha256(data));
      const middle = await drain(await store.get(bucket, 'large', { start: 1_234_567, end: 3_234_567 }));
      expect(sha256(middle)).toBe(sha256(data.subarray(1_234_567, 3_234_567)));
    });

    it('takes names with spaces, percent signs and letters of any script', async () => {
      const keys = ['a b/ü%2F?#&+=.mp4', '映画/第一.mp4', 'dots/..a/b..', '.hidden/.vigil-blobs'];
      for (const key of keys) await store.put(bucket, key, bytes(key));
      for (const key of keys) expect(Buffer.from(await all(key)).toString()).toBe(key);
    });

    it('keeps an empty object', async () => {
      await store.put(bucket, 'empty', new Uint8Array(0));
      expect((await store.stat(bucket, 'empty'))?.size).toBe(0);
      expect(await all('empty')).toHaveLength(0);
    });

    it.each([
      ['in the middle', 2, 5, 'cde'],
      ['from the start', 0, 1, 'a'],
      ['cut short at the end', 8, 100, 'ij'],
      ['empty', 4, 4, ''],
      ['past the end', 10, 20, ''],
      ['far past the end', 1000, 2000, ''],
    ])('reads a range %s', async (_, start, end, expected) => {
      await store.put(bucket, 'range', bytes('abcdefghij'));
      const got = await drain(await store.get(bucket, 'range', { start, end }));
      expect(Buffer.from(got).toString()).toBe(expected);
    });

    it('says that an object is missing', async () => {
      expect(await store.stat(bucket, 'nothing/here')).toBeNull();
      expect(await code(store.get(bucket, 'nothing/here'))).toBe('missing');
      expect(await code(store.get(bucket, 'nothing/here', { start: 3, end: 3 }))).toBe('missing');
      await store.put(bucket, 'folder/inner', bytes('x'));
      expect(await store.stat(bucket, 'folder')).toBeNull();
      expect(await code(store.get(bucket, 'folder'))).toBe('missing');
    });

    it('changes the version with the bytes, even at the same size and within the same instant', async () => {
      const versions = new Set<string>();
      for (let i = 0; i < 20; i++) {
        versions.add((await store.put(bucket, 'changing', bytes(`take ${String(i).padStart(2, '0')}`))).version);
        expect(versions.has((await store.stat(bucket, 'changing'))!.version)).toBe(true);
      }
      expect(versions.size).toBe(20);
    });

    it('replaces the type together with the bytes', async () => {
      await store.put(bucket, 'typed', bytes('1'), { contentType: 'image/png' });
      await store.put(bucket, 'typed', bytes('2'), { contentType: 'image/jpeg' });
      expect((await store.stat(bucket, 'typed'))?.contentType).toBe('image/jpeg');
    });

    it('deletes, and is quiet when there is nothing', async () => {
      await store.put(bucket, 'to/be/deleted', bytes('x'));
      await store.delete(bucket, 'to/be/deleted');
      expect(await store.stat(bucket, 'to/be/deleted')).toBeNull();
      await expect(store.delete(bucket, 'to/be/deleted')).resolves.toBeUndefined();
      await expect(store.delete(bucket, 'never/was')).resolves.toBeUndefined();
      await store.put(bucket, 'to/be/deleted', bytes('again'));
      expect((await store.stat(bucket, 'to/be/deleted'))?.size).toBe(5);
    });

    it.each([
      '',
      '/',
      '/etc/passwd',
      '../x',
      'a/../../x',
      'a/..',
      '.',
      './a',
      'a//b',
      'a/',
      'a\0b',
      '\ud800',
      'k'.repeat(1025),
    ])('refuses the key %j', async (key) => {
      expect(await code(store.put(bucket, key, bytes('x')))).toBe('bad-key');
      expect(await code(store.get(bucket, key))).toBe('bad-key');
      expect(await code(store.stat(bucket, key))).toBe('bad-key');
      expect(await code(store.delete(bucket, key))).toBe('bad-key');
      expect(await code(store.presign('GET', bucket, key, 60))).toBe('bad-key');
    });

    it.each(['', '.', '..', '.vigil-blobs', 'a/b', '../a', 'a\0'])('refuses the bucket %j', async (bad) => {
      expect(await code(store.put(bad, 'key', bytes('x')))).toBe('bad-key');
      expect(await code(store.get(bad, 'key'))).toBe('bad-key');
    });

    it('refuses bytes that are not the announced ones, and leaves nothing', async () => {
      const wrong = sha256(bytes('other'));
      expect(await code(store.put(bucket, 'announced', bytes('these'), { sha256: wrong }))).toBe('digest-mismatch');
      const streamed = Readable.from(pieces(pattern(300_000), 5000));
      expect(await code(store.put(bucket, 'announced', streamed, { sha256: wrong }))).toBe('digest-mismatch');
      expect(await store.stat(bucket, 'announced')).toBeNull();
      await store.put(bucket, 'announced', bytes('these'), { sha256: sha256(bytes('these')).toUpperCase() });
      expect(await code(store.put(bucket, 'announced', bytes('those'), { sha256: wrong }))).toBe('digest-mismatch');
      expect(Buffer.from(await all('announced')).toString()).toBe('these');
    });

    it('leaves nothing, or what was there, when the stream fails half-way', async () => {
      async function* failing() {
        yield pattern(400_000);
        throw new Error('the line went dead');
      }
      await expect(store.put(bucket, 'half', Readable.from(failing()))).rejects.toThrow('the line went dead');
      expect(await store.stat(bucket, 'half')).toBeNull();
      await store.put(bucket, 'half', bytes('whole'));
      await expect(store.put(bucket, 'half', Readable.from(failing()))).rejects.toThrow('the line went dead');
      expect(Buffer.from(await all('half')).toString()).toBe('whole');
    });

    it('gives up a put whose signal is raised, and leaves nothing', async () => {
      const abort = new AbortController();
      async function* endless() {
        for (let i = 0; ; i++) {
          if (i === 3) abort.abort();
          yield pattern(10_000);
          await new Promise(setImmediate);
        }
      }
      await expect(
        store.put(bucket, 'aborted', Readable.from(endless()), { signal: abort.signal }),
      ).rejects.toMatchObject({ name: 'AbortError' });
      await expect(store.put(bucket, 'aborted', bytes('x'), { signal: abort.signal })).rejects.toThrow();
      expect(await store.stat(bucket, 'aborted')).toBeNull();
    });

    it('ends with one whole object when one key is put from many sides, and never shows a mixture', async () => {
      const bodies = Array.from({ length: 8 }, (_, i) => pattern(200_000, i + 1));
      const digests = bodies.map(sha256);
      const puts = Promise.all(
        bodies.map((body, i) => store.put(bucket, 'contended', i % 2 ? body : Readable.from(pieces(body, 9000)))),
      );
      for (let i = 0; i < 10; i++) {
        if (await store.stat(bucket, 'contended')) expect(digests).toContain(sha256(await all('contended')));
      }
      await puts;
      expect(digests).toContain(sha256(await all('contended')));
      expect((await store.stat(bucket, 'contended'))?.size).toBe(200_000);
    });

    it('survives puts and deletes of neighbours at the same time', async () => {
      await Promise.all(
        Array.from({ length: 24 }, async (_, i) => {
          await store.put(bucket, `crowd/deep/${i}`, bytes(String(i)));
          if (i % 3) await store.delete(bucket, `crowd/deep/${i}`);
        }),
      );
      for (let i = 0; i < 24; i++) expect((await store.stat(bucket, `crowd/deep/${i}`)) !== null).toBe(i % 3 === 0);
    });

    it('refuses to read more than the reader allows', async () => {
      await store.put(bucket, 'big', pattern(10_000));
      expect(await code(readBlob(store, bucket, 'big', 9_999))).toBe('not-allowed');
      expect(await readBlob(store, bucket, 'big', 10_000)).toHaveLength(10_000);
    });

    describe('parts', () => {
      const PART = 5 * 2 ** 20;
      const send = async (url: URL, data: Uint8Array<ArrayBuffer>) => {
        const answer = await fetch(url, { method: 'PUT', body: data });
        await answer.arrayBuffer();
        return answer.status;
      };

      it('arrive in any order and more than once, and are an object when they are complete', async () => {
        const data = new Uint8Array(pattern(PART + 1000));
        const id = await store.parts.start(bucket, 'parts/a');
        const [one, two] = [1, 2].map((n) => store.parts.presign(bucket, 'parts/a', id, n, 60));
        expect(await send(await two!, data.slice(PART))).toBe(200);
        expect(await store.parts.list(bucket, 'parts/a', id)).toEqual([{ number: 2, size: 1000 }]);
        expect(await send(await one!, new Uint8Array(pattern(PART, 7)))).toBe(200);
        expect(await send(await one!, data.slice(0, PART))).toBe(200);
        expect(await store.parts.list(bucket, 'parts/a', id)).toEqual([
          { number: 1, size: PART },
          { number: 2, size: 1000 },
        ]);
        expect(await store.stat(bucket, 'parts/a')).toBeNull();
        const made = await store.parts.complete(bucket, 'parts/a', id);
        expect(made.size).toBe(data.length);
        expect(await store.stat(bucket, 'parts/a')).toMatchObject({ size: data.length, version: made.version });
        expect(sha256(await all('parts/a'))).toBe(sha256(data));
        expect(await code(store.parts.list(bucket, 'parts/a', id))).toBe('missing');
      });

      it('that were abandoned are gone, and so are addresses for them', async () => {
        const id = await store.parts.start(bucket, 'parts/b');
        const url = await store.parts.presign(bucket, 'parts/b', id, 1, 60);
        expect(await send(url, new Uint8Array(10))).toBe(200);
        await store.parts.abandon(bucket, 'parts/b', id);
        await store.parts.abandon(bucket, 'parts/b', id);
        expect(await code(store.parts.list(bucket, 'parts/b', id))).toBe('missing');
        expect(await code(store.parts.complete(bucket, 'parts/b', id))).toBe('missing');
        expect(await send(url, new Uint8Array(10))).toBe(404);
        expect(await store.stat(bucket, 'parts/b')).toBeNull();
      });

      it('an address takes one part of one upload', async () => {
        const id = await store.parts.start(bucket, 'parts/c');
        const other = await store.parts.start(bucket, 'parts/d');
        const url = await store.parts.presign(bucket, 'parts/c', id, 1, 60);
        for (const [from, to] of [
          ['parts/c', 'parts/d'],
          [encodeURIComponent(id), encodeURIComponent(other)],
        ] as const) {
          const altered = new URL(url.href.replace(from, to));
          expect(altered.href).not.toBe(url.href);
          expect(await send(altered, new Uint8Array(10))).toBe(403);
        }
        for (const number of [0, 10_001, 1.5])
          expect(await code(store.parts.presign(bucket, 'parts/c', id, number, 60))).toBe('bad-key');
        expect(await store.parts.list(bucket, 'parts/c', id)).toEqual([]);
      });
    });

    describe('addresses', () => {
      const key = 'signed/ü b%.bin';

      it('allow to read one object, whole and by range', async () => {
        await store.put(bucket, key, bytes('0123456789'), { contentType: 'text/plain' });
        const url = await store.presign('GET', bucket, key, 60);
        const whole = await fetch(url);
        expect([whole.status, whole.headers.get('content-type')]).toEqual([200, 'text/plain']);
        expect(await whole.text()).toBe('0123456789');
        const part = await fetch(url, { headers: { range: 'bytes=3-5' } });
        expect([part.status, part.headers.get('content-range')]).toEqual([206, 'bytes 3-5/10']);
        expect(await part.text()).toBe('345');
        const tail = await fetch(url, { headers: { range: 'bytes=-2' } });
        expect([tail.status, await tail.text()]).toEqual([206, '89']);
        const past = await fetch(url, { headers: { range: 'bytes=10-' } });
        await past.text();
        expect(past.status).toBe(416);
      });

      it('answer 404 for an object that is missing', async () => {
        const answer = await fetch(await store.presign('GET', bucket, 'signed/nothing', 60));
        await answer.text();
        expect(answer.status).toBe(404);
      });

      it('allow to write one object', async () => {
        const data = pattern(300_000);
        const url = await store.presign('PUT', bucket, 'signed/in', 60);
        const answer = await fetch(url, { method: 'PUT', body: data, headers: { 'content-type': 'image/webp' } });
        await answer.text();
        expect(answer.status).toBe(200);
        expect(sha256(await all('signed/in'))).toBe(sha256(data));
        expect(await store.stat(bucket, 'signed/in')).toMatchObject({ size: 300_000, contentType: 'image/webp' });
      });

      it('cannot be used for another verb, key, time or signature', async () => {
        await store.put(bucket, 'signed/a', bytes('a'));
        await store.put(bucket, 'signed/b', bytes('b'));
        const get = await store.presign('GET', bucket, 'signed/a', 60);
        const put = await store.presign('PUT', bucket, 'signed/a', 60);
        const status = async (url: URL, init: RequestInit = {}) => {
          const answer = await fetch(url, init);
          await answer.arrayBuffer();
          return answer.status;
        };
        const altered = (url: URL, change: (u: URL) => void) => {
          const copy = new URL(url);
          change(copy);
          return copy;
        };
        expect(await status(get, { method: 'PUT', body: 'evil' })).toBe(403);
        expect(await status(get, { method: 'DELETE' })).toBeGreaterThanOrEqual(400);
        expect(await status(put)).toBe(403);
        const toOther = (u: URL) => {
          u.pathname = u.pathname.replace('signed/a', 'signed/b');
        };
        expect(await status(altered(get, toOther))).toBe(403);
        expect(await status(altered(put, toOther), { method: 'PUT', body: 'evil' })).toBe(403);
        for (const [name, value] of get.searchParams) {
          const other = `${value.startsWith('2') ? '3' : '2'}${value.slice(1)}`;
          const answer = await status(altered(get, (u) => u.searchParams.set(name, other)));
          // 404: a store may say of a key id that it does not know it.
          expect([400, 403, 404], `${name} altered`).toContain(answer);
          const without = await status(altered(get, (u) => u.searchParams.delete(name)));
          expect([400, 403], `${name} left out`).toContain(without);
        }
        expect(Buffer.from(await all('signed/a')).toString()).toBe('a');
        expect(Buffer.from(await all('signed/b')).toString()).toBe('b');
      });

      it('expire', async () => {
        await store.put(bucket, 'signed/old', bytes('old'));
        const get = await store.presign('GET', bucket, 'signed/old', 1);
        const put = await store.presign('PUT', bucket, 'signed/new', 1);
        await harness.later(3);
        const answers = [await fetch(get), await fetch(put, { method: 'PUT', body: 'late' })];
        for (const answer of answers) await answer.arrayBuffer();
        expect(answers.map((a) => a.status)).toEqual([403, 403]);
        expect(await store.stat(bucket, 'signed/new')).toBeNull();
      });

      it('are not made for no time, or for ever', async () => {
        for (const seconds of [0, -1, Number.NaN, 8 * 24 * 3600]) {
          expect(await code(store.presign('GET', bucket, 'signed/a', seconds))).toBe('not-allowed');
        }
      });
    });
  });
}
