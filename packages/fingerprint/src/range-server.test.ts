import { get } from 'node:http';
import { afterAll, describe, expect, test } from 'vitest';
import { bytesSource, type MediaSource } from './media-source.ts';
import { openRangeServer } from './range-server.ts';

const server = await openRangeServer();
afterAll(() => server[Symbol.asyncDispose]());

/** More than is paced, so that both ways of going on are taken. */
const bytes = Uint8Array.from({ length: 3_000_000 }, (_, i) => (i * 31) & 255);

const read = async (url: string, range?: string) => {
  const response = await fetch(url, { headers: range ? { range } : {} });
  return { response, body: new Uint8Array(await response.arrayBuffer()) };
};

describe('a shared source', () => {
  test('is served whole', async () => {
    await using share = server.share(bytesSource(bytes));
    const { response, body } = await read(share.url);
    expect(response.status).toBe(200);
    expect(response.headers.get('accept-ranges')).toBe('bytes');
    expect(body).toEqual(bytes);
    expect(share.served).toBe(bytes.length);
  });

  test.each([
    ['bytes=0-0', 0, 1],
    ['bytes=10-19', 10, 20],
    ['bytes=2999990-', 2_999_990, 3_000_000],
    ['bytes=2999990-4000000', 2_999_990, 3_000_000],
  ])('is served in parts: %s', async (range, start, end) => {
    await using share = server.share(bytesSource(bytes));
    const { response, body } = await read(share.url, range);
    expect(response.status).toBe(206);
    expect(response.headers.get('content-range')).toBe(`bytes ${start}-${end - 1}/${bytes.length}`);
    expect(body).toEqual(bytes.slice(start, end));
  });

  test.each(['bytes=3000000-', 'bytes=5-4', 'bytes=-5', 'bytes=0-1,4-5', 'lines=1-2'])('refuses %s', async (range) => {
    await using share = server.share(bytesSource(bytes));
    expect((await read(share.url, range)).response.status).toBe(416);
  });

  test('is found under its own path only, and not after it is disposed', async () => {
    const share = server.share(bytesSource(bytes));
    const other = server.share(bytesSource(new Uint8Array(3)));
    expect((await read(other.url)).body).toHaveLength(3);
    expect((await read(new URL('/', share.url).href)).response.status).toBe(404);
    expect((await read(share.url.replace('/media', ''))).response.status).toBe(404);
    expect((await read(`${share.url}?x`)).response.status).toBe(404);
    await share[Symbol.asyncDispose]();
    expect((await read(share.url)).response.status).toBe(404);
    await other[Symbol.asyncDispose]();
  });

  test('is no longer handed out when it is disposed in the middle', async () => {
    let asked = 0;
    const endless: MediaSource = {
      size: 2 ** 40,
      read: async (start, end) => {
        asked++;
        return [new Uint8Array(end - start)];
      },
    };
    const share = server.share(endless);
    const ended = new Promise((resolve) => {
      get(share.url, (response) => {
        response.once('data', () => void share[Symbol.asyncDispose]());
        response.once('error', resolve).once('close', resolve);
        response.resume();
      }).once('error', resolve);
    });
    await ended;
    const before = asked;
    await new Promise((resolve) => setTimeout(resolve, 30));
    expect(asked - before).toBeLessThanOrEqual(1);
    expect(share.fault).toBeUndefined();
  });

  test('that cannot be read is a fault, not an end', async () => {
    const broken: MediaSource = { size: 100, read: () => Promise.reject(new Error('the store is away')) };
    await using share = server.share(broken);
    await expect(read(share.url)).rejects.toThrow();
    expect(share.fault).toMatchObject({ message: 'the store is away' });
  });

  test('that ends early is a fault too', async () => {
    await using share = server.share({ size: 100, read: async () => [] });
    await expect(read(share.url)).rejects.toThrow();
    expect(share.fault).toMatchObject({ message: expect.stringContaining('ended at 0 of 100') });
  });
});

test('it listens on loopback alone', () => {
  expect(new URL(server.share(bytesSource(bytes)).url).hostname).toBe('127.0.0.1');
});
