import fc from 'fast-check';
import { expect, it } from 'vitest';
import { shareOf } from './shares.ts';

it('shares out every partition of every topic, as equally as can be', () => {
  const topics = [1, 2, 3].map((id) => fc.record({ id: fc.constant(id), partitions: fc.integer({ min: 1, max: 12 }) }));
  const members = fc.uniqueArray(fc.record({ id: fc.uuid(), topics: fc.subarray([1, 2, 3], { minLength: 1 }) }), {
    selector: (m) => m.id,
    minLength: 1,
    maxLength: 9,
  });
  fc.assert(
    fc.property(fc.tuple(...topics), members, (all, group) => {
      for (const topic of all) {
        const shares = group.flatMap((m) => shareOf(all, group, m.id).get(topic.id) ?? []);
        expect(shares).toHaveLength(group.filter((m) => m.topics.includes(topic.id)).length);
        if (shares.length === 0) continue;
        expect(shares.reduce((a, b) => a + b)).toBe(topic.partitions);
        expect(Math.max(...shares) - Math.min(...shares)).toBeLessThanOrEqual(1);
      }
    }),
  );
});

it('gives the odd partition of each topic to another member', () => {
  const topics = [1, 2].map((id) => ({ id, partitions: 1 }));
  const members = ['a', 'b'].map((id) => ({ id, topics: [1, 2] }));
  expect(members.map((m) => [...shareOf(topics, members, m.id).values()])).toEqual([
    [0, 1],
    [1, 0],
  ]);
});
