import { once } from 'node:events';
import { mkdir, mkdtemp, readdir, readFile, rm, symlink, utimes, writeFile } from 'node:fs/promises';
import { createServer, request } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { BlobStoreError, readBlob } from './blob-store.ts';
import { blobStoreContract } from './contract-suite.ts';
import { type FileBlobStore, type FileBlobStoreOptions, openFileBlobStore } from './file-blob-store.ts';
import { temporaryName } from './temporary-files.ts';

async function start(options: Partial<FileBlobStoreOptions> = {}) {
  const root = await mkdtemp(join(tmpdir(), 'vigil-blobs-'));
  let store: FileBlobStore | undefined;
  const server = createServer(async (req, res) => {
    if (!(await store?.handle(req, res))) res.writeHead(421).end();
  });
  await new Promise<void>((done) => server.listen(0, '127.0.0.1', done));
  const origin = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  store = await openFileBlobStore({ root, baseUrl: `${origin}/blobs`, ...options });
  return {
    root,
    origin,
    store,
    async [Symbol.asyncDispose]() {
      server.closeAllConnections();
      await new Promise((done) => server.close(done));
      await rm(root, { recursive: true, force: true });
    },
  };
}

blobStoreContract('files', async () => {
  let shift = 0;
  const it = await start({ now: () => Date.now() + shift });
  return {
    store: it.store,
    bucket: 'contract',
    async later(seconds) {
      shift += seconds * 1000;
    },
    [Symbol.asyncDispose]: () => it[Symbol.asyncDispose](),
  };
});

describe('files', () => {
  let it_: Awaited<ReturnType<typeof start>>;
  beforeAll(async () => {
    it_ = await start({ maxBytes: 1_000_000 });
  });
  afterAll(() => it_[Symbol.asyncDispose]());
  const codeOf = (promise: Promise<unknown>) => promise.catch((error: BlobStoreError) => error.code);
  const temporary = () => readdir(join(it_.root, '.vigil-blobs', 'temporary'));

  it('lie where their key says, as they are', async () => {
    await it_.store.put('b', 'films/a.txt', Buffer.from('plain'));
    expect(await readFile(join(it_.root, 'b/films/a.txt'), 'utf8')).toBe('plain');
  });

  it('that somebody else put there are objects too, and change version when they are written over in place', async () => {
    await mkdir(join(it_.root, 'dropped'), { recursive: true });
    await writeFile(join(it_.root, 'dropped/in'), 'aaaa');
    const first = await it_.store.stat('dropped', 'in');
    await utimes(join(it_.root, 'dropped/in'), 1_000_000_000, 1_000_000_000);
    const second = await it_.store.stat('dropped', 'in');
    expect([first!.size, first!.contentType]).toEqual([4, null]);
    expect(second!.version).not.toBe(first!.version);
    const put = await it_.store.put('dropped', 'over', Buffer.from('aaaa'));
    await utimes(join(it_.root, 'dropped/over'), 1_000_000_000, 1_000_000_000);
    await writeFile(join(it_.root, 'dropped/over'), 'bbbb');
    expect((await it_.store.stat('dropped', 'over'))!.version).not.toBe(put.version);
  });

  it('leave no temporary file and no notes behind', async () => {
    const notes = () => readdir(join(it_.root, '.vigil-blobs/notes/tidy')).catch(() => []);
    for (let i = 0; i < 3; i++) await it_.store.put('tidy', 'x/y', Buffer.from(`take ${i}`));
    expect(await notes()).toHaveLength(1);
    expect(await readdir(join(it_.root, '.vigil-blobs/notes/tidy', (await notes())[0]!))).toHaveLength(1);
    await it_.store.delete('tidy', 'x/y');
    expect(await notes()).toEqual([]);
    expect(await readdir(join(it_.root, 'tidy'))).toEqual([]);
    const failing = async function* () {
      yield Buffer.alloc(100);
      throw new Error('dead');
    };
    await expect(it_.store.put('tidy', 'x', Readable.from(failing()))).rejects.toThrow('dead');
    expect(await temporary()).toEqual([]);
  });

  it('cannot be both an object and a folder: refused, not retried', async () => {
    await it_.store.put('both', 'a', Buffer.from('1'));
    expect(await codeOf(it_.store.put('both', 'a/b', Buffer.from('2')))).toBe('not-allowed');
    await it_.store.put('both', 'c/d', Buffer.from('3'));
    expect(await codeOf(it_.store.put('both', 'c', Buffer.from('4')))).toBe('not-allowed');
    expect(await codeOf(it_.store.get('both', 'a/b'))).toBe('missing');
    expect(await temporary()).toEqual([]);
    expect(await codeOf(it_.store.put('both', 'n'.repeat(300), Buffer.from('5')))).toBe('bad-key');
  });

  it('are not reached through links that lead out of their bucket', async () => {
    const outside = await mkdtemp(join(tmpdir(), 'vigil-outside-'));
    try {
      await writeFile(join(outside, 'secret'), 'secret');
      await it_.store.put('links', 'real/inner', Buffer.from('inner'));
      await symlink(outside, join(it_.root, 'links/folder'));
      await symlink(join(outside, 'secret'), join(it_.root, 'links/file'));
      await symlink(join(it_.root, '.vigil-blobs/secret'), join(it_.root, 'links/own'));
      await symlink(outside, join(it_.root, 'linked-bucket'));
      await symlink('real/inner', join(it_.root, 'links/within'));
      for (const [bucket, key] of [
        ['links', 'folder/secret'],
        ['links', 'file'],
        ['links', 'own'],
        ['linked-bucket', 'secret'],
      ] as const) {
        expect(await codeOf(it_.store.get(bucket, key)), `${bucket}/${key}`).toBe('not-allowed');
        expect(await codeOf(it_.store.stat(bucket, key)), `${bucket}/${key}`).toBe('not-allowed');
      }
      expect(await codeOf(it_.store.put('links', 'folder/new', Buffer.from('x')))).toBe('not-allowed');
      expect(await codeOf(it_.store.put('links', 'folder/deep/new', Buffer.from('x')))).toBe('not-allowed');
      expect(await codeOf(it_.store.put('linked-bucket', 'new', Buffer.from('x')))).toBe('not-allowed');
      expect(await codeOf(it_.store.delete('links', 'folder/secret'))).toBe('not-allowed');
      expect(await readdir(outside)).toEqual(['secret']);
      expect(Buffer.from(await readBlob(it_.store, 'links', 'within', 100)).toString()).toBe('inner');
    } finally {
      await rm(outside, { recursive: true });
    }
  });

  it('larger than allowed are refused, by stream and by address', async () => {
    expect(
      await codeOf(it_.store.put('b', 'huge', Readable.from([Buffer.alloc(900_000), Buffer.alloc(100_001)]))),
    ).toBe('not-allowed');
    const url = await it_.store.presign('PUT', 'b', 'huge', 60);
    const status = await new Promise((done, fail) => {
      const put = request(url, { method: 'PUT', headers: { 'content-length': 1_000_001 } }, (res) => {
        res.resume();
        done(res.statusCode);
      });
      put.on('error', fail);
      put.flushHeaders();
    });
    expect(status).toBe(413);
    expect(await it_.store.stat('b', 'huge')).toBeNull();
  });

  it('of which a client sends only half do not appear', async () => {
    const url = await it_.store.presign('PUT', 'b', 'cut', 60);
    const put = request(url, { method: 'PUT', headers: { 'content-length': 1000 } });
    const gone = once(put, 'error');
    put.write(Buffer.alloc(500));
    await expect.poll(temporary).toHaveLength(1);
    put.destroy(new Error('gone'));
    await gone;
    await expect.poll(temporary).toEqual([]);
    expect(await it_.store.stat('b', 'cut')).toBeNull();
  });

  it('are served under a policy that makes them harmless, and other paths are left to others', async () => {
    await it_.store.put('b', 'page.html', Buffer.from('<script>1</script>'), { contentType: 'text/html' });
    const answer = await fetch(await it_.store.presign('GET', 'b', 'page.html', 60));
    await answer.text();
    expect(answer.headers.get('content-security-policy')).toContain('sandbox');
    expect(answer.headers.get('x-content-type-options')).toBe('nosniff');
    for (const path of ['/', '/blobsx/b/page.html', '/health']) {
      const other = await fetch(it_.origin + path);
      await other.text();
      expect(other.status).toBe(421);
    }
    for (const path of ['/blobs/b/page.html', '/blobs/%ff', '/blobs/b/%00', '/blobs/..%2f..%2fetc/passwd']) {
      const unsigned = await fetch(it_.origin + path);
      await unsigned.text();
      expect(unsigned.status, path).toBe(403);
    }
  });

  it('answer with the whole object when If-Range names another version', async () => {
    const { version } = await it_.store.put('b', 'versioned', Buffer.from('0123456789'));
    const url = await it_.store.presign('GET', 'b', 'versioned', 60);
    const headers = (etag: string) => ({ range: 'bytes=0-1', 'if-range': etag });
    const same = await fetch(url, { headers: headers(`"${version}"`) });
    const other = await fetch(url, { headers: headers('"other"') });
    expect([await same.text(), await other.text()]).toEqual(['01', '0123456789']);
  });

  it('opened by a second process are the same, its addresses too; without a base URL there are none', async () => {
    await it_.store.put('b', 'shared', Buffer.from('shared'), { contentType: 'image/png' });
    const second = await openFileBlobStore({ root: it_.root, baseUrl: `${it_.origin}/blobs` });
    expect(await second.stat('b', 'shared')).toEqual(await it_.store.stat('b', 'shared'));
    const answer = await fetch(await second.presign('GET', 'b', 'shared', 60));
    expect([answer.status, await answer.text()]).toEqual([200, 'shared']);
    const mute = await openFileBlobStore({ root: it_.root });
    expect(await codeOf(mute.presign('GET', 'b', 'shared', 60))).toBe('not-allowed');
  });

  it('that were never finished are swept at the next start, but not those under way', async () => {
    const folder = join(it_.root, '.vigil-blobs', 'temporary');
    const dead = temporaryName().replace(`.${process.pid}.`, '.4194305.');
    const old = `ffffffff.1.${crypto.randomUUID()}`;
    const elsewhere = `fffffffe.1.${crypto.randomUUID()}`;
    const underWay = temporaryName();
    for (const name of [dead, old, elsewhere, underWay]) await writeFile(join(folder, name), 'half');
    const hoursAgo = Date.now() / 1000 - 2 * 3600;
    await utimes(join(folder, old), hoursAgo, hoursAgo);
    await openFileBlobStore({ root: it_.root });
    expect((await temporary()).sort()).toEqual([elsewhere, underWay].sort());
    for (const name of [elsewhere, underWay]) await rm(join(folder, name));
  });

  it('cannot be kept in a root that is no folder', async () => {
    await writeFile(join(it_.root, 'plain'), '');
    await expect(openFileBlobStore({ root: join(it_.root, 'plain') })).rejects.toThrow(BlobStoreError);
  });
});
