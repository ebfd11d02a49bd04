import { describe, expect, test, vi } from 'vitest';
import { createLanes, type Lane } from './lanes.ts';

const never = new AbortController().signal;

/** Fills the slots, queues work in the lanes, then lets one piece after another end; returns the order of beginnings. */
async function orderOf(slots: number, queued: Lane[]): Promise<Lane[]> {
  const lanes = createLanes(slots);
  const began: Lane[] = [];
  const ends: (() => void)[] = [];
  const begin = (lane: Lane, counted: boolean) =>
    lanes.run(lane, never, () => {
      if (counted) began.push(lane);
      return new Promise<void>((resolve) => ends.push(resolve));
    });
  const all = Array.from({ length: slots }, () => begin('first', false));
  await settle();
  all.push(...queued.map((lane) => begin(lane, true)));
  while (ends.length > 0) {
    ends.shift()!();
    await settle();
  }
  await Promise.all(all);
  return began;
}

const settle = () => new Promise((resolve) => setImmediate(resolve));

describe('lanes', () => {
  test('an image goes before any number of queued slices of films', async () => {
    const queued: Lane[] = [...new Array<Lane>(50).fill('rest'), ...new Array<Lane>(10).fill('first'), 'still'];
    expect((await orderOf(2, queued))[0]).toBe('still');
  });

  test('an image does not wait for films that have all the slots, nor films for images', async () => {
    const lanes = createLanes(2);
    const end = Promise.withResolvers<void>();
    const films = (['first', 'confirm', 'first'] as const).map((lane) => lanes.run(lane, never, () => end.promise));
    await settle();
    expect(lanes.waiting().first).toBe(1);
    expect(await lanes.run('still', never, async () => 'seen')).toBe('seen');
    expect(lanes.waiting().first).toBe(1);
    end.resolve();
    await Promise.all(films);
    const stills = Promise.withResolvers<void>();
    const images = Array.from({ length: 5 }, () => lanes.run('still', never, () => stills.promise));
    const film = lanes.run('rest', never, async () => 'in turn');
    await settle();
    expect(lanes.waiting()).toMatchObject({ still: 2, rest: 1 });
    stills.resolve();
    expect(await film).toBe('in turn');
    await Promise.all(images);
  });

  test('says that it is alive while it waits, and when its turn has come', async () => {
    vi.useFakeTimers();
    try {
      const lanes = createLanes(1);
      const end = Promise.withResolvers<void>();
      const first = lanes.run('first', never, () => end.promise);
      let alive = 0;
      const second = lanes.run(
        'first',
        never,
        async () => 'in turn',
        () => void alive++,
      );
      await vi.advanceTimersByTimeAsync(60_000);
      expect(alive).toBe(6);
      end.resolve();
      await Promise.all([first, second]);
      expect(alive).toBe(7);
      expect(vi.getTimerCount()).toBe(0);
    } finally {
      vi.useRealTimers();
    }
  });

  test('no lane starves: the least urgent gets its share beside the most urgent', async () => {
    const queued: Lane[] = [...new Array<Lane>(64).fill('still'), ...new Array<Lane>(4).fill('batch')];
    const order = await orderOf(1, queued);
    expect(order.length).toBe(68);
    expect(order.slice(0, 40)).toContain('batch');
  });

  test('patient lanes leave a slot free for what is urgent', async () => {
    const lanes = createLanes(2);
    let batches = 0;
    const end = Promise.withResolvers<void>();
    const work = Array.from({ length: 4 }, () =>
      lanes.run('batch', never, () => {
        batches++;
        return end.promise;
      }),
    );
    await settle();
    expect(batches).toBe(1);
    expect(await lanes.run('still', never, async () => 'seen')).toBe('seen');
    end.resolve();
    await Promise.all(work);
    expect(batches).toBe(4);
  });

  test('what waits can be called off; a failure frees its slot', async () => {
    const lanes = createLanes(1);
    const stop = new AbortController();
    const end = Promise.withResolvers<void>();
    const first = lanes.run('first', never, () => end.promise);
    const waiting = lanes.run('first', stop.signal, async () => 'never');
    stop.abort(new Error('called off'));
    await expect(waiting).rejects.toThrow('called off');
    end.resolve();
    await first;
    await expect(lanes.run('first', never, () => Promise.reject(new Error('broken')))).rejects.toThrow('broken');
    expect(await lanes.run('first', never, async () => 'next')).toBe('next');
    expect(lanes.waiting().first).toBe(0);
  });
});
