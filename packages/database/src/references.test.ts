import { Policy } from '@vigil/contracts';
import { afterAll, expect, test } from 'vitest';
import { lockWait, openTestDatabase } from '../../../test/support/postgres.ts';
import { policyFor, savePolicy } from './policies.ts';
import {
  disableReference,
  findReference,
  findReferences,
  listReferences,
  liveReferences,
  planReference,
  referenceFacts,
  registerReference,
  rejectReference,
} from './references.ts';
import { type LoadedSlice, markSlicesLoaded } from './replicas.ts';
import { media } from './testing.ts';

const database = await openTestDatabase();
afterAll(() => database[Symbol.asyncDispose]());
const db = database.postgres;

async function register(id: string, version = 1) {
  const reference = { id, version };
  await registerReference(db, { reference, work: `w_${id}`, title: `Title of ${id}`, holder: 'h', media, now: 100 });
  return reference;
}
const loaded = (id: string, slice: number, more: Partial<LoadedSlice> = {}): LoadedSlice => ({
  reference: { id, version: 1 },
  slice,
  slices: 2,
  usable: 10,
  failed: null,
  ...more,
});
const replica = { shards: 1, shard: 0, replica: 'local' };
/** What the reference is after one slice was loaded. */
const mark = async (one: LoadedSlice) =>
  (await markSlicesLoaded(db, replica, [one])).get(`${one.reference.id}@1`) ?? null;

test('a version is registered once', async () => {
  const about = { reference: { id: 'r1', version: 1 }, work: 'w1', title: 'T', holder: 'h', media, now: 100 };
  expect(await registerReference(db, about)).toBe(true);
  expect(await registerReference(db, { ...about, now: 200 })).toBe(false);
  await planReference(db, about.reference, { kind: 'video', duration: 61.5, slices: 3 });
  expect(await findReference(db, 'r1')).toEqual({
    id: 'r1',
    version: 1,
    work: 'w1',
    title: 'T',
    holder: 'h',
    media,
    kind: 'video',
    state: 'received',
    reason: null,
    duration: 61.5,
    slices: 3,
    loaded: 0,
    name: null,
    findings: [],
    receivedAt: 100,
    fingerprintedAt: null,
    checkedAt: null,
    liveAt: null,
    disabledAt: null,
  });
  expect(await findReference(db, 'nobody')).toBeNull();
  expect(
    (
      await findReferences(db, [
        { id: 'r1', version: 1 },
        { id: 'r1', version: 2 },
      ])
    ).map((r) => r.version),
  ).toEqual([1]);
});

test('a reference with nothing to compare with is rejected; one with some failed slices is live', async () => {
  await register('r3');
  await mark(loaded('r3', 0, { usable: 0, failed: 'corrupt: damaged' }));
  expect(await mark(loaded('r3', 1, { usable: 0 }))).toBe('rejected');
  expect(await findReference(db, 'r3')).toMatchObject({ state: 'rejected', reason: 'corrupt: damaged' });
  await register('r4');
  await mark(loaded('r4', 0, { usable: 0, failed: 'corrupt: damaged' }));
  expect(await mark(loaded('r4', 1))).toBe('live');
});

test('a disabled reference stays disabled, whatever is loaded or said later', async () => {
  const key = await register('r5');
  expect(await disableReference(db, key, 'withdrawn by its holder', 500)).toBe(true);
  expect(await disableReference(db, key, 'again', 600)).toBe(false);
  await mark(loaded('r5', 0));
  await mark(loaded('r5', 1));
  await rejectReference(db, key, 'no');
  expect(await findReference(db, 'r5')).toMatchObject({
    state: 'disabled',
    reason: 'withdrawn by its holder',
    disabledAt: 500,
  });
  const live: string[] = [];
  for await (const some of liveReferences(db)) live.push(...some.map((r) => r.id));
  expect(live).not.toContain('r5');
  expect(live).toContain('r4');
  expect((await listReferences(db, 3)).length).toBe(3);
});

test('slices of a reference that nobody registered change nothing', async () => {
  expect(await mark(loaded('ghost', 0, { slices: 1 }))).toBeNull();
});

test('who judges sees a disable that committed, and one that commits later waits for him', async () => {
  const key = await register('r6');
  await mark(loaded('r6', 0, { slices: 1 }));
  const order: string[] = [];
  let disabling: Promise<unknown> | undefined;
  await database.transaction(async (tx) => {
    const facts = await referenceFacts(tx, [key, { id: 'unknown', version: 1 }]);
    expect([...facts]).toEqual([
      ['r6@1', { live: true, work: 'w_r6', holder: 'h', duration: 0, policy: Policy.parse({}) }],
    ]);
    disabling = disableReference(db, key, 'withdrawn', 1).then(() => order.push('disabled'));
    await Promise.race([lockWait(db), disabling]);
    order.push('judged');
  });
  await disabling;
  expect(order).toEqual(['judged', 'disabled']);
  const facts = await database.transaction((tx) => referenceFacts(tx, [key]));
  expect(facts.get('r6@1')!.live).toBe(false);
});

test('the narrowest policy holds, in its newest version', async () => {
  const scope = { holder: 'h9', work: 'w9', reference: 'r9' };
  const policy = (id: string, version: number, seconds: number) =>
    Policy.parse({ id, version, minContiguousSeconds: seconds });
  const seconds = async (more = {}) => (await policyFor(db, { ...scope, ...more })).minContiguousSeconds;
  expect(await seconds()).toBe(4);
  await savePolicy(db, policy('p-holder', 1, 10), { holder: 'h9' });
  expect(await seconds()).toBe(10);
  await savePolicy(db, policy('p-holder', 2, 11), { holder: 'h9' });
  await savePolicy(db, policy('p-holder', 2, 99), { holder: 'h9' });
  expect(await seconds()).toBe(11);
  await savePolicy(db, policy('p-work', 1, 20), { holder: 'h9', work: 'w9' });
  await savePolicy(db, policy('p-ref', 1, 30), { holder: 'h9', work: 'w9', reference: 'r9' });
  expect(await seconds()).toBe(30);
  expect(await seconds({ reference: 'other' })).toBe(20);
  expect(await seconds({ reference: 'other', work: 'other' })).toBe(11);
  expect(await seconds({ holder: 'someone else' })).toBe(4);
});
