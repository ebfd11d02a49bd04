import { assigned, beginAlone, type Deaths, endAlone, type Plan, passed, released } from './deaths.ts';
import { type ConsumeOptions, EventLogError, type LogRecord } from './event-log.ts';
import type { Gate } from './gate.ts';
import { createOffsetTracker, createScheduler, type Lane, type OffsetTracker } from './in-order.ts';

/** What a log keeps of one group and partition; both fields are written at once. */
export interface Progress {
  committed: number;
  deaths: Deaths;
}

export interface WorkLimits {
  /** Records of one partition that are under way at once: queued, running, or done but held back by an earlier one. */
  window: number;
  /** Bytes of values fetched and not yet handled, over all partitions. A single larger record is still taken. */
  prefetchBytes: number;
  /** Completed offsets are written at most this often. */
  commitMs: number;
  /** A record that runs longer has hung: the consumer stops. */
  stallMs: number;
}

export interface WorkOptions {
  consume: Pick<ConsumeOptions, 'concurrency' | 'handle' | 'bury' | 'signal'>;
  limits: WorkLimits;
  gate: Gate;
  /** False when ownership may have ended without our hearing of it (paused for longer than the lease). */
  mayBegin(): boolean;
  /**
   * Writes progress where each partition is still ours, and returns the ones where it is not. Never called twice at once.
   * @param durable false for what may be lost with the server: records are then read again
   */
  write(entries: readonly { owned: Owned; progress: Progress }[], durable: boolean): Promise<readonly Owned[]>;
  /** The consumer must stop: a handler threw, or hung. */
  fail(error: unknown): void;
  /** Room was made for more records. */
  onRoom(): void;
  onLost(owned: Owned): void;
}

/** One partition while it is ours. */
export interface Owned {
  readonly topic: string;
  readonly partition: number;
  /** What the adapter fences with: a generation. */
  readonly generation: number;
  /** From where to fetch next. */
  readonly fetchFrom: number;
  /** How much may be fetched now; zero records means: not now. */
  room(): { records: number; bytes: number };
  accept(records: readonly LogRecord[]): void;
  readonly lost: boolean;
}

export interface PartitionWork {
  readonly owned: ReadonlySet<Owned>;
  /** `progress.deaths` is the state of `planFor`, written before the first record is fetched. */
  assign(place: { topic: string; partition: number; generation: number }, progress: Progress, plan: Plan): Owned;
  /** Begins nothing more of it; resolves when what runs has ended. */
  settle(owned: Owned): Promise<void>;
  /** Not ours any more: handlers are told by their signal, nothing is committed. */
  lose(owned: Owned): void;
  /** Writes what is completed. Rejects when it cannot be written; it stays to be written then. */
  flush(): Promise<void>;
  /** What to write on leaving; leaving in good order unless a handler of it threw or hung. */
  farewell(owned: Owned): Progress;
  forget(owned: Owned): void;
  /** Tells the handlers that run to give up, and waits for them no longer. */
  abort(owned: Owned, reason: unknown): void;
  /** Looks for a record that hangs; to be called every now and then. */
  watch(): void;
}

export const planFor = (previous: Deaths | null, committed: number, end: number, limits: WorkLimits) =>
  assigned(previous, committed, limits.window, end);

/** The part of consuming that is the same for every log: order, parallelism, isolation, bounds, coalesced commits. */
export function createPartitionWork(options: WorkOptions): PartitionWork {
  const { consume, limits, gate } = options;
  const scheduler = createScheduler<LogRecord>({ concurrency: consume.concurrency });
  const parts = new Map<Owned, Part>();
  const dirty = new Set<Part>();
  let writing: Promise<void> = Promise.resolve();
  let timer: NodeJS.Timeout | undefined;

  const writeDirty = async (durable: boolean) => {
    const batch = [...dirty].filter((part) => !part.lost);
    dirty.clear();
    if (batch.length === 0) return;
    try {
      const entries = batch.map((part) => ({ owned: part.owned, progress: progressOf(part) }));
      for (const owned of await options.write(entries, durable)) lose(owned);
    } catch (error) {
      for (const part of batch) if (!part.lost) dirty.add(part);
      throw error;
    }
  };
  const flush = (durable = false) => {
    clearTimeout(timer);
    timer = undefined;
    // One write at a time, or an older position could overtake a newer one on another connection.
    const mine = writing.then(() => writeDirty(durable));
    writing = mine.catch(() => undefined);
    return mine;
  };
  const soon = (part: Part) => {
    dirty.add(part);
    timer ??= setTimeout(() => void flush().catch(() => dirty.forEach(soon)), limits.commitMs);
  };
  /** Until it is written, or may not be any more: the lease ends when the log stays away for too long. */
  const insist = async (part: Part) => {
    for (let wait = 20; !part.lost && options.mayBegin(); wait = Math.min(1000, 2 * wait)) {
      dirty.add(part);
      if (
        await flush(true).then(
          () => true,
          () => false,
        )
      )
        return;
      await new Promise((resolve) => setTimeout(resolve, wait));
    }
  };
  const lose = (owned: Owned) => {
    const part = parts.get(owned);
    if (!part) return;
    part.lost = true;
    part.lane.close();
    part.abort.abort(new EventLogError('the partition was lost to another consumer', { retriable: true }));
    dirty.delete(part);
    parts.delete(owned);
    options.onLost(owned);
  };

  const mayBegin = (part: Part) => {
    if (part.lost || part.settling) return false;
    // What is not begun now never is: whoever owns the partition next, perhaps we, starts from what is committed.
    if (!options.mayBegin()) lose(part.owned);
    return !part.lost;
  };
  /** True when it was done, and is ours to commit. */
  const attempt = async (part: Part, record: LogRecord, work: () => Promise<void>): Promise<boolean> => {
    part.started.set(record.offset, performance.now());
    try {
      const given = await Promise.race([work(), part.abandoned.promise]);
      if (given === ABANDONED || part.lost) return false;
      part.tracker.complete(record.offset);
      return true;
    } catch (error) {
      if (part.lost || part.abort.signal.aborted) return false;
      if (consume.signal.aborted && error === consume.signal.reason) return false;
      part.crashed = true;
      part.settling = true;
      part.lane.close();
      options.fail(error);
      return false;
    } finally {
      part.started.delete(record.offset);
    }
  };
  const handle = (part: Part, record: LogRecord) => {
    const alive = () => {
      if (part.started.has(record.offset)) part.started.set(record.offset, performance.now());
    };
    return consume.handle(record, part.abort.signal, alive);
  };
  const runTogether = async (part: Part, record: LogRecord) => {
    if (await attempt(part, record, () => handle(part, record))) soon(part);
  };
  const runAlone = async (part: Part, record: LogRecord) => {
    const { plan } = part;
    if (plan.kind === 'bury' && record.offset === plan.offset) {
      if (!(await attempt(part, record, () => consume.bury(record, plan.deaths)))) return;
      part.deaths = passed(part.deaths, part.tracker.position);
    } else {
      // A later offset than the one to bury: retention or compaction has removed the guilty record.
      const from = plan.kind === 'bury' ? passed(part.deaths, record.offset) : part.deaths;
      part.deaths = beginAlone(from, record.offset);
      await insist(part);
      if (!mayBegin(part)) return;
      if (!(await attempt(part, record, () => handle(part, record)))) return;
      part.deaths = endAlone(part.deaths, part.tracker.position);
    }
    await insist(part);
    if (part.deaths.left > 0) return;
    part.plan = { kind: 'together' };
    part.lane.together();
  };
  const run = async (part: Part, record: LogRecord) => {
    const alone = part.plan.kind !== 'together';
    const leave = await (alone ? gate.alone() : gate.together());
    try {
      if (mayBegin(part)) await (alone ? runAlone : runTogether)(part, record);
    } finally {
      leave();
      part.bytes -= sizeOf(record);
      if (!part.lost && part.owned.room().records > 0) options.onRoom();
    }
  };

  const createOwned = (part: Part, place: { topic: string; partition: number; generation: number }): Owned => ({
    ...place,
    get fetchFrom() {
      return part.fetchFrom;
    },
    get lost() {
      return part.lost;
    },
    room() {
      const free = limits.window - part.tracker.held;
      const bytes = Math.ceil(limits.prefetchBytes / Math.max(1, parts.size)) - part.bytes;
      // Not for every single record: a fetch has a price of its own.
      const worth = free >= limits.window / 4 && bytes > 0 && !part.lost && !part.settling;
      return worth ? { records: free, bytes } : { records: 0, bytes: 0 };
    },
    accept(records) {
      if (part.lost || part.settling) return;
      for (const record of records) {
        part.tracker.begin(record.offset);
        part.fetchFrom = record.offset + 1;
        part.bytes += sizeOf(record);
      }
      part.lane.push(records);
    },
  });

  return {
    get owned() {
      return new Set(parts.keys());
    },
    /** `progress.deaths` is the state of `planFor`, written before the first record is fetched. */
    assign(place, { committed, deaths }, plan) {
      const part = {
        tracker: createOffsetTracker(committed),
        fetchFrom: committed,
        deaths,
        plan,
        bytes: 0,
        abort: new AbortController(),
        abandoned: Promise.withResolvers<typeof ABANDONED>(),
        started: new Map<number, number>(),
        lost: false,
        settling: false,
        crashed: false,
      } as Part;
      part.lane = scheduler.lane((record) => run(part, record), { alone: plan.kind !== 'together' });
      part.owned = createOwned(part, place);
      parts.set(part.owned, part);
      return part.owned;
    },
    async settle(owned) {
      const part = parts.get(owned);
      if (!part) return;
      part.settling = true;
      part.lane.close();
      await part.lane.idle();
    },
    lose,
    flush,
    farewell(owned) {
      const part = parts.get(owned)!;
      const progress = progressOf(part);
      return part.crashed ? progress : { ...progress, deaths: released(part.deaths) };
    },
    forget(owned) {
      const part = parts.get(owned);
      if (!part) return;
      dirty.delete(part);
      parts.delete(owned);
      // A handler that outlives the farewell must not commit.
      part.lost = true;
    },
    abort(owned, reason) {
      const part = parts.get(owned);
      part?.abort.abort(reason);
      part?.abandoned.resolve(ABANDONED);
    },
    watch() {
      for (const part of parts.values()) {
        for (const [offset, since] of part.started) {
          if (performance.now() - since < limits.stallMs) continue;
          const { topic, partition } = part.owned;
          const text = `${topic}/${partition}@${offset} has made no progress for ${limits.stallMs} ms`;
          part.crashed = true;
          const error = new EventLogError(text, { retriable: true });
          part.abort.abort(error);
          options.fail(error);
          part.abandoned.resolve(ABANDONED);
          return;
        }
      }
    },
  };
}

const ABANDONED = Symbol('abandoned');

interface Part {
  owned: Owned;
  lane: Lane<LogRecord>;
  tracker: OffsetTracker;
  fetchFrom: number;
  deaths: Deaths;
  plan: Plan;
  /** Of values fetched and not yet handled. */
  bytes: number;
  abort: AbortController;
  /** Resolved when what runs is waited for no longer: it hung, or outlived the drain. */
  abandoned: PromiseWithResolvers<typeof ABANDONED>;
  /** When the records that run were begun, or last said that they are alive. */
  started: Map<number, number>;
  lost: boolean;
  settling: boolean;
  /** A handler threw or hung: the partition is left as if its owner had died. */
  crashed: boolean;
}

const progressOf = (part: Part): Progress => ({ committed: part.tracker.position, deaths: part.deaths });
const sizeOf = (record: LogRecord) => record.value?.length ?? 0;
