import { Worker } from 'node:worker_threads';
import type { Home } from './home.ts';
import type { Kernel, Memory } from './kernel.ts';
import type { Layout } from './layout.ts';
import type { Rule } from './rules.ts';

/** A thread ended before it answered. Another has taken its place: ask again. */
export class SearchThreadDied extends Error {
  override name = 'SearchThreadDied';
  readonly retriable = true;
}

/** Search threads end as soon as they start, again and again: none is started any more. A new process may do without, or with others. */
export class SearchThreadsGone extends Error {
  override name = 'SearchThreadsGone';
  readonly retriable = false;
}

/**
 * Threads that walk the same homes, each with an instance of the kernel and a scratch of its own; no locks, because homes
 * change by appending, before anybody is told of it, and by the bits of removed codes. They merge besides.
 */
export interface SearchThreads extends Disposable {
  readonly count: number;
  /** From now on the home may be named in `search` and `merge`; what was asked before `leave` is still answered. */
  enter(home: Home): void;
  leave(home: Home): void;
  /**
   * Four words a hit: query, distance, which of the homes, code; not cut among equally near ones.
   * @throws SearchThreadDied, SearchThreadsGone
   */
  search(task: Omit<SearchTask, 'among'> & { among: readonly Place[] }): Promise<Uint32Array>;
  /** Copies and builds; both sides must have entered. @throws SearchThreadDied, SearchThreadsGone */
  merge(output: Home, moves: readonly Move[]): Promise<void>;
}

/** A home that is searched: by its tables, or one code after the other where `scanned` says how many there are. */
export interface Place {
  home: Home;
  scanned: number | null;
}

/** Codes [start, start + count) of a home that are to be codes [at, ...) of another. */
export interface Move {
  home: Home;
  start: number;
  count: number;
  at: number;
}

export interface SearchTask {
  bits: Uint8Array;
  rule: Rule;
  limit: number;
  among: readonly { home: number; scanned: number | null }[];
}

export type ThreadMessage =
  | { do: 'enter'; home: number; memory: Memory; layout: Layout }
  | { do: 'leave'; home: number }
  | ({ do: 'search'; job: number } & SearchTask)
  | { do: 'merge'; job: number; output: number; moves: readonly (Omit<Move, 'home'> & { home: number })[] };

export interface ThreadReply {
  job: number;
  hits?: Uint32Array;
}

export interface ThreadSetup {
  slot: number;
  kernel: Kernel['name'];
}

interface Thread {
  worker: Worker;
  waiting: Map<number, { weight: number; resolve(reply: ThreadReply): void; reject(error: Error): void }>;
  /** Queries and codes to be merged that it was asked to go through. */
  load: number;
}

/** A merge weighs as a search of so many queries: searches go to the other threads while there are any. */
const MERGE_WEIGHT = 512;

/** Ends of a thread and its successors without an answer in between, after which none is started any more. */
const MOST_ENDS = 8;
/** Before the third of them, and doubled before each further one: 16 s in all. The second one starts at once. */
const PAUSE_MS = 250;

/** @param count threads; the scratch of homes must have slots 1 to `count` for them */
export function openSearchThreads(kernel: Kernel, count: number, pauseMs: number = PAUSE_MS): SearchThreads {
  const homes = new Set<Home>();
  /** By slot: ends since the last answer. */
  const ends = new Array<number>(count).fill(0);
  let lastCause: unknown;
  let jobs = 0;
  let closed = false;

  const start = (slot: number): void => {
    if (closed) return;
    const setup: ThreadSetup = { slot, kernel: kernel.name };
    const worker = new Worker(new URL('./search-thread.ts', import.meta.url), { workerData: setup });
    const thread: Thread = { worker, waiting: new Map(), load: 0 };
    worker.unref();
    worker.on('message', (reply: ThreadReply) => {
      ends[slot - 1] = 0;
      const job = thread.waiting.get(reply.job)!;
      thread.waiting.delete(reply.job);
      thread.load -= job.weight;
      if (thread.waiting.size === 0) worker.unref();
      job.resolve(reply);
    });
    let cause: unknown;
    worker.on('error', (error) => {
      cause = error;
    });
    worker.on('exit', () => {
      const why = closed ? 'the index was disposed of' : `a search thread ended: ${String(cause)}`;
      for (const { reject } of thread.waiting.values()) reject(new SearchThreadDied(why, { cause }));
      lastCause = cause;
      threads.delete(slot);
      const before = ends[slot - 1]!++;
      if (before === 0) start(slot);
      else if (before + 1 < MOST_ENDS) setTimeout(() => start(slot), pauseMs * 2 ** (before - 1)).unref();
    });
    threads.set(slot, thread);
    for (const home of homes) enter(thread, home);
  };

  const enter = (thread: Thread, home: Home) =>
    post(thread, { do: 'enter', home: home.id, memory: home.memory, layout: home.layout });
  const post = ({ worker }: Thread, message: ThreadMessage) => worker.postMessage(message);

  const ask = (weight: number, message: (job: number) => ThreadMessage): Promise<ThreadReply> => {
    const running = [...threads.values()];
    if (running.length === 0) return Promise.reject(whyNone());
    const thread = running.reduce((a, b) => (b.load < a.load ? b : a));
    const job = jobs++;
    return new Promise((resolve, reject) => {
      thread.waiting.set(job, { weight, resolve, reject });
      thread.load += weight;
      thread.worker.ref();
      post(thread, message(job));
    });
  };

  const whyNone = (): Error => {
    const about = { cause: lastCause };
    if (closed || ends.some((n) => n < MOST_ENDS))
      return new SearchThreadDied('no search thread runs at this moment', about);
    const todo = 'build the kernels anew (npm run build:wasm), and start this process again';
    return new SearchThreadsGone(`search threads end as they start (${String(lastCause)}): ${todo}`, about);
  };

  /** Those that run, by slot. */
  const threads = new Map<number, Thread>();
  for (let slot = 1; slot <= count; slot++) start(slot);

  return {
    count,
    enter(home) {
      if (homes.has(home)) return;
      homes.add(home);
      for (const thread of threads.values()) enter(thread, home);
    },
    leave(home) {
      if (!homes.delete(home)) return;
      for (const thread of threads.values()) post(thread, { do: 'leave', home: home.id });
    },
    async search({ among, ...task }) {
      const named = among.map(({ home, scanned }) => ({ home: home.id, scanned }));
      const { hits } = await ask(task.bits.length / 32, (job) => ({ do: 'search', job, ...task, among: named }));
      return hits!;
    },
    async merge(output, moves) {
      const named = moves.map((move) => ({ ...move, home: move.home.id }));
      await ask(MERGE_WEIGHT, (job) => ({ do: 'merge', job, output: output.id, moves: named }));
    },
    [Symbol.dispose]() {
      closed = true;
      for (const { worker } of threads.values()) void worker.terminate();
    },
  };
}
