import { type Signal, signal } from '@preact/signals';
import { useEffect } from 'preact/hooks';
import type { Matches } from '../../../src/wire.ts';
import { get } from '../api.ts';
import { clock, plural } from '../format.ts';
import { onLive } from '../live.ts';

const BUCKETS = 96;
const OLD_MS = 30_000;
const known = new Map<string, { found: Signal<Matches | null>; at: number }>();

/** What may change a count. Also while no reference is in sight: then it is read again as soon as one is. */
const COUNTS: ReadonlySet<string> = new Set(['takedown', 'case', 'reset']);
onLive(({ type }) => {
  if (COUNTS.has(type)) for (const entry of known.values()) entry.at = 0;
});

/** How often each part of a reference was matched; read once, and again when it is old or something was taken down. */
export function useMatches(reference: string): Matches | null {
  const entry = known.get(reference) ?? { found: signal(null), at: 0 };
  known.set(reference, entry);
  useEffect(() => {
    const read = () => {
      entry.at = Date.now();
      get<Matches>(`/v1/references/${encodeURIComponent(reference)}/matches?buckets=${BUCKETS}`).then(
        (found) => {
          entry.found.value = found;
        },
        () => undefined,
      );
    };
    if (Date.now() - entry.at > OLD_MS) read();
    let timer: ReturnType<typeof setTimeout> | undefined;
    const stop = onLive((event) => {
      if (!COUNTS.has(event.type)) return;
      clearTimeout(timer);
      timer = setTimeout(read, 1000);
    });
    return () => {
      clearTimeout(timer);
      stop();
    };
  }, [reference, entry]);
  return entry.found.value;
}

/** In how many uploads something of it was found. */
export const foundIn = ({ uploads }: Matches): string =>
  uploads > 0 ? `in ${plural(uploads, 'upload')}` : 'not matched yet';

/** A work's time line: the higher, the more uploads showed that part. */
export function MatchLine({ matches, tall = false }: { matches: Matches | null; tall?: boolean }) {
  if (!matches) return <div class={`match-line ${tall ? 'tall' : ''}`} aria-hidden="true" />;
  const { buckets, seconds, uploads, duration } = matches;
  const most = Math.max(1, ...buckets);
  const peak = buckets.indexOf(most);
  const film = duration > 0;
  const words =
    uploads === 0
      ? 'Not matched by any upload yet'
      : film
        ? `Matched by ${plural(uploads, 'upload')}, most often around ${clock((peak + 0.5) * seconds, 0)}: by ${most}`
        : `Matched by ${plural(uploads, 'upload')}`;
  const width = 100 / buckets.length;
  return (
    <div class={`match-line ${tall ? 'tall' : ''}`} role="img" aria-label={words} title={words}>
      <svg viewBox="0 0 100 100" preserveAspectRatio="none" aria-hidden="true">
        {buckets.map((n, at) =>
          n === 0 ? null : (
            <rect key={at} x={at * width} width={width * 1.02} y={100 - (100 * n) / most} height={(100 * n) / most} />
          ),
        )}
      </svg>
    </div>
  );
}
