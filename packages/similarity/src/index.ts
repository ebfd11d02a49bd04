export { createBruteForceIndex } from './brute-force.ts';
export { createIndex, type Index, type IndexOptions } from './create-index.ts';
export { isReferenceCode, REFERENCE_QUALITY } from './gates.ts';
export { restoreIndex, SnapshotRefused } from './restore-index.ts';
export { SearchThreadDied } from './search-threads.ts';
export { createSieve, MOST_SIEVE_CODES, type Sieve } from './sieve.ts';
export {
  type CodeOrigin,
  DEFAULT_LIMIT,
  type IndexHit,
  type IndexStats,
  type SimilarityIndex,
} from './similarity-index.ts';
