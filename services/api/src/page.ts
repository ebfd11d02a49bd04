import { z } from 'zod';
import { Problem } from './problem.ts';

export const MAX_PAGE = 200;

/** Query of a list. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(50).describe('items at most'),
  cursor: z.string().max(500).optional().describe('`next` of the page before'),
};

export interface PageRequest {
  after: [number, string] | null;
  limit: number;
}

/** What a list is asked for. One more than the page holds, which tells whether there is a next one. */
export function pageOf({ limit, cursor }: { limit: number; cursor?: string | undefined }): PageRequest {
  return { limit: limit + 1, after: cursor === undefined ? null : readCursor(cursor) };
}

export function readCursor(cursor: string): [number, string] {
  try {
    const [at, id] = JSON.parse(Buffer.from(cursor, 'base64url').toString()) as [unknown, unknown];
    if (Number.isSafeInteger(at) && typeof id === 'string' && !id.includes('\0')) return [at as number, id];
  } catch {
    // Said below.
  }
  throw new Problem('bad-request', 'the cursor is not one that this list gave: begin without one');
}

/** A page of rows that came in order of `at` and id. */
export function page<T, V>(
  rows: readonly T[],
  { limit }: PageRequest,
  at: (row: T) => [number, string],
  show: (row: T) => V,
): { items: V[]; next: string | null } {
  const shown = rows.slice(0, limit - 1);
  const last = shown.at(-1);
  const next = rows.length >= limit && last ? Buffer.from(JSON.stringify(at(last))).toString('base64url') : null;
  return { items: shown.map(show), next };
}

export const pageSchema = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next: z.string().nullable().describe('cursor of the next page; null on the last') });
