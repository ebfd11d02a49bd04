import type {
  Alignment,
  Decision,
  Evidence,
  Fingerprint,
  Policy,
  ReferenceKey,
  SliceAlignments,
  SliceEvidence,
} from '@vigil/contracts';

/** What the index says of one query code; structurally what `similarity` returns. */
export interface QueryHit {
  query: number;
  distance: number;
  origin: {
    reference: ReferenceKey;
    media: 'image' | 'video';
    time: number;
    place: readonly [number, number, number, number];
  };
}

/** The codes that a slice's hits refer to: `query` of a hit is an index into this list. */
export interface QueryCodes {
  bits: Uint8Array;
  /** Per code: index of the frame, turn, place, quality; `inverted` codes are complements. */
  frame: Uint16Array;
  turn: Uint8Array;
  place: Uint16Array;
  quality: Uint8Array;
  inverted: Uint8Array;
}

export interface Functions {
  /** The codes to search for a slice: those fit to propose (quality, not flat), and complements. Patch codes come later. */
  queryCodes(fingerprint: Fingerprint): QueryCodes;
  /** Hits of a slice, grouped to alignments, best first, at most `limit` of them, one line in time each. */
  align(fingerprint: Fingerprint, queries: QueryCodes, hits: readonly QueryHit[], limit?: number): Alignment[];
  /** Compares a dense (or still) fingerprint with the reference's codes along each alignment, frame by frame. */
  confirm(upload: Fingerprint, alignment: Alignment, reference: readonly Fingerprint[]): Evidence | null;
  /** Joins the evidence of an upload's slices, reference by reference. Order of the input does not matter. */
  join(slices: readonly Evidence[], lengths: { upload: number; reference(key: ReferenceKey): number }): Evidence[];
  /** Evidence + policy. */
  decide(
    evidence: Evidence,
    policy: Policy,
    upload: { account: string | null; kind: 'image' | 'video'; duration: number },
  ): Decision;
  /** May the upload be taken down before all of it was seen? Only by rules that can only grow truer. */
  manifestAlready(evidence: Evidence, policy: Policy): boolean;
}
export type Results = { alignments: SliceAlignments[]; evidence: SliceEvidence[] };
