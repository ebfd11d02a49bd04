/** Real: the database, deciding, timers. Faked: time, and what other stages would have found. */
import { CANARY_HOLDER, codeToHex, Policy } from '@vigil/contracts';
import { claimCounts, claimsOf, type Database, liveFigures, liveMinutes, savePolicy, strikesOf } from '@vigil/database';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import { openTestDatabase } from '../../../../test/support/postgres.ts';
import { type CaseBench, openCaseBench } from './cases-testing.ts';

const limits = { hot: 4, floodReference: 6, floodHolder: 8, cap: 1000 };
/** Codes that are far apart, by number. */
const codeOf = (n: number) =>
  codeToHex(new Uint8Array(32).map((_, k) => (n * 151 + k * 37 + ((n * k * 29) % 251)) & 255));

describe('brakes', { timeout: 60_000 }, () => {
  let database: Database;
  let bench: CaseBench;
  let n = 0;
  beforeEach(async () => {
    database = await openTestDatabase();
    bench = openCaseBench(database, limits);
  });
  afterEach(() => database[Symbol.asyncDispose]());

  type Copy = Parameters<CaseBench['found']>[1][number];
  /** Says that an upload is there and what it holds; returns what became of it. */
  async function upload(account: string | null, copy: Copy, duration = 30): Promise<string> {
    const id = `up_${n++}`;
    await bench.say(id, { account, duration });
    await bench.found(id, [copy]);
    return id;
  }
  const verdicts = async () => (await bench.sent()).verdicts.map((v) => v.verdict);
  const set = async () => (await bench.brakes.view()).brakes.map((b) => `${b.brake} ${b.subject} ${b.held}`).sort();
  const slight = (reference: string, i: number): Copy => ({
    reference,
    seconds: 5,
    from: 40,
    at: i % 25,
    code: codeOf(i),
  });

  test('a poisoned reference is held after a few innocents, and comes loose for them when it is taken away', async () => {
    await bench.reference('poison');
    const ids: string[] = [];
    for (let i = 0; i < 6; i++) {
      ids.push(await upload(`innocent-${i}`, slight('poison', i)));
      await bench.clock.advance(1000);
    }
    const { verdicts: said, alarms } = await bench.sent();
    expect(said.map((v) => v.verdict)).toEqual([...Array(3).fill('taken-down'), ...Array(3).fill('in-review')]);
    expect(said.at(-1)!.decisions[0]).toMatchObject({ action: 'review', rule: 'brake-hot-reference', manifest: false });
    expect(alarms).toMatchObject([{ kind: 'brake-set' }]);
    expect(await set()).toEqual(['hot-reference poison 3']);

    await bench.cases.withdrawReference({ id: 'poison', version: 1 }, 'poisoned', { role: 'reviewer', id: 'r' });
    const [brake] = (await bench.brakes.view()).brakes;
    await bench.brakes.release(brake!.id, 'r');
    await bench.pass(1000);
    const { actions } = await bench.sent();
    expect(actions.map((a) => a.action)).toEqual(Array(3).fill('restore'));
    for (const id of ids) expect((await claimsOf(database.postgres, id))[0]!.state).toBe('withdrawn');
    expect(await set()).toEqual([]);
  });

  test('a true film in fifty parts from many accounts is taken down, all of it, also while a brake on slight copies is set', async () => {
    await bench.reference('film');
    for (let i = 0; i < 5; i++) await upload(`meme-${i}`, slight('film', i));
    expect(await set()).toEqual(['hot-reference film 2']);
    await bench.sent();
    for (let i = 0; i < 50; i++)
      await upload(`leaker-${i * 20}`, { reference: 'film', seconds: 28, from: 10 * i, code: codeOf(1000 + i) });
    expect(await verdicts()).toEqual(Array(50).fill('taken-down'));
    expect(await set()).toEqual(['hot-reference film 2']);
  });

  test('a short clip that goes round many accounts is one clip', async () => {
    await bench.reference('film');
    for (let i = 0; i < 8; i++)
      await upload(`fan-${i}`, { reference: 'film', seconds: 6, from: 40, code: codeOf(7) }, 6.2 + i / 3);
    expect(await verdicts()).toEqual(Array(8).fill('taken-down'));
    expect(await set()).toEqual([]);
  });

  test('who tries to trip a brake with one account gets a person to look at it, and disarms nothing', async () => {
    await bench.reference('film');
    const slights = Array.from({ length: 8 }, (_, i) => ({ ...slight('film', i), from: 30 * i }));
    for (const copy of slights) await upload('mallory', copy);
    expect(await verdicts()).toEqual([...Array(6).fill('taken-down'), ...Array(2).fill('in-review')]);
    expect(await set()).toEqual(['flood-reference film 2']);
    await upload('mallory', { reference: 'film', seconds: 28 });
    await upload('leaker', { reference: 'film', seconds: 28, from: 300 });
    expect(await verdicts()).toEqual(['taken-down', 'taken-down']);
  });

  test('what was normal for a holder is no flood later; what is far more is', async () => {
    for (let i = 0; i < 14; i++) await bench.reference(`ref-${i}`);
    for (let i = 0; i < 4; i++) await upload('a', slight(`ref-${i}`, i));
    await bench.clock.advance(3 * 3600_000);
    await bench.sent();
    for (let i = 0; i < 14; i++) await upload('a', slight(`ref-${i}`, 100 + i));
    const said = await verdicts();
    expect(said.filter((v) => v === 'in-review')).toHaveLength(2);
    expect(await set()).toEqual(['flood-holder h 2']);
  });

  test('an index that matches everything: the clean canary stops all takedowns, and two green rounds let them go on', async () => {
    await bench.reference('film');
    await upload('a', { reference: 'film', seconds: 28 });
    const clean = (green: boolean, red = 'wrong: it is taken-down') =>
      bench.witnesses.round({
        ...{ canary: 'one', everySeconds: 60 },
        results: [{ case: 'clean', green, why: green ? null : red, upload: null, ms: 900 }],
      });
    // A machine that is too slow finds nothing that it must not.
    await clean(false, 'not judged: it is rejected (too-slow)');
    expect(await set()).toEqual([]);
    expect((await bench.brakes.view()).distrusted).toEqual([]);
    await clean(true);
    await clean(false);
    await clean(false);
    const during: string[] = [];
    for (let i = 0; i < 5; i++) during.push(await upload(`b${i}`, { reference: 'film', seconds: 28, from: 40 * i }));
    const { verdicts: said, alarms } = await bench.sent();
    expect(said.map((v) => v.verdict)).toEqual(['taken-down', ...Array(5).fill('in-review')]);
    expect(alarms.map((a) => a.kind).sort()).toEqual(['brake-set', 'canary-red']);
    expect((await bench.brakes.view()).distrusted).toEqual(['canary-clean']);

    await clean(true);
    expect(await set()).toEqual(['all * 5']);
    await clean(true);
    expect(await set()).toEqual([]);
    await bench.pass(1000);
    // What a broken index has found is not acted on when it is whole again: that is a replay's, or a person's.
    expect(await verdicts()).toEqual([]);
    for (const id of during) expect((await claimsOf(database.postgres, id))[0]!.state).toBe('open');
    await upload('c', { reference: 'film', seconds: 28 });
    expect(await verdicts()).toEqual(['taken-down']);
  });

  test('an index that says of itself that it finds what it must not stops all takedowns until it is sound', async () => {
    await bench.reference('film');
    await bench.witnesses.index('0-of-1@r', {
      sound: false,
      wrong: true,
      message: 'wrong: it finds codes that are not there',
    });
    await upload('a', { reference: 'film', seconds: 28 });
    expect(await verdicts()).toEqual(['in-review']);
    await bench.witnesses.index('0-of-1@r', { sound: true, wrong: false, message: 'sound' });
    await upload('b', { reference: 'film', seconds: 28 });
    expect(await verdicts()).toEqual(['taken-down']);
  });

  test('what a released brake held is judged again, once, whatever is set meanwhile', async () => {
    await bench.reference('film');
    const brake = await bench.brakes.set('flood-reference', 'film', 'the holder has called', 'op');
    const ids: string[] = [];
    for (let i = 0; i < 22; i++) ids.push(await upload(`a${i}`, { reference: 'film', seconds: 28 }));
    expect(await verdicts()).toEqual(Array(22).fill('in-review'));
    expect(await bench.brakes.held(brake.id)).toHaveLength(22);
    expect(await bench.brakes.release(brake.id, 'op')).toMatchObject({ releasedBy: 'op', rejudged: true });
    expect(await bench.brakes.release(brake.id, 'op')).toBe(false);
    expect(await bench.brakes.release('brake_x', 'op')).toBeNull();
    await bench.brakes.set('all', '*', 'just now', 'op');
    for (let i = 0; i < 5; i++) await bench.pass(10);
    const { verdicts: said, actions } = await bench.sent();
    expect(said.map((v) => [v.revision, v.cause, v.verdict])).toEqual(Array(22).fill([2, 'review', 'taken-down']));
    expect(new Set(actions.map((a) => a.id)).size).toBe(22);
  });

  /** Disabled and registered again: what comes now is found by the version that is meant to protect. */
  async function registerAgain(reference: string): Promise<void> {
    await bench.cases.withdrawReference({ id: reference, version: 1 }, 'sold', { role: 'reviewer', id: 'r' });
    await bench.pass(10);
    await bench.reference(reference, { version: 2 });
    await bench.sent();
  }

  test('a reference that was registered again is looked at like any other', async () => {
    await bench.reference('film');
    const id = await upload('a', { reference: 'film', seconds: 28 });
    await registerAgain('film');
    await bench.brakes.set('all', '*', 'stop', 'op');
    await bench.found(id, [{ reference: 'film', seconds: 28, version: 2 }], 2);
    expect(await verdicts()).toEqual(['in-review']);
    expect((await claimsOf(database.postgres, id)).map((c) => c.state)).toEqual(['withdrawn', 'open']);
    expect(await set()).toEqual(['all * 1']);
  });

  test('what may pass is one version of a reference, not the next one', async () => {
    await bench.reference('film');
    const first = await bench.brakes.set('flood-reference', 'film', 'the holder has called', 'op');
    const id = await upload('a', { reference: 'film', seconds: 28 });
    await bench.brakes.release(first.id, 'op');
    await bench.pass(10);
    expect(await verdicts()).toEqual(['in-review', 'taken-down']);
    await registerAgain('film');
    const second = await bench.brakes.set('all', '*', 'stop', 'op');
    await bench.found(id, [{ reference: 'film', seconds: 28, version: 2 }], 2);
    // Held until a person lets it go, however often it is looked at.
    await bench.found(id, [{ reference: 'film', seconds: 27, version: 2 }], 3);
    expect(await verdicts()).toEqual(['in-review']);
    expect(await bench.brakes.held(second.id)).toMatchObject([{ upload: id }]);
    await bench.brakes.release(second.id, 'op', true);
    await bench.pass(10);
    expect(await verdicts()).toEqual(['taken-down']);
  });

  test('what a policy let fall by mistake is looked at again, also where it was let pass before', async () => {
    await bench.reference('film');
    const policy = (version: number, allowlist: string[]) =>
      database.transaction(async (tx) => {
        await savePolicy(tx, Policy.parse({ id: 'p', version, allowlist }), { holder: 'h', reference: 'film' });
        await bench.cases.applyPolicy(tx, 'h', { role: 'holder', id: 'h' });
      });
    const first = await bench.brakes.set('flood-reference', 'film', 'the holder has called', 'op');
    const id = await upload('a', { reference: 'film', seconds: 26 });
    await bench.brakes.release(first.id, 'op');
    await bench.pass(10);
    await policy(1, ['a']);
    await bench.pass(10);
    expect(await verdicts()).toEqual(['in-review', 'taken-down', 'cleared']);
    await policy(2, []);
    await bench.pass(10);
    const second = await bench.brakes.set('all', '*', 'stop', 'op');
    await bench.found(id, [{ reference: 'film', seconds: 27 }], 2);
    await bench.found(id, [{ reference: 'film', seconds: 28 }], 3);
    expect(await verdicts()).toEqual(['in-review']);
    expect((await claimsOf(database.postgres, id)).map((c) => c.state)).toEqual(['open']);
    expect(await bench.brakes.held(second.id)).toMatchObject([{ upload: id }]);
    await bench.brakes.release(second.id, 'op', true);
    await bench.pass(10);
    expect(await verdicts()).toEqual(['taken-down']);
  });

  test('a brake that is left to review judges nothing again', async () => {
    await bench.reference('film');
    const brake = await bench.brakes.set('flood-holder', 'h', 'why', 'op');
    const id = await upload('a', { reference: 'film', seconds: 28 });
    await bench.brakes.release(brake.id, 'op', false);
    await bench.pass(10);
    expect((await bench.sent()).verdicts.map((v) => v.verdict)).toEqual(['in-review']);
    expect((await claimsOf(database.postgres, id))[0]!.state).toBe('open');
  });

  test('the cap holds whatever comes', async () => {
    bench = openCaseBench(database, { ...limits, cap: 3 });
    await bench.reference('film');
    for (let i = 0; i < 5; i++) await upload(`a${i}`, { reference: 'film', seconds: 28, from: 40 * i });
    expect(await verdicts()).toEqual(['taken-down', 'taken-down', 'taken-down', 'in-review', 'in-review']);
    expect(await set()).toEqual(['all * 2']);
  });

  test("a canary's takedowns are held by no brake, and count nowhere", async () => {
    await bench.reference('bird', { holder: CANARY_HOLDER });
    await bench.reference('film');
    await bench.brakes.set('all', '*', 'why', 'op');
    const id = await upload('canary-1', { reference: 'bird', seconds: 28 });
    expect(await verdicts()).toEqual(['taken-down']);
    expect((await claimsOf(database.postgres, id))[0]!.state).toBe('taken-down');
    expect(await strikesOf(database.postgres, 'canary-1')).toEqual([]);
    const about = { from: 0, until: Number.MAX_SAFE_INTEGER };
    expect(await claimCounts(database.postgres, about)).toEqual([]);
    const now = bench.clock.now();
    const live = async (holder: string | null) => {
      const { takedowns, takedown } = await liveFigures(database.postgres, { now: now + 1, holder });
      const minutes = await liveMinutes(database.postgres, { from: now - 59_000, minutes: 1, holder });
      return [takedowns, takedown.count, ...minutes.takedowns];
    };
    expect([await live(null), await live(CANARY_HOLDER)]).toEqual([
      [0, 0, 0],
      [1, 1, 1],
    ]);
    await upload('a', { reference: 'film', seconds: 28 });
    expect((await claimCounts(database.postgres, about)).map((c) => c.claims)).toEqual([1]);
  });

  test('a canary that falls silent is an alarm, again every hour', async () => {
    const results = [{ case: 'copy', green: true, why: null, upload: null, ms: 900 }] as const;
    await bench.witnesses.round({ canary: 'one', everySeconds: 60, results: [...results] });
    await bench.pass(170_000);
    expect((await bench.sent()).alarms).toEqual([]);
    await bench.pass(11_000);
    expect((await bench.sent()).alarms).toMatchObject([{ kind: 'canary-silent', subject: 'one' }]);
    expect((await bench.brakes.view()).witnesses).toEqual([]);
    await bench.pass(3600_000);
    expect((await bench.sent()).alarms).toHaveLength(1);
    await bench.witnesses.round({ canary: 'one', everySeconds: 60, results: [...results] });
    await bench.pass(100_000);
    expect((await bench.sent()).alarms).toEqual([]);
  });

  test('nobody waits for a second round of one that was run once, and a canary that is gone for good is told of for hours', async () => {
    const results = [{ case: 'copy', green: true, why: null, upload: null, ms: 900 }] as const;
    const round = (canary: string, once?: boolean) =>
      bench.witnesses.round({ canary, everySeconds: 60, ...(once ? { once } : {}), results: [...results] });
    await round('shell', true);
    await bench.pass(24 * 3600_000);
    expect((await bench.sent()).alarms).toEqual([]);
    await round('gone');
    let alarms = 0;
    for (let hour = 0; hour < 30; hour++) {
      await bench.pass(1800_000);
      // Nor does a look by hand make up for it.
      await round('gone', true);
      await bench.pass(1800_000);
      alarms += (await bench.sent()).alarms.length;
      // What is heard of others meanwhile is not forgotten with it.
      expect((await bench.brakes.view()).witnesses).toMatchObject([{ name: 'canary-copy', streak: hour + 1 }]);
    }
    expect(alarms).toBe(12);
  });
});
