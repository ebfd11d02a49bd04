import type { Actor } from '@vigil/contracts';
import { DAY_MS } from './calendar.ts';
import { type Claim, over } from './claim.ts';
import type { Terms } from './terms.ts';

export interface ClaimEvent {
  kind: string;
  at: number;
  by: Actor;
  /** `state`: the claim's from then on. */
  data: Record<string, unknown>;
}

export interface Clock {
  name: 'answer' | 'appeal-answer' | 'put-back' | 'redress';
  dueAt: number;
}

/** What time alone will do next to a claim, if nobody does anything before; null: nothing. */
export function clockOf(
  { state, procedure }: Claim,
  { appealWindowDays }: Pick<Terms, 'appealWindowDays'>,
): Clock | null {
  const { dispute, appeal, counterNotice, complaint, redressUntil } = procedure;
  if (state === 'disputed') return { name: 'answer', dueAt: dispute!.answerBy };
  if (state === 'appealed') return { name: 'appeal-answer', dueAt: appeal!.answerBy };
  if (state === 'counter-notice' || state === 'waiting') {
    const { putBackFrom, backAt = putBackFrom } = counterNotice!;
    return { name: 'put-back', dueAt: backAt };
  }
  if ((state === 'taken-down' || state === 'upheld') && (!complaint || complaint.decided)) {
    const appealable = state === 'upheld' && !appeal ? dispute!.decidedAt! + appealWindowDays * DAY_MS : 0;
    return { name: 'redress', dueAt: Math.max(redressUntil!, appealable) };
  }
  return null;
}

/** Does what is due by now: silence releases, media come back, what nobody contests is closed. */
export function passTime(
  claim: Claim,
  { now, terms }: { now: number; terms: Terms },
): { claim: Claim; events: ClaimEvent[] } {
  const clock = clockOf(claim, terms);
  if (!clock || clock.dueAt > now) return { claim, events: [] };
  const by: Actor = { role: 'system', id: null };
  const event = (kind: string, data: Record<string, unknown>): ClaimEvent => ({
    kind,
    at: now,
    by,
    data: { dueAt: clock.dueAt, ...data },
  });
  switch (clock.name) {
    case 'answer':
    case 'appeal-answer': {
      const which = clock.name === 'answer' ? 'dispute' : 'appeal';
      const decided = { ...claim.procedure, [which]: { ...claim.procedure[which]!, decidedAt: now } };
      return {
        claim: over({ ...claim, procedure: decided }, 'reversed', 'silence', now),
        events: [event('silence', { of: which, state: 'reversed' })],
      };
    }
    case 'put-back': {
      const { putBackUntil, forwardedAt } = claim.procedure.counterNotice!;
      const data = { late: now > putBackUntil, forwarded: forwardedAt !== null, state: 'put-back' };
      return { claim: over(claim, 'put-back', 'put-back', now), events: [event('put-back', data)] };
    }
    case 'redress': {
      const ended = { at: now, why: 'time' };
      return {
        claim: { ...claim, state: 'closed', procedure: { ...claim.procedure, ended } },
        events: [event('closed', { state: 'closed' })],
      };
    }
  }
}
