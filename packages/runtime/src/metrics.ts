import { Counter, Gauge, Histogram, Registry } from 'prom-client';

/** Every label set a metric; what comes after is counted under `overflow`, so that a mistake cannot eat memory, here or there. */
const MAX_SERIES = 200;
/** Seconds: 5 ms to 10 minutes. 5 s is the objective for takedowns. */
const SECONDS = [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2, 3, 5, 7.5, 10, 20, 30, 60, 180, 600];

interface Declared {
  type: 'counter' | 'gauge' | 'histogram';
  help: string;
  /** Few and fixed values each: a stage, an outcome, a topic; never an id, a holder or a message. */
  labels: readonly string[];
}

/** All that is measured. Gauges of the whole are told by every process that knows them, so whoever reads them takes the largest. */
export const METRICS = {
  vigil_stage_events_total: counter('Events that a stage has ended, by outcome; retry is a try, not an end', [
    'stage',
    'outcome',
  ]),
  vigil_stage_errors_total: counter('Errors that a stage met, by the port that they came from', ['stage', 'kind']),
  vigil_stage_seconds: histogram('Time of one try of a stage, its wait for a decoder included', ['stage']),
  vigil_stage_queue_events: gauge('Events that a stage has yet to do', ['stage']),
  vigil_stage_lag_seconds: gauge('Age of the oldest event that a stage has yet to do; 0 when it keeps up', ['stage']),
  vigil_lane_waiting: gauge('Slices that wait for a decoder of this process', ['lane']),
  vigil_decode_failures_total: counter('Media, or slices of them, that could not be read, by reason', [
    'stage',
    'reason',
  ]),
  vigil_dead_letters_total: counter('Events put away unhandled by this process', ['topic']),
  vigil_dead_letters: gauge('Events that lie on a dead topic', ['topic']),

  vigil_takedown_seconds: histogram('From the upload event to the takedown event on the log, of first judgements', [
    'kind',
  ]),
  vigil_verdicts_total: counter('Verdicts that reached the log', ['verdict', 'cause']),
  vigil_actions_total: counter('Takedowns and restorations that reached the log', ['action', 'sending']),
  vigil_alarms_total: counter('Alarms that reached the log', ['kind']),

  vigil_outbox_events: gauge('Decided events that have yet to reach the log', []),
  vigil_outbox_oldest_seconds: gauge('Age of the oldest of them; 0 without any', []),
  vigil_actions_open: gauge('Takedowns and restorations that some surface has not done yet', []),
  vigil_actions_overdue: gauge('Those that are open for longer than VIGIL_ACK_SECONDS', []),
  vigil_reviews_open: gauge('Claims that wait for a person', []),
  vigil_timers_due: gauge('Deadlines that are due and not done', []),
  vigil_webhooks_due: gauge('Webhook deliveries that are due and not done', []),

  vigil_references: gauge('References by state', ['state']),
  vigil_index_codes: gauge('Codes that a search of this process can find', ['kind']),
  vigil_index_references: gauge('References with at least one such code', ['kind']),
  vigil_index_bytes: gauge('Memory of the index', ['kind']),
  vigil_index_behind_seconds: gauge('Since this index last read the log to its end', []),
  vigil_index_self_check: gauge('1: planted codes are found, and what must not be found is not', ['index']),

  vigil_look_back_references: gauge('Live references with which older uploads were not compared yet', []),
  vigil_look_back_oldest_seconds: gauge('Since the first of them went live; 0 without any', []),
  vigil_look_back_uploads_total: counter(
    'Older uploads that show something of a new reference, by what became of them',
    ['outcome'],
  ),

  vigil_canary_green: gauge('1: the last round of this canary got its verdict in time', ['case']),
  vigil_canary_run_timestamp_seconds: gauge('When the last round of this canary ended', ['case']),
  vigil_brake_on: gauge('How many brakes of this kind are on', ['brake']),

  vigil_ready: gauge('1: all that this process lives on answers', []),
  vigil_disk_free_bytes: gauge('Free for this process', ['disk']),
  vigil_disk_size_bytes: gauge('Size of the file system', ['disk']),
  vigil_intake_stopped: gauge('1: nothing new is taken in until a disk has room again', []),
  vigil_info: gauge('Always 1: what runs here', ['version', 'engine', 'node', 'roles']),
  vigil_scrape_failures_total: counter('Times that some of these numbers could not be told', ['source']),
  process_cpu_seconds_total: counter('CPU time of this process', []),
  process_resident_memory_bytes: gauge('Resident memory of this process', []),
  process_start_time_seconds: gauge('When this process began', []),
} as const satisfies Record<string, Declared>;

export type MetricName = keyof typeof METRICS;
type NamesOf<T extends Declared['type']> = {
  [N in MetricName]: (typeof METRICS)[N]['type'] extends T ? N : never;
}[MetricName];
type LabelsOf<N extends MetricName> = { readonly [L in (typeof METRICS)[N]['labels'][number]]: string };
export type GaugeName = NamesOf<'gauge'>;
/** One number of a gauge: name, value, labels. */
export type Reading = { [N in GaugeName]: [name: N, value: number, labels: LabelsOf<N>] }[GaugeName];

export interface Metrics {
  add<N extends NamesOf<'counter'>>(name: N, labels: LabelsOf<N>, n?: number): void;
  observe<N extends NamesOf<'histogram'>>(name: N, labels: LabelsOf<N>, value: number): void;
  /**
   * Asks for gauges whenever somebody looks. What a source cannot tell within 5 s is left out rather than told as it was, and
   * counted: so an alert on it is blind, and that is an alert as well.
   */
  gather<N extends GaugeName>(
    source: string,
    names: readonly N[],
    read: () =>
      | readonly Extract<Reading, [N, ...unknown[]]>[]
      | Promise<readonly Extract<Reading, [N, ...unknown[]]>[]>,
  ): void;
  /** In the text format of Prometheus. Those who ask at once are answered as one. */
  expose(): Promise<{ type: string; body: string }>;
}

const PATIENCE_MS = 5000;

export function createMetrics(): Metrics {
  const registry = new Registry();
  const registers = [registry];
  const counters = new Map<string, Counter>();
  const gauges = new Map<string, Gauge>();
  const histograms = new Map<string, Histogram>();
  for (const [name, { type, help, labels }] of Object.entries(METRICS)) {
    const about = { name, help, labelNames: [...labels], registers };
    if (type === 'counter') counters.set(name, new Counter(about));
    if (type === 'gauge') gauges.set(name, new Gauge(about));
    if (type === 'histogram') histograms.set(name, new Histogram({ ...about, buckets: SECONDS }));
  }
  // Gauges without labels begin at 0, which would be a claim: only what was told is shown.
  for (const gauge of gauges.values()) clear(gauge);

  const series = new Map<string, Set<string>>();
  const bounded = (name: string, labels: Readonly<Record<string, string>>): Record<string, string> => {
    const key = JSON.stringify(Object.entries(labels).sort());
    const known = series.get(name) ?? new Set<string>();
    series.set(name, known);
    if (known.has(key) || known.size < MAX_SERIES) {
      known.add(key);
      return { ...labels };
    }
    return Object.fromEntries(Object.keys(labels).map((label) => [label, 'overflow']));
  };

  type Source = { source: string; names: readonly GaugeName[]; read: () => unknown };
  const sources: Source[] = [];

  async function ask({ source, names, read }: Source): Promise<void> {
    let readings: readonly Reading[] = [];
    try {
      readings = await within(PATIENCE_MS, async () => (await read()) as readonly Reading[]);
    } catch {
      counters.get('vigil_scrape_failures_total')!.inc({ source });
    }
    for (const name of names) {
      clear(gauges.get(name)!);
      series.delete(name);
    }
    for (const [name, value, labels] of readings) gauges.get(name)!.set(bounded(name, labels), value);
  }

  let cpu = 0;
  function ownProcess(): void {
    const { user, system } = process.cpuUsage();
    counters.get('process_cpu_seconds_total')!.inc((user + system) / 1e6 - cpu);
    cpu = (user + system) / 1e6;
    gauges.get('process_resident_memory_bytes')!.set(process.memoryUsage.rss());
    gauges.get('process_start_time_seconds')!.set(Math.round(Date.now() / 1000 - process.uptime()));
  }

  async function expose() {
    ownProcess();
    await Promise.all(sources.map(ask));
    return { type: registry.contentType, body: await registry.metrics() };
  }

  let asked: ReturnType<typeof expose> | null = null;
  return {
    add: (name, labels, n = 1) => counters.get(name)!.inc(bounded(name, labels), n),
    observe(name, labels, value) {
      if (Number.isFinite(value)) histograms.get(name)!.observe(bounded(name, labels), value);
    },
    gather: (source, names, read) => void sources.push({ source, names, read }),
    expose() {
      asked ??= expose().finally(() => {
        asked = null;
      });
      return asked;
    },
  };
}

const clear = (gauge: Gauge): void => {
  gauge.reset();
  gauge.remove({});
};

function within<T>(ms: number, work: () => Promise<T>): Promise<T> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(new Error(`no answer within ${ms / 1000} s`)), ms);
  });
  return Promise.race([work(), late]).finally(() => clearTimeout(timer));
}

function counter<const L extends readonly string[]>(help: string, labels: L) {
  return { type: 'counter', help, labels } as const;
}
function gauge<const L extends readonly string[]>(help: string, labels: L) {
  return { type: 'gauge', help, labels } as const;
}
function histogram<const L extends readonly string[]>(help: string, labels: L) {
  return { type: 'histogram', help, labels } as const;
}
