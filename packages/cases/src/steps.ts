import {
  type Actor,
  type ClaimProcedure,
  type ClaimState,
  type DisputeGroundId,
  NEW_PROCEDURE,
  type Paper,
  type RoleInCase,
} from '@vigil/contracts';
import { businessWindow, DAY_MS } from './calendar.ts';
import { BLOCKING, type Claim, fellWith, isOver, over } from './claim.ts';
import { type ClaimEvent, passTime } from './clocks.ts';
import { DISPUTE_GROUNDS } from './grounds.ts';
import type { Missing } from './notices.ts';
import { addMonths, PUT_BACK_FROM_DAYS, PUT_BACK_UNTIL_DAYS, REDRESS_MONTHS, type Terms, UNDO_MS } from './terms.ts';

/** Everything that somebody can do about a claim. */
export type Step =
  /** An open claim is acted on: by a rule (system), or by a person. */
  | { do: 'take-down' }
  /** A person finds that an open claim asks for nothing. */
  | { do: 'dismiss'; paper?: Paper | null }
  /** What a person decided is taken back within minutes: the claim is open again. */
  | { do: 'reopen' }
  /** A policy had let the claim fall, and asks for it again. */
  | { do: 'ask-again' }
  /** The same claim holds elsewhere from now on. */
  | { do: 'retarget'; territories: string[] }
  | { do: 'dispute'; grounds: readonly DisputeGroundId[]; paper: Paper | null }
  | { do: 'answer-dispute'; answer: 'uphold' | 'release'; paper?: Paper | null }
  | { do: 'appeal'; grounds: readonly DisputeGroundId[]; paper: Paper | null }
  | { do: 'answer-appeal'; answer: 'uphold' | 'release'; paper?: Paper | null }
  /** The holder puts a claim on the ground of a complete notice under 17 USC 512(c)(3). */
  | { do: 'escalate'; notice: Paper; missing: readonly Missing[] }
  | { do: 'counter-notice'; paper: Paper; missing: readonly Missing[] }
  /** The counter-notice has gone to whoever sent the notice (17 USC 512(g)(2)(B)). */
  | { do: 'forward' }
  /** The holder has gone to court to restrain the uploader: nothing is put back by time alone. */
  | { do: 'notify-court'; paper: Paper | null }
  | { do: 'decide-court'; decidedFor: 'holder' | 'uploader' }
  /** DSA Art. 20: of the uploader, against what keeps the media disabled; of whoever sent a notice, because nothing came of it. */
  | { do: 'complain'; paper: Paper | null }
  | { do: 'decide-complaint'; upheld: boolean; paper?: Paper | null }
  /** cause: the holder takes the claim back, its reference is withdrawn, or a policy does not ask for it any more; `asked`: by whom. */
  | { do: 'withdraw'; cause: 'holder' | 'reference' | 'policy'; asked?: Actor };
export type StepName = Step['do'];

export interface Given {
  now: number;
  by: Actor;
  terms: Terms;
}

export type StepResult =
  | { ok: true; claim: Claim; events: ClaimEvent[] }
  /** `why` is a sentence for whoever asked; `allowed` is what this role could do instead at this moment. */
  | { ok: false; why: string; allowed: StepName[] };

interface Rule {
  from: readonly ClaimState[];
  by: readonly RoleInCase[];
  /** Why it cannot be done all the same; null when it can. */
  unless?(claim: Claim, now: number, role: RoleInCase): string | null;
}

const STANDING = BLOCKING.filter((s) => s !== 'closed');

/** What is allowed from where, and to whom. Nothing else ever happens. */
export const RULES: Record<StepName, Rule> = {
  'take-down': { from: ['open'], by: ['system', 'reviewer'] },
  dismiss: { from: ['open'], by: ['reviewer'] },
  reopen: {
    from: ['taken-down', 'dismissed'],
    by: ['reviewer'],
    unless: (claim, now) => {
      const { automatedDecision, dispute, counterNotice, complaint } = claim.procedure;
      if (claim.state === 'taken-down' && automatedDecision !== false) return 'no person took it down';
      if (dispute || counterNotice || complaint) return 'the uploader has answered it';
      const until = undoUntil(claim)!;
      return now > until ? `it could be taken back until ${isoTime(until)}` : null;
    },
  },
  'ask-again': {
    from: ['withdrawn'],
    by: ['system'],
    unless: (claim) => (fellWith('policy', claim) ? null : 'no policy let it fall: who withdrew it has to ask again'),
  },
  retarget: { from: ['open', 'taken-down'], by: ['system'] },
  dispute: {
    from: ['taken-down'],
    by: ['uploader'],
    unless: ({ ground, procedure }) => {
      if (ground === '512c3-notice') return 'a notice under 17 USC 512(c)(3) is answered by a counter-notice';
      return procedure.dispute ? 'it was disputed already' : null;
    },
  },
  'answer-dispute': { from: ['disputed'], by: ['holder', 'reviewer'] },
  appeal: {
    from: ['upheld'],
    by: ['uploader'],
    unless: ({ procedure }) => (procedure.appeal ? 'it was appealed already' : null),
  },
  'answer-appeal': { from: ['appealed'], by: ['holder', 'reviewer'] },
  escalate: {
    from: ['taken-down', 'disputed', 'upheld', 'appealed'],
    by: ['holder'],
    unless: ({ ground }) => (ground === '512c3-notice' ? 'it rests on such a notice already' : null),
  },
  'counter-notice': {
    // The law sets no period for it.
    from: ['taken-down', 'closed'],
    by: ['uploader'],
    unless: ({ ground, procedure }) => {
      if (ground !== '512c3-notice')
        return 'a counter-notice answers a notice under 17 USC 512(c)(3), and there is none';
      return procedure.counterNotice ? 'there was a counter-notice already' : null;
    },
  },
  forward: { from: ['counter-notice'], by: ['system', 'reviewer'] },
  'notify-court': { from: ['counter-notice', 'waiting'], by: ['holder', 'reviewer'] },
  'decide-court': { from: ['court-hold'], by: ['reviewer'] },
  complain: {
    from: [...BLOCKING, 'dismissed'],
    by: ['uploader', 'holder'],
    unless: ({ state, ground, procedure }, now, role) => {
      if (state === 'dismissed') {
        if (role !== 'holder') return 'nothing was restricted';
        if (ground === 'rights-holder-rule') return 'it rests on no notice';
      } else if (role !== 'uploader') {
        return 'the restriction that was asked for stands';
      }
      if (procedure.complaint) return 'there was a complaint already';
      const until = state === 'dismissed' ? addMonths(procedure.ended!.at, REDRESS_MONTHS) : procedure.redressUntil!;
      return now > until ? `complaints could be made until ${isoTime(until)}` : null;
    },
  },
  'decide-complaint': {
    from: [...BLOCKING, 'dismissed'],
    // Art. 20(6): not solely on the basis of automated means.
    by: ['reviewer'],
    unless: ({ procedure }) =>
      procedure.complaint && !procedure.complaint.decided ? null : 'there is no complaint to be decided',
  },
  withdraw: { from: ['open', ...STANDING, 'closed'], by: ['holder', 'reviewer', 'system'] },
};

/** Does one step, after all that time alone has done by now. Pure: nothing but its arguments counts. */
export function step(claim: Claim, wanted: Step, given: Given): StepResult {
  const passed = passTime(claim, given);
  const current = passed.claim;
  const why = refusalOf(current, wanted, given);
  if (why) return { ok: false, why, allowed: allowed(current, given) };
  const { change, data } = effectOf(current, wanted, given);
  const event: ClaimEvent = { kind: wanted.do, at: given.now, by: given.by, data: { ...data, state: change.state } };
  return { ok: true, claim: change, events: [...passed.events, event] };
}

/** The steps that this role could take at this moment. */
export function allowed(claim: Claim, { now, by, terms }: Given): StepName[] {
  const current = passTime(claim, { now, terms }).claim;
  return (Object.keys(RULES) as StepName[]).filter((name) => blockOf(current, name, by.role, now) === null);
}

function refusalOf(claim: Claim, wanted: Step, { by, now }: Given): string | null {
  return blockOf(claim, wanted.do, by.role, now) ?? badContent(wanted, by.role);
}

function blockOf(claim: Claim, name: StepName, role: RoleInCase, now: number): string | null {
  const { from, by, unless } = RULES[name];
  if (!by.includes(role)) return `${name} is for ${by.join(' or ')}, not for ${role}`;
  if (!from.includes(claim.state)) {
    const end = claim.procedure.ended;
    return `the claim is ${claim.state}${end && isOver(claim) ? ` (${end.why})` : ''}; ${name} is possible when it is ${from.join(', ')}`;
  }
  return unless?.(claim, now, role) ?? null;
}

/** Why the content of a step that would be possible is not enough. */
function badContent(wanted: Step, role: RoleInCase): string | null {
  if (wanted.do === 'retarget' && wanted.territories.length === 0) return 'a claim holds somewhere: give territories';
  if (wanted.do === 'dispute' || wanted.do === 'appeal') {
    if (wanted.grounds.length === 0) return 'a dispute needs at least one ground';
    const silent = DISPUTE_GROUNDS.find((g) => g.explain && wanted.grounds.includes(g.id));
    if (silent && !wanted.paper) return `the ground ${silent.id} has to be explained: give a statement`;
  }
  if (wanted.do === 'answer-appeal' && wanted.answer === 'uphold' && role === 'holder') {
    return 'nobody judges twice in his own case: answer an appeal with a notice under 17 USC 512(c)(3) (escalate), or leave it to the platform';
  }
  if (wanted.do === 'escalate' || wanted.do === 'counter-notice') {
    if (wanted.missing.length > 0)
      return `it must have ${wanted.missing.map((m) => `${m.needs} (${m.law})`).join('; ')}`;
  }
  if (wanted.do === 'withdraw' && wanted.cause !== 'holder' && role !== 'system') {
    return `a claim is withdrawn with cause ${wanted.cause} by the system only`;
  }
  return null;
}

function effectOf(claim: Claim, wanted: Step, { now, by, terms }: Given) {
  const { procedure } = claim;
  const to = (state: ClaimState, more: Partial<ClaimProcedure> = {}, columns: Partial<Claim> = {}): Claim => ({
    ...claim,
    ...columns,
    state,
    procedure: { ...procedure, ...more },
  });
  const paperOf = (paper: Paper | null | undefined) => (paper ? { paper } : {});
  switch (wanted.do) {
    case 'take-down': {
      const change = takenDown(claim, { now, by, terms });
      const { automatedDecision, redressUntil } = change.procedure;
      return {
        change,
        data: { automatedDecision, redressUntil, territories: claim.territories, ground: claim.ground },
      };
    }
    case 'dismiss':
      return { change: over(claim, 'dismissed', 'dismissed', now), data: paperOf(wanted.paper) };
    case 'reopen': {
      const undone = { takenDownAt: null, redressUntil: null, automatedDecision: null, strike: null, ended: null };
      return { change: to('open', undone), data: { before: claim.state } };
    }
    case 'ask-again':
      // As if it were opened now: whoever is taken down once more has every right anew.
      return { change: { ...claim, state: 'open' as const, procedure: NEW_PROCEDURE }, data: { before: claim.state } };
    case 'retarget':
      return {
        change: to(claim.state, {}, { territories: [...wanted.territories] }),
        data: { territories: [...wanted.territories], before: claim.territories },
      };
    case 'dispute':
    case 'appeal': {
      const { grounds, paper } = wanted;
      const days = wanted.do === 'dispute' ? terms.disputeDays : terms.appealDays;
      const filed = { at: now, grounds: [...grounds], paper, answerBy: now + days * DAY_MS, decidedAt: null };
      const data = { grounds: filed.grounds, answerBy: filed.answerBy, ...paperOf(paper) };
      if (wanted.do === 'dispute') return { change: to('disputed', { dispute: filed }), data };
      return { change: to('appealed', { appeal: filed }), data };
    }
    case 'answer-dispute':
    case 'answer-appeal': {
      const which = wanted.do === 'answer-dispute' ? 'dispute' : 'appeal';
      const data = { answer: wanted.answer, ...paperOf(wanted.paper) };
      const answered = { ...claim, procedure: { ...procedure, [which]: { ...procedure[which]!, decidedAt: now } } };
      if (wanted.answer === 'release') {
        return { change: over(answered, 'reversed', which === 'dispute' ? 'accepted' : 'appeal', now), data };
      }
      const strike = earned(claim, now, terms);
      return { change: { ...answered, state: 'upheld' as const, procedure: { ...answered.procedure, strike } }, data };
    }
    case 'escalate': {
      const open = (filed: ClaimProcedure['dispute']) => filed && { ...filed, decidedAt: filed.decidedAt ?? now };
      const decided = { dispute: open(procedure.dispute), appeal: open(procedure.appeal) };
      const strike = earned(claim, now, terms);
      const data = { notice: wanted.notice, before: claim.ground };
      return { change: to('taken-down', { ...decided, strike }, { ground: '512c3-notice' }), data };
    }
    case 'counter-notice': {
      const window = businessWindow(now, PUT_BACK_FROM_DAYS, PUT_BACK_UNTIL_DAYS, terms.calendar);
      const lastDay = businessWindow(now, PUT_BACK_UNTIL_DAYS - 1, PUT_BACK_UNTIL_DAYS, terms.calendar).from;
      const { id, version, zone } = terms.calendar;
      const counterNotice = {
        at: now,
        paper: wanted.paper,
        forwardedAt: null,
        putBackFrom: window.from,
        putBackUntil: window.until,
        backAt: lastDay,
        calendar: { id, version, zone, holidays: window.holidays },
      };
      const { at: _, forwardedAt: __, ...data } = counterNotice;
      return { change: to('counter-notice', { counterNotice, ended: null }), data };
    }
    case 'forward': {
      const { putBackFrom, backAt = putBackFrom } = procedure.counterNotice!;
      // Whoever sent the notice has so long to go to court, from when they know of it; the law's own window is not moved by that.
      const { from } = businessWindow(now, PUT_BACK_FROM_DAYS, PUT_BACK_UNTIL_DAYS, terms.calendar);
      const forwarded = { ...procedure.counterNotice!, forwardedAt: now, backAt: Math.min(from, backAt) };
      return { change: to('waiting', { counterNotice: forwarded }), data: { putBackFrom, backAt: forwarded.backAt } };
    }
    case 'notify-court':
      return {
        change: to('court-hold', { court: { at: now, paper: wanted.paper, decidedFor: null } }),
        data: paperOf(wanted.paper),
      };
    case 'decide-court': {
      const { decidedFor } = wanted;
      const decided = { ...claim, procedure: { ...procedure, court: { ...procedure.court!, decidedFor } } };
      const change =
        decidedFor === 'uploader'
          ? over(decided, 'put-back', 'court', now)
          : {
              ...decided,
              state: 'closed' as const,
              procedure: { ...decided.procedure, ended: { at: now, why: 'court' } },
            };
      return { change, data: { decidedFor } };
    }
    case 'complain':
      return {
        change: to(claim.state, { complaint: { at: now, paper: wanted.paper, decided: null } }),
        data: paperOf(wanted.paper),
      };
    case 'decide-complaint': {
      const { upheld } = wanted;
      const complaint = { ...procedure.complaint!, decided: { at: now, by, upheld } };
      const decided = { ...claim, procedure: { ...procedure, complaint } };
      const data = { upheld, ...paperOf(wanted.paper) };
      if (!upheld) return { change: decided, data };
      // The restriction was wrong; or that there was none, and from here on it is the uploader who may complain.
      if (claim.state !== 'dismissed') return { change: over(decided, 'reversed', 'complaint', now), data };
      const again = { ...claim, procedure: { ...procedure, complaint: null, ended: null } };
      return { change: takenDown(again, { now, by, terms }), data };
    }
    case 'withdraw':
      return {
        change: over(claim, 'withdrawn', wanted.cause, now),
        data: { cause: wanted.cause, ...(wanted.asked ? { asked: wanted.asked } : {}) },
      };
  }
}

/** Until when what a person decided can be taken back; null where nobody decided. */
export function undoUntil({ state, procedure }: Pick<Claim, 'state' | 'procedure'>): number | null {
  const at = state === 'dismissed' ? procedure.ended?.at : state === 'taken-down' ? procedure.takenDownAt : null;
  return at ? at + UNDO_MS : null;
}

function takenDown(claim: Claim, { now, by, terms }: Given): Claim {
  const { ground, procedure } = claim;
  const strike = ground === '512c3-notice' ? earned(claim, now, terms) : procedure.strike;
  const redressUntil = addMonths(now, REDRESS_MONTHS);
  const automatedDecision = by.role === 'system';
  return {
    ...claim,
    state: 'taken-down',
    procedure: { ...procedure, takenDownAt: now, redressUntil, automatedDecision, strike },
  };
}

/** A claim earns its strike once. */
const earned = ({ procedure }: Claim, now: number, { strikeDays }: Terms): ClaimProcedure['strike'] =>
  procedure.strike ?? { at: now, expiresAt: now + strikeDays * DAY_MS, revokedAt: null };

const isoTime = (at: number): string => new Date(at).toISOString();
