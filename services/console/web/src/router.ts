import { computed, signal } from '@preact/signals';

const here = () => ({ path: location.pathname, query: new URLSearchParams(location.search) });
export const route = signal(here());
export const path = computed(() => route.value.path);

addEventListener('popstate', () => {
  route.value = here();
});

export function go(to: string, { replace = false } = {}): void {
  if (to === location.pathname + location.search) return;
  history[replace ? 'replaceState' : 'pushState'](null, '', to);
  route.value = here();
  if (!replace) document.querySelector('main')?.scrollTo(0, 0);
}

/** Plain clicks on links of the page stay inside of it; all others are the browser's. */
addEventListener('click', (event) => {
  if (event.defaultPrevented || event.button !== 0 || event.metaKey || event.ctrlKey || event.shiftKey || event.altKey)
    return;
  const link = event.target instanceof Element ? event.target.closest('a') : null;
  if (!link || link.origin !== location.origin || link.target || link.hasAttribute('download') || link.hash) return;
  if (!PAGES.test(link.pathname)) return;
  event.preventDefault();
  go(link.pathname + link.search);
});

const PAGES = /^\/(?:$|review|cases|library|live|sign-in)(?:\/|$)?/;

/** The last part of `/cases/cs_1` under `/cases`; null for another path. */
export function below(prefix: string, at: string): string | null {
  if (!at.startsWith(`${prefix}/`)) return null;
  const rest = at.slice(prefix.length + 1);
  return rest === '' ? null : decodeURIComponent(rest);
}
