import { type ReferenceKey, referenceKey } from '@vigil/contracts';
import { findRun, lookBackLag, markLookedBack, type NewReference, newReferences, openLookBack } from '@vigil/database';
import type { Metrics } from '@vigil/runtime';
import { FINDINGS } from './finding.ts';
import { isAnyStored, type LookBackDeps, loadNewOnes, lookBack, lookBackId, NothingMoves } from './look-back.ts';
import { checkSurfaces, ReplayRefused } from './replay.ts';
import { RunInUse } from './run.ts';

const POLL_MS = 2000;
const LATER_MS = 30_000;
/** References that are looked at to make a batch. */
const LOOKED_AT = 5000;

/**
 * Looks back by itself, batch after batch: references that went live are gathered for `delayMs`, so that those which come together
 * share one pass over what is stored. One process at a time does it; who comes after one that died goes on with its batch.
 */
export async function followLookBack(
  deps: LookBackDeps & { metrics: Metrics; delayMs: number; surfaces: readonly string[] },
  signal: AbortSignal,
): Promise<void> {
  const { database, clock, logger, metrics, delayMs, surfaces, references } = deps;
  let refused = '';
  while (!signal.aborted) {
    const { oldest } = await lookBackLag(database.postgres);
    const due = oldest !== null && clock.now() - oldest >= delayMs;
    const pause = due ? await oneBatch() : POLL_MS;
    if (pause > 0) await Promise.allSettled([clock.sleep(pause, signal)]);
  }

  /** What another process has begun and not ended, or else all that is new. */
  async function batchOf(): Promise<NewReference[]> {
    const fresh = await newReferences(database.postgres, LOOKED_AT);
    const begun = await openLookBack(database.postgres);
    const keys = new Set((begun?.spec as { references: ReferenceKey[] } | undefined)?.references.map(referenceKey));
    const same = fresh.filter((r) => keys.has(referenceKey(r)));
    return same.length > 0 ? same : fresh;
  }

  /** How long to wait before the next: a while when another process is at it, or nothing moves. */
  async function oneBatch(): Promise<number> {
    const fresh = await batchOf();
    if (fresh.length === 0) return POLL_MS;
    // Asked with the references live: whatever comes from here on is searched with them in the index.
    if (!(await isAnyStored(deps))) {
      await markLookedBack(database.postgres, fresh);
      logger.info({ references: fresh.length }, 'nothing was uploaded before: there is nothing to look back at');
      return 0;
    }
    using newOnes = await loadNewOnes(fresh, references);
    const batch = newOnes.references;
    const begun = await findRun(database.postgres, lookBackId(batch, true));
    const about = { references: batch.length, codes: newOnes.sieve.codes };
    logger.info({ ...about, goesOn: begun?.state === 'running' }, 'looking back');
    const startedAt = clock.now();
    try {
      await checkSurfaces(database, surfaces);
      const { tally } = await lookBack(deps, newOnes, { apply: true }, signal);
      await markLookedBack(database.postgres, batch);
      for (const outcome of FINDINGS) {
        if (tally[outcome]) metrics.add('vigil_look_back_uploads_total', { outcome }, tally[outcome]);
      }
      logger.info({ ...about, tally, ms: clock.now() - startedAt }, 'looked back');
      return 0;
    } catch (error) {
      if (signal.aborted) return 0;
      if (error instanceof ReplayRefused) {
        if (refused !== error.message) logger.error({ reason: error.message }, 'no look back is made');
        refused = error.message;
        return LATER_MS;
      }
      if (!(error instanceof RunInUse) && !(error instanceof NothingMoves)) throw error;
      logger.info({ reason: error.message }, 'the look back waits');
      return LATER_MS;
    }
  }
}
