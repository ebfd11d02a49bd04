/**
 * Who may use the decoders next. Work waits in lanes, and free slots go to the lanes by weight (stride scheduling), so
 * that no lane starves. Lanes that are not urgent leave one slot free; one more is for stills alone, which take
 * milliseconds where a slice of film takes seconds: an image never waits for a film.
 */
export type Lane = 'still' | 'confirm' | 'first' | 'rest' | 'batch';

const WEIGHT: Record<Lane, number> = { still: 16, confirm: 8, first: 4, rest: 2, batch: 1 };
const PATIENT: ReadonlySet<Lane> = new Set<Lane>(['rest', 'batch']);

export interface Lanes {
  /**
   * Runs the work when a slot is the lane's; calls `alive` every now and then until it is.
   * @throws what the work throws, or the signal's reason while waiting
   */
  run<T>(lane: Lane, signal: AbortSignal, work: () => Promise<T>, alive?: () => void): Promise<T>;
  waiting(): Record<Lane, number>;
}

const PULSE_MS = 10_000;

/** At most `slots + 1` pieces of work run at once, the last of them a still. */
export function createLanes(slots: number): Lanes {
  const queues: Record<Lane, (() => void)[]> = { still: [], confirm: [], first: [], rest: [], batch: [] };
  const pass: Record<Lane, number> = { still: 0, confirm: 0, first: 0, rest: 0, batch: 0 };
  const names = Object.keys(queues) as Lane[];
  const patientSlots = Math.max(1, slots - 1);
  let busy = 0;
  let filmsBusy = 0;
  let patientBusy = 0;
  let clock = 0;

  const mayRun = (lane: Lane) => {
    if (lane === 'still') return busy < slots + 1;
    return filmsBusy < slots && busy < slots + 1 && (!PATIENT.has(lane) || patientBusy < patientSlots);
  };

  function dispatch(): void {
    for (;;) {
      const ready = names.filter((lane) => queues[lane].length > 0 && mayRun(lane));
      if (ready.length === 0) return;
      // A lane that was idle starts at the present, or it would be owed all the time that it did not ask for.
      for (const lane of ready) pass[lane] = Math.max(pass[lane], clock);
      const lane = ready.reduce((a, b) => (pass[b] < pass[a] ? b : a));
      clock = pass[lane];
      pass[lane] += 1 / WEIGHT[lane];
      busy++;
      if (lane !== 'still') filmsBusy++;
      if (PATIENT.has(lane)) patientBusy++;
      queues[lane].shift()!();
    }
  }

  return {
    async run(lane, signal, work, alive = () => undefined) {
      signal.throwIfAborted();
      const pulse = setInterval(alive, PULSE_MS);
      await new Promise<void>((resolve, reject) => {
        const begin = () => {
          signal.removeEventListener('abort', leave);
          resolve();
        };
        const leave = () => {
          const at = queues[lane].indexOf(begin);
          if (at >= 0) queues[lane].splice(at, 1);
          reject(signal.reason);
        };
        signal.addEventListener('abort', leave, { once: true });
        queues[lane].push(begin);
        dispatch();
      }).finally(() => clearInterval(pulse));
      alive();
      try {
        return await work();
      } finally {
        busy--;
        if (lane !== 'still') filmsBusy--;
        if (PATIENT.has(lane)) patientBusy--;
        dispatch();
      }
    },
    waiting: () => Object.fromEntries(names.map((n) => [n, queues[n].length])) as Record<Lane, number>,
  };
}
