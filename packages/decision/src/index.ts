export { align, type QueryHit } from './align.ts';
export { confirm, reachOf } from './confirm.ts';
export { decide, manifestAlready, type Upload } from './decide.ts';
export { join, type Lengths } from './join.ts';
export { type QueryCodes, queryCodes } from './query-codes.ts';
export { type Said, verdictOf } from './verdict.ts';
