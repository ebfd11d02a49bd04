import {
  CODE_BYTES,
  CODE_KINDS,
  type CodeKind,
  type CodeTable,
  type Fingerprint,
  type ReferenceKey,
  referenceKey,
} from '@vigil/contracts';
import { checkFingerprint, isReferenceCode, secondsOf, ticksOf } from './gates.ts';
import type { Batch } from './home.ts';
import type { Kernel } from './kernel.ts';
import { createKindIndex, type Found, type KindIndex, MERGE_WORK, type Rows } from './kind-index.ts';
import { MAX_SEGMENT_CODES } from './layout.ts';
import { CODE_WORDS, permuteCode } from './permutation.ts';
import { DEFAULT_LIMIT, type IndexHit, type SimilarityIndex } from './similarity-index.ts';
import { typescriptKernel } from './typescript-kernel.ts';
import { wasmKernel } from './wasm-kernel.ts';

export interface IndexOptions {
  /** Codes of a kind that are scanned one by one before they become a segment. Default 4096. */
  headCodes?: number;
  /** Codes of the largest segment that merging makes. Default 8 388 608, about 1.3 GB. */
  segmentCodes?: number;
  /** Segments of like size that become one. Default 4. */
  fanout?: number;
  /** Code passes of merging (33 rewrite a code) that each code added or removed pays for. Default 264. */
  mergeWork?: number;
  /** The inner loops. Default: the WASM kernel where it was built, else its TypeScript twin. */
  kernel?: Kernel;
}

/** The index of one thread. What it allocated is given back when it is disposed of. */
export interface Index extends SimilarityIndex, Disposable {
  /**
   * Goes on with background merging, for about so many codes passed once (1e5 are some 0.3 ms); adding and removing
   * pay for it too, so calling this is never needed, only kind. @returns false when there is nothing to do
   */
  maintain(work: number): boolean;
  /** Merges everything now: for benchmarks, and before a snapshot. 0.3 to 0.6 microseconds a code. */
  compact(): void;
}

interface Known {
  key: ReferenceKey;
  slices: { slice: number; batches: Batch[] }[];
}

/** @throws RangeError when an option is out of bounds */
export function createIndex(options: IndexOptions = {}): Index {
  const {
    headCodes = 4096,
    segmentCodes = 1 << 23,
    fanout = 4,
    mergeWork = MERGE_WORK,
    kernel = wasmKernel() ?? typescriptKernel,
  } = options;
  const whole = (n: number, least: number, most: number) => Number.isInteger(n) && n >= least && n <= most;
  if (!whole(headCodes, 1, 1 << 20)) throw new RangeError('headCodes is 1 to 1048576');
  if (!whole(segmentCodes, headCodes, MAX_SEGMENT_CODES)) throw new RangeError('segmentCodes is headCodes to 16777216');
  if (!whole(fanout, 2, 64)) throw new RangeError('fanout is 2 to 64');
  if (!whole(mergeWork, 0, 1 << 20)) throw new RangeError('mergeWork is 0 to 1048576');

  const createKinds = () =>
    new Map<CodeKind, KindIndex>(
      CODE_KINDS.map((kind) => [kind, createKindIndex({ kernel, headCodes, segmentCodes, fanout, mergeWork })]),
    );
  let kinds = createKinds();
  const known = new Map<string, Known>();
  /** Versions that are known of an id. */
  const versions = new Map<string, number[]>();
  const truncated = new Map<CodeKind, number>();

  const forget = (batches: readonly Batch[]) => {
    for (const batch of batches) kinds.get(batch.kind)!.remove(batch);
  };

  const removeOne = (reference: ReferenceKey) => {
    const entry = known.get(referenceKey(reference));
    if (!entry) return;
    for (const { batches } of entry.slices) forget(batches);
    known.delete(referenceKey(reference));
    const left = versions.get(reference.id)!.filter((v) => v !== reference.version);
    if (left.length > 0) versions.set(reference.id, left);
    else versions.delete(reference.id);
  };

  const know = (reference: ReferenceKey): Known => {
    const name = referenceKey(reference);
    let entry = known.get(name);
    if (!entry) {
      entry = { key: { id: reference.id, version: reference.version }, slices: [] };
      known.set(name, entry);
      versions.set(reference.id, [...(versions.get(reference.id) ?? []), reference.version]);
    }
    return entry;
  };

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
      const entry = know(reference);
      let place = entry.slices.find((s) => s.slice === slice);
      if (!place) {
        place = { slice, batches: [] };
        entry.slices.push(place);
      }
      forget(place.batches);
      place.batches = [];
      for (const { kind, rows } of incoming) {
        const count = rows.positions.length;
        const batch = { reference: entry.key, slice, media, kind, count, home: null, start: 0, removed: false };
        kinds.get(kind)!.add(batch, rows);
        place.batches.push(batch);
      }
    },

    remove(id, version) {
      const gone = version === undefined ? [...(versions.get(id) ?? [])] : [version];
      for (const v of gone) removeOne({ id, version: v });
    },

    search(kind, bits, limit = DEFAULT_LIMIT) {
      if (bits.length % CODE_BYTES !== 0) throw new RangeError('bits are not whole codes');
      if (!Number.isInteger(limit) || limit < 0) throw new RangeError('limit is a whole number >= 0');
      const index = kinds.get(kind)!;
      const hits: IndexHit[] = [];
      const permuted = new Uint32Array(CODE_WORDS);
      for (let query = 0; query < bits.length / CODE_BYTES; query++) {
        permuteCode(bits, query, permuted, 0);
        const nearest = createNearest(limit);
        index.search(permuted, 0, nearest.take);
        const found = nearest.found();
        for (const f of found) hits.push({ query, distance: f.distance, origin: originOf(f) });
        if (nearest.seen() > limit) truncated.set(kind, (truncated.get(kind) ?? 0) + 1);
      }
      return hits;
    },

    has: (reference) => known.has(referenceKey(reference)),
    references: () => [...known.values()].map((entry) => ({ ...entry.key })),

    stats() {
      const references = new Map<CodeKind, number>();
      for (const { slices } of known.values()) {
        const present = new Set(slices.flatMap((s) => s.batches.map((b) => b.kind)));
        for (const kind of present) references.set(kind, (references.get(kind) ?? 0) + 1);
      }
      return CODE_KINDS.map((kind) => {
        const index = kinds.get(kind)!;
        const homes = index.homes();
        const removed = homes.reduce((sum, home) => sum + home.removed, 0);
        const all = homes.reduce((sum, home) => sum + home.count, 0);
        const head = homes.filter((home) => home.layout.tables === 0).reduce((sum, home) => sum + home.count, 0);
        return {
          kind,
          codes: all - removed,
          references: references.get(kind) ?? 0,
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
    [Symbol.dispose]() {
      kinds = createKinds();
      known.clear();
      versions.clear();
    },
  };
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

function originOf({ home, code, batch }: Found): IndexHit['origin'] {
  const p = 4 * code;
  const place = [home.place[p]!, home.place[p + 1]!, home.place[p + 2]!, home.place[p + 3]!] as const;
  return { reference: batch.reference, media: batch.media, time: secondsOf(home.time[code]!), place };
}

/** Nearest first; among equals the order is that of names, the same in whatever order references came. */
function inOrder(a: Found, b: Found): number {
  if (a.distance !== b.distance) return a.distance - b.distance;
  const [r, s] = [a.batch.reference, b.batch.reference];
  if (r.id !== s.id) return r.id < s.id ? -1 : 1;
  return r.version - s.version || a.batch.slice - b.batch.slice || a.code - a.batch.start - (b.code - b.batch.start);
}

/** Keeps the `limit` nearest of whatever it is given, in bounded room. */
function createNearest(limit: number) {
  const room = Math.max(4096, 4 * limit);
  let kept: Found[] = [];
  let seen = 0;
  const cut = () => {
    kept = kept.sort(inOrder).slice(0, limit);
  };
  return {
    take(found: Found) {
      seen++;
      kept.push(found);
      if (kept.length >= room) cut();
    },
    found(): Found[] {
      cut();
      return kept;
    },
    seen: () => seen,
  };
}
