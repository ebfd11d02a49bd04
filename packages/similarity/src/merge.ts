import { type Batch, bury, copyCodes, createHome, type Home, settle } from './home.ts';
import type { Kernel } from './kernel.ts';
import { CHUNKS } from './layout.ts';
import type { Move } from './search-threads.ts';

/** Codes that one step of a merge looks at, once. A step takes some tens of microseconds. */
export const STEP_CODES = 4096;

/** Steps of work that one code costs from copying to its last table, where there is one for each chunk. */
export const PASSES = 1 + 2 * CHUNKS;

/** Some homes on their way to become one segment. The old ones answer searches until `finish`. */
export interface Merge {
  readonly inputs: readonly Home[];
  readonly output: Home;
  /** What is copied where, for a thread that does it instead of `step`. */
  readonly moves: readonly Move[];
  /** Does up to STEP_CODES codes' worth of one pass. @returns codes looked at, 0 when nothing is left to do */
  step(): number;
  /** Hands the batches over and buries what was removed on the way. Only after `step` returned 0. */
  finish(): Home;
}

export function beginMerge(kernel: Kernel, inputs: readonly Home[], tables: 8 | 16, slots: number): Merge {
  const moved: { batch: Batch; at: number }[] = [];
  let total = 0;
  for (const home of inputs) {
    for (const batch of home.batches) {
      if (batch.removed) continue;
      moved.push({ batch, at: total });
      total += batch.count;
    }
  }
  const output = createHome(kernel, total, tables, slots);
  // A batch that is removed meanwhile is copied all the same: its places are given, and `finish` buries them.
  const moves = movesOf(moved);
  const steps = mergeSteps(output, moves);
  return {
    inputs,
    output,
    moves,
    step: () => steps.next().value ?? 0,
    finish() {
      output.count = total;
      for (const { batch, at } of moved) {
        if (batch.removed) bury(output, at, batch.count);
        else settle(output, batch, at);
      }
      return output;
    },
  };
}

/** Neighbours that stay neighbours move together: a list of hashes has a batch for each code. */
function movesOf(moved: readonly { batch: Batch; at: number }[]): Move[] {
  const moves: Move[] = [];
  for (const { batch, at } of moved) {
    const { home, start, count } = batch;
    const last = moves.at(-1);
    if (last && last.home === home && last.start + last.count === start) last.count += count;
    else moves.push({ home: home!, start, count, at });
  }
  return moves;
}

/** Copies, then builds the tables. Each step says how many codes it looked at. */
export function* mergeSteps(output: Home, moves: readonly Move[]): Generator<number, undefined> {
  const total = output.layout.codes;
  for (const { home, start, count, at } of moves) {
    for (let i = 0; i < count; i += STEP_CODES) {
      const n = Math.min(STEP_CODES, count - i);
      copyCodes(home, start + i, output, at + i, n);
      yield n;
    }
  }
  const { builder, layout } = output;
  for (let table = 0; table < layout.tables; table++) {
    for (let i = 0; i < total; i += STEP_CODES) {
      const end = Math.min(total, i + STEP_CODES);
      builder.count(table, i, end);
      yield end - i;
    }
    builder.sum(table);
    for (let i = 0; i < total; i += STEP_CODES) {
      const end = Math.min(total, i + STEP_CODES);
      builder.scatter(table, i, end);
      yield end - i;
    }
  }
}
