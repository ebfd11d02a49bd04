import { CODE_BYTES, CODE_KINDS, type CodeKind, hamming, type ReferenceKey, referenceKey } from '@vigil/contracts';
import { checkFingerprint, isReferenceCode, secondsOf, ticksOf } from './gates.ts';
import { CHUNKS } from './layout.ts';
import { CODE_WORDS, permuteCode } from './permutation.ts';
import { isHit, RULES } from './rules.ts';
import { type CodeOrigin, DEFAULT_LIMIT, type IndexHit, type SimilarityIndex } from './similarity-index.ts';
import { popcount } from './typescript-kernel.ts';

interface Kept {
  kind: CodeKind;
  slice: number;
  position: number;
  bits: Uint8Array;
  origin: CodeOrigin;
}

/** The oracle: the port's meaning, spelled out, one comparison after the other. For tests and benchmarks. */
export function createBruteForceIndex(): SimilarityIndex {
  const known = new Map<string, ReferenceKey>();
  let kept: Kept[] = [];

  const inOrder = (a: { kept: Kept; distance: number }, b: { kept: Kept; distance: number }) => {
    const [x, y] = [a.kept, b.kept];
    const [r, s] = [x.origin.reference, y.origin.reference];
    if (a.distance !== b.distance) return a.distance - b.distance;
    if (r.id !== s.id) return r.id < s.id ? -1 : 1;
    return r.version - s.version || x.slice - y.slice || x.position - y.position;
  };

  const index: SimilarityIndex = {
    add(reference, slice, media, fingerprint) {
      checkFingerprint(fingerprint);
      const key = referenceKey(reference);
      kept = kept.filter((k) => referenceKey(k.origin.reference) !== key || k.slice !== slice);
      known.set(key, { id: reference.id, version: reference.version });
      for (const table of fingerprint.tables) {
        for (let i = 0; i < table.count; i++) {
          if (!isReferenceCode(fingerprint, table, i)) continue;
          const [a, b, c, d] = table.place.subarray(4 * i, 4 * i + 4);
          kept.push({
            kind: table.kind,
            slice,
            position: i,
            bits: table.bits.slice(i * CODE_BYTES, (i + 1) * CODE_BYTES),
            origin: {
              reference: known.get(key)!,
              media,
              time: secondsOf(ticksOf(fingerprint.frames.time[table.frame[i]!]!)),
              place: [a!, b!, c!, d!],
            },
          });
        }
      }
    },
    remove(id, version) {
      const gone = (r: ReferenceKey) => r.id === id && (version === undefined || r.version === version);
      kept = kept.filter((k) => !gone(k.origin.reference));
      for (const [key, r] of known) if (gone(r)) known.delete(key);
    },
    search(kind, bits, limit = DEFAULT_LIMIT) {
      if (bits.length % CODE_BYTES !== 0) throw new RangeError('bits are not whole codes');
      if (!Number.isInteger(limit) || limit < 0) throw new RangeError('limit is not a whole number');
      const hits: IndexHit[] = [];
      for (let query = 0; query < bits.length / CODE_BYTES; query++) {
        const near = kept
          .filter((k) => k.kind === kind)
          .map((k) => ({ kept: k, distance: hamming(bits, k.bits, query * CODE_BYTES) }))
          .filter((h) => h.distance <= RULES[kind].radius && isHit(RULES[kind], apart(bits, query, h.kept.bits)))
          .sort(inOrder);
        for (const h of near.slice(0, limit)) hits.push({ query, distance: h.distance, origin: h.kept.origin });
      }
      return hits;
    },
    searchAsync: async (kind, bits, limit) => index.search(kind, bits, limit),
    has: (reference) => known.has(referenceKey(reference)),
    references: () => [...known.values()],
    stats: () =>
      CODE_KINDS.map((kind) => {
        const mine = kept.filter((k) => k.kind === kind);
        const references = new Set(mine.map((k) => referenceKey(k.origin.reference))).size;
        const bytes = mine.length * CODE_BYTES;
        return { kind, codes: mine.length, references, bytes, walk: 'brute-force' as const };
      }),
  };
  return index;
}

/** Distances of the chunks of code `n` of `bits` from those of another. */
function apart(bits: Uint8Array, n: number, other: Uint8Array): number[] {
  const words = new Uint32Array(2 * CODE_WORDS);
  permuteCode(bits, n, words, 0);
  permuteCode(other, 0, words, CODE_WORDS);
  const chunks = new Uint16Array(words.buffer);
  return Array.from({ length: CHUNKS }, (_, i) => popcount(chunks[i]! ^ chunks[CHUNKS + i]!));
}
