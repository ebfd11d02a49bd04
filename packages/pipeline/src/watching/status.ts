import {
  type Alarm,
  deadTopic,
  ENGINE_VERSION,
  type Envelope,
  isCanary,
  TakedownEvent,
  TOPICS,
  type TopicName,
  Verdict,
} from '@vigil/contracts';
import {
  type Database,
  type Figures,
  figuresOf,
  listLayouts,
  listReplicas,
  lookBackLag,
  openLetters,
} from '@vigil/database';
import type { EventLog, LogRecord } from '@vigil/event-log';
import type { Clock } from '@vigil/runtime';
import type { IndexStats, SimilarityIndex } from '@vigil/similarity';
import { type Environment, REACHABLE } from '../environment.ts';
import type { Layouts, ReplicaView } from '../layouts.ts';
import { matcher, type Queue, queueOf, READERS } from '../readers.ts';
import type { Disk, Disks } from './disks.ts';
import { isFirst } from './outgoing.ts';

/**
 * The state of all, as `vigil status`, `GET /v1/status` and the console's live view show it. Times are milliseconds since 1970,
 * rates are events a minute over the last `windowSeconds`. What could not be told is in `unknown`, and its part empty or null:
 * a store that is away makes the rest no less true.
 */
export interface Status {
  at: number;
  engine: string;
  /** Everything that this process lives on is reachable; else `checks` says what is not. */
  ready: boolean;
  checks: Record<string, string>;
  windowSeconds: number;
  /** Events a minute. */
  rates: { uploads: number; verdicts: number; takedowns: number };
  /** One a reader, in the order of the route; a matcher's group is named by its shard. */
  queues: Queue[];
  /** Of the newest first takedowns (200 at most, of the last day): seconds from upload event to takedown event; null without any. */
  timeToTakedown: { count: number; p50: number; p99: number; within5s: number } | null;
  /** Newest first. */
  lastVerdicts: StatusVerdict[];
  /** Of the last day, newest first. */
  alarms: Alarm[];
  /** References by state; codes and megabytes of what this process holds of the index, null where it does not match. */
  library: { references: Record<string, number>; index: { codes: number; megabytes: number } | null };
  /** Live references with which what was uploaded before them was not compared yet, and since when the first of them is live. */
  lookBack: { waiting: number; oldestSeconds: number };
  layout: { shards: number | null; replicas: ReplicaView[] };
  outbox: { waiting: number; oldestSeconds: number };
  /**
   * Topics with events that could not be handled: of the last 24 hours, all that are kept, and those that nobody has tried again or
   * dropped.
   */
  deadLetters: { topic: string; day: number; kept: number; open: number }[];
  /** Claims that wait for a person. */
  reviews: number | null;
  actions: Figures['actions'] | null;
  /** Deadlines and deliveries that are due and not done. */
  due: { timers: number; webhooks: number };
  disks: Disk[];
  intakeStopped: boolean;
  /** What canaries (`canary-copy`, `canary-clean`) and indexes (`index-<shard>-of-<shards>@<replica>`) say of themselves. */
  witnesses: WatchView['witnesses'];
  /** In force. */
  brakes: WatchView['brakes'];
  unknown: { part: string; why: string }[];
}

export interface StatusVerdict {
  upload: string;
  verdict: Verdict['verdict'];
  reason: string | null;
  revision: number;
  cause: Verdict['cause'];
  at: number;
  /** From upload event to verdict; of first judgements, else null. */
  seconds: number | null;
}

/** Whoever keeps brakes and listens to canaries says how they are. */
export interface WatchView {
  witnesses: { name: string; state: 'green' | 'red'; message: string; at: number; since: number }[];
  brakes: { id: string; brake: string; subject: string; why: string; setAt: number; held: number }[];
}

export interface StatusReader {
  read(): Promise<Status>;
  /** Of all stages, whichever process runs them. */
  queues(): Promise<Queue[]>;
  deadLetters(): Promise<Status['deadLetters']>;
}

const NOBODY: WatchView = { witnesses: [], brakes: [] };
const WINDOW_MS = 5 * 60_000;
const DAY_MS = 24 * 3600 * 1000;
/** Newest events of a topic that are read, over all partitions. */
const TAKEDOWNS = 200;
const VERDICTS = 16;
const ALARMS = 10;
const OBJECTIVE_SECONDS = 5;

export interface StatusDeps {
  log: EventLog;
  database: Database;
  environment: Pick<Environment, 'checks'>;
  layouts: Layouts;
  disks: Disks;
  index: SimilarityIndex | null;
  watch: { view(): Promise<WatchView> } | null;
  clock: Clock;
  /** An action that is open for longer is overdue. */
  ackSeconds: number;
}

export function createStatus(deps: StatusDeps): StatusReader {
  const { log, database, environment, layouts, disks, index, watch, clock } = deps;
  const db = database.postgres;

  async function queues(): Promise<Queue[]> {
    // Those that are planned for, and those that have matchers: of a layout that is on its way in or out.
    const planned = (await listLayouts(db)).filter((l) => l.endedAt === null);
    const shards = new Set([...planned, ...(await listReplicas(db))].map((one) => one.shards));
    const matchers = [...shards].flatMap((of) => Array.from({ length: of }, (_, number) => matcher({ number, of })));
    const readers = [...Object.values(READERS), ...matchers];
    return Promise.all(readers.map((reader) => queueOf(log, reader, clock.now())));
  }

  /** Events a minute that a topic took in the last minutes. */
  async function rate(name: TopicName): Promise<number> {
    const topic = TOPICS[name].name;
    const since = clock.now() - WINDOW_MS;
    const counts = (await log.ends(topic)).map(
      async ({ partition, end }) => end - (await log.offsetAt(topic, partition, since)),
    );
    return (await Promise.all(counts)).reduce((sum, n) => sum + n, 0) / (WINDOW_MS / 60_000);
  }

  /** About `count` of the newest records of the last day, newest first. */
  async function newest(name: TopicName, count: number): Promise<LogRecord[]> {
    const topic = TOPICS[name].name;
    const ends = await log.ends(topic);
    const each = Math.ceil(count / ends.length);
    const found: LogRecord[] = [];
    for (const { partition, start, end } of ends) {
      const from = Math.max(start, end - each);
      if (from < end) for await (const record of log.read(topic, partition, from, end)) found.push(record);
    }
    const since = clock.now() - DAY_MS;
    return found
      .filter((r) => r.time >= since)
      .sort((a, b) => b.time - a.time)
      .slice(0, count);
  }

  async function timeToTakedown(): Promise<Status['timeToTakedown']> {
    const seconds = (await newest('takedowns', TAKEDOWNS))
      .filter(isFirst)
      .flatMap((r) => {
        const event = TakedownEvent.safeParse(dataOf(r)).data;
        return event && !isCanary(event.holder) ? [Math.max(0, r.time - event.latency.receivedAt) / 1000] : [];
      })
      .sort((a, b) => a - b);
    if (seconds.length === 0) return null;
    const at = (part: number) => seconds[Math.min(seconds.length - 1, Math.ceil(part * seconds.length) - 1)]!;
    const within5s = seconds.filter((s) => s <= OBJECTIVE_SECONDS).length / seconds.length;
    return { count: seconds.length, p50: at(0.5), p99: at(0.99), within5s };
  }

  async function lastVerdicts(): Promise<StatusVerdict[]> {
    return (await newest('verdicts', VERDICTS)).flatMap((r) => {
      const v = Verdict.safeParse(dataOf(r)).data;
      if (!v) return [];
      const { upload, verdict, reason, revision, cause, receivedAt } = v;
      const seconds = cause === 'first' ? (r.time - receivedAt) / 1000 : null;
      return [{ upload, verdict, reason, revision, cause, at: r.time, seconds }];
    });
  }

  async function deadLetters(): Promise<Status['deadLetters']> {
    const since = clock.now() - DAY_MS;
    // Before the log's ends: what is read meanwhile counts once.
    const read = new Map((await openLetters(db)).map((one) => [`${one.topic}/${one.partition}`, one]));
    const all = Object.values(TOPICS).map(async ({ name }) => {
      const topic = deadTopic(name);
      const counts = { topic: name, day: 0, kept: 0, open: 0 };
      for (const { partition, start, end } of await log.ends(topic)) {
        const { next, open } = read.get(`${topic}/${partition}`) ?? { next: start, open: 0 };
        // What nobody has read yet is open as well.
        counts.open += open + Math.max(0, end - Math.max(start, next));
        if (start === end) continue;
        counts.kept += end - start;
        counts.day += end - (await log.offsetAt(topic, partition, since));
      }
      return counts;
    });
    return (await Promise.all(all)).filter(({ kept, open }) => kept > 0 || open > 0);
  }

  function held(): Status['library']['index'] {
    const stats = index?.stats();
    if (!stats) return null;
    const sum = (of: (s: IndexStats) => number) => stats.reduce((n, s) => n + of(s), 0);
    return { codes: sum((s) => s.codes), megabytes: Math.round(sum((s) => s.bytes) / 1e5) / 10 };
  }

  return {
    queues,
    deadLetters,
    async read() {
      const now = clock.now();
      const unknown: Status['unknown'] = [];
      const part = <T>(name: string, work: () => Promise<T>, empty: T): Promise<T> =>
        work().catch((error: unknown) => {
          unknown.push({ part: name, why: error instanceof Error ? error.message : String(error) });
          return empty;
        });
      const late = now - deps.ackSeconds * 1000;
      const [checks, uploads, verdicts, takedowns, waiting, times, last, alarms, figures, fleet, dead, disk, back] =
        await Promise.all([
          environment.checks(),
          part('rate of uploads', () => rate('uploads'), 0),
          part('rate of verdicts', () => rate('verdicts'), 0),
          part('rate of takedowns', () => rate('takedowns'), 0),
          part('queues', queues, []),
          part('time to takedown', timeToTakedown, null),
          part('last verdicts', lastVerdicts, []),
          part('alarms', async () => (await newest('alarms', ALARMS)).map((r) => dataOf(r) as Alarm), []),
          part<Figures | null>('figures', () => figuresOf(db, { now, late }), null),
          part('layout', () => layouts.view(), { layouts: [], replicas: [] }),
          part('dead letters', deadLetters, []),
          part('disks', () => disks.look(), []),
          part('look back', () => lookBackLag(db), { waiting: 0, oldest: null }),
        ]);
      const watched = watch ? await part('canaries and brakes', () => watch.view(), NOBODY) : NOBODY;
      const oldest = figures?.outbox.oldest ?? now;
      return {
        at: now,
        engine: ENGINE_VERSION,
        ready: Object.values(checks).every((c) => c === REACHABLE),
        checks,
        windowSeconds: WINDOW_MS / 1000,
        rates: { uploads, verdicts, takedowns },
        queues: waiting,
        timeToTakedown: times,
        lastVerdicts: last,
        alarms,
        library: { references: figures?.references ?? {}, index: held() },
        lookBack: { waiting: back.waiting, oldestSeconds: Math.max(0, now - (back.oldest ?? now)) / 1000 },
        layout: {
          shards: fleet.layouts.find((l) => l.state === 'current')?.shards ?? null,
          replicas: fleet.replicas,
        },
        outbox: { waiting: figures?.outbox.waiting ?? 0, oldestSeconds: Math.max(0, now - oldest) / 1000 },
        deadLetters: dead,
        reviews: figures?.reviews ?? null,
        actions: figures?.actions ?? null,
        due: { timers: figures?.timersDue ?? 0, webhooks: figures?.webhooksDue ?? 0 },
        disks: disk,
        intakeStopped: disks.stopped(),
        witnesses: watched.witnesses,
        brakes: watched.brakes,
        unknown,
      };
    },
  };
}

const dataOf = ({ value }: Pick<Envelope, 'value'>): unknown => {
  try {
    return value ? JSON.parse(new TextDecoder().decode(value)) : null;
  } catch {
    return null;
  }
};
