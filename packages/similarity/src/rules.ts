import { type CodeKind, RADIUS } from '@vigil/contracts/codes';
import { CHUNKS, type Layout } from './layout.ts';

/**
 * Which codes are hits of a query. d[i] are the distances of the 16 chunks in the index's bit order. A hit lies within
 * `radius`, and some start i, going round, has d[i] <= own, d[i] + d[i+1] <= two and d[i] + d[i+1] + d[i+2] <= three,
 * all at once. Each `step`-th chunk is a start, and has a table. A walk looks into the buckets that differ from the query
 * in `own` bits, 0 or 1.
 */
export interface Rule {
  readonly radius: number;
  readonly own: 0 | 1;
  readonly two: number;
  readonly three: number;
  readonly step: 1 | 2;
}

/**
 * Everything within the radius: the ring filter ("pigeonring": Qin and Xiao, PVLDB 2018). Were there no such start, every
 * chunk would begin a step of 1, 2 or 3 chunks that costs at least 2 a chunk; going round and round by such steps, a
 * whole round costs 32.
 */
export const EXACT: Rule = { radius: RADIUS, own: 1, two: 3, three: 5, step: 1 };

/**
 * Wide keys: every second chunk is a start; it agrees wholly, and the next two differ in 4 of 32 bits at most (of strangers
 * in 16). One bucket a table instead of 17, and half of the tables. A picture has dozens of patches, so a lookup need not
 * find each (README, "Patches").
 */
export const WIDE_KEYS: Rule = { radius: RADIUS, own: 0, two: 16, three: 4, step: 2 };

export const RULES: Readonly<Record<CodeKind, Rule>> = { picture: EXACT, patch: WIDE_KEYS, sound: EXACT };

/** Tables of a segment that is searched by the rule. */
export const tablesOf = ({ step }: Rule): 8 | 16 => (step === 1 ? 16 : 8);

/** @throws RangeError where a segment has other tables than the rule walks */
export function checkTables({ tables }: Pick<Layout, 'tables'>, rule: Rule): void {
  if (tables !== tablesOf(rule)) throw new RangeError(`a walk by ${tablesOf(rule)} tables, where there are ${tables}`);
}

/** The rule spelled out, for oracles: `apart` are the distances of the 16 chunks. */
export function isHit(rule: Rule, apart: readonly number[]): boolean {
  if (apart.reduce((sum, d) => sum + d, 0) > rule.radius) return false;
  return apart.some((own, i) => {
    if (i % rule.step !== 0) return false;
    const two = own + apart[(i + 1) % CHUNKS]!;
    return own <= rule.own && two <= rule.two && two + apart[(i + 2) % CHUNKS]! <= rule.three;
  });
}
