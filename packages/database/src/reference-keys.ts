import type { ReferenceKey } from '@vigil/contracts';

/** For `unnest($1::text[], $2::int[])`: many references in one statement. */
export const keyColumns = (keys: readonly ReferenceKey[]): [ids: string[], versions: number[]] => [
  keys.map((k) => k.id),
  keys.map((k) => k.version),
];
