// The tests that need a server are many, and share one: hence the length of this file.
import { createHash } from 'node:crypto';
import { once } from 'node:events';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { setFlagsFromString } from 'node:v8';
import { runInNewContext } from 'node:vm';
import { ListMultipartUploadsCommand, ListObjectsV2Command, S3Client } from '@aws-sdk/client-s3';
import { afterAll, afterEach, beforeAll, describe, expect, it, vi } from 'vitest';
import { describeWith } from '../../../test/support/require.ts';
import { s3Here, startTestS3, type TestS3 } from '../../../test/support/s3.ts';
import { openTcpProxy, type TcpProxy } from '../../../test/support/tcp-proxy.ts';
import { type BlobStore, BlobStoreError, readBlob } from './blob-store.ts';
import { blobStoreContract } from './contract-suite.ts';
import { openS3BlobStore, type S3BlobStoreOptions } from './s3-blob-store.ts';

const MB = 2 ** 20;
const BUSY = `<?xml version="1.0"?><Error><Code>SlowDown</Code><Message>Please reduce your request rate.</Message></Error>`;
const SLOW_DOWN = `HTTP/1.1 503 Slow Down\r\ncontent-type: application/xml\r\ncontent-length: ${BUSY.length}\r\nconnection: close\r\n\r\n${BUSY}`;
/** Short, so that the tests are; what a stall may cost follows from them. */
const timeouts = { connectMs: 1000, answerMs: 1200, idleMs: 800, callMs: 3000 };

setFlagsFromString('--expose-gc');
const collect = runInNewContext('gc') as () => void;

vi.setConfig({ testTimeout: 60_000 });

describeWith('s3', await s3Here(), 'S3', () => {
  let s3: TestS3;
  let bucket: string;
  let line: TcpProxy;
  let client: S3Client;
  beforeAll(async () => {
    s3 = await startTestS3();
    bucket = await s3.newBucket();
    const { hostname, port } = new URL(s3.endpoint);
    line = await openTcpProxy({ host: hostname, port: Number(port) });
    const { endpoint, region } = s3;
    client = new S3Client({ endpoint, region, credentials: credentials(), forcePathStyle: true });
  });
  afterEach(() => line.set({ kind: 'none' }));
  afterAll(async () => {
    client?.destroy();
    await line?.[Symbol.asyncDispose]();
    await s3?.[Symbol.asyncDispose]();
  });

  const credentials = () => ({ accessKeyId: s3.accessKey, secretAccessKey: s3.secretKey });
  const open = (options: Partial<S3BlobStoreOptions> = {}) =>
    openS3BlobStore({ endpoint: s3.endpoint, region: s3.region, credentials: credentials(), ...options });
  /** Through the line. */
  const openFar = (options: Partial<S3BlobStoreOptions> = {}) =>
    open({ endpoint: `http://${line.host}:${line.port}`, timeouts, ...options });
  const code = (promise: Promise<unknown>) =>
    promise.then(
      () => 'no error',
      (error) => (error instanceof BlobStoreError ? error.code : error),
    );
  const unfinished = async (key: string) => {
    const { Uploads = [] } = await client.send(new ListMultipartUploadsCommand({ Bucket: bucket }));
    return Uploads.filter(({ Key }) => Key === key).length;
  };
  const objects = async (prefix: string) => {
    const { Contents = [] } = await client.send(new ListObjectsV2Command({ Bucket: bucket, Prefix: prefix }));
    return Contents.map(({ Key }) => Key);
  };

  blobStoreContract('S3', async () => {
    const own = await s3.newBucket();
    const store = await open({ buckets: [own] });
    return {
      store,
      bucket: own,
      later: (seconds) => sleep(seconds * 1000),
      [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
    };
  });

  describe('objects in parts', () => {
    it('hold little memory, sent and read, and are what was announced', async () => {
      await using store = await open({ partBytes: 5 * MB });
      const body = film(64 * MB);
      const [put, sending] = await peakOf(() =>
        store.put(bucket, 'film', body.stream(), { sha256: body.sha256, contentType: 'video/mp4' }),
      );
      expect(put).toMatchObject({ size: 64 * MB, contentType: 'video/mp4' });
      expect(await store.stat(bucket, 'film')).toMatchObject({
        size: 64 * MB,
        version: put.version,
        contentType: 'video/mp4',
      });
      const [digest, reading] = await peakOf(async () => digestOf(await store.get(bucket, 'film')));
      expect(digest).toBe(body.sha256);
      // Three parts of 5 MiB, and what the line and the client hold.
      expect(sending).toBeLessThan(32 * MB);
      expect(reading).toBeLessThan(16 * MB);
      expect(await unfinished('film')).toBe(0);
    });

    it.each(['when-required', 'when-supported'] as const)(
      'and whole ones are right with checksums %s',
      async (mode) => {
        await using store = await open({ partBytes: 5 * MB, requestChecksums: mode, responseChecksums: mode });
        const body = film(11 * MB);
        for (const [key, bytes] of [
          ['parts', await bytesOf(body.stream())],
          ['whole', Buffer.from('whole')],
        ] as const) {
          await store.put(bucket, `${mode}/${key}`, bytes);
          expect(sha256(await readBlob(store, bucket, `${mode}/${key}`, 16 * MB))).toBe(sha256(bytes));
          expect(Buffer.from(await bytesOf(await store.get(bucket, `${mode}/${key}`, { start: 1, end: 4 })))).toEqual(
            Buffer.from(bytes.subarray(1, 4)),
          );
        }
      },
    );

    it('that are not the announced ones leave no object and no parts', async () => {
      await using store = await open({ partBytes: 5 * MB });
      const wrong = sha256(Buffer.from('other'));
      expect(await code(store.put(bucket, 'wrong', film(12 * MB).stream(), { sha256: wrong }))).toBe('digest-mismatch');
      expect([await store.stat(bucket, 'wrong'), await unfinished('wrong')]).toEqual([null, 0]);
    });

    it('leave nothing when the body breaks, the signal is raised or they grow too large', async () => {
      await using store = await open({ partBytes: 5 * MB, maxBytes: 20 * MB });
      const abort = new AbortController();
      const broken = film(18 * MB, (at) => {
        if (at === 13 * MB) throw new Error('the line went dead');
      });
      const aborted = film(18 * MB, (at) => {
        if (at === 13 * MB) abort.abort();
      });
      await expect(store.put(bucket, 'half/broken', broken.stream())).rejects.toThrow('the line went dead');
      await expect(store.put(bucket, 'half/aborted', aborted.stream(), { signal: abort.signal })).rejects.toMatchObject(
        { name: 'AbortError' },
      );
      expect(await code(store.put(bucket, 'half/large', film(21 * MB).stream()))).toBe('not-allowed');
      expect(await objects('half/')).toEqual([]);
      for (const key of ['half/broken', 'half/aborted', 'half/large']) expect(await unfinished(key), key).toBe(0);
    });

    it('cut half-way are not to be seen, and the parts that stay behind are told', async () => {
      const warnings: string[] = [];
      const logger = { warn: (_: object, message: string) => warnings.push(message) };
      // A cut is heard of at once; what comes after it has all the time that it needs.
      await using store = await openFar({ partBytes: 5 * MB, maxAttempts: 2, logger, timeouts: {} });
      const body = film(40 * MB, (at) => {
        if (at === 16 * MB) line.set({ kind: 'cut' });
      });
      expect(await code(store.put(bucket, 'cut/film', body.stream()))).toBe('unavailable');
      line.set({ kind: 'none' });
      expect(await objects('cut/')).toEqual([]);
      expect(warnings).toEqual(['parts of an upload that failed stay behind']);
      await store.put(bucket, 'cut/film', film(12 * MB).stream());
      expect((await store.stat(bucket, 'cut/film'))?.size).toBe(12 * MB);
    });

    it('give up at once when the store is gone, although the body says no more', async () => {
      await using store = await openFar({ partBytes: 5 * MB, maxAttempts: 1 });
      line.set({ kind: 'answer', text: SLOW_DOWN });
      const silent = new Readable({ read: () => undefined });
      silent.push(Buffer.alloc(6 * MB));
      expect(await code(store.put(bucket, 'silent', silent))).toBe('unavailable');
      expect(silent.destroyed).toBe(true);
    });
  });

  describe('a bad line', () => {
    /** With more patience, because the machine may be busy. */
    let store: BlobStore;
    beforeAll(async () => {
      store = await openFar({ timeouts: { idleMs: timeouts.idleMs, answerMs: 3000 } });
      await store.put(bucket, 'line/film', film(24 * MB).stream());
      await store.put(bucket, 'line/small', Buffer.from('0123456789'));
    });
    afterAll(() => store[Symbol.asyncDispose]());

    const calls = (store: BlobStore): [string, () => Promise<unknown>][] => [
      ['stat', () => store.stat(bucket, 'line/small')],
      ['get', () => readBlob(store, bucket, 'line/small', 100)],
      ['range', async () => bytesOf(await store.get(bucket, 'line/film', { start: 5 * MB, end: 6 * MB }))],
      ['put', () => store.put(bucket, 'line/put', Buffer.alloc(100_000))],
      ['stream', () => store.put(bucket, 'line/put', Readable.from([Buffer.alloc(1000)]))],
      ['delete', () => store.delete(bucket, 'line/put')],
    ];

    it.each([
      ['503 Slow Down', { kind: 'answer', text: SLOW_DOWN }],
      ['a stall', { kind: 'stall' }],
      ['a stall in the middle', { kind: 'stall', afterBytes: 400 }],
      ['a cut', { kind: 'cut' }],
      ['a cut in the middle', { kind: 'cut', afterBytes: 400 }],
      ['a far side that vanished', { kind: 'half-open' }],
      ['no HTTP at all', { kind: 'answer', text: 'SSH-2.0-OpenSSH\r\n\r\n' }],
    ] as const)('makes every call retriable and no more: %s', async (_, fault) => {
      await using hasty = await openFar();
      line.set(fault);
      const found = await Promise.all(calls(hasty).map(async ([name, call]) => [name, await code(call())]));
      expect(found).toEqual(calls(hasty).map(([name]) => [name, 'unavailable']));
      line.set({ kind: 'none' });
      for (const [, call] of calls(store)) await call();
    });

    it('is tried as often as allowed, and a short fault is not noticed', async () => {
      // The client stops trying again after many failures of all its calls, until calls succeed.
      await using fresh = await openFar({ timeouts: {} });
      line.set({ kind: 'answer', text: SLOW_DOWN });
      const before = line.passed.connections;
      expect(await code(fresh.stat(bucket, 'line/small'))).toBe('unavailable');
      expect(line.passed.connections - before).toBe(3);
      const found = fresh.stat(bucket, 'line/small');
      const first = line.passed.connections;
      await expect.poll(() => line.passed.connections, { interval: 1 }).toBeGreaterThan(first);
      line.set({ kind: 'none' });
      expect((await found)?.size).toBe(10);
    });

    it.each([
      ['a stall', { kind: 'stall', afterBytes: 3 * MB }],
      ['a cut', { kind: 'cut', afterBytes: 3 * MB }],
      ['a far side that vanished', { kind: 'half-open', afterBytes: 3 * MB }],
    ] as const)('ends a body that was begun: %s', async (_, fault) => {
      const stream = await store.get(bucket, 'line/film');
      line.set(fault);
      let got = 0;
      const reading = (async () => {
        for await (const chunk of stream) got += chunk.length;
      })();
      expect(await code(reading)).toBe('unavailable');
      expect(got).toBeLessThan(8 * MB);
    });

    it('that is slow is waited for, and so is a slow reader', async () => {
      line.set({ kind: 'delay', ms: 50 });
      expect((await bytesOf(await store.get(bucket, 'line/film', { start: 0, end: MB }))).length).toBe(MB);
      line.set({ kind: 'none' });
      let got = 0;
      for await (const chunk of await store.get(bucket, 'line/film')) {
        if (got === 0) await sleep(2 * timeouts.idleMs);
        got += chunk.length;
      }
      expect(got).toBe(24 * MB);
    });

    it('holds no memory while it stalls, and the others go on', async () => {
      // Connections of its own, stalled when a part has passed: what the kernel holds of one may be all of the object.
      await using fresh = await openFar({ timeouts: { idleMs: timeouts.idleMs, answerMs: 3000 } });
      line.set({ kind: 'stall', afterBytes: 3 * MB });
      const streams = await Promise.all(Array.from({ length: 24 }, () => fresh.get(bucket, 'line/film')));
      await using healthy = await open();
      const [codes, held] = await peakOf(() => {
        const readers = streams.map((stream) => code(digestOf(stream)));
        return Promise.all([...readers, code(digestOfKey(healthy, 'line/film'))]);
      });
      expect(codes).toEqual([...streams.map(() => 'unavailable'), 'no error']);
      expect(held).toBeLessThan(32 * MB);
    });

    it('does not hold whoever gives up', async () => {
      line.set({ kind: 'stall' });
      const abort = new AbortController();
      const slow = await open({ endpoint: `http://${line.host}:${line.port}` });
      const waiting = [
        slow.get(bucket, 'line/film', undefined, abort.signal),
        slow.put(bucket, 'line/never', Buffer.from('x'), { signal: abort.signal }),
      ];
      setTimeout(() => abort.abort(), 50);
      for (const promise of waiting) await expect(promise).rejects.toMatchObject({ name: 'AbortError' });
      line.set({ kind: 'none' });
      const later = new AbortController();
      const stream = await slow.get(bucket, 'line/film', undefined, later.signal);
      later.abort();
      await expect(digestOf(stream)).rejects.toMatchObject({ name: 'AbortError' });
      await slow[Symbol.asyncDispose]();
    });

    it('carries only the range that was asked for', async () => {
      await store.stat(bucket, 'line/film');
      const before = line.passed.down;
      await bytesOf(await store.get(bucket, 'line/film', { start: 9 * MB, end: 11 * MB }));
      expect(line.passed.down - before).toBeGreaterThan(2 * MB);
      expect(line.passed.down - before).toBeLessThan(2 * MB + 4096);
    });

    it('is free again when streams are destroyed unread', async () => {
      await using narrow = await openFar({ maxSockets: 2, timeouts: {} });
      for (let i = 0; i < 10; i++) (await narrow.get(bucket, 'line/film')).destroy();
      expect((await narrow.stat(bucket, 'line/small'))?.size).toBe(10);
    });
  });

  it('reads one version or none', async () => {
    await using store = await open();
    const { version } = await store.put(bucket, 'replaced', Buffer.from('first'));
    const range = { start: 0, end: 3, version };
    expect(Buffer.from(await bytesOf(await store.get(bucket, 'replaced', range))).toString()).toBe('fir');
    await store.put(bucket, 'replaced', Buffer.from('other'));
    expect(await code(store.get(bucket, 'replaced', range))).toBe('missing');
  });

  it('keeps prefixed buckets apart, and signs addresses for where readers are', async () => {
    await using far = await open({
      bucketPrefix: bucket.slice(0, 11),
      addressEndpoint: `http://${line.host}:${line.port}`,
      buckets: [bucket.slice(11)],
    });
    await far.put(bucket.slice(11), 'prefixed', Buffer.from('x'));
    expect(await objects('prefixed')).toEqual(['prefixed']);
    const url = await far.presign('GET', bucket.slice(11), 'prefixed', 60);
    expect(url.port).toBe(String(line.port));
    expect(await (await fetch(url)).text()).toBe('x');
  });

  it('blames no object for a wrong bucket or wrong keys, and says so at the start where it is asked to', async () => {
    await expect(open({ buckets: ['vigil-never-made'] })).rejects.toMatchObject({ code: 'unavailable' });
    await using store = await open();
    expect(await code(store.stat('vigil-never-made', 'k'))).toBe('unavailable');
    expect(await code(store.get('vigil-never-made', 'k'))).toBe('unavailable');
    const stranger = { ...credentials(), secretAccessKey: 'wrong' };
    await expect(open({ credentials: stranger, buckets: [bucket] })).rejects.toBeInstanceOf(BlobStoreError);
    await using locked = await open({ credentials: stranger });
    expect(await code(locked.get(bucket, 'k'))).toBe('unavailable');
    expect(await code(locked.stat(bucket, 'k'))).toBe('unavailable');
  });

  it.each([
    ['400 Bad Request', 'ExpiredToken', 'unavailable'],
    ['403 Forbidden', 'InvalidAccessKeyId', 'unavailable'],
    ['403 Forbidden', 'RequestTimeTooSkewed', 'unavailable'],
    ['403 Forbidden', 'AccessDenied', 'not-allowed'],
    ['400 Bad Request', 'InvalidRequest', 'not-allowed'],
    ['405 Method Not Allowed', 'MethodNotAllowed', 'not-allowed'],
  ])('hears why it is refused although HEAD is answered by %s alone: %s', async (status, name, expected) => {
    await using store = await openFar();
    const body = `<?xml version="1.0"?><Error><Code>${name}</Code><Message>no</Message></Error>`;
    const text = `HTTP/1.1 ${status}\r\ncontent-type: application/xml\r\ncontent-length: ${body.length}\r\nconnection: close\r\n\r\n${body}`;
    line.set({ kind: 'answer', text });
    expect(await code(store.stat(bucket, 'k'))).toBe(expected);
  });

  it('tries again where HEAD is refused and GET is not: keys that were renewed in between', async () => {
    const server = createServer(({ method, url }, answer) => {
      if (method === 'HEAD') answer.writeHead(403).end();
      else if (url?.includes('gone')) answer.writeHead(404).end('<Error><Code>NoSuchKey</Code></Error>');
      else answer.writeHead(206, { 'content-range': 'bytes 0-0/5', etag: '"e"' }).end('x');
    }).listen(0, '127.0.0.1');
    await once(server, 'listening');
    const { port } = server.address() as AddressInfo;
    await using store = await open({ endpoint: `http://127.0.0.1:${port}` });
    expect(await code(store.stat(bucket, 'here'))).toBe('unavailable');
    // Also of a bucket that was not looked at: the answer to GET has said that it is there.
    expect(await store.stat(bucket, 'gone')).toBeNull();
    server.closeAllConnections();
    server.close();
  });

  async function digestOfKey(store: BlobStore, key: string): Promise<string> {
    return digestOf(await store.get(bucket, key));
  }
});

const sha256 = (bytes: Uint8Array): string => createHash('sha256').update(bytes).digest('hex');

/** Many bytes out of few: pieces of 1 MiB that say where they belong. `onPiece` hears the place of each before it goes out. */
function film(size: number, onPiece: (at: number) => void = () => undefined) {
  const piece = Buffer.alloc(MB, 'frame');
  const at = (n: number) => {
    piece.writeUInt32LE(n, 0);
    return piece;
  };
  const hash = createHash('sha256');
  for (let n = 0; n < size / MB; n++) hash.update(at(n));
  return {
    sha256: hash.digest('hex'),
    stream: () =>
      Readable.from(
        (async function* () {
          for (let n = 0; n < size / MB; n++) {
            onPiece(n * MB);
            yield Buffer.from(at(n));
            await new Promise(setImmediate);
          }
        })(),
        { objectMode: true, highWaterMark: 1 },
      ),
  };
}

async function bytesOf(stream: Readable): Promise<Uint8Array> {
  const chunks: Uint8Array[] = [];
  for await (const chunk of stream) chunks.push(chunk as Uint8Array);
  return Buffer.concat(chunks);
}

async function digestOf(stream: Readable): Promise<string> {
  const hash = createHash('sha256');
  for await (const chunk of stream) hash.update(chunk);
  return hash.digest('hex');
}

/** The most memory of buffers that was alive while `work` ran, beyond what was before. */
async function peakOf<T>(work: () => Promise<T>): Promise<[T, number]> {
  const held = () => {
    // What a collection frees is counted so by a thread beside it, late on a busy machine: the next one waits for that.
    collect();
    collect();
    return process.memoryUsage().arrayBuffers;
  };
  const before = held();
  let peak = 0;
  const watch = setInterval(() => {
    peak = Math.max(peak, held() - before);
  }, 100);
  try {
    return [await work(), peak];
  } finally {
    clearInterval(watch);
  }
}
