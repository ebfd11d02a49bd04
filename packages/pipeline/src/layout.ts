import { currentShards, type Database } from '@vigil/database';
import type { Clock } from '@vigil/runtime';

/** In how many shards the library is to be searched for an upload that is planned now. */
export type Layout = () => Promise<number>;

/** A planner that asked just before a change plans for the old layout for so long; see `layouts.ts` on when that one is done. */
const REMEMBERED_MS = 1000;

/** What the database says, remembered for a second. Where nobody has said yet, it is `first`. */
export function createLayout(database: Database, clock: Clock, first: number): Layout {
  let known: { shards: Promise<number>; until: number } | null = null;
  return () => {
    const now = clock.now();
    if (!known || now >= known.until) {
      const shards = currentShards(database.postgres, first, now);
      const asked = { shards, until: now + REMEMBERED_MS };
      shards.catch(() => {
        if (known === asked) known = null;
      });
      known = asked;
    }
    return known.shards;
  };
}
