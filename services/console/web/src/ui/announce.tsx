import { signal } from '@preact/signals';

const polite = signal('');
const urgent = signal('');

/** Said by a screen reader. The same words twice are said twice. */
export function announce(text: string, { now = false } = {}): void {
  const region = now ? urgent : polite;
  region.value = region.peek() === text ? `${text}\u00a0` : text;
}

export function LiveRegions() {
  return (
    <>
      <div class="sr-only" role="status" aria-live="polite">
        {polite}
      </div>
      <div class="sr-only" role="alert">
        {urgent}
      </div>
    </>
  );
}
