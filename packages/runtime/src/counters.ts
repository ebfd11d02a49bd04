/** Few and fixed values each: a stage, an outcome, a topic; never an id or a message. */
export type Labels = Readonly<Record<string, string>>;

export interface Counters {
  /** A count that only rises. */
  add(name: string, labels?: Labels, n?: number): void;
  /** A value that rises and falls: a queue's length, a lag. */
  set(name: string, value: number, labels?: Labels): void;
  /** One observation of a distribution; seconds, unless the name says otherwise. */
  observe(name: string, labels: Labels, value: number): void;
  snapshot(): CountersSnapshot;
}

export interface Distribution {
  count: number;
  sum: number;
  max: number;
  /** How many observations were <= bound, cumulative; the last bound is Infinity. */
  buckets: { bound: number; count: number }[];
}

export interface CountersSnapshot {
  counts: { name: string; labels: Labels; value: number }[];
  gauges: { name: string; labels: Labels; value: number }[];
  distributions: { name: string; labels: Labels; value: Distribution }[];
}

/** Label sets a name; what comes after is counted under `{overflow: 'true'}`, so a mistake cannot eat the memory. */
const MAX_SERIES = 200;
/** 1 ms to 10 minutes, about 2.5 times apart. */
const BOUNDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 180, 600, Infinity];

interface Series<T> {
  labels: Labels;
  value: T;
}

export function createCounters(): Counters {
  const counts = createFamily(() => 0);
  const gauges = createFamily(() => 0);
  const distributions = createFamily(() => ({
    count: 0,
    sum: 0,
    max: 0,
    bins: new Array<number>(BOUNDS.length).fill(0),
  }));
  return {
    add(name, labels = {}, n = 1) {
      counts.of(name, labels).value += n;
    },
    set(name, value, labels = {}) {
      gauges.of(name, labels).value = value;
    },
    observe(name, labels, value) {
      if (Number.isNaN(value)) return;
      const d = distributions.of(name, labels).value;
      d.count++;
      d.sum += value;
      d.max = Math.max(d.max, value);
      d.bins[BOUNDS.findIndex((bound) => value <= bound)]!++;
    },
    snapshot: () => ({
      counts: counts.list((value) => value),
      gauges: gauges.list((value) => value),
      distributions: distributions.list(({ bins, ...rest }) => {
        let below = 0;
        const buckets = BOUNDS.map((bound, i) => {
          below += bins[i]!;
          return { bound, count: below };
        });
        return { ...rest, buckets };
      }),
    }),
  };
}

function createFamily<T>(zero: () => T) {
  const names = new Map<string, Map<string, Series<T>>>();
  return {
    of(name: string, labels: Labels): Series<T> {
      const family = names.get(name) ?? new Map<string, Series<T>>();
      names.set(name, family);
      const entries = Object.entries(labels).sort(([a], [b]) => (a < b ? -1 : 1));
      const key = JSON.stringify(entries);
      const known = family.get(key);
      if (known) return known;
      const full = family.size >= MAX_SERIES;
      const at = full ? 'overflow' : key;
      const series = family.get(at) ?? {
        labels: full ? { overflow: 'true' } : Object.fromEntries(entries),
        value: zero(),
      };
      family.set(at, series);
      return series;
    },
    list<U>(read: (value: T) => U) {
      return [...names].flatMap(([name, family]) =>
        [...family.values()].map(({ labels, value }) => ({ name, labels, value: read(value) })),
      );
    },
  };
}
