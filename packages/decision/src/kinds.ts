/** One door for all kinds of codes: callers search what is asked for here and do not care which kind says what. */
import { type Alignment, type CodeKind, type Evidence, type Fingerprint, tableOf } from '@vigil/contracts';
import { align, type QueryHit } from './align.ts';
import { confirm as confirmPictures } from './confirm.ts';
import { alignGroups } from './patch-align.ts';
import { confirmPatches } from './patch-confirm.ts';
import { hunches, isHunch, pursue } from './patch-hunch.ts';
import { patchQueries } from './patch-queries.ts';
import { groupsOf } from './patch-votes.ts';
import { type QueryCodes, queryCodes } from './query-codes.ts';

export interface Search {
  kind: CodeKind;
  queries: QueryCodes;
}

/** What to look up for a slice, kind by kind; kinds that it has no codes of are left out. */
export function searches(fingerprint: Fingerprint): Search[] {
  const all: Search[] = [{ kind: 'picture', queries: queryCodes(fingerprint) }];
  if (tableOf(fingerprint, 'patch').count > 0) all.push({ kind: 'patch', queries: patchQueries(fingerprint) });
  return all.filter((s) => s.queries.frame.length > 0);
}

/** What aligns, unthresholded: at most `limit` of each kind, whole pictures first; then hunches (patch-hunch.ts). */
export function alignAll(
  fingerprint: Fingerprint,
  found: readonly (Search & { hits: readonly QueryHit[] })[],
  limit?: number,
): Alignment[] {
  return found.flatMap(({ kind, queries, hits }) => {
    if (kind !== 'patch') return align(fingerprint, queries, hits, limit);
    const groups = groupsOf(fingerprint, queries, hits);
    const aligned = alignGroups(fingerprint, queries, groups, limit);
    return [...aligned, ...hunches(fingerprint, queries, groups, aligned)];
  });
}

/** As confirm.ts and patch-confirm.ts say, by the alignment's kind. */
export function confirm(upload: Fingerprint, alignment: Alignment, reference: readonly Fingerprint[]): Evidence | null {
  if (isHunch(alignment)) {
    for (const found of pursue(upload, alignment, reference)) {
      const evidence = confirmPatches(upload, found, reference);
      if (evidence) return evidence;
    }
    return null;
  }
  return (alignment.kind === 'patch' ? confirmPatches : confirmPictures)(upload, alignment, reference);
}
