import { afterAll, expect, test } from 'vitest';
import { openWorkerPool, WorkerError } from './worker-pool.ts';

const file = new URL('./worker-pool.worker.test-support.ts', import.meta.url);
const pool = openWorkerPool({ file, threads: 1, maxQueue: 2, workerData: { greeting: 'hello' } });
afterAll(() => pool[Symbol.asyncDispose]());

test('a task gives its value, and sees what the pool was opened with', async () => {
  expect(await pool.run('greet', 'you')).toBe('hello, you');
});

test('work left to the event loop of a worker goes on', async () => {
  expect(await pool.run('waits', 20)).toBe('waited');
  await pool.run('startsTicking', null);
  await expect.poll(() => pool.run<number>('ticks', null)).toBeGreaterThan(0);
});

test('buffers are handed over, there and back, without a copy', async () => {
  const pixels = new Uint8Array(1024).fill(7);
  const { buffer } = pixels;
  const result = await pool.run<{ sum: number; bytes: Uint8Array }>('sums', pixels, { transfer: [buffer] });
  expect(buffer.byteLength).toBe(0);
  expect(result.sum).toBe(7 * 1024);
  expect(result.bytes).toEqual(new Uint8Array(1024).fill(8));
  expect(await pool.run('kept', null)).toBe(0);
});

test('an error keeps its name, code and whether to try again', async () => {
  const error = await pool.run('fails', null).catch((e: unknown) => e);
  expect(error).toBeInstanceOf(WorkerError);
  expect(error).toMatchObject({ name: 'DiskFull', message: 'no room', code: 'ENOSPC', retriable: true });
  await expect(pool.run('throwsText', null)).rejects.toMatchObject({
    name: 'Error',
    message: 'just text',
    code: 'TASK_FAILED',
    retriable: false,
  });
});

test('more than may wait is refused, and says so', async () => {
  const calls = Array.from({ length: 6 }, () => pool.run('waits', 30));
  const ends = await Promise.allSettled(calls);
  const refused = ends.filter((e) => e.status === 'rejected').map((e) => e.reason as WorkerError);
  expect(refused.length).toBeGreaterThan(0);
  expect(refused.length).toBeLessThan(5);
  for (const error of refused) expect(error).toMatchObject({ code: 'QUEUE_FULL', retriable: true });
  expect(pool.queued).toBe(0);
});

test('a worker that dies fails its task alone; the next one is served', async () => {
  await expect(pool.run('dies', null)).rejects.toMatchObject({ code: 'WORKER_DIED', retriable: false });
  expect(await pool.run('greet', 'again')).toBe('hello, again');
});

test('a task that is stuck is ended by its signal', async () => {
  const stop = new AbortController();
  const stuck = pool.run('spins', null, { signal: stop.signal });
  setTimeout(() => stop.abort(), 20);
  await expect(stuck).rejects.toMatchObject({ code: 'ABORTED' });
  expect(await pool.run('greet', 'after')).toBe('hello, after');
});

test('a task that does not exist is an error', async () => {
  await expect(pool.run('nothing', null)).rejects.toBeInstanceOf(WorkerError);
});
