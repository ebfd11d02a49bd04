import { countReviews, type Database, liveFigures, liveMinutes } from '@vigil/database';
import type { Instance, Status } from '@vigil/pipeline';
import type { Clock } from '@vigil/runtime';
import type { Principal } from './principal.ts';

const MINUTES = 60;
const MINUTE_MS = 60_000;
/** So old may what is shown be, of the database and of the fleet behind it. However many watch, it is asked for once. */
const FRESH_MS = 1500;
const FLEET_FRESH_MS = 10_000;

export type LiveStatus = Awaited<ReturnType<ReturnType<typeof createLiveStatus>>>;

/** How all goes, for whoever watches: a holder is told of what is its own alone. */
export function createLiveStatus(deps: Pick<Instance, 'status'> & { database: Database; clock: Clock }) {
  const { database, status, clock } = deps;
  const db = database.postgres;
  const remembered = new Map<string, { until: number; value: Promise<unknown> }>();

  /** The same for all who ask within a time. */
  function once<T>(key: string, ms: number, make: () => Promise<T>): Promise<T> {
    const now = clock.now();
    const known = remembered.get(key);
    if (known && known.until > now) return known.value as Promise<T>;
    for (const [k, { until }] of remembered) if (until <= now) remembered.delete(k);
    const value = make();
    remembered.set(key, { until: now + ms, value });
    value.catch(() => remembered.delete(key));
    return value;
  }

  return async ({ role, holder }: Pick<Principal, 'role' | 'holder'>) => {
    const now = clock.now();
    const mine = role === 'holder' ? holder : null;
    const key = mine === null ? 'all' : `holder ${mine}`;
    // The minute that runs is looked at again and again, those before it once.
    const current = Math.floor(now / MINUTE_MS) * MINUTE_MS;
    const from = current - (MINUTES - 1) * MINUTE_MS;
    const count = (since: number, minutes: number) => liveMinutes(db, { from: since, minutes, holder: mine });
    const [figures, past, running] = await Promise.all([
      once(`figures of ${key}`, FRESH_MS, () => liveFigures(db, { now, holder: mine })),
      once(`minutes of ${key} from ${from}`, MINUTE_MS, () => count(from, MINUTES - 1)),
      once(`minute of ${key} from ${current}`, FRESH_MS, () => count(current, 1)),
    ]);
    const { uploads, verdicts, takedowns, takedown, cases, unacknowledged } = figures;
    const all = (what: keyof typeof past) => [...past[what], ...running[what]];
    const minutes = { from, uploads: all('uploads'), verdicts: all('verdicts'), takedowns: all('takedowns') };
    const own = { at: now, rates: { uploads, verdicts, takedowns }, takedown, minutes, cases };
    if (role === 'holder') return { ...own, queues: null, canary: null, brakes: null, health: null };
    const reviews = await once('reviews', FRESH_MS, () => countReviews(db, now));
    const queues = { review: reviews.open, held: reviews.held, unacknowledged: unacknowledged ?? 0 };
    if (role !== 'operator')
      return {
        ...{ ...own, queues: { ...queues, lag: null, deadLetters: null } },
        ...{ canary: null, brakes: null, health: null },
      };
    const fleet = await once('fleet', FLEET_FRESH_MS, () => status.read());
    const lag = fleet.queues.reduce((sum, q) => sum + q.waiting, 0);
    const deadLetters = fleet.deadLetters.reduce((sum, d) => sum + d.open, 0);
    return {
      ...{ ...own, queues: { ...queues, lag, deadLetters } },
      canary: canaryOf(fleet.witnesses),
      brakes: fleet.brakes.map(({ id, brake, subject, why, setAt }) => ({
        id,
        kind: brake,
        subject,
        why,
        since: setAt,
      })),
      health: { ready: fleet.ready, checks: fleet.checks },
    };
  };
}

/** What the canaries say together: red as soon as one does; null where there are none. */
function canaryOf(witnesses: Status['witnesses']) {
  const canaries = witnesses.filter(({ name }) => name.startsWith('canary'));
  const worst = canaries.find(({ state }) => state === 'red') ?? canaries[0];
  return worst ? { state: worst.state, at: worst.at, detail: worst.message } : null;
}
