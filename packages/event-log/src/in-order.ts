/**
 * Parallel work with commits in order: which offset may be committed, and which record may begin. Pure bookkeeping that
 * every adapter shares; nothing in here knows a log.
 */

/** Follows one partition. Offsets are begun in rising order (gaps are allowed: compaction makes them), completed in any. */
export interface OffsetTracker {
  /** @throws RangeError when the offset does not rise. */
  begin(offset: number): void;
  /** @throws RangeError when the offset was not begun, or is completed already. */
  complete(offset: number): void;
  /** The next offset to be read by whoever comes next: everything before it is completed. Never falls. */
  readonly position: number;
  /** Offsets begun and not yet behind `position`, completed ones included: what a restart would read again. */
  readonly held: number;
}

export function createOffsetTracker(start: number): OffsetTracker {
  const order: number[] = [];
  let head = 0;
  let next = start;
  const open = new Set<number>();
  return {
    begin(offset) {
      if (!(offset >= next)) throw new RangeError(`offset ${offset} begun when ${next} or a later one was due`);
      next = offset + 1;
      order.push(offset);
      open.add(offset);
    },
    complete(offset) {
      if (!open.delete(offset)) throw new RangeError(`offset ${offset} completed but not under way`);
      while (head < order.length && !open.has(order[head]!)) head++;
      if (head < 1024 && head < order.length) return;
      order.splice(0, head);
      head = 0;
    },
    get position() {
      return order[head] ?? next;
    },
    get held() {
      return order.length - head;
    },
  };
}

export interface Item {
  offset: number;
  key: string;
}

/** One partition's share of a scheduler. */
export interface Lane<T extends Item> {
  /** Items in rising order of offset. Ignored after `close`. */
  push(items: readonly T[]): void;
  /** Items that have not begun. */
  readonly queued: number;
  readonly running: number;
  /** Ends the one-at-a-time mode in which a lane may have been opened. */
  together(): void;
  /** Forgets what has not begun, returns how much that was. */
  close(): number;
  /** Resolves when nothing runs (and, for a closed lane, never will again). */
  idle(): Promise<void>;
}

export interface Scheduler<T extends Item> {
  /** @param options.alone one item of the lane at a time, in order of offset, until `together` is called. */
  lane(run: (item: T) => Promise<void>, options?: { alone?: boolean }): Lane<T>;
  readonly running: number;
}

/**
 * Runs items of one lane and key one after another, in order of offset; others side by side, at most `concurrency` over
 * all lanes, lanes taken in turn. A lane that has nothing running finds a slot kept for it, as long as all of them together are kept no more than
 * a quarter: what hangs in one lane does not keep the others from going on. `run` must not reject: what its rejection would mean is the caller's business.
 * @throws RangeError when `concurrency` is below 1
 */
export function createScheduler<T extends Item>({ concurrency }: { concurrency: number }): Scheduler<T> {
  if (!(concurrency >= 1)) throw new RangeError(`a concurrency of ${concurrency} would never do anything`);
  const lanes: { readonly busy: boolean; next(): (() => Promise<void>) | undefined }[] = [];
  const mostKept = Math.floor(concurrency / 4);
  let turn = 0;
  let running = 0;

  /** A lane that runs something already leaves slots to those that do not. */
  const free = (busy: boolean) => {
    const kept = busy
      ? Math.min(
          mostKept,
          lanes.reduce((n, lane) => n + (lane.busy ? 0 : 1), 0),
        )
      : 0;
    return running < concurrency - kept;
  };
  const pump = () => {
    for (let tried = 0; running < concurrency && tried < lanes.length; ) {
      turn = (turn + 1) % lanes.length;
      const lane = lanes[turn]!;
      const start = free(lane.busy) ? lane.next() : undefined;
      if (!start) {
        tried++;
        continue;
      }
      tried = 0;
      running++;
      void start().finally(() => {
        running--;
        pump();
      });
    }
  };

  return {
    get running() {
      return running;
    },
    lane(run, options = {}) {
      /** Items whose key is free, by offset; and per busy key what waits behind it. */
      const ready: T[] = [];
      const behind = new Map<string, T[]>();
      let alone = options.alone ?? false;
      let closed = false;
      let queued = 0;
      let active = 0;
      let waiting: (() => void)[] = [];

      const makeReady = (item: T) => {
        let at = ready.length;
        while (at > 0 && ready[at - 1]!.offset > item.offset) at--;
        ready.splice(at, 0, item);
      };
      const forget = () => {
        const at = lanes.indexOf(self);
        if (at >= 0) lanes.splice(at, 1);
        turn = 0;
      };
      const self = {
        get busy() {
          return active > 0;
        },
        next() {
          if (closed || ready.length === 0 || (alone && active > 0)) return undefined;
          const item = ready.shift()!;
          queued--;
          active++;
          return async () => {
            try {
              await run(item);
            } finally {
              active--;
              const following = behind.get(item.key)?.shift();
              if (following) makeReady(following);
              else behind.delete(item.key);
              if (active === 0) {
                for (const wake of waiting) wake();
                waiting = [];
              }
            }
          };
        },
      };
      lanes.push(self);
      return {
        push(items) {
          if (closed) return;
          for (const item of items) {
            queued++;
            const line = behind.get(item.key);
            if (line) line.push(item);
            else {
              behind.set(item.key, []);
              makeReady(item);
            }
          }
          pump();
        },
        get queued() {
          return queued;
        },
        get running() {
          return active;
        },
        together() {
          alone = false;
          pump();
        },
        close() {
          if (closed) return 0;
          closed = true;
          const forgotten = queued;
          queued = 0;
          ready.length = 0;
          for (const line of behind.values()) line.length = 0;
          forget();
          return forgotten;
        },
        idle: () => (active === 0 ? Promise.resolve() : new Promise<void>((resolve) => waiting.push(resolve))),
      };
    },
  };
}
