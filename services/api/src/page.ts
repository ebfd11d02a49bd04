import { z } from 'zod';

export const MAX_PAGE = 200;

/** Where a page ended: time and id of its last item. Whatever has this form can be gone on from. */
export const Cursor = z
  .string()
  .max(300)
  .regex(/^-?[0-9]{1,15}_[^\0]+$/, 'is not one that a list gave: begin without one');

/** Query of a list. */
export const pageQuery = {
  limit: z.coerce.number().int().min(1).max(MAX_PAGE).default(50).describe('items at most'),
  cursor: Cursor.optional().describe('`next` of the page before'),
};

export interface PageRequest {
  after: [number, string] | null;
  limit: number;
}

/** What a list is asked for. One more than the page holds, which tells whether there is a next one. */
export function pageOf({ limit, cursor }: { limit: number; cursor?: string | undefined }): PageRequest {
  return { limit: limit + 1, after: cursor === undefined ? null : readCursor(cursor) };
}

/** Goes on behind a row of this time and id. */
export const cursorAfter = (time: number, id: string): string => `${time}_${id}`;

function readCursor(cursor: string): [number, string] {
  const cut = cursor.indexOf('_');
  return [Number(cursor.slice(0, cut)), cursor.slice(cut + 1)];
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
  const next = rows.length >= limit && last ? cursorAfter(...at(last)) : null;
  return { items: shown.map(show), next };
}

export const pageSchema = <T extends z.ZodType>(item: T) =>
  z.object({ items: z.array(item), next: z.string().nullable().describe('cursor of the next page; null on the last') });
