import { expect, test } from 'vitest';
import { createCounters } from './counters.ts';

test('counts add up by name and labels, whatever the order of the labels', () => {
  const counters = createCounters();
  counters.add('outcomes', { stage: 'plan', outcome: 'done' });
  counters.add('outcomes', { outcome: 'done', stage: 'plan' }, 2);
  counters.add('outcomes', { stage: 'plan', outcome: 'retry' });
  counters.set('queue', 7);
  counters.set('queue', 3);
  expect(counters.snapshot()).toEqual({
    counts: [
      { name: 'outcomes', labels: { outcome: 'done', stage: 'plan' }, value: 3 },
      { name: 'outcomes', labels: { outcome: 'retry', stage: 'plan' }, value: 1 },
    ],
    gauges: [{ name: 'queue', labels: {}, value: 3 }],
    distributions: [],
  });
});

test('a distribution counts what is at most each bound', () => {
  const counters = createCounters();
  for (const seconds of [0.001, 0.002, 1, 1.5, 9999, Number.NaN]) counters.observe('seconds', {}, seconds);
  const { value } = counters.snapshot().distributions[0]!;
  const upTo = (bound: number) => value.buckets.find((b) => b.bound === bound)!.count;
  expect([upTo(0.001), upTo(0.0025), upTo(1), upTo(2.5), upTo(600), upTo(Infinity)]).toEqual([1, 2, 3, 4, 4, 5]);
  expect(value).toMatchObject({ count: 5, max: 9999 });
});

test('labels that should not have been any do not eat the memory', () => {
  const counters = createCounters();
  for (let i = 0; i < 1000; i++) counters.add('uploads', { id: String(i) });
  const { counts } = counters.snapshot();
  expect(counts).toHaveLength(201);
  expect(counts.at(-1)).toEqual({ name: 'uploads', labels: { overflow: 'true' }, value: 800 });
});
