export { createIndex, type Index, type IndexOptions } from './create-index.ts';
export { isReferenceCode } from './gates.ts';
export { restoreIndex, SnapshotRefused } from './restore-index.ts';
export { createSieve, MOST_SIEVE_CODES, type Sieve } from './sieve.ts';
export {
  DEFAULT_LIMIT,
  type IndexHit,
  type IndexStats,
  type SimilarityIndex,
} from './similarity-index.ts';
