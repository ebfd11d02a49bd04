import {
  CLAIM_STATES,
  type ClaimState,
  GROUNDS,
  NEW_PROCEDURE,
  ROLES_IN_CASE,
  type RoleInCase,
} from '@vigil/contracts';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { businessWindow, DAY_MS } from './calendar.ts';
import { type Claim, isBlocking, isOver } from './claim.ts';
import { clockOf, passTime } from './clocks.ts';
import { allowed, type Step, type StepName, step } from './steps.ts';
import { DEFAULT_TERMS, UNDO_MS } from './terms.ts';
import { claim, given, NOON, STEPS } from './testing.ts';

const SEED = 20221120;

/** Written down by hand from the law's own order of events, so that the table of rules is held against something else. */
const EDGES: Record<ClaimState, ClaimState[]> = {
  open: ['taken-down', 'dismissed', 'withdrawn'],
  'taken-down': ['open', 'disputed', 'counter-notice', 'closed', 'reversed', 'withdrawn'],
  disputed: ['upheld', 'reversed', 'taken-down', 'withdrawn'],
  upheld: ['appealed', 'closed', 'taken-down', 'reversed', 'withdrawn'],
  appealed: ['upheld', 'reversed', 'taken-down', 'withdrawn'],
  'counter-notice': ['waiting', 'put-back', 'court-hold', 'reversed', 'withdrawn'],
  waiting: ['put-back', 'court-hold', 'reversed', 'withdrawn'],
  'court-hold': ['closed', 'put-back', 'reversed', 'withdrawn'],
  closed: ['counter-notice', 'reversed', 'withdrawn'],
  reversed: [],
  'put-back': [],
  // Taken back; or by a person who finds that whoever sent the notice complains rightly.
  dismissed: ['open', 'taken-down'],
  // Let fall by a policy, that asks for it again.
  withdrawn: ['open'],
};

const variants: fc.Arbitrary<Step> = fc.oneof(
  fc.constantFrom(...Object.values(STEPS)),
  fc.constantFrom<Step>(
    { do: 'answer-dispute', answer: 'release' },
    { do: 'answer-appeal', answer: 'uphold' },
    { do: 'decide-court', decidedFor: 'uploader' },
    { do: 'decide-complaint', upheld: false },
    { do: 'withdraw', cause: 'reference' },
    { do: 'withdraw', cause: 'policy' },
    { do: 'dispute', grounds: [], paper: null },
    { do: 'dispute', grounds: ['fair-use'], paper: null },
    { do: 'counter-notice', paper: { id: 'p', digest: '0' }, missing: [{ field: 'x', needs: 'y', law: 'z' }] },
  ),
);
/**
 * What is likely to be possible comes more often than not, so that claims get far; any step by anybody comes as well.
 * A number picks among what is allowed.
 */
const moves = fc.array(
  fc.oneof(
    { weight: 5, arbitrary: fc.record({ pick: fc.nat(1000) }) },
    { weight: 2, arbitrary: fc.record({ wanted: variants, role: fc.constantFrom(...ROLES_IN_CASE) }) },
    { weight: 3, arbitrary: fc.record({ days: fc.constantFrom(0.5, 1, 7, 13, 15, 30, 31, 100, 185) }) },
  ),
  { minLength: 1, maxLength: 30, size: 'max' },
);

/** Everything that somebody could do now, with who it is. */
const possible = (c: Claim, now: number) =>
  ROLES_IN_CASE.flatMap((role) => allowed(c, given(role, now)).map((name) => ({ name, role })));

test('no order of steps and days reaches what must not be', () => {
  const reached = new Set<ClaimState>();
  let askedAgain = 0;
  const check = fc.property(fc.constantFrom(...GROUNDS), moves, (ground, list) => {
    let now = NOON;
    let current = claim({ ground });
    for (const move of list) {
      if ('days' in move) now += move.days * DAY_MS;
      const waited = passTime(current, { now, terms: DEFAULT_TERMS });
      follows(current, waited.claim, now);
      expect(waited.events.length > 0).toBe(waited.claim !== current);
      current = waited.claim;
      reached.add(current.state);
      expect(passTime(current, { now, terms: DEFAULT_TERMS }).events, 'time does its work once').toEqual([]);
      if ('days' in move) continue;

      const all = possible(current, now);
      // Claims that are withdrawn at once teach nothing.
      const options = 'pick' in move && move.pick % 8 > 0 ? all.filter((o) => o.name !== 'withdraw') : all;
      const choice =
        'pick' in move ? options[move.pick % Math.max(1, options.length)] : { name: move.wanted.do, role: move.role };
      if (!choice) continue;
      const wanted = 'pick' in move ? variantOf(choice.name, move.pick, choice.role) : move.wanted;
      const result = step(current, wanted, given(choice.role, now));
      const may = allowed(current, given(choice.role, now));
      if (!result.ok) {
        expect(result.why.length).toBeGreaterThan(10);
        expect(result.allowed).toEqual(may);
        // What is promised is kept: only its content can still be refused.
        if (may.includes(wanted.do)) expect(incomplete(wanted, choice.role), result.why).toBe(true);
        continue;
      }
      expect(may).toContain(wanted.do);
      follows(current, result.claim, now);
      expect(result.events.map((e) => [e.kind, e.at])).toEqual([[wanted.do, now]]);
      if (wanted.do === 'ask-again') askedAgain++;
      current = result.claim;
      reached.add(current.state);
    }
  });
  fc.assert(check, { seed: SEED, numRuns: 1000 });
  // The walk is of use only if it gets everywhere.
  expect(CLAIM_STATES.filter((state) => !reached.has(state))).toEqual([]);
  expect(askedAgain).toBeGreaterThan(10);
});

function variantOf(name: StepName, pick: number, role: RoleInCase): Step {
  const kinds: Partial<Record<StepName, Step[]>> = {
    'answer-dispute': [STEPS['answer-dispute'], { do: 'answer-dispute', answer: 'release' }],
    'decide-court': [STEPS['decide-court'], { do: 'decide-court', decidedFor: 'uploader' }],
    'decide-complaint': [STEPS['decide-complaint'], { do: 'decide-complaint', upheld: false }],
    ...(role === 'system' ? { withdraw: [{ do: 'withdraw', cause: 'policy' }] } : {}),
  };
  const list = kinds[name] ?? [STEPS[name]];
  return list[pick % list.length]!;
}

const incomplete = (wanted: Step, role: string): boolean =>
  ('missing' in wanted && wanted.missing.length > 0) ||
  ('grounds' in wanted && (wanted.grounds.length === 0 || (wanted.grounds.includes('fair-use') && !wanted.paper))) ||
  (wanted.do === 'answer-appeal' && wanted.answer === 'uphold' && role === 'holder') ||
  (wanted.do === 'withdraw' && wanted.cause !== 'holder');

function follows(before: Claim, after: Claim, now: number): void {
  if (before.state !== after.state) expect(EDGES[before.state]).toContain(after.state);
  if (before.state === 'dismissed' && after.state !== 'open' && after !== before)
    expect(before.ground).not.toBe('rights-holder-rule');
  const [p, q] = [before.procedure, after.procedure];
  if (before.state === 'withdrawn' && after.state === 'open') {
    // Nobody who looked at it is overruled, and whoever is taken down by it once more has every right anew.
    expect(p.ended!.why).toBe('policy');
    expect(q).toEqual(NEW_PROCEDURE);
    return;
  }
  if (before.state !== 'open' && after.state === 'open') {
    // Taken back by a person within minutes, as if it had not been: no clock runs on, and nothing that the law counts is lost.
    expect(now - (before.state === 'dismissed' ? p.ended!.at : p.takenDownAt!)).toBeLessThanOrEqual(UNDO_MS);
    expect([p.dispute, p.counterNotice, p.complaint, q.takenDownAt, q.redressUntil, q.strike, q.ended]).toEqual(
      Array(7).fill(null),
    );
    return;
  }
  if (isOver(before) && before.state !== 'dismissed') expect(after).toBe(before);

  // Every legal clock is set once, and never moved.
  const dates = (c: typeof p) => [
    c.takenDownAt,
    c.redressUntil,
    c.dispute?.answerBy,
    c.appeal?.answerBy,
    c.counterNotice?.putBackFrom,
    c.counterNotice?.putBackUntil,
    c.strike?.expiresAt,
  ];
  for (const [n, date] of dates(p).entries()) if (date !== null && date !== undefined) expect(dates(q)[n]).toBe(date);

  // Whoever is held back has a date until which to complain, and whoever waits for something has a clock that ends it.
  if (isBlocking(after)) {
    expect(q.redressUntil).toBeGreaterThan(q.takenDownAt! + 180 * DAY_MS);
    expect(q.automatedDecision).not.toBeNull();
  }
  if (['disputed', 'appealed', 'counter-notice', 'waiting'].includes(after.state)) {
    expect(clockOf(after, DEFAULT_TERMS)!.dueAt).toBeGreaterThan(now);
  }
  if (after.state === 'court-hold') expect(clockOf(after, DEFAULT_TERMS)).toBeNull();

  // Silence is not an answer before its time, and media are not put back before theirs.
  const end = q.ended;
  if (before.state !== after.state && end?.why === 'silence') {
    expect(now).toBeGreaterThanOrEqual((before.state === 'disputed' ? q.dispute! : q.appeal!).answerBy);
  }
  if (before.state !== after.state && end?.why === 'put-back') {
    expect(now).toBeGreaterThanOrEqual(q.counterNotice!.putBackFrom);
    // Whoever sent the notice had their ten business days from when they were told, or the law's last day had come.
    const { at, forwardedAt } = q.counterNotice!;
    const lastDay = businessWindow(at, 13, 14, DEFAULT_TERMS.calendar).from;
    const heard = forwardedAt === null ? lastDay : businessWindow(forwardedAt, 10, 14, DEFAULT_TERMS.calendar).from;
    expect(now).toBeGreaterThanOrEqual(Math.min(heard, lastDay));
    expect(after.ground).toBe('512c3-notice');
  }
  // A strike falls with the claim that earned it; a complaint is decided by a person.
  if (isOver(after)) expect(q.strike === null || q.strike.revokedAt !== null).toBe(true);
  if (isBlocking(after) && q.strike) expect(q.strike.revokedAt).toBeNull();
  if (q.complaint?.decided) expect(q.complaint.decided.by.role).toBe('reviewer');
  if (after.state === 'reversed' || after.state === 'put-back') expect(end).not.toBeNull();
}
