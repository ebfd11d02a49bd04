/** All that can happen to claims, on one database and one time line; it is long because the law has many ways. */
import { dsaStatement } from '@vigil/cases';
import { type Actor, Policy } from '@vigil/contracts';
import {
  addEndpoint,
  caseEvents,
  claimCounts,
  claimsOf,
  disableReference,
  findPaper,
  findUpload,
  resultsOf,
  savePolicy,
  strikesOf,
  takedownsAfter,
  takedownTimes,
  verifyAudit,
} from '@vigil/database';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { lockWait, openTestDatabase } from '../../../../test/support/postgres.ts';
import { openCaseBench, START } from './cases-testing.ts';

/** Real: the database. Faked: time, and the results that other stages would have sent. */
const database = await openTestDatabase();
afterAll(() => database[Symbol.asyncDispose]());
const db = database.postgres;
const bench = openCaseBench(database);
const { cases, clock } = bench;

const uploader: Actor = { role: 'uploader', id: 'acc' };
const holder: Actor = { role: 'holder', id: 'h' };
const reviewer: Actor = { role: 'reviewer', id: 'staff_1' };

let n = 0;
let upload: string;
let ref: string;
let account: string;
beforeEach(async () => {
  n++;
  upload = `up_${n}`;
  ref = `ref_${n}`;
  account = `acc_${n}`;
  await bench.reference(ref);
  await sent();
});

const copy = async (id = upload, of: { reference: string; seconds?: number }[] = [{ reference: ref }]) => {
  await bench.say(id, { account });
  await bench.found(id, of);
};
/** What went out about this test's uploads; clocks of other tests' claims run on meanwhile. */
async function sent() {
  const { actions, verdicts, alarms } = await bench.sent();
  const own = (e: { upload: string }) => e.upload === upload || e.upload.startsWith(`${upload}_`);
  return { actions: actions.filter(own), verdicts: verdicts.filter(own), alarms };
}
const only = async (id = upload) => (await claimsOf(db, id))[0]!;
const kinds = async (id: string) => (await caseEvents(db, id)).map((e) => e.kind);

const notice = {
  signature: 'Ada Example',
  work: 'The Valley',
  name: 'Ada Example',
  address: '1 Main Street',
  phone: '1',
  email: 'ada@example.org',
  goodFaith: true,
  accurate: true,
};
const counter = {
  signature: 'Bo Example',
  name: 'Bo Example',
  address: '2 Main Street',
  phone: '2',
  mistake: true,
  consent: true,
};

describe('a takedown', () => {
  test('carries its statement of reasons, and starts a chain', async () => {
    await copy();
    const { actions, verdicts } = await sent();
    const claim = await only();
    expect(actions).toMatchObject([
      {
        action: 'takedown',
        epoch: 0,
        territories: ['*'],
        claims: [claim.id],
        case: claim.case,
        ground: 'rights-holder-rule',
        statement: {
          facts:
            '20.0 s of the upload (67 %), 20.0 s of them in one piece, were found to be a manifest copy of a registered work by comparing fingerprints of its pictures (rule film-contiguous).',
          automatedDetection: true,
          automatedDecision: true,
          redress: [{ way: 'dispute' }, { way: 'complaint', until: Date.parse('2030-05-14T17:00:00Z') }, {}, {}],
        },
      },
    ]);
    expect(JSON.stringify(actions[0]!.statement)).not.toContain(account);
    expect(verdicts).toMatchObject([{ verdict: 'taken-down', revision: 1 }]);
    expect(claim).toMatchObject({ state: 'taken-down', account, work: `work_${ref}`, holder: 'h' });
    expect(await kinds(claim.case)).toEqual(['opened', 'take-down', 'takedown']);
  });

  test('many uploads of an account on one work are one case and one chain', async () => {
    for (const id of [`${upload}_a`, `${upload}_b`, `${upload}_c`]) await copy(id);
    const all = await Promise.all(['a', 'b', 'c'].map((x) => only(`${upload}_${x}`)));
    expect(new Set(all.map((c) => c.case)).size).toBe(1);
    expect((await caseEvents(db, all[0]!.case)).map((e) => e.seq)).toEqual([1, 2, 3, 4, 5, 6, 7, 8, 9]);
    const done = await cases.take({ case: all[0]!.case }, { do: 'dispute', grounds: ['quotation'] }, uploader);
    expect(done).toMatchObject({
      status: 'done',
      claims: [{ state: 'disputed' }, { state: 'disputed' }, { state: 'disputed' }],
    });
  });
});

describe('a dispute', () => {
  test('that the holder accepts brings the media back, under the next epoch', async () => {
    await copy();
    await sent();
    const claim = await only();
    const disputed = await cases.take(
      { claim: claim.id },
      { do: 'dispute', grounds: ['licensed'], statement: 'Ada has licensed it to me, Bö.' },
      uploader,
    );
    expect(disputed).toMatchObject({ status: 'done', claims: [{ state: 'disputed' }] });
    expect(await sent()).toMatchObject({ actions: [], verdicts: [] });
    await cases.take({ claim: claim.id }, { do: 'answer-dispute', answer: 'release' }, holder);
    const { actions, verdicts } = await sent();
    expect(actions).toMatchObject([
      {
        action: 'restore',
        epoch: 1,
        why: 'accepted',
        statement: null,
        automatedDecision: false,
        reference: { id: ref },
      },
    ]);
    expect(actions[0]!.supersedes).not.toBeNull();
    expect(verdicts).toMatchObject([{ verdict: 'cleared', revision: 2, cause: 'dispute', supersedes: 1 }]);
    expect(await findUpload(db, upload)).toMatchObject({ mediaState: 'shown', blocked: [] });
    // What people wrote is not in the chain, and not in what went out. No id of letters and digits has an ö by chance.
    const said = (await caseEvents(db, claim.case)).find((e) => e.kind === 'dispute');
    const { paper } = said!.data as { paper: { id: string } };
    expect((await findPaper(db, paper.id))!.content).toEqual({ statement: 'Ada has licensed it to me, Bö.' });
    expect(JSON.stringify(await caseEvents(db, claim.case))).not.toContain('Bö');
  });

  test('that nobody answers is won by its clock, once', async () => {
    await copy();
    const claim = await only();
    await cases.take({ claim: claim.id }, { do: 'dispute', grounds: ['public-domain'] }, uploader);
    await sent();
    await bench.wait(29.9);
    expect((await sent()).actions).toEqual([]);
    await bench.wait(0.2);
    expect(await sent()).toMatchObject({
      actions: [{ action: 'restore', why: 'silence', automatedDecision: true }],
      verdicts: [{ verdict: 'cleared', cause: 'dispute' }],
    });
    await bench.wait(400);
    expect((await sent()).actions).toEqual([]);
  });

  test('what people have released is not found again by a slice that comes again', async () => {
    await copy();
    const claim = await only();
    await cases.take({ claim: claim.id }, { do: 'dispute', grounds: ['quotation'] }, uploader);
    await cases.take({ claim: claim.id }, { do: 'answer-dispute', answer: 'release' }, holder);
    await sent();
    await bench.found(upload, [{ reference: ref, seconds: 25 }], 2);
    expect(await sent()).toMatchObject({ actions: [], verdicts: [] });
    expect((await only()).state).toBe('reversed');
  });

  test('an illegal step changes nothing, and says what is allowed', async () => {
    await copy();
    const claim = await only();
    expect(await cases.take({ claim: claim.id }, { do: 'answer-dispute', answer: 'uphold' }, holder)).toEqual({
      status: 'refused',
      why: 'the claim is taken-down; answer-dispute is possible when it is disputed',
      allowed: ['escalate', 'withdraw'],
    });
    expect(
      await cases.take({ claim: claim.id }, { do: 'dispute', grounds: ['other'], statement: ' ' }, uploader),
    ).toMatchObject({
      status: 'refused',
      allowed: ['dispute', 'complain'],
    });
    expect(await cases.take({ claim: 'claim_none' }, { do: 'withdraw' }, holder)).toEqual({ status: 'unknown' });
    expect(await kinds(claim.case)).toEqual(['opened', 'take-down', 'takedown']);
    expect(await db.query('SELECT 1 FROM papers WHERE subject = $1', [claim.case])).toEqual([]);
  });
});

describe('media are held back by the strictest claim that stands', () => {
  test('one that falls brings nothing back while another holds', async () => {
    const other = `${ref}_other`;
    await bench.reference(other, { holder: 'h2' });
    await copy(upload, [{ reference: ref }, { reference: other }]);
    const claims = await claimsOf(db, upload);
    expect(claims).toHaveLength(2);
    await sent();
    await cases.take({ claim: claims[0]!.id }, { do: 'withdraw' }, holder);
    expect(await sent()).toMatchObject({ actions: [], verdicts: [] });
    await cases.take({ claim: claims[1]!.id }, { do: 'withdraw' }, holder);
    expect(await sent()).toMatchObject({
      actions: [{ action: 'restore', epoch: 1 }],
      verdicts: [{ verdict: 'cleared', cause: 'withdrawal' }],
    });
  });

  test('territory by territory: what is left is said by another takedown', async () => {
    const [de, fr] = [`${ref}_de`, `${ref}_fr`];
    await bench.reference(de, { holder: 'h3', territories: ['DE', 'AT'] });
    await bench.reference(fr, { holder: 'h4', territories: ['FR', 'AT'] });
    await copy(upload, [{ reference: de }, { reference: fr }]);
    const first = await sent();
    expect(first.actions).toMatchObject([{ action: 'takedown', epoch: 0, territories: ['AT', 'DE', 'FR'] }]);
    const german = (await claimsOf(db, upload)).find((c) => c.reference === de)!;
    await cases.take({ claim: german.id }, { do: 'withdraw' }, holder);
    const second = await sent();
    expect(second.actions).toMatchObject([
      {
        action: 'takedown',
        epoch: 1,
        territories: ['AT', 'FR'],
        supersedes: first.actions[0]!.id,
        reference: { id: fr },
      },
    ]);
    expect(second.verdicts).toEqual([]);
  });

  test('a withdrawn reference gives its uploads back, in batches', async () => {
    const uploads = Array.from({ length: 60 }, (_, i) => `${upload}_${i}`);
    for (const id of uploads) await copy(id);
    await sent();
    const reference = { id: ref, version: 1 };
    expect(await cases.withdrawReference(reference, 'sold', holder)).toBe(true);
    expect(await cases.withdrawReference(reference, 'sold', holder)).toBe(false);
    await bench.wait(0);
    const { actions, verdicts } = await sent();
    expect(actions.filter((a) => a.action === 'restore' && a.why === 'reference')).toHaveLength(60);
    expect(verdicts.map((v) => [v.verdict, v.cause])).toEqual(uploads.map(() => ['cleared', 'withdrawal']));
    const last = (await caseEvents(db, (await only(uploads[0])).case)).find((e) => e.kind === 'withdraw');
    expect(last).toMatchObject({ kind: 'withdraw', by: { role: 'system' }, data: { asked: holder } });
  }, 60_000);

  test('uploaded again, it is taken down by claims that stand, and not by a reference that was disabled', async () => {
    await copy();
    await bench.wait(0.01);
    await bench.say(upload, { account, action: 'deleted' });
    await sent();
    await bench.wait(0.01);
    await bench.say(upload, { account });
    const [again] = (await sent()).actions;
    expect(again).toMatchObject({ action: 'takedown', epoch: 1 });
    await bench.wait(0.01);
    await bench.say(upload, { account, action: 'deleted' });
    await cases.withdrawReference({ id: ref, version: 1 }, 'sold', holder);
    await sent();
    await bench.wait(0.01);
    await bench.say(upload, { account });
    expect((await sent()).actions).toEqual([]);
    expect((await only()).state).toBe('withdrawn');
    // Registered anew it is meant to protect again: by a claim of its own, whatever became of the one before.
    await bench.reference(ref, { version: 2 });
    await bench.found(upload, [{ reference: ref, version: 2 }], 2);
    expect((await sent()).actions).toMatchObject([{ action: 'takedown', epoch: 2 }]);
    expect((await claimsOf(db, upload)).map((c) => [c.version, c.state])).toEqual([
      [1, 'withdrawn'],
      [2, 'taken-down'],
    ]);
  });
});

describe('a policy that has become milder', () => {
  const policy = (more: Partial<Policy>) =>
    database.transaction(async (tx) => {
      await savePolicy(tx, Policy.parse({ id: `p_${ref}`, version: 2 + n, ...more }), { holder: 'h', reference: ref });
      await cases.applyPolicy(tx, 'h', holder);
    });

  test('gives back what it would not ask for, and leaves alone what somebody contests', async () => {
    const contested = `${upload}_c`;
    await copy();
    await copy(contested);
    await cases.take({ claim: (await only(contested)).id }, { do: 'dispute', grounds: ['quotation'] }, uploader);
    await sent();
    await policy({ allowlist: [account] });
    await bench.wait(0);
    expect(await sent()).toMatchObject({
      actions: [{ upload, action: 'restore', why: 'policy' }],
      verdicts: [{ upload, verdict: 'cleared', cause: 'policy' }],
    });
    expect((await only(contested)).state).toBe('disputed');
  });

  test('leaves alone what rests on a notice', async () => {
    await copy();
    await cases.take({ claim: (await only()).id }, { do: 'escalate', notice }, holder);
    await sent();
    await policy({ allowlist: [account] });
    await bench.wait(0);
    expect(await sent()).toMatchObject({ actions: [], verdicts: [] });
    expect((await only()).state).toBe('taken-down');
  });

  test('gives back the territories that it does not name any more', async () => {
    await copy();
    await sent();
    await policy({ territories: ['DE', 'FR'] });
    await bench.wait(0);
    expect(await sent()).toMatchObject({
      actions: [{ action: 'takedown', epoch: 1, territories: ['DE', 'FR'] }],
      verdicts: [],
    });
    await policy({ version: 99 + n, territories: ['DE', 'FR', 'IT'] });
    await bench.wait(0);
    expect((await sent()).actions).toEqual([]);
  });

  test('and was a mistake: what is found once more is taken down again by the same claim, and not before', async () => {
    await copy();
    const { id, case: of } = await only();
    await policy({ allowlist: [account] });
    await bench.wait(0);
    await sent();
    // Found again while the policy lets it be, nothing comes of it.
    await bench.found(upload, [{ reference: ref, seconds: 21 }], 2);
    expect((await only()).state).toBe('withdrawn');
    await policy({ version: 100 + n });
    await bench.wait(0);
    expect((await sent()).actions).toEqual([]);
    await bench.found(upload, [{ reference: ref, seconds: 22 }], 3);
    expect(await sent()).toMatchObject({
      actions: [{ action: 'takedown', epoch: 2, claims: [id], policy: { version: 100 + n } }],
      verdicts: [{ verdict: 'taken-down' }],
    });
    expect(await only()).toMatchObject({ id, state: 'taken-down', procedure: { ended: null } });
    expect(await kinds(of)).toEqual([
      'opened',
      'take-down',
      'takedown',
      'withdraw',
      'restore',
      'ask-again',
      'evidence',
      'take-down',
      'takedown',
    ]);
    expect(await verifyAudit(db)).toMatchObject({ broken: null });
  });

  test('and was a mistake: what is only possible is left to a person again, and what a holder took back stays', async () => {
    const [possible, taken] = [`${upload}_p`, `${upload}_t`];
    await copy(possible, [{ reference: ref, seconds: 3 }]);
    await copy(taken);
    await cases.take({ claim: (await only(taken)).id }, { do: 'withdraw' }, holder);
    await policy({ allowlist: [account] });
    await bench.wait(0);
    expect((await only(possible)).state).toBe('withdrawn');
    await policy({ version: 100 + n });
    await sent();
    await bench.found(possible, [{ reference: ref, seconds: 3.5 }], 2);
    await bench.found(taken, [{ reference: ref, seconds: 22 }], 2);
    expect(await sent()).toMatchObject({ actions: [], verdicts: [{ upload: possible, verdict: 'in-review' }] });
    expect([(await only(possible)).state, (await only(taken)).state]).toEqual(['open', 'withdrawn']);
  });

  test('gives back the rest of a country of which it names a part', async () => {
    const american = `${ref}_us`;
    await bench.reference(american, { territories: ['US', 'DE'] });
    await copy(upload, [{ reference: american }]);
    await sent();
    const territories = async (...names: string[]) => {
      const wanted = Policy.parse({ id: `policy_${american}`, version: names.length, territories: names });
      await database.transaction(async (tx) => {
        await savePolicy(tx, wanted, { holder: 'h', work: `work_${american}`, reference: american });
        await cases.applyPolicy(tx, 'h', holder);
      });
      await bench.wait(0);
      return (await sent()).actions.map((a) => a.territories);
    };
    expect(await territories('US-CA', 'DE')).toEqual([['DE', 'US-CA']]);
    // The same, said otherwise; and more than there is.
    expect(await territories('DE', 'US-CA', 'DE-BY')).toEqual([]);
    expect(await territories('DE', 'US', 'US-CA', 'US-NY')).toEqual([]);
  });
});

test('what a deleted upload was found to hold is forgotten within the hour, its claims stay', async () => {
  await copy();
  await bench.wait(0.01);
  await bench.say(upload, { account, action: 'deleted' });
  expect((await resultsOf(db, upload)).evidence).toHaveLength(1);
  await bench.wait(1 / 24);
  expect(await resultsOf(db, upload)).toEqual({ alignments: [], evidence: [] });
  expect((await only()).decision).not.toBeNull();
});

describe('what is only possible', () => {
  test('waits for a person, who takes down or dismisses', async () => {
    await copy(upload, [{ reference: ref, seconds: 3 }]);
    expect(await sent()).toMatchObject({ actions: [], verdicts: [{ verdict: 'in-review' }] });
    const claim = await only();
    await cases.take({ claim: claim.id }, { do: 'take-down' }, reviewer);
    expect(await sent()).toMatchObject({
      actions: [{ action: 'takedown', automatedDecision: false, automatedDetection: true }],
      verdicts: [{ verdict: 'taken-down', cause: 'review', revision: 2 }],
    });
    const second = `${upload}_2`;
    await copy(second, [{ reference: ref, seconds: 3 }]);
    await sent();
    await cases.take({ claim: (await only(second)).id }, { do: 'dismiss' }, reviewer);
    expect(await sent()).toMatchObject({ actions: [], verdicts: [{ verdict: 'cleared', cause: 'review' }] });
  });
});

describe('of a reference that was disabled', () => {
  const refused = {
    status: 'refused',
    why: expect.stringMatching(/^version 1 of ref_\d+ is not live any more/),
    allowed: ['dismiss', 'withdraw'],
  };
  const reference = () => ({ id: ref, version: 1 });

  test('nothing is taken down by a person who comes before the withdrawal of its claims', async () => {
    await copy(upload, [{ reference: ref, seconds: 3 }]);
    const claim = await only();
    await cases.withdrawReference(reference(), 'sold', holder);
    expect(await cases.take({ claim: claim.id }, { do: 'take-down' }, reviewer)).toEqual(refused);
    expect(await cases.take({ case: claim.case }, { do: 'take-down' }, reviewer)).toEqual(refused);
    await bench.wait(0);
    expect(await only()).toMatchObject({ state: 'withdrawn', procedure: { takenDownAt: null } });
  });

  test('nothing is taken down while it is being disabled: the decision waits, and then knows', async () => {
    await copy(upload, [{ reference: ref, seconds: 3 }]);
    const claim = await only();
    const [disabled, go] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
    const disabling = database.transaction(async (tx) => {
      await disableReference(tx, reference(), 'sold', clock.now());
      disabled.resolve();
      await go.promise;
    });
    await disabled.promise;
    const taking = cases.take({ claim: claim.id }, { do: 'take-down' }, reviewer);
    await lockWait(db);
    go.resolve();
    expect([await disabling, await taking]).toEqual([undefined, refused]);
  });

  test('what was dismissed before is not opened again, which nobody would withdraw', async () => {
    await copy(upload, [{ reference: ref, seconds: 3 }]);
    const claim = await only();
    await cases.take({ claim: claim.id }, { do: 'dismiss' }, reviewer);
    await cases.withdrawReference(reference(), 'sold', holder);
    await bench.wait(0);
    expect(await cases.take({ claim: claim.id }, { do: 'reopen' }, reviewer)).toEqual({ ...refused, allowed: [] });
    expect((await only()).state).toBe('dismissed');
  });

  test('the other claims of its case can still be decided', async () => {
    const other = `${ref}_b`;
    await bench.reference(other, { work: `work_${ref}` });
    await copy(upload, [
      { reference: ref, seconds: 3 },
      { reference: other, seconds: 3 },
    ]);
    await cases.withdrawReference(reference(), 'sold', holder);
    const done = await cases.take({ case: (await only()).case }, { do: 'take-down' }, reviewer);
    expect(done).toMatchObject({ status: 'done', claims: [{ reference: other, state: 'taken-down' }] });
  });
});

describe('notices by hand', () => {
  const file = (more: Partial<Parameters<typeof cases.fileNotice>[0]> = {}) =>
    cases.fileNotice(
      { kind: 'dmca', notice, uploads: [upload], holder: 'notifier', ...more },
      { role: 'holder', id: 'notifier' },
    );
  const webhook = (of: string, types: string[] = []) =>
    addEndpoint(db, { id: `hook_${n}_${of}`, holder: of, url: 'https://h.example/', secret: 's', types, createdAt: 1 });

  test('a complete one takes down on its own ground; a counter-notice puts back after ten business days', async () => {
    await webhook('notifier');
    await bench.say(upload, { account });
    await bench.found(upload, []);
    await sent();
    const filed = await file({ uploads: [upload, 'up_unknown'] });
    expect(filed).toMatchObject({
      status: 'accepted',
      unknownUploads: ['up_unknown'],
      claims: [{ state: 'taken-down' }],
    });
    expect(await sent()).toMatchObject({
      actions: [
        { action: 'takedown', ground: '512c3-notice', reference: null, policy: null, automatedDetection: false },
      ],
      verdicts: [{ verdict: 'taken-down', cause: 'notice', revision: 2 }],
    });
    const claim = await only();
    expect(await strikesOf(db, account)).toMatchObject([{ case: claim.case, revokedAt: null }]);

    const short = await cases.take(
      { claim: claim.id },
      { do: 'counter-notice', notice: { ...counter, consent: false } },
      uploader,
    );
    expect(short).toMatchObject({ status: 'refused', missing: [{ field: 'consent', law: '17 USC 512(g)(3)(D)' }] });
    const countered = await cases.take({ claim: claim.id }, { do: 'counter-notice', notice: counter }, uploader);
    expect(countered).toMatchObject({ status: 'done', claims: [{ state: 'waiting' }] });
    expect(await kinds(claim.case)).toEqual(['opened', 'take-down', 'strike', 'takedown', 'counter-notice', 'forward']);
    await bench.wait((Date.parse('2029-11-30T05:00:00Z') - clock.now()) / 86_400_000 - 0.001);
    // The time of these tests goes on, so the date is another one; the window itself is tested where it is made.
    const { putBackFrom } = (await only()).procedure.counterNotice!;
    await bench.wait((putBackFrom - clock.now()) / 86_400_000 - 0.001);
    expect((await sent()).actions).toEqual([]);
    await bench.wait(0.01);
    expect(await sent()).toMatchObject({
      actions: [{ action: 'restore', why: 'put-back', automatedDecision: true }],
      verdicts: [{ verdict: 'cleared', cause: 'dispute' }],
    });
    expect(await strikesOf(db, account)).toMatchObject([{ revokedAt: clock.now() }]);
  });

  /** A counter-notice to a notice of somebody without a webhook that would hear of it. */
  async function counteredUnheard() {
    const sender = `deaf_${n}`;
    await webhook(sender, ['claim.opened']);
    await webhook(`${sender}_b`);
    await bench.say(upload, { account });
    await bench.found(upload, []);
    await file({ holder: sender });
    await sent();
    const { id: claim, case: id } = await only();
    const countered = await cases.take({ claim }, { do: 'counter-notice', notice: counter }, uploader);
    expect(countered).toMatchObject({ status: 'done', claims: [{ state: 'counter-notice' }] });
    const { alarms } = await sent();
    expect(alarms).toMatchObject([{ kind: 'counter-notice-unforwarded', subject: id }]);
    expect(alarms[0]!.message).toContain(sender);
    expect((await only()).procedure.counterNotice!.forwardedAt).toBeNull();
    return claim;
  }
  const until = (at: number) => bench.wait((at - clock.now()) / 86_400_000);

  test('a counter-notice that nobody hears of waits for a person to send it, and its time runs from then', async () => {
    const claim = await counteredUnheard();
    await bench.wait(2);
    const forwarded = await cases.take({ claim }, { do: 'forward' }, reviewer);
    expect(forwarded).toMatchObject({ status: 'done', claims: [{ state: 'waiting' }] });
    const { counterNotice } = (await only()).procedure;
    expect(counterNotice!.forwardedAt).toBe(clock.now());
    expect(counterNotice!.backAt).toBeGreaterThan(counterNotice!.putBackFrom);
    await until(counterNotice!.backAt! - 1);
    expect((await sent()).actions).toEqual([]);
    await bench.wait(0.01);
    expect((await sent()).actions).toMatchObject([{ action: 'restore', why: 'put-back' }]);
  });

  test('a counter-notice that nobody ever sends puts back on the last day of the law, and not before', async () => {
    await counteredUnheard();
    const { putBackFrom, putBackUntil, backAt } = (await only()).procedure.counterNotice!;
    await until(putBackFrom + 3600_000);
    expect(await only()).toMatchObject({ state: 'counter-notice' });
    await until(backAt! + 3600_000);
    expect(clock.now()).toBeLessThan(putBackUntil);
    const { actions, alarms } = await sent();
    expect(actions).toMatchObject([{ action: 'restore', why: 'put-back' }]);
    expect(alarms).toEqual([]);
  });

  test('media that come back too late are an alarm', async () => {
    await bench.say(upload, { account });
    await bench.found(upload, []);
    await file();
    await cases.take({ claim: (await only()).id }, { do: 'counter-notice', notice: counter }, uploader);
    await sent();
    await bench.wait(40);
    const { actions, alarms } = await sent();
    expect(actions).toMatchObject([{ action: 'restore', why: 'put-back' }]);
    expect(alarms).toMatchObject([{ kind: 'put-back-late', subject: upload }]);
  });

  test('a court action keeps it down', async () => {
    await bench.say(upload, { account });
    await file();
    const claim = await only();
    await cases.take({ claim: claim.id }, { do: 'counter-notice', notice: counter }, uploader);
    await cases.take(
      { claim: claim.id },
      { do: 'notify-court', statement: 'Case 1:29-cv-01' },
      { role: 'holder', id: 'notifier' },
    );
    await sent();
    await bench.wait(60);
    expect((await sent()).actions).toEqual([]);
    expect((await only()).state).toBe('court-hold');
  });

  test('an incomplete one does nothing and says what is missing; both are kept', async () => {
    await bench.say(upload, { account });
    const filed = await file({ notice: { ...notice, accurate: false } });
    expect(filed).toMatchObject({
      status: 'incomplete',
      standing: 'substantially-complete',
      missing: [{ field: 'accurate' }],
    });
    expect(await file({ uploads: ['up_nowhere'] })).toMatchObject({ status: 'incomplete', standing: 'defective' });
    expect(await claimsOf(db, upload)).toEqual([]);
    expect((await sent()).actions).toEqual([]);
  });

  test('one under DSA Art. 16 is for a person to decide', async () => {
    await bench.say(upload, { account });
    await bench.found(upload, []);
    const dsa = { explanation: 'my film', name: 'Ada', email: 'ada@example.org', goodFaith: true };
    await file({ kind: 'dsa', notice: dsa });
    expect(await sent()).toMatchObject({
      actions: [],
      verdicts: [{ verdict: 'cleared' }, { verdict: 'in-review', cause: 'notice' }],
    });
    await cases.take({ claim: (await only()).id }, { do: 'take-down' }, reviewer);
    expect((await sent()).actions).toMatchObject([{ ground: 'dsa-16-notice', automatedDecision: false }]);
  });

  test('that is dismissed leaves its sender a complaint, which a person decides; then the uploader has one', async () => {
    await bench.say(upload, { account });
    await bench.found(upload, []);
    await file({ kind: 'dsa', notice: { explanation: 'mine', name: 'Ada', email: 'a@example.org', goodFaith: true } });
    const { id } = await only();
    expect(await cases.take({ claim: id }, { do: 'complain' }, holder)).toMatchObject({ status: 'refused' });
    await cases.take({ claim: id }, { do: 'dismiss' }, reviewer);
    expect(cases.allowed(await only(), holder)).toEqual(['complain']);
    expect(cases.allowed(await only(), uploader)).toEqual([]);
    await cases.take({ claim: id }, { do: 'complain', statement: 'look again' }, holder);
    expect(await cases.take({ claim: id }, { do: 'complain' }, holder)).toMatchObject({ status: 'refused' });
    await sent();
    await cases.take({ claim: id }, { do: 'decide-complaint', upheld: true }, reviewer);
    const { actions, verdicts } = await sent();
    expect(actions).toMatchObject([{ action: 'takedown', ground: 'dsa-16-notice', automatedDecision: false }]);
    expect(verdicts).toMatchObject([{ verdict: 'taken-down' }]);
    expect(cases.allowed(await only(), uploader)).toContain('complain');
    expect(await verifyAudit(db)).toMatchObject({ broken: null });
  });

  test('in a flood of them wait for a person, and are an alarm', async () => {
    const flooder = `${upload}_h`;
    const uploads = ['a', 'b', 'c'].map((x) => `${upload}_${x}`);
    for (const id of uploads) await bench.say(id, { account });
    const strict = openCaseBench(database, undefined, { noticedADay: 2 });
    const one = (id: string) =>
      strict.cases.fileNotice({ kind: 'dmca', notice, uploads: [id], holder: flooder, work: null }, holder);
    for (const id of uploads) expect(await one(id)).toMatchObject({ status: 'accepted' });
    const states = await Promise.all(uploads.map(async (id) => (await only(id)).state));
    expect(states).toEqual(['taken-down', 'taken-down', 'open']);
    expect((await sent()).alarms.map((a) => [a.kind, a.subject])).toContainEqual(['notice-flood', flooder]);
  });

  test('that come all at once take down no more than those that come one by one', async () => {
    const flooder = `${upload}_h`;
    const uploads = Array.from({ length: 8 }, (_, i) => `${upload}_${i}`);
    for (const id of uploads) await bench.say(id, { account: `${account}_${id}` });
    const strict = openCaseBench(database, undefined, { noticedADay: 3 });
    await Promise.all(
      uploads.map((id) => strict.cases.fileNotice({ kind: 'dmca', notice, uploads: [id], holder: flooder }, holder)),
    );
    const states = await Promise.all(uploads.map(async (id) => (await only(id)).state));
    expect(states.sort()).toEqual([...Array(5).fill('open'), ...Array(3).fill('taken-down')]);
    expect((await sent()).alarms.map((a) => [a.kind, a.subject])).toEqual([['notice-flood', flooder]]);
  });
});

test('three strikes that stand are an alarm, and fifty pieces of one film are one strike', async () => {
  for (const [i, work] of ['a', 'a', 'b', 'c'].entries()) {
    const id = `${upload}_${i}`;
    await bench.say(id, { account });
    await cases.fileNotice({ kind: 'dmca', notice, uploads: [id], holder: 'h', work: `${upload}_${work}` }, holder);
    const { alarms } = await sent();
    expect(alarms.map((a) => [a.kind, a.subject])).toEqual(i === 3 ? [['repeat-infringer', account]] : []);
  }
  expect(await strikesOf(db, account)).toHaveLength(3);
});

test('strikes that are earned at the same moment are counted together, and waited for in no circle', async () => {
  const accounts = [`${account}_b`, `${account}_a`];
  const rounds = [['x'], ['y', 'z']];
  for (const [r, works] of rounds.entries()) {
    const named = works.map((work) => ({
      work: `${upload}_${work}`,
      uploads: [0, 1].map((i) => `${upload}_${work}${i}`),
    }));
    // Each notice meets the accounts in another order.
    for (const [w, { uploads }] of named.entries())
      for (const [i, id] of uploads.entries()) await bench.say(id, { account: accounts[(i + w) % 2]! });
    await Promise.all(
      named.map(({ work, uploads }) => cases.fileNotice({ kind: 'dmca', notice, uploads, holder: 'h', work }, holder)),
    );
    const { alarms } = await sent();
    const wanted = r === 1 ? [...accounts].sort().map((a) => ['repeat-infringer', a]) : [];
    expect(alarms.map((a) => [a.kind, a.subject]).sort()).toEqual(wanted);
  }
});

test('erasure takes what people wrote and leaves every chain whole', async () => {
  await copy();
  const claim = await only();
  await cases.take({ claim: claim.id }, { do: 'dispute', grounds: ['other'], statement: 'I am Bo Example.' }, uploader);
  const erase = (why: string) => cases.erase({ subject: claim.case, why }, reviewer);
  expect(await erase('asked for by bo@example.org')).toMatchObject({
    status: 'refused',
    why: expect.stringMatching(/e-mail/),
  });
  expect(await erase('said “I am Bo Example.”')).toMatchObject({
    status: 'refused',
    why: expect.stringMatching(/\(statement\)/),
  });
  expect(await erase('request 17')).toMatchObject({ status: 'done', papers: [expect.stringMatching(/^paper_/)] });
  expect(await erase('request 17')).toEqual({ status: 'done', papers: [] });
  expect((await caseEvents(db, claim.case)).at(-1)).toMatchObject({
    by: reviewer,
    claim: null,
    data: { why: 'request 17' },
  });
  expect(await kinds(claim.case)).toEqual(['opened', 'take-down', 'takedown', 'dispute', 'erased']);
  expect(await verifyAudit(db)).toMatchObject({ broken: null });
  expect(START).toBeLessThan(clock.now());
});

test('what became of claims is counted, and takedowns are exported in the order in which they were sent', async () => {
  const own = `h_${n}`;
  const refs = [`${ref}_x`, `${ref}_y`, `${ref}_z`, `${ref}_w`];
  for (const id of refs) await bench.reference(id, { holder: own, work: id });
  await clock.advance(1000);
  const from = clock.now();
  const before = (await takedownsAfter(db, null, 10_000))!.at(-1)?.id ?? null;
  for (const [i, id] of refs.entries()) {
    await copy(`${upload}_${i}`, [{ reference: id, seconds: i === 3 ? 3 : 20 }]);
    await clock.advance(1000);
  }
  const claim = async (i: number) => ({ claim: (await only(`${upload}_${i}`)).id });
  await cases.take(await claim(0), { do: 'dispute', grounds: ['quotation'] }, uploader);
  await cases.take(await claim(0), { do: 'answer-dispute', answer: 'release' }, holder);
  await cases.take(await claim(1), { do: 'dispute', grounds: ['quotation'] }, uploader);
  await cases.take(await claim(1), { do: 'answer-dispute', answer: 'uphold' }, holder);
  await cases.take(await claim(2), { do: 'dispute', grounds: ['quotation'] }, uploader);
  const span = { from, until: clock.now() + 1, holder: own };
  expect(await claimCounts(db, span)).toEqual([
    {
      ground: 'rights-holder-rule',
      claims: 4,
      takedowns: 3,
      automated: 3,
      reviewed: 1,
      dismissed: 0,
      withdrawn: 0,
      disputes: 3,
      appeals: 0,
      counterNotices: 0,
      complaints: 0,
      contested: 3,
      settled: 2,
      overturned: 1,
    },
  ]);
  expect(await claimCounts(db, { ...span, holder: 'nobody' })).toEqual([]);
  expect(await takedownTimes(db, span)).toEqual({ median: 0, p95: 0 });
  expect(await takedownTimes(db, { from: 0, until: 1 })).toEqual({ median: null, p95: null });

  const first = (await takedownsAfter(db, before, 2))!;
  const rest = (await takedownsAfter(db, first[1]!.id, 2))!;
  expect([...first, ...rest].map((t) => t.event.upload)).toEqual([`${upload}_0`, `${upload}_1`, `${upload}_2`]);
  expect(first.map((t) => dsaStatement(t.event)?.puid)).toEqual(first.map((t) => t.id));
});
