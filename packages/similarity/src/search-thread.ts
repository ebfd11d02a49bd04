/** What runs in a thread of search-threads.ts: walks over shared homes, and merges a step at a time between them. */
import { parentPort, workerData } from 'node:worker_threads';
import { type Home, homeOver } from './home.ts';
import { QUERIES_AT_ONCE } from './layout.ts';
import { mergeSteps } from './merge.ts';
import { CODE_WORDS, permuteCode } from './permutation.ts';
import type { SearchTask, ThreadMessage, ThreadReply, ThreadSetup } from './search-threads.ts';
import { createSweep } from './sweep.ts';
import { typescriptKernel } from './typescript-kernel.ts';
import { wasmKernel } from './wasm-kernel.ts';

const { slot, kernel: name } = workerData as ThreadSetup;
const kernel = name === 'wasm' ? wasmKernel() : typescriptKernel;
if (!kernel) throw new Error('the WASM kernel is gone');
const homes = new Map<number, Home>();
const sweep = createSweep();
/** Under way, the smallest first. */
let merges: { job: number; codes: number; steps: Iterator<number, undefined> }[] = [];
let scheduled = false;
/** How long a search may have to wait for a merge. */
const STEP_MS = 1;

const reply = (message: ThreadReply, transfer: ArrayBuffer[] = []) => parentPort!.postMessage(message, transfer);

parentPort!.on('message', (message: ThreadMessage) => {
  if (message.do === 'enter') {
    homes.set(message.home, homeOver(kernel, message.memory, message.layout, slot));
  } else if (message.do === 'leave') {
    letGo(message.home);
  } else if (message.do === 'search') {
    const hits = search(message);
    reply({ job: message.job, hits }, [hits.buffer as ArrayBuffer]);
  } else {
    const { output, moves, job } = message;
    const to = homes.get(output)!;
    const from = moves.map((move) => ({ ...move, home: homes.get(move.home)! }));
    merges.push({ job, codes: to.layout.codes, steps: mergeSteps(to, from) });
    merges.sort((a, b) => a.codes - b.codes);
    goOn();
  }
});

function letGo(home: number): void {
  const bytes = homes.get(home)?.layout.bytes ?? 0;
  homes.delete(home);
  sweep(bytes, 0);
}

function goOn(): void {
  if (scheduled || merges.length === 0) return;
  scheduled = true;
  setImmediate(() => {
    scheduled = false;
    const until = performance.now() + STEP_MS;
    const [smallest] = merges;
    while (performance.now() < until) {
      if (!smallest!.steps.next().done) continue;
      merges = merges.filter((m) => m !== smallest);
      reply({ job: smallest!.job });
      break;
    }
    goOn();
  });
}

/** Hits beyond which what cannot be among the nearest is thrown away. */
const MOST_HELD = 1 << 18;

/** Four words a hit: query, distance, which of the homes, code. Of each query the `limit` nearest, and all as near as the last of them. */
function search({ bits, rule, limit, among }: SearchTask): Uint32Array {
  const count = bits.length / (4 * CODE_WORDS);
  const queries = new Uint32Array(Math.min(count, QUERIES_AT_ONCE) * CODE_WORDS);
  for (let q = 0; q < count; q++) permuteCode(bits, q, queries, q * CODE_WORDS);
  let held = new Uint32Array(4096);
  let n = 0;
  among.forEach(({ home: id, scanned }, which) => {
    const { walker } = homes.get(id)!;
    if (scanned === null) walker.beginWalk(queries, count, rule);
    else walker.beginScan(queries, count, rule, scanned);
    for (let found = walker.next(); found > 0; found = walker.next()) {
      if (n + 4 * found > held.length) {
        if (n > 4 * MOST_HELD) n = keepNearest(held, n, count, limit, rule.radius);
        const larger = new Uint32Array(Math.max(2 * held.length, n + 4 * found));
        larger.set(held.subarray(0, n));
        held = larger;
      }
      for (let i = 0; i < found; i++, n += 4) {
        const hit = walker.hits[2 * i]!;
        held[n] = walker.hits[2 * i + 1]!;
        held[n + 1] = hit >>> 24;
        held[n + 2] = which;
        held[n + 3] = hit & 0xffffff;
      }
    }
  });
  return held.slice(0, keepNearest(held, n, count, limit, rule.radius));
}

/**
 * Moves to the front what may be among the `limit` nearest of its query, and one more, so that it shows that there were more.
 * @returns words left
 */
function keepNearest(held: Uint32Array, n: number, count: number, limit: number, radius: number): number {
  const at = new Uint32Array(count * (radius + 1));
  for (let i = 0; i < n; i += 4) at[held[i]! * (radius + 1) + held[i + 1]!]!++;
  const furthest = new Uint32Array(count);
  for (let q = 0; q < count; q++) {
    let sum = 0;
    let d = 0;
    for (; d < radius; d++) {
      sum += at[q * (radius + 1) + d]!;
      if (sum > limit) break;
    }
    furthest[q] = d;
  }
  let left = 0;
  for (let i = 0; i < n; i += 4) {
    if (held[i + 1]! > furthest[held[i]!]!) continue;
    held.copyWithin(left, i, i + 4);
    left += 4;
  }
  return left;
}
