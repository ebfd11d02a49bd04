import { createFakeClock, createLogger } from '@vigil/runtime';
import { beforeEach, describe, expect, test } from 'vitest';
import { createDisks, type Disks, IntakeStopped } from './disks.ts';

const GIB = 2 ** 30;

/** Faked: file systems, time, the log of alarms. */
describe('disks', () => {
  let free: Record<string, number>;
  let clock: ReturnType<typeof createFakeClock>;
  let disks: Disks;
  let lines: string[];
  let size: number;

  beforeEach(() => {
    free = { '/data': 50 * GIB, '/tmp': 50 * GIB };
    size = 100 * GIB;
    clock = createFakeClock();
    lines = [];
    disks = createDisks({
      paths: { data: '/data', temp: '/tmp' },
      reserveBytes: GIB,
      clock,
      logger: createLogger({ to: { write: (line) => void lines.push(line) } }),
      stat: async (path) => {
        if (free[path] === undefined) throw new Error(`no ${path}`);
        return { bavail: free[path]! / 4096, blocks: size / 4096, bsize: 4096 };
      },
    });
  });
  const never = new AbortController().signal;

  test('intake goes on while there is room', async () => {
    expect(await disks.look()).toEqual([
      { disk: 'data', freeBytes: 50 * GIB, sizeBytes: 100 * GIB, reserveBytes: GIB },
      { disk: 'temp', freeBytes: 50 * GIB, sizeBytes: 100 * GIB, reserveBytes: GIB },
    ]);
    disks.refuse();
    await disks.whenOpen(never, () => undefined);
  });

  test.each(['/data', '/tmp'])('a full %s stops it; it opens by itself when there is a half more', async (path) => {
    free[path] = GIB - 1;
    await disks.look();
    expect(disks.stopped()).toBe(true);
    expect(() => disks.refuse()).toThrow(IntakeStopped);
    let opened = false;
    let pulses = 0;
    const waiting = disks
      .whenOpen(never, () => pulses++)
      .then(() => {
        opened = true;
      });
    free[path] = 1.4 * GIB;
    await disks.look();
    await clock.advance(25_000);
    expect([opened, disks.stopped()]).toEqual([false, true]);
    expect(pulses).toBe(3);
    free[path] = 1.6 * GIB;
    await disks.look();
    await clock.advance(1000);
    await waiting;
    expect([opened, disks.stopped()]).toEqual([true, false]);
    expect(lines.filter((l) => l.includes('nearly full')).length).toBe(1);
    expect(lines.filter((l) => l.includes('room again')).length).toBe(1);
  });

  test('one alarm each time, tried until it goes out', async () => {
    const stop = new AbortController();
    const alarms: string[] = [];
    let broken = true;
    const watched = disks.watch(stop.signal, async (message) => {
      if (broken) throw new Error('no database');
      alarms.push(message);
    });
    free['/data'] = 0;
    await clock.advance(10_000);
    expect(alarms).toEqual([]);
    broken = false;
    await clock.advance(20_000);
    expect(alarms.length).toBe(1);
    expect(alarms[0]).toContain('data disk: 0 MiB free of 102400');
    free['/data'] = 2 * GIB;
    await clock.advance(4000);
    free['/data'] = 0;
    await clock.advance(10_000);
    expect(alarms.length).toBe(2);
    stop.abort();
    await clock.advance(0);
    await watched;
  });

  test('also of a stop that somebody else saw, and that was over before the next look', async () => {
    const stop = new AbortController();
    const alarms: string[] = [];
    const watched = disks.watch(stop.signal, async (message) => void alarms.push(message));
    await clock.advance(100);
    free['/data'] = 0;
    await disks.look();
    free['/data'] = 2 * GIB;
    await disks.look();
    expect(disks.stopped()).toBe(false);
    await clock.advance(10_000);
    expect(alarms).toHaveLength(1);
    stop.abort();
    await clock.advance(0);
    await watched;
  });

  test('a small disk keeps a tenth of itself, not all of it', async () => {
    size = GIB;
    free = { '/data': 0.2 * GIB, '/tmp': 0.2 * GIB };
    await disks.look();
    expect(disks.stopped()).toBe(false);
    free['/data'] = 0.09 * GIB;
    await disks.look();
    expect(disks.stopped()).toBe(true);
  });

  test('who waits can be called off; a disk that cannot be looked at is said once, and stops nothing', async () => {
    delete free['/tmp'];
    for (let n = 0; n < 3; n++) expect((await disks.look()).map((d) => d.disk)).toEqual(['data']);
    expect(disks.stopped()).toBe(false);
    expect(lines.filter((l) => l.includes('cannot be looked at')).length).toBe(1);
    free['/data'] = 0;
    await disks.look();
    const stop = new AbortController();
    const waiting = disks.whenOpen(stop.signal, () => undefined);
    waiting.catch(() => undefined);
    stop.abort(new Error('draining'));
    await expect(waiting).rejects.toThrow('draining');
  });
});
