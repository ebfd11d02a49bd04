import type { Database } from '@vigil/database';
import { relayBatch } from '@vigil/database';
import type { EventLog } from '@vigil/event-log';
import type { Clock, Metrics } from '@vigil/runtime';
import { countOutgoing } from './watching/outgoing.ts';

const BATCH = 200;
/** A commit rings; this is for what another relay left when it died. */
const POLL_MS = 2000;

/**
 * Carries what transactions put into the outbox to the log, in the order in which they committed. At least once: the
 * cursor moves after the append, and a reader knows an event by its id.
 */
export async function runRelay(
  deps: { database: Database; log: EventLog; clock: Clock; metrics: Metrics; woken: () => Promise<void> },
  signal: AbortSignal,
): Promise<void> {
  const { database, log, clock, metrics, woken } = deps;
  while (!signal.aborted) {
    // Taken before looking: a commit that comes while we look must not be slept over.
    const bell = woken();
    const moved = await relayBatch(database, BATCH, async (records) => {
      await log.append(records);
      countOutgoing(metrics, records, clock.now());
    });
    if (moved === BATCH) continue;
    await Promise.allSettled([Promise.race([bell, clock.sleep(POLL_MS, signal)])]);
  }
}
