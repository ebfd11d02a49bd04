import type { EventLog, NewRecord } from '@vigil/event-log';

/**
 * A log whose deliveries are as bad as at-least-once allows: whatever is appended arrives twice, each time after a random
 * while, so that events overtake each other on every topic. (The order of one key's events is not kept either: that is
 * worse than any log may be, and Vigil must not depend on it across its own stages.)
 */
export function deliverTwice(log: EventLog, seed: number): { log: EventLog; quiet(): Promise<void> } {
  const random = mulberry32(seed);
  const pending = new Set<Promise<unknown>>();
  const later = (record: NewRecord) => {
    const { promise, resolve, reject } = Promise.withResolvers<void>();
    setTimeout(() => log.append([record]).then(() => resolve(), reject), random() * 250);
    pending.add(promise);
    promise.finally(() => pending.delete(promise)).catch(() => undefined);
  };
  return {
    log: {
      ...log,
      async append(records, transaction) {
        if (transaction !== undefined) return log.append(records, transaction);
        for (const record of [...records, ...records]) later(record);
        return [];
      },
    },
    async quiet() {
      while (pending.size > 0) await Promise.all(pending);
    },
  };
}

/** A small seeded generator of numbers in [0, 1) (Tommy Ettinger's mulberry32). */
export function mulberry32(seed: number): () => number {
  let a = seed >>> 0;
  return () => {
    a = (a + 0x6d2b79f5) >>> 0;
    let t = Math.imul(a ^ (a >>> 15), a | 1);
    t = (t + Math.imul(t ^ (t >>> 7), t | 61)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
  };
}
