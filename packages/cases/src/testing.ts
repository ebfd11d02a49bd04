import { type Actor, NEW_PROCEDURE, type RoleInCase } from '@vigil/contracts';
import type { Claim } from './claim.ts';
import type { Given, Step, StepName } from './steps.ts';
import { DEFAULT_TERMS } from './terms.ts';

/** Examples that this package's tests share. */

/** Wednesday, 14 November 2029, 12:00 in New York. */
export const NOON = Date.parse('2029-11-14T17:00:00Z');

export const claim = (more: Partial<Claim> = {}): Claim => ({
  id: 'claim_1',
  case: 'case_1',
  upload: 'up_1',
  account: 'acc_1',
  ground: 'rights-holder-rule',
  territories: ['*'],
  state: 'open',
  openedAt: NOON,
  procedure: NEW_PROCEDURE,
  ...more,
});

export const actor = (role: RoleInCase): Actor => ({ role, id: role === 'system' ? null : `${role}_1` });
export const given = (role: RoleInCase, now = NOON): Given => ({ now, by: actor(role), terms: DEFAULT_TERMS });

const paper = { id: 'paper_1', digest: '00' };

/** Of each kind one that says all that it has to say. */
export const STEPS: Record<StepName, Step> = {
  'take-down': { do: 'take-down' },
  dismiss: { do: 'dismiss' },
  reopen: { do: 'reopen' },
  'ask-again': { do: 'ask-again' },
  retarget: { do: 'retarget', territories: ['DE', 'FR'] },
  dispute: { do: 'dispute', grounds: ['quotation'], paper: null },
  'answer-dispute': { do: 'answer-dispute', answer: 'uphold' },
  appeal: { do: 'appeal', grounds: ['fair-use'], paper },
  'answer-appeal': { do: 'answer-appeal', answer: 'release' },
  escalate: { do: 'escalate', notice: paper, missing: [] },
  'counter-notice': { do: 'counter-notice', paper, missing: [] },
  forward: { do: 'forward' },
  'notify-court': { do: 'notify-court', paper: null },
  'decide-court': { do: 'decide-court', decidedFor: 'holder' },
  complain: { do: 'complain', paper: null },
  'decide-complaint': { do: 'decide-complaint', upheld: true },
  withdraw: { do: 'withdraw', cause: 'holder' },
};
