import { expect, test } from 'vitest';
import { createFakeClock } from './clock.ts';
import { PostgresError } from './postgres.ts';
import { isRetriable, retry } from './retry.ts';

const broken = () => new PostgresError('no connection', { retriable: true, code: '08006' });

function failing(times: number, error: unknown = broken()) {
  const calls: number[] = [];
  const fn = async (attempt: number) => {
    calls.push(attempt);
    if (calls.length <= times) throw error;
    return 'done';
  };
  return { calls, fn };
}

test('it calls again after what is retriable, with pauses that double up to a limit', async () => {
  const clock = createFakeClock();
  const { calls, fn } = failing(4);
  const pauses: number[] = [];
  const ends = retry(fn, { clock, random: () => 1, baseMs: 100, maxMs: 300, onRetry: (_e, _n, ms) => pauses.push(ms) });
  await clock.advance(10_000);
  expect(await ends).toBe('done');
  expect(calls).toEqual([1, 2, 3, 4, 5]);
  expect(pauses).toEqual([100, 200, 300, 300]);
});

test('it gives up after its attempts with the last error', async () => {
  const clock = createFakeClock();
  const { calls, fn } = failing(99);
  const ends = expect(retry(fn, { clock, attempts: 3 })).rejects.toThrow('no connection');
  await clock.advance(60_000);
  await ends;
  expect(calls).toEqual([1, 2, 3]);
});

test('what is not retriable is thrown at once', async () => {
  const { calls, fn } = failing(1, new Error('a bug'));
  await expect(retry(fn)).rejects.toThrow('a bug');
  expect(calls).toEqual([1]);
  expect([broken(), new Error('x'), null, 'text', { retriable: 'yes' }].map(isRetriable)).toEqual([
    true,
    false,
    false,
    false,
    false,
  ]);
});

test('it ends with its signal, during a pause and before the first call', async () => {
  const stop = new AbortController();
  const clock = createFakeClock();
  const { calls, fn } = failing(99);
  const ends = expect(retry(fn, { clock, signal: stop.signal })).rejects.toThrow('stop now');
  await clock.advance(0);
  stop.abort(new Error('stop now'));
  await ends;
  await expect(retry(fn, { signal: stop.signal })).rejects.toThrow('stop now');
  expect(calls).toEqual([1]);
});
