import { type Signal, signal } from '@preact/signals';
import type { Case, CaseEvent, Claim } from '../../../src/wire.ts';
import { address, get, type Page } from '../api.ts';

/** The chain of a case, oldest first: read page by page as far as somebody asks. Nothing is added to it but at its end. */
export interface Chain {
  items: Signal<CaseEvent[]>;
  /** Whether there is more behind what was read. */
  more: Signal<boolean>;
  next(): Promise<void>;
  /** Reads what was added, where all was read. */
  refresh(): Promise<void>;
}

/** @param at address of the case */
export function createChain(at: string): Chain {
  const items = signal<CaseEvent[]>([]);
  const more = signal(false);
  /** Where the last page that was read began, which is read again for what was added; and where the next one begins. */
  let from: string | null = null;
  let to: string | null = null;

  async function read(cursor: string | null): Promise<void> {
    const page = await get<Page<CaseEvent>>(address(`${at}/events`, { cursor }));
    const last = items.value.at(-1)?.seq ?? 0;
    items.value = [...items.value, ...page.items.filter((event) => event.seq > last)];
    from = cursor;
    to = page.next;
    more.value = to !== null;
  }

  return {
    ...{ items, more },
    next: () => read(to),
    refresh: () => (more.value ? Promise.resolve() : read(from)),
  };
}

/** Claims that a page of them holds. */
export const CLAIMS = 100;

/** Claims of a case that were opened before those that it shows: so many at least, as far as there are, oldest first. */
export async function readEarlier(found: Case, wanted: number): Promise<{ claims: Claim[]; more: boolean }> {
  let claims: Claim[] = [];
  let cursor = found.moreClaims;
  while (cursor !== null && claims.length < wanted) {
    const page: Page<Claim> = await get(address('/v1/claims', { case: found.id, limit: CLAIMS, cursor }));
    claims = [...page.items.reverse(), ...claims];
    cursor = page.next;
  }
  return { claims, more: cursor !== null };
}
