import { afterAll, expect, test } from 'vitest';
import { openTestDatabase } from '../../../test/support/postgres.ts';
import { claimsOf, findCase, openClaim } from './claims.ts';
import { decision } from './testing.ts';
import { lockUpload } from './uploads.ts';

const database = await openTestDatabase();
afterAll(() => database[Symbol.asyncDispose]());

const open = (
  upload: string,
  account: string | null,
  reference = 'ref_1',
  action: 'takedown' | 'review' = 'review',
  now = 1,
) =>
  database.transaction(async (tx) => {
    await lockUpload(tx, upload);
    return openClaim(tx, { upload, account, work: 'work_1', holder: 'h', decision: decision(reference, action), now });
  });

test('a second delivery opens nothing new, and brings an open claim up to date', async () => {
  const first = await open('up_1', 'acc');
  const second = await open('up_1', 'acc', 'ref_1', 'takedown', 9);
  expect(second).toMatchObject({
    id: first.id,
    case: first.case,
    state: 'open',
    action: 'takedown',
    openedAt: 1,
    changedAt: 9,
  });
  expect(await claimsOf(database.postgres, 'up_1')).toEqual([second]);
});

test('a case gathers the claims of one work against one account', async () => {
  const one = await open('up_2', 'acc_2');
  const two = await open('up_3', 'acc_2', 'ref_2');
  const other = await open('up_4', 'acc_3');
  expect(two.case).toBe(one.case);
  expect(other.case).not.toBe(one.case);
  expect(await findCase(database.postgres, one.case)).toEqual({
    id: one.case,
    account: 'acc_2',
    work: 'work_1',
    holder: 'h',
    openedAt: 1,
  });
});

test('without an account each upload is a case of its own', async () => {
  const cases = [await open('up_5', null), await open('up_6', null), await open('up_5', null, 'ref_2')].map(
    (c) => c.case,
  );
  expect(cases[2]).toBe(cases[0]);
  expect(cases[1]).not.toBe(cases[0]);
});

test('what people have decided is not overruled by a slice that comes again', async () => {
  const claim = await open('up_7', 'acc');
  await database.postgres.query(`UPDATE claims SET state = 'released' WHERE id = $1`, [claim.id]);
  expect(await open('up_7', 'acc', 'ref_1', 'takedown', 99)).toEqual({ ...claim, state: 'released' });
});
