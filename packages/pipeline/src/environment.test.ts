import { BlobStoreError } from '@vigil/blob-store';
import { createFakeClock, createLogger, PostgresError } from '@vigil/runtime';
import { beforeEach, describe, expect, test } from 'vitest';
import { OWN_BUCKET } from './emit.ts';
import { createEnvironment, type Environment, REACHABLE } from './environment.ts';

/** Faked: the stores (each answers what the test says) and time, but for the two seconds that a store is waited for. */
describe('environment', () => {
  const clock = createFakeClock();
  const outage = new PostgresError('gone for now', { retriable: true, code: '08006' });
  let answers: Record<'database' | 'log' | 'blobs' | 'films', () => Promise<unknown>>;
  let asked: number;
  let environment: Environment;

  beforeEach(() => {
    asked = 0;
    answers = { database: async () => [], log: async () => [], blobs: async () => null, films: async () => null };
    const ask = (name: keyof typeof answers) => {
      asked++;
      return answers[name]() as never;
    };
    environment = createEnvironment({
      database: { postgres: { query: () => ask('database') } as never },
      log: { ends: () => ask('log') },
      blobs: { stat: (bucket) => ask(bucket === OWN_BUCKET ? 'blobs' : 'films') },
      buckets: ['films'],
      clock,
      logger: createLogger({ level: 'silent' }),
    });
  });

  test('says which store does not answer, and why', async () => {
    const well = { database: REACHABLE, log: REACHABLE, blobs: REACHABLE, 'bucket films': REACHABLE };
    expect(await environment.checks()).toEqual(well);
    expect(await environment.isBroken()).toBe(false);
    answers.blobs = () => new Promise(() => undefined);
    answers.database = () => Promise.reject(outage);
    environment.add('library', () => {
      throw new Error('stale');
    });
    await clock.advance(2000);
    expect(await environment.isBroken()).toBe(true);
    expect(await environment.checks()).toEqual({
      database: 'PostgresError: gone for now',
      log: REACHABLE,
      blobs: 'no answer within 2 s',
      'bucket films': REACHABLE,
      library: 'Error: stale',
    });
  });

  test('asks the stores once, however many want to know', async () => {
    await clock.advance(2000);
    await Promise.all(Array.from({ length: 100 }, () => environment.isBroken()));
    expect(asked).toBe(4);
  });

  test('asks who does not answer no second time until it does', async () => {
    const hung = Promise.withResolvers<unknown>();
    answers.films = () => hung.promise;
    expect(await environment.checks()).toMatchObject({ 'bucket films': 'no answer within 2 s' });
    await environment.checks();
    expect(asked).toBe(7);
    hung.reject(new BlobStoreError('unavailable', 'films: no answer'));
    await clock.advance(1);
    answers.films = async () => null;
    expect(await environment.checks()).toMatchObject({ 'bucket films': REACHABLE });
    expect(asked).toBe(11);
  });

  test('is broken where the bucket of the uploads is away, though our own answers', async () => {
    answers.films = () => Promise.reject(new BlobStoreError('unavailable', 'films: 503'));
    expect(await environment.isBroken()).toBe(true);
    expect(await environment.checks()).toMatchObject({
      blobs: REACHABLE,
      'bucket films': 'BlobStoreError: films: 503',
    });
    answers.films = async () => null;
    await clock.advance(2000);
    expect(await environment.isBroken()).toBe(false);
  });

  test('begins a part again for as long as its environment breaks, and says that it waits', async () => {
    const stop = new AbortController();
    let runs = 0;
    const part = environment.rideOut('relay', stop.signal, async () => {
      if (++runs < 500) throw outage;
    });
    await clock.advance(150);
    expect(await environment.checks()).toMatchObject({ relay: 'waits: PostgresError: gone for now' });
    await clock.advance(3_600_000);
    await part;
    expect(runs).toBe(500);
    expect(await environment.checks()).not.toHaveProperty('relay');
  });

  test('lets a bug through, and ends when told to', async () => {
    const stop = new AbortController();
    const bug = environment.rideOut('relay', stop.signal, () => Promise.reject(new Error('a bug')));
    await expect(bug).rejects.toThrow('a bug');
    const waits = environment.rideOut('relay', stop.signal, () => Promise.reject(outage));
    await clock.advance(10);
    stop.abort(new Error('draining'));
    await waits;
  });
});
