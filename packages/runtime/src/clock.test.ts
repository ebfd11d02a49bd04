import { expect, test } from 'vitest';
import { createFakeClock, realClock } from './clock.ts';

test('fake time moves only when told to, and wakes sleepers in the order of their times', async () => {
  const clock = createFakeClock(1000);
  const woken: string[] = [];
  const sleep = async (name: string, ms: number) => {
    await clock.sleep(ms);
    woken.push(`${name}@${clock.now()}`);
  };
  const all = [sleep('late', 50), sleep('early', 10), sleep('early', 10).then(() => sleep('again', 15))];
  expect(clock.sleepers).toBe(3);
  await clock.advance(9);
  expect(woken).toEqual([]);
  await clock.advance(40);
  expect(woken).toEqual(['early@1010', 'early@1010', 'again@1025']);
  await clock.advance(1);
  await Promise.all(all);
  expect(woken.at(-1)).toBe('late@1050');
  expect(clock.now()).toBe(1050);
});

test.each([
  ['real', realClock],
  ['fake', createFakeClock()],
])('a sleep in %s time ends with the reason of its signal', async (_, clock) => {
  const stop = new AbortController();
  const sleeping = clock.sleep(3_600_000, stop.signal);
  stop.abort(new Error('enough'));
  await expect(sleeping).rejects.toThrow('enough');
  await expect(clock.sleep(1, stop.signal)).rejects.toThrow('enough');
});
