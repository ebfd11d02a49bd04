import type { Decision, StatementOfReasons } from '@vigil/contracts';
import type { Claim } from './claim.ts';
import { GROUND_TEXTS } from './grounds.ts';

type Shown = Pick<Claim, 'ground' | 'procedure'>;

/**
 * What the uploader is told (DSA Art. 17(3)): which restriction, where, on what facts and ground, and what can be done about it.
 * It names no person: not the uploader, not who complained.
 */
export function statementOf(
  claim: Shown,
  decision: Decision | null,
  territories: readonly string[],
): StatementOfReasons {
  return {
    restriction: 'disabled',
    territories: [...territories],
    until: null,
    facts: factsOf(decision),
    ground: claim.ground,
    groundText: GROUND_TEXTS[claim.ground],
    automatedDetection: decision !== null,
    automatedDecision: claim.procedure.automatedDecision ?? false,
    redress: redressOf(claim),
  };
}

function factsOf(decision: Decision | null): string {
  if (!decision) return 'A notice names this upload as a copy of a protected work.';
  const { evidence, rule, manifest } = decision;
  const percent = Math.round(evidence.share.upload * 100);
  const what =
    evidence.total > 0
      ? `${evidence.total.toFixed(1)} s of the upload (${percent} %), ${evidence.longest.toFixed(1)} s of them in one piece,`
      : 'The picture';
  const how = manifest ? 'a manifest copy' : 'a possible copy';
  const verb = evidence.total > 0 ? 'were' : 'was';
  return `${what} ${verb} found to be ${how} of a registered work by comparing fingerprints of its pictures (rule ${rule}).`;
}

function redressOf({ ground, procedure }: Shown): StatementOfReasons['redress'] {
  const until = procedure.redressUntil;
  const first =
    ground === '512c3-notice'
      ? { way: 'counter-notice', law: '17 USC 512(g)(3)', until: null }
      : { way: 'dispute', law: 'Directive (EU) 2019/790, Art. 17(9)', until };
  return [
    first,
    { way: 'complaint', law: 'Regulation (EU) 2022/2065, Art. 20', until },
    { way: 'out-of-court settlement', law: 'Regulation (EU) 2022/2065, Art. 21', until: null },
    { way: 'court', law: 'Regulation (EU) 2022/2065, Art. 17(3)(f)', until: null },
  ];
}
