/** The only source of time for what must be testable in time. */
export interface Clock {
  /** Milliseconds since 1970. */
  now(): number;
  /** Resolves after `ms`; rejects with the signal's reason as soon as it aborts. */
  sleep(ms: number, signal?: AbortSignal): Promise<void>;
}

export const realClock: Clock = {
  now: Date.now,
  sleep: (ms, signal) =>
    new Promise((resolve, reject) => {
      if (signal?.aborted) return reject(signal.reason);
      const wake = () => {
        signal?.removeEventListener('abort', give);
        resolve();
      };
      const timer = setTimeout(wake, ms);
      const give = () => {
        clearTimeout(timer);
        reject(signal?.reason);
      };
      signal?.addEventListener('abort', give, { once: true });
    }),
};

export interface FakeClock extends Clock {
  /** Moves time forward, waking sleepers in the order of their times, each before the next one's time comes. */
  advance(ms: number): Promise<void>;
  /** How many sleep now. */
  readonly sleepers: number;
}

/** For tests: time stands still until it is told to move. */
export function createFakeClock(start = 1_700_000_000_000): FakeClock {
  let now = start;
  const waiting = new Set<{ at: number; wake(): void }>();
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve));
  return {
    now: () => now,
    sleep: (ms, signal) =>
      new Promise((resolve, reject) => {
        if (signal?.aborted) return reject(signal.reason);
        const give = () => {
          waiting.delete(sleeper);
          reject(signal?.reason);
        };
        const sleeper = {
          at: now + ms,
          wake() {
            waiting.delete(sleeper);
            signal?.removeEventListener('abort', give);
            resolve();
          },
        };
        waiting.add(sleeper);
        signal?.addEventListener('abort', give, { once: true });
      }),
    async advance(ms) {
      const end = now + ms;
      for (;;) {
        await settle();
        const next = [...waiting].sort((a, b) => a.at - b.at)[0];
        if (!next || next.at > end) break;
        now = Math.max(now, next.at);
        next.wake();
      }
      now = end;
    },
    get sleepers() {
      return waiting.size;
    },
  };
}
