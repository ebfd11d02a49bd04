import type { CodeKind, Fingerprint, ReferenceKey } from '@vigil/contracts';

/** Where a reference's code came from. `place`, `time` as in contracts' CodeTable and Frames. */
export interface CodeOrigin {
  reference: ReferenceKey;
  media: 'image' | 'video';
  /** Seconds in the reference. */
  time: number;
  place: readonly [number, number, number, number];
}

/** One query code within RADIUS of one reference code. `query` is the position in the batch that was searched. */
export interface IndexHit {
  query: number;
  distance: number;
  origin: CodeOrigin;
}

/** An exact index over the codes of one kind: everything within RADIUS is found, nothing else. */
export interface SimilarityIndex {
  /** Codes of one slice of one reference; the same slice added again replaces the earlier one. */
  add(reference: ReferenceKey, slice: number, media: 'image' | 'video', fingerprint: Fingerprint): void;
  /** All versions of an id, or one of them. Gone from the very next search. */
  remove(id: string, version?: number): void;
  /** `bits` holds 32 bytes a code. Hits come in order of query, then distance; at most `limit` a query, nearest first. */
  search(kind: CodeKind, bits: Uint8Array, limit?: number): IndexHit[];
  has(reference: ReferenceKey): boolean;
  references(): ReferenceKey[];
  stats(): { kind: CodeKind; codes: number; references: number; bytes: number }[];
}
