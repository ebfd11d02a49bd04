export * from './brakes.ts';
export { reachOf } from './confirm.ts';
export { type Decided, decide, decideAll, decideJoined, type Upload } from './decide.ts';
export { joined } from './join.ts';
export { alignAll, confirm, type Search, searches } from './kinds.ts';
export { MIN_SECONDS } from './limits.ts';
export { alteredText, type Outline, type Outlines, outlinesOf } from './outline.ts';
export { provesAll } from './solid.ts';
export { type Said, verdictOf } from './verdict.ts';
