import type { Decision, Verdict } from '@vigil/contracts';

export const verdictText = (verdict: Pick<Verdict, 'verdict' | 'reason'>): string =>
  verdict.reason ? `${verdict.verdict} (${verdict.reason})` : verdict.verdict;

export const strongest = (decisions: readonly Decision[]): Decision | undefined => decisions[0];
