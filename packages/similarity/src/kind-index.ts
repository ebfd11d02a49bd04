import { type Batch, batchOf, bury, createHome, type Home } from './home.ts';
import type { Kernel } from './kernel.ts';
import { beginMerge, type Merge, PASSES } from './merge.ts';
import { permuteCode } from './permutation.ts';

/** A code that was found: where it lies, and whose it is. */
export interface Found {
  distance: number;
  batch: Batch;
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
  /** Codes that the head takes before it becomes a segment. It is scanned flat. */
  headCodes: number;
  /** No segment is merged past this many codes. */
  segmentCodes: number;
  /** So many segments of like size become one. */
  fanout: number;
  /** Code passes of merging that each code added or removed pays for. */
  mergeWork: number;
}

/** The homes of one kind's codes: segments, merged bit by bit as codes come and go, and a head. */
export interface KindIndex {
  /** @returns where the codes are now */
  add(batch: Batch, rows: Rows): void;
  remove(batch: Batch): void;
  /** Everything within RADIUS of the permuted query at `query[at]`, in no order. `take` is called for each. */
  search(query: Uint32Array, at: number, take: (found: Found) => void): void;
  /** Goes on with merging for about so many codes passed once. @returns false when there is nothing to do */
  maintain(work: number): boolean;
  /** Everything into as few segments as may be, at once. */
  compact(): void;
  homes(): readonly Home[];
  bytes(): number;
  merging(): boolean;
}

/**
 * Merging is paid by those who cause it. A code is rewritten once a tier, and 4 tiers of 4096 x 4^k reach 1e6 codes, 6
 * reach 1.6e7: eight rewrites are always enough.
 */
export const MERGE_WORK = 8 * PASSES;
/** What one call may do of it at most, some 10 ms; the rest stays owed. */
const WORK_A_CALL = 1 << 21;
/** A segment with more than this share of removed codes is rewritten without them. */
const REMOVED_SHARE = 0.25;

export function createKindIndex({ kernel, headCodes, segmentCodes, fanout, mergeWork }: KindIndexOptions): KindIndex {
  let segments: Home[] = [];
  let head: Home | null = null;
  let merge: Merge | null = null;
  let owed = 0;

  const build = (home: Home): Home => {
    const whole = beginMerge(kernel, [home]);
    while (whole.step() > 0);
    return whole.finish();
  };

  const append = (home: Home, batch: Batch, rows: Rows) => {
    batch.home = home;
    batch.start = home.count;
    rows.positions.forEach((position, i) => {
      permuteCode(rows.bits, position, home.codes, (home.count + i) * 8);
      home.time[home.count + i] = rows.time[i]!;
      home.place.set(rows.place.subarray(4 * position, 4 * position + 4), 4 * (home.count + i));
    });
    home.count += batch.count;
    home.batches.push(batch);
  };

  const sealHead = () => {
    if (head && head.count > head.removed) segments.push(build(head));
    head = null;
  };

  const live = (home: Home) => home.count - home.removed;

  const tierOf = (home: Home) => Math.max(0, Math.round(Math.log(live(home) / headCodes) / Math.log(fanout)));

  /** As many of them, in their order, as one segment may hold; at least one. */
  const fitting = (homes: readonly Home[]): Home[] => {
    let sum = 0;
    return homes.filter((home) => {
      if (sum > 0 && sum + live(home) > segmentCodes) return false;
      sum += live(home);
      return true;
    });
  };

  /** Segments that should become one: the smallest tier that is full, else one that holds too much that was removed. */
  const plan = (): Home[] => {
    const tiers = Map.groupBy(segments, tierOf);
    for (const tier of [...tiers.keys()].sort((a, b) => a - b)) {
      const homes = tiers.get(tier)!;
      if (homes.length < fanout) continue;
      const chosen = fitting(homes.toSorted((a, b) => live(a) - live(b)));
      if (chosen.length > 1) return chosen;
    }
    return segments.filter((s) => s.removed > s.count * REMOVED_SHARE).slice(0, 1);
  };

  const replace = (inputs: readonly Home[], output: Home) => {
    segments = segments.filter((s) => !inputs.includes(s));
    if (live(output) > 0) segments.push(output);
  };

  const maintain = (work: number): boolean => {
    for (let left = work; left > 0; ) {
      if (!merge) {
        const inputs = plan();
        if (inputs.length === 0) return false;
        merge = beginMerge(kernel, inputs);
      }
      const done = merge.step();
      if (done === 0) {
        replace(merge.inputs, merge.finish());
        merge = null;
      }
      left -= Math.max(1, done);
    }
    return true;
  };

  const pay = (codes: number) => {
    owed += codes * mergeWork;
    const now = Math.min(owed, WORK_A_CALL);
    owed = maintain(now) ? owed - now : 0;
  };

  return {
    add(batch, rows) {
      if (batch.count > headCodes) {
        const own = createHome(kernel, batch.count, 0);
        append(own, batch, rows);
        segments.push(build(own));
      } else {
        if (head && head.count + batch.count > headCodes) sealHead();
        head ??= createHome(kernel, headCodes, 0);
        append(head, batch, rows);
      }
      pay(batch.count);
    },

    remove(batch) {
      const home = batch.home;
      if (batch.removed || !home) return;
      batch.removed = true;
      bury(home, batch.start, batch.count);
      if (live(home) === 0) {
        if (home === head) head = null;
        else segments = segments.filter((s) => s !== home);
      }
      pay(batch.count);
    },

    search(query, at, take) {
      const visit = (home: Home) => {
        const { walker } = home;
        if (home === head) walker.beginScan(query, at, home.count);
        else walker.beginWalk(query, at);
        for (let n = walker.next(); n > 0; n = walker.next()) {
          for (let i = 0; i < n; i++) {
            const code = walker.hits[i]! & 0xffffff;
            take({ distance: walker.hits[i]! >>> 24, batch: batchOf(home, code), home, code });
          }
        }
      };
      for (const segment of segments) visit(segment);
      if (head) visit(head);
    },

    maintain,

    compact() {
      sealHead();
      if (merge) {
        while (merge.step() > 0);
        replace(merge.inputs, merge.finish());
        merge = null;
      }
      const waiting = segments.toSorted((a, b) => live(b) - live(a));
      while (waiting.length > 0) {
        const chosen = fitting(waiting);
        for (const home of chosen) waiting.splice(waiting.indexOf(home), 1);
        if (chosen.length === 1 && chosen[0]!.removed === 0) continue;
        const whole = beginMerge(kernel, chosen);
        while (whole.step() > 0);
        replace(chosen, whole.finish());
      }
      owed = 0;
    },

    homes: () => (head ? [...segments, head] : segments),
    bytes() {
      const homes: Home[] = head ? [...segments, head] : [...segments];
      if (merge) homes.push(merge.output);
      return homes.reduce((sum, home) => sum + home.memory.buffer.byteLength, 0);
    },
    merging: () => merge !== null,
  };
}
