import { expect, test } from 'vitest';
import { createAudit } from './kafka-audit.ts';
import type { Admin } from './kafka-client.ts';
import type { Owned } from './partition-work.ts';

/** Faked: the broker, which says where the partition ends. */
const admin = {
  fetchTopicOffsets: async () => [{ partition: 0, low: '0', high: '9', offset: '9' }],
} as unknown as Admin;
const owned = (fetchFrom: number) => ({ topic: 't', partition: 0, fetchFrom, lost: false }) as Owned;
const waiting = (one: Owned) => new Map([['t/0', one]]);

test('a partition that stands still below its end from one look to the next is not fetched', async () => {
  const audit = createAudit();
  const mine = owned(5);
  await audit.run(admin, waiting(mine));
  await expect(audit.run(admin, waiting(mine))).rejects.toThrow('t/0 has records from 5 on that are not fetched');
});

test('one that went on, or was taken over anew between two looks, is', async () => {
  const audit = createAudit();
  await audit.run(admin, waiting(owned(5)));
  await audit.run(admin, waiting(owned(5)));
  const mine = owned(6);
  await audit.run(admin, waiting(mine));
  Object.assign(mine, { fetchFrom: 7 });
  await audit.run(admin, waiting(mine));
  await expect(audit.run(admin, waiting(mine))).rejects.toThrow('from 7 on');
});
