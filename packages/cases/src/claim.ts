import type { ClaimProcedure, ClaimState, Ground } from '@vigil/contracts';
import { territoriesOf } from './territories.ts';

/** One reference, or one notice, against one upload, as far as the rules look at it. Times are milliseconds since 1970. */
export interface Claim {
  id: string;
  case: string;
  upload: string;
  /** Whose upload it is; null where that is not known. */
  account: string | null;
  ground: Ground;
  /** Where it holds; see `territories.ts`. */
  territories: string[];
  state: ClaimState;
  openedAt: number;
  procedure: ClaimProcedure;
}

/** The claim stands: media are disabled where it holds. */
export const BLOCKING: readonly ClaimState[] = [
  'taken-down',
  'disputed',
  'upheld',
  'appealed',
  'counter-notice',
  'waiting',
  'court-hold',
  'closed',
];
/**
 * It asks for nothing any more. What was dismissed is opened again by whoever did it, within minutes, or complained of by the sender of a
 * notice; what fell with a policy, when a policy asks for it again.
 */
export const OVER: readonly ClaimState[] = ['reversed', 'put-back', 'dismissed', 'withdrawn'];

export const isBlocking = ({ state }: Pick<Claim, 'state'>): boolean => BLOCKING.includes(state);
export const isOver = ({ state }: Pick<Claim, 'state'>): boolean => OVER.includes(state);

/** Where the claims of one upload keep its media disabled: what the strictest of them asks for in each territory. */
export const blockedBy = (claims: readonly Pick<Claim, 'state' | 'territories'>[]): string[] =>
  territoriesOf(claims.filter(isBlocking).map((c) => c.territories));

/** Withdrawn because its reference was disabled, or a policy did not ask for it any more: not by anybody who looked at it. */
export const fellWith = (
  what: 'policy' | 'reference',
  { state, procedure }: Pick<Claim, 'state' | 'procedure'>,
): boolean => state === 'withdrawn' && procedure.ended?.why === what;

/** As it ends, with the strike that it earned. */
export function over(claim: Claim, state: (typeof OVER)[number], why: string, now: number): Claim {
  const { strike } = claim.procedure;
  const revoked = strike && { ...strike, revokedAt: strike.revokedAt ?? now };
  return { ...claim, state, procedure: { ...claim.procedure, strike: revoked, ended: { at: now, why } } };
}

export type CaseState = 'open' | 'taken-down' | 'contested' | 'closed';

/** What a person would call the case of these claims. contested: somebody waits for an answer. */
export function caseState(claims: readonly Pick<Claim, 'state'>[]): CaseState {
  const is = (...states: ClaimState[]) => claims.some(({ state }) => states.includes(state));
  if (is('disputed', 'appealed', 'counter-notice', 'waiting', 'court-hold')) return 'contested';
  if (is('open')) return 'open';
  return is('taken-down', 'upheld') ? 'taken-down' : 'closed';
}
