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
    const page = await read(cursor);
    if (!page) return;
    const known = new Set(items.value.map(idOf));
    items.value = [...items.value, ...page.items.filter((item) => !known.has(idOf(item)))];
    cursor = page.next;
    more.value = page.next !== null;
    state.value = 'ready';
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
      const fresh = new Set(page.items.map(idOf));
      const rest = items.value.filter((item) => !fresh.has(idOf(item)));
      // A first page that is all there is also says what is gone.
      const whole = page.next === null;
      items.value = whole ? page.items : [...page.items, ...rest];
      if (whole) {
        cursor = null;
        more.value = false;
      }
      state.value = 'ready';
    },
    stop: () => stop.abort(),
  };
}
