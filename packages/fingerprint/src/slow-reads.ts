import type { MediaSource } from './media-source.ts';

/** A read that takes longer waits for a store that is in trouble: one that answers takes a tenth of it. */
const SLOW_READ_MS = 1000;
/** A job that lost as much of its time as this to such reads was not slow by itself. */
const PART_LOST = 1 / 4;

/** The store kept a job waiting until its time was over. That says nothing of the media: the same job may succeed later. */
export class SourceStalled extends Error {
  override name = 'SourceStalled';
  readonly retriable = true;
}

export interface SlowReads {
  /** The same source, whose reads are timed. */
  of(source: MediaSource): MediaSource;
  /**
   * Is it the store's doing when the job runs out of time? What a film asks for in many small pieces is not: only reads that are slow
   * one by one count, so that no upload can make itself look like an outage.
   */
  explain(): boolean;
}

/** @param seconds what the job has */
export function watchReads(seconds: number): SlowReads {
  const running = new Set<{ since: number }>();
  let lost = 0;
  const slow = ({ since }: { since: number }) => {
    const ms = performance.now() - since;
    return ms > SLOW_READ_MS ? ms : 0;
  };
  return {
    of: (source) => ({
      size: source.size,
      async read(start, end, signal) {
        const read = { since: performance.now() };
        running.add(read);
        try {
          return await source.read(start, end, signal);
        } finally {
          running.delete(read);
          lost += slow(read);
        }
      },
    }),
    explain: () => lost >= seconds * 1000 * PART_LOST || [...running].some((read) => slow(read) > 0),
  };
}
