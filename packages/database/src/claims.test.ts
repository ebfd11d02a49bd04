import { afterAll, expect, test } from 'vitest';
import { openTestDatabase } from '../../../test/support/postgres.ts';
import { findCase, listCases } from './cases.ts';
import { claimsByReference, claimsOf, claimsOfCase, findClaim, insertClaim, listClaims, saveClaim } from './claims.ts';
import { openClaim } from './testing.ts';
import { lockUpload } from './uploads.ts';

const database = await openTestDatabase();
afterAll(() => database[Symbol.asyncDispose]());
const db = database.postgres;

const open = (about: Parameters<typeof openClaim>[1]) =>
  database.transaction(async (tx) => {
    await lockUpload(tx, about.upload);
    return openClaim(tx, about);
  });

test('a second delivery opens nothing new', async () => {
  const claim = await open({ upload: 'up_1' });
  expect(await insertClaim(db, { ...claim, state: 'taken-down' })).toBe(false);
  expect(await claimsOf(db, 'up_1')).toEqual([claim]);
});

test('a case gathers the claims of one work against one account', async () => {
  const one = await open({ upload: 'up_2', account: 'acc_2', now: 5 });
  const two = await open({ upload: 'up_3', account: 'acc_2', reference: 'ref_2', now: 6 });
  const other = await open({ upload: 'up_4', account: 'acc_3' });
  expect(two.case).toBe(one.case);
  expect(other.case).not.toBe(one.case);
  expect((await claimsOfCase(db, one.case)).map((c) => c.upload)).toEqual(['up_2', 'up_3']);
  const row = {
    ...{ id: one.case, account: 'acc_2', work: 'work_1', holder: 'h', openedAt: 5, seq: 0 },
    ...{ state: 'open', changedAt: 5 },
  };
  expect(await findCase(db, one.case)).toEqual(row);
  expect(await listCases(db, { holder: 'h', account: 'acc_2', limit: 5 })).toEqual([
    { ...row, title: 'work_1', claims: 2, answerBy: null },
  ]);
  expect(await listCases(db, { holder: 'another', limit: 5 })).toEqual([]);
});

test('without an account each upload is a case of its own', async () => {
  const five = await open({ upload: 'up_5', account: null });
  const six = await open({ upload: 'up_6', account: null });
  const again = await open({ upload: 'up_5', account: null, reference: 'ref_2' });
  expect(again.case).toBe(five.case);
  expect(six.case).not.toBe(five.case);
});

test('what changes is kept, and pages are by time of opening', async () => {
  const claim = await open({ upload: 'up_7', account: 'acc_7', reference: 'ref_7', now: 100 });
  const changed = { ...claim, state: 'taken-down' as const, territories: ['DE'], changedAt: 200 };
  await saveClaim(db, changed);
  expect(await findClaim(db, claim.id)).toEqual(changed);
  const later = await open({ upload: 'up_8', account: 'acc_7', now: 101 });
  const first = await listClaims(db, { holder: 'h', limit: 1 });
  expect(first.map((c) => c.id)).toEqual([later.id]);
  const second = await listClaims(db, { holder: 'h', before: first[0]!, limit: 1 });
  expect(second.map((c) => c.id)).toEqual([claim.id]);
  const of = async (id: string) => (await listClaims(db, { case: id, limit: 9 })).map((c) => c.id);
  expect([await of(claim.case), await of('case_none')]).toEqual([[later.id, claim.id], []]);
});

test('of a reference those claims are found that have not ended', async () => {
  const claim = await open({ upload: 'up_9', reference: 'ref_9' });
  const of = { id: 'ref_9', version: 1 };
  expect((await claimsByReference(db, of, '', 10)).map((c) => c.id)).toEqual([claim.id]);
  expect(await claimsByReference(db, { ...of, version: 2 }, '', 10)).toEqual([]);
  expect(await claimsByReference(db, of, claim.id, 10)).toEqual([]);
  await saveClaim(db, { ...claim, state: 'withdrawn' });
  expect(await claimsByReference(db, of, '', 10)).toEqual([]);
});
