import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { createGate } from './gate.ts';
import { createOffsetTracker, createScheduler, type Item } from './in-order.ts';

describe('createOffsetTracker', () => {
  it('stays at the lowest offset that is not completed, whatever the order', () => {
    const offsets = fc.uniqueArray(fc.nat(200), { maxLength: 60 }).map((list) => list.toSorted((a, b) => a - b));
    const run = offsets.chain((list) =>
      fc.tuple(fc.constant(list), fc.shuffledSubarray(list), fc.array(fc.nat(5), { maxLength: 60 })),
    );
    fc.assert(
      fc.property(run, ([list, order, bursts]) => {
        const tracker = createOffsetTracker(0);
        const begun: number[] = [];
        const done = new Set<number>();
        let toBegin = 0;
        let before = 0;
        const check = () => {
          const expected = begun.find((offset) => !done.has(offset)) ?? (begun.at(-1) ?? -1) + 1;
          expect(tracker.position).toBe(expected);
          expect(tracker.position).toBeGreaterThanOrEqual(before);
          expect(tracker.held).toBe(begun.filter((offset) => offset >= expected).length);
          before = tracker.position;
        };
        const begin = () => {
          begun.push(list[toBegin]!);
          tracker.begin(list[toBegin++]!);
          check();
        };
        for (const [i, offset] of order.entries()) {
          for (let n = bursts[i] ?? 0; n > 0 && toBegin < list.length; n--) begin();
          while (!begun.includes(offset)) begin();
          done.add(offset);
          tracker.complete(offset);
          check();
        }
      }),
    );
  });

  it('forgets nothing when thousands are done behind a slow one', () => {
    const tracker = createOffsetTracker(10);
    for (let i = 10; i < 5010; i++) tracker.begin(i);
    for (let i = 5009; i > 10; i--) tracker.complete(i);
    expect([tracker.position, tracker.held]).toEqual([10, 5000]);
    tracker.complete(10);
    expect([tracker.position, tracker.held]).toEqual([5010, 0]);
  });

  it('refuses what cannot be', () => {
    const tracker = createOffsetTracker(5);
    expect(() => tracker.begin(4)).toThrow(RangeError);
    tracker.begin(5);
    expect(() => tracker.begin(5)).toThrow(RangeError);
    tracker.complete(5);
    expect(() => tracker.complete(5)).toThrow(RangeError);
    expect(() => tracker.complete(6)).toThrow(RangeError);
  });
});

describe('createScheduler', () => {
  interface Job extends Item {
    lane: number;
  }
  const jobs = fc.array(fc.record({ lane: fc.nat(2), key: fc.constantFrom('a', 'b', 'c', 'd') }), { maxLength: 40 });

  it('runs each job once, each key in order, never more than asked, and idly only for lanes that have nothing to do', async () => {
    const property = fc.asyncProperty(fc.scheduler(), jobs, fc.integer({ min: 1, max: 5 }), async (s, list, limit) => {
      const scheduler = createScheduler<Job>({ concurrency: limit });
      const running = new Set<Job>();
      const ended: Job[] = [];
      const lanes = [0, 1, 2].map(() =>
        scheduler.lane(async (job) => {
          for (const other of running) expect(other.lane === job.lane && other.key === job.key).toBe(false);
          running.add(job);
          expect(running.size).toBeLessThanOrEqual(limit);
          expect(scheduler.running).toBe(running.size);
          await s.schedule(Promise.resolve());
          running.delete(job);
          ended.push(job);
        }),
      );
      const all = list.map((job, offset) => ({ ...job, offset }));
      for (const job of all) lanes[job.lane]!.push([job]);
      const distinct = new Set(all.map((job) => `${job.lane}${job.key}`)).size;
      expect(running.size).toBeLessThanOrEqual(Math.min(limit, distinct));
      expect(running.size).toBeGreaterThanOrEqual(Math.min(limit - Math.floor(limit / 4), distinct));
      await s.waitFor(Promise.all(lanes.map((lane) => until(() => lane.queued === 0 && lane.running === 0))));
      expect(ended).toHaveLength(all.length);
      for (const [lane, key] of [0, 1, 2].flatMap((l) => ['a', 'b', 'c', 'd'].map((k) => [l, k] as const))) {
        const mine = (job: Job) => job.lane === lane && job.key === key;
        expect(ended.filter(mine)).toEqual(all.filter(mine));
      }
    });
    await fc.assert(property, { numRuns: 60 });
  });

  it('goes on with other lanes when all that one of them began hangs', async () => {
    const scheduler = createScheduler<Job>({ concurrency: 8 });
    const never = new Promise<void>(() => undefined);
    const hanging = scheduler.lane(() => never);
    const ended: string[] = [];
    const well = ['x', 'y'].map((name) => scheduler.lane(async ({ key }) => void ended.push(`${name}${key}`)));
    hanging.push(Array.from({ length: 50 }, (_, offset) => ({ lane: 0, key: `h${offset}`, offset })));
    for (const lane of well) lane.push(['a', 'b', 'c'].map((key, offset) => ({ lane: 1, key, offset })));
    await until(() => ended.length === 6);
    expect(scheduler.running).toBe(6);
  });

  it('refuses to do nothing', () => {
    for (const concurrency of [0, -1, Number.NaN]) expect(() => createScheduler({ concurrency })).toThrow(RangeError);
  });

  it('takes lanes in turn, so that a full one does not keep the others waiting', async () => {
    const order: string[] = [];
    const scheduler = createScheduler<Item>({ concurrency: 1 });
    const start = Promise.withResolvers<void>();
    const lane = (name: string) =>
      scheduler.lane(async (item) => {
        await start.promise;
        order.push(`${name}${item.offset}`);
      });
    const [a, b] = [lane('a'), lane('b')];
    a.push([0, 1, 2, 3].map((offset) => ({ offset, key: `${offset}` })));
    b.push([{ offset: 0, key: 'x' }]);
    start.resolve();
    await until(() => order.length === 5);
    expect(order.slice(0, 2)).toEqual(['a0', 'b0']);
  });

  it('runs a lane that was opened alone one at a time in order, until told otherwise', async () => {
    const scheduler = createScheduler<Item>({ concurrency: 4 });
    const begun: number[] = [];
    const gates = Array.from({ length: 6 }, () => Promise.withResolvers<void>());
    const lane = scheduler.lane(
      async (item) => {
        begun.push(item.offset);
        await gates[item.offset]!.promise;
      },
      { alone: true },
    );
    lane.push([0, 1, 2, 3, 4, 5].map((offset) => ({ offset, key: `${offset % 3}` })));
    expect(begun).toEqual([0]);
    gates[0]!.resolve();
    await until(() => begun.length === 2);
    expect(begun).toEqual([0, 1]);
    lane.together();
    expect(begun).toEqual([0, 1, 2, 3]);
    for (const gate of gates) gate.resolve();
    await until(() => begun.length === 6);
    await lane.idle();
  });

  it('begins nothing after a lane was closed, and says when what ran has ended', async () => {
    const scheduler = createScheduler<Item>({ concurrency: 2 });
    const hold = Promise.withResolvers<void>();
    const begun: number[] = [];
    const lane = scheduler.lane(async (item) => {
      begun.push(item.offset);
      await hold.promise;
    });
    lane.push([0, 1, 2, 3].map((offset) => ({ offset, key: 'same'.repeat(offset % 2) })));
    let idle = false;
    expect(lane.close()).toBe(2);
    const ended = lane.idle().then(() => {
      idle = true;
    });
    lane.push([{ offset: 9, key: 'late' }]);
    await tick();
    expect(idle).toBe(false);
    hold.resolve();
    await ended;
    expect(begun).toEqual([0, 1]);
    await lane.idle();
  });
});

describe('createGate', () => {
  it('lets one in alone when all others have left, and neither kind starves', async () => {
    const property = fc.asyncProperty(fc.scheduler(), fc.array(fc.boolean(), { maxLength: 30 }), async (s, kinds) => {
      const gate = createGate();
      let together = 0;
      let alone = 0;
      const order: number[] = [];
      const visits = kinds.map(async (single, i) => {
        const leave = await (single ? gate.alone() : gate.together());
        order.push(i);
        if (single) alone++;
        else together++;
        expect(alone === 0 || (alone === 1 && together === 0)).toBe(true);
        await s.schedule(Promise.resolve());
        if (single) alone--;
        else together--;
        leave();
      });
      await s.waitFor(Promise.all(visits));
      expect(order).toEqual(kinds.map((_, i) => i));
    });
    await fc.assert(property, { numRuns: 60 });
  });
});

const tick = () => new Promise<void>((resolve) => setImmediate(resolve));
async function until(ready: () => boolean) {
  while (!ready()) await tick();
}
