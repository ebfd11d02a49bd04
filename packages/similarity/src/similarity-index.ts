import type { CodeKind, Fingerprint, ReferenceKey } from '@vigil/contracts';

/** Where a reference's code came from. `place`, `time` as in contracts' CodeTable and Frames. */
export interface CodeOrigin {
  reference: ReferenceKey;
  media: 'image' | 'video';
  /** Seconds in the reference, kept to a ten-thousandth. */
  time: number;
  place: readonly [number, number, number, number];
}

/** One reference code that is a hit of one query code: as rules.ts says for their kind, within RADIUS in any case. `query` is the position in the batch that was searched. */
export interface IndexHit {
  query: number;
  distance: number;
  origin: CodeOrigin;
}

/** What an index holds of one kind. */
export interface IndexStats {
  kind: CodeKind;
  /** Codes that a search can find. */
  codes: number;
  /** References with at least one such code. */
  references: number;
  /** Of codes, tables and origins, removed codes that were not merged away yet included. */
  bytes: number;
  /** Where the codes lie: immutable segments, and the rest in the head. */
  segments?: number;
  head?: number;
  /** Removed codes that still take room. */
  removed?: number;
  /** Which walk answers: the WASM kernel, its TypeScript twin, or the oracle. */
  walk?: 'wasm' | 'typescript' | 'brute-force';
  /** Queries so far that had more hits than their limit let through. */
  truncated?: number;
}

/** Finds all codes of a kind that are hits of a query, and nothing else. */
export interface SimilarityIndex {
  /**
   * Codes of one slice of one reference; the same slice added again replaces the earlier one, all kinds of it.
   * What `isReferenceCode` refuses is not indexed; a slice of which nothing is left still counts as known.
   * @throws RangeError when the fingerprint's columns disagree with each other
   */
  add(reference: ReferenceKey, slice: number, media: 'image' | 'video', fingerprint: Fingerprint): void;
  /** All versions of an id, or one of them. Gone from the very next search. */
  remove(id: string, version?: number): void;
  /**
   * `bits` holds 32 bytes a code. Hits come in order of query, then distance; at most `limit` a query, nearest first
   * (DEFAULT_LIMIT when absent). Equal distances come in order of reference id, version, slice and place in the slice,
   * so that the answer does not depend on the order in which references arrived.
   * @throws RangeError when `bits` is not whole codes or `limit` is not a whole number >= 0
   */
  search(kind: CodeKind, bits: Uint8Array, limit?: number): IndexHit[];
  /**
   * The same, by other threads where there are any. The answer is that of `search` at one instant between call and end, and
   * nothing that was removed before the end is in it.
   */
  searchAsync(kind: CodeKind, bits: Uint8Array, limit?: number): Promise<IndexHit[]>;
  has(reference: ReferenceKey): boolean;
  references(): ReferenceKey[];
  stats(): IndexStats[];
}

/** Hits a query when the caller names no limit. */
export const DEFAULT_LIMIT = 256;
