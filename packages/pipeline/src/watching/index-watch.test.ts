/** Real: the index and its check. Faked: time, the library around it, and whom it tells. */
import { createFakeClock, createLogger } from '@vigil/runtime';
import { createIndex } from '@vigil/similarity';
import { expect, test } from 'vitest';
import type { Finding } from '../self-check.ts';
import { IndexUnsound, watchIndex } from './index-watch.ts';

test('an index that stops finding leaves the rotation, says so, throws its snapshot away, and ends its process', async () => {
  const clock = createFakeClock();
  const index = { ...createIndex() };
  const said: string[] = [];
  const looks = new Map<string, () => void>();
  const watched = watchIndex({
    library: { index, distrust: async () => void said.push('snapshot thrown away') } as never,
    references: { slice: async () => null } as never,
    witnesses: {
      index: async (name: string, { sound, wrong }: Finding) =>
        void said.push(`${name} ${sound ? 'sound' : `unsound, wrong: ${wrong}`}`),
    } as never,
    environment: { add: (name, look) => void looks.set(name, look) },
    name: '0-of-1@a',
    clock,
    logger: createLogger({ level: 'silent' }),
  });
  await watched.look();
  expect(said).toEqual(['0-of-1@a sound']);
  expect(looks.get('index')).not.toThrow();

  const stop = new AbortController();
  const running = watched.run(stop.signal);
  const ended = expect(running).rejects.toThrow(IndexUnsound);
  await clock.advance(60_000);
  expect(watched.out.aborted).toBe(false);
  index.searchAsync = async () => [];
  for (let i = 0; i < 20 && !watched.out.aborted; i++) {
    await clock.advance(60_000);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  expect(watched.out.aborted).toBe(true);
  expect(looks.get('index')).toThrow('the index is unsound: 8 of 8 picture codes that were planted are not found');
  for (let i = 0; i < 5; i++) {
    await clock.advance(3000);
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
  await ended;
  expect(said.slice(1)).toEqual(['snapshot thrown away', '0-of-1@a unsound, wrong: false']);
  stop.abort();
});

test('one that is unsound from the start matches nothing at all', async () => {
  const origin = { reference: { id: 'any', version: 1 }, media: 'image', time: 0, place: [0, 0, 1, 1] } as const;
  const searchAsync = async (_: unknown, bits: Uint8Array) =>
    Array.from({ length: bits.length / 32 }, (_, query) => ({ query, distance: 0, origin }));
  const watched = watchIndex({
    library: { index: { ...createIndex(), searchAsync }, distrust: async () => undefined } as never,
    references: { slice: async () => null } as never,
    witnesses: { index: async () => undefined } as never,
    environment: { add: () => undefined },
    name: '0-of-1@a',
    clock: createFakeClock(),
    logger: createLogger({ level: 'silent' }),
  });
  await expect(watched.look()).rejects.toThrow('wrong: 8 of 8 picture codes of chance have hits');
  expect(watched.out.aborted).toBe(true);
});
