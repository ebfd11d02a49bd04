import { type Batch, bury, createHome, type Home, settle } from './home.ts';
import type { Kernel } from './kernel.ts';
import { beginMerge, type Merge, PASSES } from './merge.ts';
import { permuteCode } from './permutation.ts';
import { type Rule, tablesOf } from './rules.ts';
import type { Place, SearchThreads } from './search-threads.ts';
import { createSweep } from './sweep.ts';

/** A code that was found, and where it lies. Whose it is says `ownerOf`. */
export interface Found {
  distance: number;
  home: Home;
  code: number;
}

/** Codes on their way in: position in the fingerprint's table, 32 bytes each in `bits`, and their origins. */
export interface Rows {
  bits: Uint8Array;
  positions: readonly number[];
  time: readonly number[];
  place: Uint16Array;
}

export interface KindIndexOptions {
  kernel: Kernel;
  rule: Rule;
  /** Where there are any, they merge, and whoever adds and removes does not. */
  threads: SearchThreads | null;
  /** Codes that the head takes before it becomes a segment. It is scanned flat. */
  headCodes: number;
  /** No segment is merged past this many codes. */
  segmentCodes: number;
  /** A segment is merged with all smaller ones when it holds at most so many times their codes. */
  mergeRatio: number;
  /** Code passes of merging that each code added or removed pays for. */
  mergeWork: number;
}

/** The homes of one kind's codes: segments, merged bit by bit as codes come and go, and a head. */
export interface KindIndex {
  /** @returns where the codes are now */
  add(batch: Batch, rows: Rows): void;
  remove(batches: readonly Batch[]): void;
  /** Every hit of permuted queries [0, count), at most QUERIES_AT_ONCE, in no order. */
  search(queries: Uint32Array, count: number, take: (query: number, found: Found) => void): void;
  /** Goes on with merging for about so many codes passed once. @returns false when there is nothing to do */
  maintain(work: number): boolean;
  /** Everything into as few segments as may be, at once. */
  compact(): void;
  /** Makes a segment of the head. */
  sealHead(): void;
  /** Takes a segment that was built elsewhere. */
  adopt(segment: Home): void;
  homes(): readonly Home[];
  /** The homes as they are now, for a thread to search. */
  places(): Place[];
  bytes(): number;
}

/**
 * Merging is paid by those who cause it. With a ratio of 4 a code is rewritten some 15 times until 1e7 codes are in
 * (sizes are held to steps of five, and the largest of a step is rewritten five times over): twice that always keeps up.
 */
export const MERGE_WORK = 32 * PASSES;
/** What one call may do of it at most, some 10 ms; the rest stays owed. */
const WORK_A_CALL = 1 << 21;
/** A segment with more than this share of removed codes is rewritten without them. */
const REMOVED_SHARE = 0.25;

export function createKindIndex({
  kernel,
  rule,
  threads,
  headCodes,
  segmentCodes,
  mergeRatio,
  mergeWork,
}: KindIndexOptions): KindIndex {
  let segments: Home[] = [];
  let head: Home | null = null;
  /** Under way, the smallest first. */
  let merges: Merge[] = [];
  let owed = 0;

  const slots = 1 + (threads?.count ?? 0);
  const tables = tablesOf(rule);
  const sweep = createSweep();

  const build = (home: Home): Home => {
    const whole = beginMerge(kernel, [home], tables, slots);
    while (whole.step() > 0);
    return whole.finish();
  };

  const enter = (home: Home) => {
    threads?.enter(home);
    return home;
  };
  const enterSegment = (home: Home) => void segments.push(enter(home));
  const leave = (homes: readonly Home[]) => {
    segments = segments.filter((s) => !homes.includes(s));
    for (const home of homes) threads?.leave(home);
    sweep(bytesOf(homes), bytesOf(segments));
  };

  const append = (home: Home, batch: Batch, rows: Rows) => {
    settle(home, batch, home.count);
    rows.positions.forEach((position, i) => {
      permuteCode(rows.bits, position, home.codes, (home.count + i) * 8);
      home.time[home.count + i] = rows.time[i]!;
      home.place.set(rows.place.subarray(4 * position, 4 * position + 4), 4 * (home.count + i));
    });
    home.count += batch.count;
  };

  const sealHead = () => {
    if (!head) return;
    if (live(head) > 0) enterSegment(build(head));
    leave([head]);
    head = null;
  };

  const live = (home: Home) => home.count - home.removed;

  const sumOf = (homes: readonly Home[]) => homes.reduce((sum, home) => sum + live(home), 0);

  /**
   * Segments that should become one: the largest that is not too large for the smaller ones, and all of those; or one
   * that holds too much that was removed. What is being merged already is left alone.
   */
  const plan = (): Home[] => {
    const busy = new Set(merges.flatMap((m) => m.inputs));
    const free = segments.filter((s) => !busy.has(s)).sort((a, b) => live(a) - live(b));
    for (let n = free.length; n > 1; n--) {
      const smaller = sumOf(free.slice(0, n - 1));
      const largest = live(free[n - 1]!);
      if (largest <= mergeRatio * smaller && largest + smaller <= segmentCodes) return free.slice(0, n);
    }
    return free.filter((s) => s.removed > s.count * REMOVED_SHARE).slice(0, 1);
  };

  const replace = (inputs: readonly Home[], output: Home) => {
    if (live(output) > 0) enterSegment(output);
    else threads?.leave(output);
    leave(inputs);
  };

  const finish = (done: Merge) => {
    merges = merges.filter((m) => m !== done);
    replace(done.inputs, done.finish());
  };

  /** Hands over what should be merged. What a dead thread leaves undone is planned again. */
  const mergeAside = (by: SearchThreads) => {
    for (let inputs = plan(); inputs.length > 0; inputs = plan()) {
      const merge = beginMerge(kernel, inputs, tables, slots);
      merges.push(merge);
      by.enter(merge.output);
      by.merge(merge.output, merge.moves).then(
        () => {
          if (!merges.includes(merge)) return;
          finish(merge);
          mergeAside(by);
        },
        () => {
          by.leave(merge.output);
          merges = merges.filter((m) => m !== merge);
        },
      );
    }
  };

  const maintain = (work: number): boolean => {
    if (threads) {
      mergeAside(threads);
      return merges.length > 0;
    }
    for (let left = work; left > 0; ) {
      // A small merge does not wait for a large one, lest small segments pile up meanwhile.
      const inputs = plan();
      if (inputs.length > 0) {
        merges.push(beginMerge(kernel, inputs, tables, slots));
        merges.sort((a, b) => a.output.layout.codes - b.output.layout.codes);
      }
      const smallest = merges[0];
      if (!smallest) return false;
      let done = 1;
      while (done > 0 && left > 0) {
        done = smallest.step();
        left -= Math.max(1, done);
      }
      if (done === 0) finish(smallest);
    }
    return true;
  };

  const pay = (codes: number) => {
    if (threads) return mergeAside(threads);
    owed += Math.ceil(codes * mergeWork);
    const now = Math.min(owed, WORK_A_CALL);
    owed = maintain(now) ? owed - now : 0;
  };

  return {
    add(batch, rows) {
      if (batch.count > headCodes) {
        const own = createHome(kernel, batch.count, 0);
        append(own, batch, rows);
        enterSegment(build(own));
      } else {
        if (head && head.count + batch.count > headCodes) sealHead();
        head ??= enter(createHome(kernel, headCodes, 0, slots));
        append(head, batch, rows);
      }
      pay(batch.count);
    },

    remove(batches) {
      let codes = 0;
      for (const batch of batches) {
        const { home } = batch;
        if (batch.removed || !home) continue;
        batch.removed = true;
        bury(home, batch.start, batch.count);
        codes += batch.count;
        if (live(home) > 0) continue;
        if (home === head) head = null;
        leave([home]);
      }
      // A segment is rewritten when a quarter of it is gone: four codes for each that went.
      if (codes > 0) pay(codes / 8);
    },

    search(queries, count, take) {
      const visit = (home: Home) => {
        const { walker } = home;
        if (home === head) walker.beginScan(queries, count, rule, home.count);
        else walker.beginWalk(queries, count, rule);
        for (let n = walker.next(); n > 0; n = walker.next()) {
          for (let i = 0; i < 2 * n; i += 2) {
            const hit = walker.hits[i]!;
            take(walker.hits[i + 1]!, { distance: hit >>> 24, home, code: hit & 0xffffff });
          }
        }
      };
      for (const segment of segments) visit(segment);
      if (head) visit(head);
    },

    maintain,

    compact() {
      sealHead();
      for (const merge of merges) {
        // What a thread has begun is done anew here: its output is nobody's then.
        if (threads) threads.leave(merge.output);
        else {
          while (merge.step() > 0);
          finish(merge);
        }
      }
      merges = [];
      const waiting = segments.toSorted((a, b) => live(b) - live(a));
      while (waiting.length > 0) {
        let sum = 0;
        const chosen = waiting.filter((home) => {
          if (sum > 0 && sum + live(home) > segmentCodes) return false;
          sum += live(home);
          return true;
        });
        for (const home of chosen) waiting.splice(waiting.indexOf(home), 1);
        if (chosen.length === 1 && chosen[0]!.removed === 0) continue;
        const whole = beginMerge(kernel, chosen, tables, slots);
        while (whole.step() > 0);
        replace(chosen, whole.finish());
      }
      owed = 0;
    },

    sealHead,
    adopt(segment) {
      if (live(segment) > 0) enterSegment(segment);
    },
    homes: () => (head ? [...segments, head] : segments),
    places() {
      const places: Place[] = segments.map((home) => ({ home, scanned: null }));
      return head ? [...places, { home: head, scanned: head.count }] : places;
    },
    bytes() {
      const homes: Home[] = head ? [...segments, head] : [...segments];
      homes.push(...merges.map((m) => m.output));
      return bytesOf(homes);
    },
  };
}

const bytesOf = (homes: readonly Home[]): number => homes.reduce((sum, home) => sum + home.memory.buffer.byteLength, 0);
