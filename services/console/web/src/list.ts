import { type Signal, signal } from '@preact/signals';
import { useEffect, useMemo } from 'preact/hooks';
import type { LiveEvent } from '../../src/wire.ts';
import { address, get, type Page, sayError } from './api.ts';
import { onLive } from './live.ts';

/** A long list that is read page by page, as far as somebody scrolls. */
export interface PagedList<T> {
  items: Signal<T[]>;
  state: Signal<'loading' | 'ready' | 'failed'>;
  problem: Signal<string | null>;
  /** Whether there is more behind what was read. */
  more: Signal<boolean>;
  /** Reads on; once all was read, what could not be looked at again since. */
  next(): Promise<void>;
  /** Reads the first page again and puts what is new or changed in its place; what was read further down stays. */
  refresh(): Promise<void>;
}

const LIMIT = 100;

/** @param path of the list; another path, or other queries, are another list */
export function usePagedList<T>(
  path: string,
  query: Record<string, string | undefined>,
  idOf: (item: T) => string,
): PagedList<T> {
  const where = address(path, { limit: LIMIT, ...query });
  const list = useMemo(() => createPagedList<T>(where, idOf), [where]);
  useEffect(() => {
    void list.next();
    return () => list.stop();
  }, [list]);
  return list;
}

/** Events come in crowds: one more look when they are over. */
const SETTLED_MS = 300;

/** Reads a list again when something of this type has happened, or may have been missed. */
export function useRefreshed(list: PagedList<unknown>, type: LiveEvent['type']): void {
  useEffect(() => {
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = onLive((event) => {
      if (event.type !== type && event.type !== 'reset') return;
      clearTimeout(timer);
      timer = setTimeout(() => void list.refresh(), SETTLED_MS);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [list, type]);
}

export function createPagedList<T>(where: string, idOf: (item: T) => string): PagedList<T> & { stop(): void } {
  const items = signal<T[]>([]);
  const state = signal<'loading' | 'ready' | 'failed'>('loading');
  const problem = signal<string | null>(null);
  const more = signal(true);
  const stop = new AbortController();
  let cursor: string | null = null;
  /** So many items from the top lie before the cursor; those after them were read before it was set back, and keep their place. */
  let placed = 0;
  let running: Promise<void> | null = null;

  async function read(from: string | null): Promise<Page<T> | null> {
    try {
      const page = await get<Page<T>>(from ? `${where}&cursor=${encodeURIComponent(from)}` : where, stop.signal);
      problem.value = null;
      return page;
    } catch (error) {
      if (!stop.signal.aborted) {
        problem.value = sayError(error);
        state.value = 'failed';
      }
      return null;
    }
  }

  async function readNext(): Promise<void> {
    const from = cursor;
    const page = await read(from);
    if (!page) return;
    // Looked at again meanwhile, the list goes on elsewhere.
    if (cursor !== from) return readNext();
    const before = from === null ? [] : items.value.slice(0, placed);
    // Behind the last ones nothing is left: what was read there once is gone.
    const after = page.next === null ? [] : items.value.slice(before.length);
    const head = [...without(page, before), ...page.items];
    items.value = [...head, ...without(page, after)];
    placed = head.length;
    cursor = page.next;
    more.value = page.next !== null;
    state.value = 'ready';
  }

  function without(page: Page<T>, others: T[]): T[] {
    const fresh = new Set(page.items.map(idOf));
    return others.filter((item) => !fresh.has(idOf(item)));
  }

  return {
    ...{ items, state, problem, more },
    next() {
      if (!more.value) return state.value === 'failed' ? this.refresh() : Promise.resolve();
      running ??= readNext().finally(() => {
        running = null;
      });
      return running;
    },
    async refresh() {
      const page = await read(null);
      if (!page) return;
      const before = items.value.slice(0, placed);
      const last = page.items.at(-1);
      const meets = last !== undefined && before.some((item) => idOf(item) === idOf(last));
      // A first page that is all there is also says what is gone.
      items.value = page.next === null ? page.items : [...page.items, ...without(page, items.value)];
      // Read to its end it may have grown there, and by more than a page at its top: what came between is read from here on.
      if (!more.value || !meets || page.next === null) {
        placed = page.items.length;
        cursor = page.next;
        more.value = page.next !== null;
      } else placed = page.items.length + without(page, before).length;
      state.value = 'ready';
    },
    stop: () => stop.abort(),
  };
}
