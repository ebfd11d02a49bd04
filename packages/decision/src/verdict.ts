import { type Decision, strictest } from '@vigil/contracts';

export interface Said {
  verdict: 'cleared' | 'taken-down' | 'in-review';
  /** Of in-review when nothing was found but not all was seen. */
  reason: string | null;
}

/**
 * What is said of an upload: the strictest decision wins. `coverage` is seconds judged over all seconds; below
 * `minCoverage` nothing is cleared.
 */
export function verdictOf(
  decisions: readonly Decision[],
  coverage: number,
  minCoverage: number,
  failures: readonly { reason: string }[] = [],
): Said {
  const action = strictest(decisions.map((d) => d.action));
  if (action === 'takedown') return { verdict: 'taken-down', reason: null };
  if (action === 'review') return { verdict: 'in-review', reason: null };
  if (coverage >= minCoverage) return { verdict: 'cleared', reason: null };
  const why = [...new Set(failures.map((f) => f.reason))].sort().join(', ');
  return {
    verdict: 'in-review',
    reason: `incomplete: ${Math.floor(100 * coverage)} % was judged${why && ` (${why})`}`,
  };
}
