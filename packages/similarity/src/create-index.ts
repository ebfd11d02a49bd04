import {
  CODE_BYTES,
  CODE_KINDS,
  type CodeKind,
  type CodeTable,
  type Fingerprint,
  type ReferenceKey,
} from '@vigil/contracts';
import { checkFingerprint, isReferenceCode, secondsOf, ticksOf } from './gates.ts';
import { type Batch, batchesOf, type Contents, type Known, ownerOf } from './home.ts';
import type { Kernel } from './kernel.ts';
import { createKindIndex, type Found, type KindIndex, MERGE_WORK, type Rows } from './kind-index.ts';
import { MAX_SEGMENT_CODES, QUERIES_AT_ONCE } from './layout.ts';
import { CODE_WORDS, permuteCode } from './permutation.ts';
import { RULES } from './rules.ts';
import { openSearchThreads, type SearchThreads } from './search-threads.ts';
import { DEFAULT_LIMIT, type IndexHit, type SimilarityIndex } from './similarity-index.ts';
import { writeSnapshot } from './snapshot-format.ts';
import { typescriptKernel } from './typescript-kernel.ts';
import { wasmKernel } from './wasm-kernel.ts';

export interface IndexOptions {
  /** Codes of a kind that are scanned one by one before they become a segment. Default 512. */
  headCodes?: number;
  /** Codes of the largest segment that merging makes. Default 8 388 608, about 1.3 GB. */
  segmentCodes?: number;
  /** A segment is merged with all smaller ones when it holds at most so many times their codes. Default 4. */
  mergeRatio?: number;
  /** Code passes of merging (33 rewrite a picture code, 17 a patch) that each code added or removed pays for. Default 1056. */
  mergeWork?: number;
  /** Threads that answer `searchAsync`, and merge. Default 0: everything is done by the caller's. At most 64. */
  threads?: number;
  /** The inner loops. Default: the WASM kernel where it was built, else its TypeScript twin. */
  kernel?: Kernel;
}

/** What it allocated is given back, and its threads end, when it is disposed of. */
export interface Index extends SimilarityIndex, Disposable {
  /**
   * Goes on with background merging, for about so many codes passed once (1e5 are some 0.3 ms); adding and removing
   * pay for it too, so calling this is never needed, only kind. @returns false when there is nothing to do
   */
  maintain(work: number): boolean;
  /** Merges everything now: for benchmarks, and before a snapshot. 0.3 to 0.6 microseconds a code. */
  compact(): void;
  /**
   * All of the index as it is at this call, in pieces of about a megabyte; it may go on being used while they are read.
   * `note` is kept with it: the log offsets up to which it was fed, say. `restoreIndex` reads it.
   */
  snapshot(note?: string): Iterable<Uint8Array>;
}

/** Queries that a thread is asked for at least, where there are so many; tries before the caller's own thread searches. */
const LEAST_PART = 128;
const TRIES = 3;

/** An empty index. @throws RangeError when an option is out of bounds */
export function createIndex(options: IndexOptions = {}): Index {
  return indexOf({ known: [], homes: [] }, options);
}

export function kernelOf(options: IndexOptions): Kernel {
  return options.kernel ?? wasmKernel() ?? typescriptKernel;
}

/** An index over what a snapshot held. */
export function indexOf(contents: Contents, options: IndexOptions): Index {
  const {
    headCodes = 512,
    segmentCodes = 1 << 23,
    mergeRatio = 4,
    mergeWork = MERGE_WORK,
    threads: count = 0,
  } = options;
  const kernel = kernelOf(options);
  const whole = (n: number, least: number, most: number) => Number.isInteger(n) && n >= least && n <= most;
  if (!whole(headCodes, 1, 1 << 20)) throw new RangeError('headCodes is 1 to 1048576');
  if (!whole(segmentCodes, headCodes, MAX_SEGMENT_CODES)) throw new RangeError('segmentCodes is headCodes to 16777216');
  if (!whole(mergeRatio, 1, 64)) throw new RangeError('mergeRatio is 1 to 64');
  if (!whole(mergeWork, 0, 1 << 20)) throw new RangeError('mergeWork is 0 to 1048576');
  if (!whole(count, 0, 64)) throw new RangeError('threads is 0 to 64');

  const threads = count > 0 ? openSearchThreads(kernel, count) : null;
  const createKinds = () =>
    new Map<CodeKind, KindIndex>(
      CODE_KINDS.map((kind) => [
        kind,
        createKindIndex({ kernel, rule: RULES[kind], threads, headCodes, segmentCodes, mergeRatio, mergeWork }),
      ]),
    );
  let kinds = createKinds();
  /** By id: the first of the versions that are known of it. */
  const known = new Map<string, Known>();
  const truncated = new Map<CodeKind, number>();

  /** Rises with every removal, a replaced slice's included. */
  let removals = 0;

  const forget = (batches: readonly Batch[]) => {
    if (batches.length > 0) removals++;
    for (const [kind, index] of kinds) index.remove(batches.filter((b) => b.kind === kind));
  };

  // Asked for each of a library's references every now and then: loops, where generators take ten times as long.
  const versionsOf = (id: string): Known[] => {
    const all: Known[] = [];
    for (let entry = known.get(id) ?? null; entry; entry = entry.other) all.push(entry);
    return all;
  };
  const everyKnown = (): Known[] => {
    const all: Known[] = [];
    for (const first of known.values())
      for (let entry: Known | null = first; entry; entry = entry.other) all.push(entry);
    return all;
  };
  const find = ({ id, version }: ReferenceKey): Known | null => {
    let entry = known.get(id) ?? null;
    while (entry && entry.version !== version) entry = entry.other;
    return entry;
  };
  /** References with a code of the kind, kept as batches come and go. */
  const withKind = new Map<CodeKind, number>();
  const countKinds = (entry: Known, by: 1 | -1) => {
    for (const kind of CODE_KINDS) {
      let batch = entry.first;
      while (batch && batch.kind !== kind) batch = batch.next;
      if (batch) withKind.set(kind, (withKind.get(kind) ?? 0) + by);
    }
  };
  const take = (entry: Known): Known => {
    entry.other = known.get(entry.id) ?? null;
    known.set(entry.id, entry);
    return entry;
  };

  const named = (kind: CodeKind, nearest: ReturnType<typeof createNearest>, count: number, from: number) => {
    const hits: IndexHit[] = [];
    for (let q = 0; q < count; q++) {
      for (const { found, batch } of nearest.of(q))
        hits.push({ query: from + q, distance: found.distance, origin: originOf(found, batch) });
    }
    truncated.set(kind, (truncated.get(kind) ?? 0) + nearest.truncated());
    return hits;
  };

  const search = (kind: CodeKind, bits: Uint8Array, limit: number): IndexHit[] => {
    const hits: IndexHit[][] = [];
    const total = bits.length / CODE_BYTES;
    const queries = new Uint32Array(Math.min(total, QUERIES_AT_ONCE) * CODE_WORDS);
    for (let from = 0; from < total; from += QUERIES_AT_ONCE) {
      const count = Math.min(QUERIES_AT_ONCE, total - from);
      for (let q = 0; q < count; q++) permuteCode(bits, from + q, queries, q * CODE_WORDS);
      const nearest = createNearest(count, limit);
      kinds.get(kind)!.search(queries, count, nearest.take);
      hits.push(named(kind, nearest, count, from));
    }
    return hits.flat();
  };

  /** As `search` at the moment when a thread is asked; asked again when something was removed since. */
  const searchAside = async (by: SearchThreads, kind: CodeKind, bits: Uint8Array, limit: number, from: number) => {
    for (let tries = 0; tries < TRIES; tries++) {
      const before = removals;
      const among = kinds.get(kind)!.places();
      const words = await by.search({ bits, rule: RULES[kind], limit, among });
      if (before !== removals) continue;
      const count = bits.length / CODE_BYTES;
      const nearest = createNearest(count, limit);
      for (let i = 0; i < words.length; i += 4) {
        const { home } = among[words[i + 2]!]!;
        nearest.take(words[i]!, { distance: words[i + 1]!, home, code: words[i + 3]! });
      }
      return named(kind, nearest, count, from);
    }
    return search(kind, bits, limit).map((hit) => ({ ...hit, query: from + hit.query }));
  };

  for (const entry of contents.known) countKinds(take(entry), 1);
  for (const { kind, home } of contents.homes) kinds.get(kind)!.adopt(home);

  return {
    add(reference, slice, media, fingerprint) {
      checkFingerprint(fingerprint);
      const incoming = fingerprint.tables
        .map((table) => ({ kind: table.kind, rows: rowsOf(fingerprint, table) }))
        .filter(({ rows }) => rows.positions.length > 0);
      for (const { rows } of incoming) {
        const count = rows.positions.length;
        if (count > segmentCodes) throw new RangeError(`a slice of ${count} codes fits no segment`);
      }
      const { id, version } = reference;
      const entry = find(reference) ?? take({ id, version, first: null, other: null });
      const before = [...batchesOf(entry)];
      countKinds(entry, -1);
      forget(before.filter((b) => b.slice === slice));
      relink(
        entry,
        before.filter((b) => b.slice !== slice),
      );
      for (const { kind, rows } of incoming) {
        const count = rows.positions.length;
        const { first: next } = entry;
        entry.first = { owner: entry, slice, media, kind, count, home: null, start: 0, removed: false, next };
        kinds.get(kind)!.add(entry.first, rows);
      }
      countKinds(entry, 1);
    },

    remove(id, version) {
      const all = versionsOf(id);
      const gone = all.filter((entry) => version === undefined || entry.version === version);
      for (const entry of gone) countKinds(entry, -1);
      forget(gone.flatMap((entry) => [...batchesOf(entry)]));
      known.delete(id);
      for (const entry of all) if (!gone.includes(entry)) take(entry);
    },

    search(kind, bits, limit = DEFAULT_LIMIT) {
      checkSearch(bits, limit);
      return search(kind, bits, limit);
    },

    async searchAsync(kind, bits, limit = DEFAULT_LIMIT) {
      checkSearch(bits, limit);
      if (!threads) return search(kind, bits, limit);
      // Parts of one search go to all threads; parts that are too small walk each table for too few.
      const total = bits.length / CODE_BYTES;
      const size = Math.min(QUERIES_AT_ONCE, Math.max(LEAST_PART, Math.ceil(total / threads.count)));
      const parts: Promise<IndexHit[]>[] = [];
      for (let from = 0; from < total; from += size) {
        const part = bits.slice(from * CODE_BYTES, (from + size) * CODE_BYTES);
        parts.push(searchAside(threads, kind, part, limit, from));
      }
      return (await Promise.all(parts)).flat();
    },

    has: (reference) => find(reference) !== null,
    references: () => everyKnown().map(({ id, version }) => ({ id, version })),

    stats() {
      return CODE_KINDS.map((kind) => {
        const index = kinds.get(kind)!;
        const homes = index.homes();
        const removed = homes.reduce((sum, home) => sum + home.removed, 0);
        const all = homes.reduce((sum, home) => sum + home.count, 0);
        const head = homes.filter((home) => home.layout.tables === 0).reduce((sum, home) => sum + home.count, 0);
        return {
          kind,
          codes: all - removed,
          references: withKind.get(kind) ?? 0,
          bytes: index.bytes(),
          segments: homes.filter((home) => home.layout.tables > 0).length,
          head,
          removed,
          walk: kernel.name,
          truncated: truncated.get(kind) ?? 0,
        };
      });
    },

    maintain(work) {
      let more = false;
      for (const index of kinds.values()) more = index.maintain(work) || more;
      return more;
    },
    compact() {
      for (const index of kinds.values()) index.compact();
    },
    snapshot(note = '') {
      const homes = [...kinds].flatMap(([kind, index]) => {
        index.sealHead();
        return index.homes().map((home) => ({ kind, home }));
      });
      return writeSnapshot({ known: everyKnown(), homes }, note);
    },
    [Symbol.dispose]() {
      threads?.[Symbol.dispose]();
      kinds = createKinds();
      known.clear();
      withKind.clear();
    },
  };
}

function checkSearch(bits: Uint8Array, limit: number): void {
  if (bits.length % CODE_BYTES !== 0) throw new RangeError('bits are not whole codes');
  if (!Number.isInteger(limit) || limit < 0) throw new RangeError('limit is a whole number >= 0');
}

function rowsOf(fingerprint: Fingerprint, table: CodeTable): Rows {
  const positions: number[] = [];
  const time: number[] = [];
  for (let i = 0; i < table.count; i++) {
    if (!isReferenceCode(fingerprint, table, i)) continue;
    positions.push(i);
    time.push(ticksOf(fingerprint.frames.time[table.frame[i]!]!));
  }
  return { bits: table.bits, positions, time, place: table.place };
}

/** The list of these batches, and no others. */
function relink(entry: Known, batches: readonly Batch[]): void {
  entry.first = null;
  for (const batch of batches.toReversed()) {
    batch.next = entry.first;
    entry.first = batch;
  }
}

function originOf({ home, code }: Found, batch: Batch): IndexHit['origin'] {
  const p = 4 * code;
  const place = [home.place[p]!, home.place[p + 1]!, home.place[p + 2]!, home.place[p + 3]!] as const;
  const { id, version } = batch.owner;
  return { reference: { id, version }, media: batch.media, time: secondsOf(home.time[code]!), place };
}

interface Named {
  found: Found;
  batch: Batch;
  position: number;
}

/** Nearest first; among equals the order is that of names, the same in whatever order references came. */
function inOrder(a: Named, b: Named): number {
  if (a.found.distance !== b.found.distance) return a.found.distance - b.found.distance;
  const [x, y] = [a.batch, b.batch];
  const [r, s] = [x.owner, y.owner];
  if (r.id !== s.id) return r.id < s.id ? -1 : 1;
  return r.version - s.version || x.slice - y.slice || a.position - b.position;
}

/** Keeps the `limit` nearest of whatever it is given for each of `queries` queries, in bounded room. */
function createNearest(queries: number, limit: number) {
  const room = Math.max(1024, 4 * limit);
  const kept = new Array<Named[] | undefined>(queries).fill(undefined);
  const seen = new Uint32Array(queries);
  const cut = (q: number) => {
    const nearest = kept[q]?.sort(inOrder).slice(0, limit) ?? [];
    kept[q] = nearest;
    return nearest;
  };
  return {
    take(q: number, found: Found) {
      const mine = kept[q] ?? [];
      kept[q] = mine;
      mine.push({ found, ...ownerOf(found.home, found.code) });
      seen[q]!++;
      if (mine.length >= room) cut(q);
    },
    of: cut,
    truncated: () => seen.reduce((sum, n) => sum + (n > limit ? 1 : 0), 0),
  };
}
