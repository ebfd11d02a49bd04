import type { RoleInCase } from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { DAY_MS } from './calendar.ts';
import { blockedBy, type Claim, caseState, isBlocking } from './claim.ts';
import { clockOf, passTime } from './clocks.ts';
import { type Step, step, undoUntil } from './steps.ts';
import { addMonths, DEFAULT_TERMS } from './terms.ts';
import { claim, given, NOON, STEPS } from './testing.ts';

const walk = (start: Claim, ...steps: [RoleInCase, Step, number?][]): Claim =>
  steps.reduce((c, [role, wanted, at = NOON]) => {
    const result = step(c, wanted, given(role, at));
    if (!result.ok) throw new Error(result.why);
    return result.claim;
  }, start);
const down = (more: Partial<Claim> = {}) => walk(claim(more), ['system', { do: 'take-down' }]);
const noticed = () => down({ ground: '512c3-notice' });
const wait = (c: Claim, now: number) => passTime(c, { now, terms: DEFAULT_TERMS });

describe('a dispute', () => {
  test('is answered by the holder, or silence releases the claim', () => {
    const disputed = walk(down(), ['uploader', STEPS.dispute]);
    expect(disputed).toMatchObject({ state: 'disputed', procedure: { dispute: { answerBy: NOON + 30 * DAY_MS } } });
    expect(isBlocking(disputed)).toBe(true);
    expect(wait(disputed, NOON + 30 * DAY_MS - 1).claim).toBe(disputed);
    const { claim: released, events } = wait(disputed, NOON + 30 * DAY_MS);
    expect(released).toMatchObject({ state: 'reversed', procedure: { ended: { why: 'silence' } } });
    expect(events).toMatchObject([{ kind: 'silence', by: { role: 'system' }, data: { of: 'dispute' } }]);
  });

  test('an answer that comes too late finds the claim released', () => {
    const disputed = walk(down(), ['uploader', STEPS.dispute]);
    expect(step(disputed, STEPS['answer-dispute'], given('holder', NOON + 31 * DAY_MS))).toEqual({
      ok: false,
      why: 'the claim is reversed (silence); answer-dispute is possible when it is disputed',
      allowed: [],
    });
  });

  test('upheld earns a strike, and an appeal is not upheld by the holder alone', () => {
    const appealed = walk(
      down(),
      ['uploader', STEPS.dispute],
      ['holder', STEPS['answer-dispute']],
      ['uploader', STEPS.appeal],
    );
    expect(appealed.procedure.strike).toEqual({ at: NOON, expiresAt: NOON + 90 * DAY_MS, revokedAt: null });
    const again = step(appealed, { do: 'answer-appeal', answer: 'uphold' }, given('holder'));
    expect(again).toMatchObject({ ok: false, allowed: ['answer-appeal', 'escalate', 'withdraw'] });
    expect(walk(appealed, ['reviewer', { do: 'answer-appeal', answer: 'uphold' }]).state).toBe('upheld');
    const won = wait(appealed, NOON + 7 * DAY_MS).claim;
    expect(won).toMatchObject({ state: 'reversed', procedure: { strike: { revokedAt: NOON + 7 * DAY_MS } } });
  });

  test('a ground that has to be explained is refused without words', () => {
    const silent = step(down(), { do: 'dispute', grounds: ['licensed'], paper: null }, given('uploader'));
    expect(silent).toMatchObject({ ok: false, why: 'the ground licensed has to be explained: give a statement' });
  });

  test('whoever has no say is told what is his to do', () => {
    expect(step(down(), STEPS.dispute, given('holder'))).toEqual({
      ok: false,
      why: 'dispute is for uploader, not for holder',
      allowed: ['escalate', 'withdraw'],
    });
  });
});

describe('what a person decided', () => {
  const byHand = walk(claim(), ['reviewer', { do: 'take-down' }]);
  const dismissed = walk(claim(), ['reviewer', { do: 'dismiss' }]);
  test.each([byHand, dismissed])('is taken back within five minutes, and decided anew', (decided) => {
    const last = NOON + 5 * 60_000;
    expect(undoUntil(decided)).toBe(last);
    const open = walk(decided, ['reviewer', { do: 'reopen' }, last]);
    expect(open).toEqual(claim());
    expect(walk(open, ['reviewer', { do: 'take-down' }, last]).procedure).toMatchObject({ takenDownAt: last });
    expect(step(decided, { do: 'reopen' }, given('reviewer', last + 1))).toMatchObject({
      ok: false,
      why: 'it could be taken back until 2029-11-14T17:05:00.000Z',
    });
  });

  test('stays, where a rule decided, somebody has answered, or another asks', () => {
    const whyNot = (c: Claim, role: RoleInCase = 'reviewer') => step(c, { do: 'reopen' }, given(role));
    expect(whyNot(down())).toMatchObject({ ok: false, why: 'no person took it down' });
    const answered = walk(byHand, ['uploader', STEPS.complain]);
    expect(whyNot(answered)).toMatchObject({ ok: false, why: 'the uploader has answered it' });
    expect(whyNot(byHand, 'holder')).toMatchObject({ ok: false, why: 'reopen is for reviewer, not for holder' });
  });

  test('gives back the strike that it earned', () => {
    const noticed = walk(claim({ ground: '512c3-notice' }), ['reviewer', { do: 'take-down' }]);
    expect(noticed.procedure.strike).not.toBeNull();
    expect(walk(noticed, ['reviewer', { do: 'reopen' }]).procedure.strike).toBeNull();
  });
});

describe('what a policy let fall', () => {
  const fallen = (cause: 'policy' | 'reference' = 'policy', start = down()) =>
    walk(start, ['system', { do: 'withdraw', cause }]);
  test('is opened again by the system when a policy asks for it again, as if it had not been', () => {
    const complained = walk(down(), ['uploader', STEPS.complain]);
    for (const start of [down(), complained]) {
      expect(walk(fallen('policy', start), ['system', { do: 'ask-again' }])).toEqual(claim());
    }
    const again = walk(fallen(), ['system', { do: 'ask-again' }], ['system', { do: 'take-down' }, NOON + 40 * DAY_MS]);
    expect(again.procedure).toMatchObject({ redressUntil: addMonths(NOON + 40 * DAY_MS, 6), automatedDecision: true });
  });

  test('is opened by nobody else, and nothing is that somebody withdrew or decided', () => {
    const whyNot = (c: Claim, role: RoleInCase = 'system') => step(c, { do: 'ask-again' }, given(role));
    expect(whyNot(fallen(), 'reviewer')).toMatchObject({ ok: false, why: 'ask-again is for system, not for reviewer' });
    const withdrawn = walk(down(), ['holder', STEPS.withdraw]);
    for (const c of [withdrawn, fallen('reference')]) expect(whyNot(c)).toMatchObject({ ok: false, allowed: [] });
    expect(whyNot(walk(claim(), ['reviewer', STEPS.dismiss]))).toMatchObject({ ok: false });
  });
});

describe('a counter-notice', () => {
  test('puts the media back between the 10th and the 14th business day, holidays not counted', () => {
    const waiting = walk(noticed(), ['uploader', STEPS['counter-notice']], ['system', { do: 'forward' }]);
    // Thanksgiving, 22 November 2029, does not count: the 10th day is the 29th, the 14th is 5 December.
    expect(waiting.procedure.counterNotice).toMatchObject({
      putBackFrom: Date.parse('2029-11-30T05:00:00Z'),
      putBackUntil: Date.parse('2029-12-06T05:00:00Z'),
      calendar: { id: 'us-federal', version: 1, zone: 'America/New_York', holidays: ['2029-11-22'] },
    });
    const { claim: back, events } = wait(waiting, Date.parse('2029-11-30T05:00:00Z'));
    expect(back).toMatchObject({ state: 'put-back', procedure: { strike: { revokedAt: expect.any(Number) } } });
    expect(events[0]!.data).toMatchObject({ late: false, forwarded: true });
    expect(wait(waiting, Date.parse('2029-12-07T00:00:00Z')).events[0]!.data).toMatchObject({ late: true });
  });

  test('gives whoever sent the notice ten business days from when it was forwarded, as far as the law leaves them', () => {
    const countered = walk(noticed(), ['uploader', STEPS['counter-notice']]);
    const lastDay = Date.parse('2029-12-05T05:00:00Z');
    expect(wait(countered, lastDay - 1).claim).toBe(countered);
    expect(wait(countered, lastDay)).toMatchObject({
      claim: { state: 'put-back' },
      events: [{ data: { late: false, forwarded: false } }],
    });
    const forwardedOn = (day: string) =>
      clockOf(walk(countered, ['reviewer', { do: 'forward' }, Date.parse(`${day}T17:00:00Z`)]), DEFAULT_TERMS);
    expect(forwardedOn('2029-11-14')).toEqual({ name: 'put-back', dueAt: Date.parse('2029-11-30T05:00:00Z') });
    expect(forwardedOn('2029-11-15')).toEqual({ name: 'put-back', dueAt: Date.parse('2029-12-01T05:00:00Z') });
    expect(forwardedOn('2029-12-03')).toEqual({ name: 'put-back', dueAt: lastDay });
  });

  test('of a release that did not say when it comes back comes back as it did', () => {
    const { backAt: _, ...old } = walk(noticed(), ['uploader', STEPS['counter-notice']]).procedure.counterNotice!;
    const before = { ...noticed(), state: 'counter-notice' as const };
    const countered = { ...before, procedure: { ...before.procedure, counterNotice: old } };
    expect(clockOf(countered, DEFAULT_TERMS)).toEqual({ name: 'put-back', dueAt: old.putBackFrom });
    const late = walk(countered, ['system', { do: 'forward' }, NOON + 2 * DAY_MS]);
    expect(clockOf(late, DEFAULT_TERMS)).toEqual({ name: 'put-back', dueAt: old.putBackFrom });
  });

  test('is held by a court action, until the court has decided', () => {
    const held = walk(noticed(), ['uploader', STEPS['counter-notice']], ['holder', STEPS['notify-court']]);
    expect(wait(held, NOON + 1000 * DAY_MS).claim).toBe(held);
    expect(walk(held, ['reviewer', { do: 'decide-court', decidedFor: 'uploader' }]).state).toBe('put-back');
    expect(walk(held, ['reviewer', { do: 'decide-court', decidedFor: 'holder' }]).state).toBe('closed');
  });

  test('answers notices only: a match is disputed, and its holder may put it on the ground of a notice', () => {
    expect(step(down(), STEPS['counter-notice'], given('uploader'))).toMatchObject({
      ok: false,
      why: 'a counter-notice answers a notice under 17 USC 512(c)(3), and there is none',
      allowed: ['dispute', 'complain'],
    });
    const escalated = walk(down(), ['uploader', STEPS.dispute], ['holder', STEPS.escalate]);
    expect(escalated).toMatchObject({ state: 'taken-down', ground: '512c3-notice' });
    expect(walk(escalated, ['uploader', STEPS['counter-notice']]).state).toBe('counter-notice');
  });

  test('has no period: what time alone has closed can still be answered', () => {
    const closed = wait(noticed(), NOON + 200 * DAY_MS).claim;
    expect(closed.state).toBe('closed');
    const answered = walk(closed, ['uploader', STEPS['counter-notice'], NOON + 201 * DAY_MS]);
    expect(answered).toMatchObject({ state: 'counter-notice', procedure: { ended: null } });
  });
});

describe('a complaint', () => {
  test('can be made for six months, and keeps the claim from closing', () => {
    const until = addMonths(NOON, 6);
    expect(down().procedure.redressUntil).toBe(until);
    const complained = walk(down(), ['uploader', STEPS.complain, until]);
    expect(clockOf(complained, DEFAULT_TERMS)).toBeNull();
    expect(step(down(), STEPS.complain, given('uploader', until + 1))).toMatchObject({ ok: false });
    const kept = walk(complained, ['reviewer', { do: 'decide-complaint', upheld: false }, until + 5]);
    expect(wait(kept, until + 5).claim.state).toBe('closed');
  });

  test('is never decided by the machine', () => {
    const complained = walk(down(), ['uploader', STEPS.complain]);
    for (const role of ['system', 'holder', 'uploader'] as const) {
      expect(step(complained, STEPS['decide-complaint'], given(role)).ok).toBe(false);
    }
    expect(walk(complained, ['reviewer', STEPS['decide-complaint']])).toMatchObject({
      state: 'reversed',
      procedure: { ended: { why: 'complaint' } },
    });
  });
});

test('months end where months end', () => {
  expect(new Date(addMonths(Date.parse('2026-08-31T10:00:00Z'), 6)).toISOString()).toBe('2027-03-01T10:00:00.000Z');
  expect(new Date(addMonths(Date.parse('2026-01-15T10:00:00Z'), 6)).toISOString()).toBe('2026-07-15T10:00:00.000Z');
});

test('media are held back wherever some claim still stands', () => {
  const at = (state: Claim['state'], ...territories: string[]) => ({ state, territories });
  expect(blockedBy([at('taken-down', 'FR', 'DE'), at('closed', 'DE', 'AT'), at('reversed', '*')])).toEqual([
    'AT',
    'DE',
    'FR',
  ]);
  expect(blockedBy([at('taken-down', 'FR'), at('court-hold', '*', 'US')])).toEqual(['*']);
  expect(blockedBy([at('open', '*'), at('withdrawn', 'DE')])).toEqual([]);
});

test('a case is what the most pressing of its claims is', () => {
  const of = (...states: Claim['state'][]) => caseState(states.map((state) => ({ state })));
  expect(of('taken-down', 'disputed', 'open')).toBe('contested');
  expect(of('taken-down', 'open')).toBe('open');
  expect(of('closed', 'upheld')).toBe('taken-down');
  expect(of('closed', 'put-back')).toBe('closed');
});
