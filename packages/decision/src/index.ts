export { align, type QueryHit } from './align.ts';
export { reachOf } from './confirm.ts';
export { decide, manifestAlready, type Upload } from './decide.ts';
export { join, type Lengths } from './join.ts';
export { alignAll, confirm, type Search, searches } from './kinds.ts';
export { alignPatches } from './patch-align.ts';
export { patchQueries } from './patch-queries.ts';
export { type QueryCodes, queryCodes } from './query-codes.ts';
export { type Said, verdictOf } from './verdict.ts';
