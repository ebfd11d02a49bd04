import { type Clock, realClock } from './clock.ts';

export interface RetryOptions {
  /** Calls in all, the first one included. Default 5. */
  attempts?: number;
  /** Longest first pause; it doubles from call to call up to `maxMs`. Pauses are drawn from 0 to that ("full jitter"). */
  baseMs?: number;
  maxMs?: number;
  signal?: AbortSignal;
  /** Which errors are worth another call. Default: those that say `retriable`. */
  when?: (error: unknown) => boolean;
  onRetry?: (error: unknown, attempt: number, pauseMs: number) => void;
  clock?: Clock;
  random?: () => number;
}

/** Every error class of ours says `retriable`: true means that the environment is to blame, not the item. */
export function isRetriable(error: unknown): boolean {
  return typeof error === 'object' && error !== null && (error as { retriable?: unknown }).retriable === true;
}

/**
 * Calls `fn` until it succeeds, fails for good, or has failed `attempts` times; the last error is thrown. Jitter after
 * Brooker, "Exponential Backoff and Jitter" (AWS Architecture Blog, 2015).
 * @throws the signal's reason when it aborts during a pause.
 */
export async function retry<T>(fn: (attempt: number) => Promise<T>, options: RetryOptions = {}): Promise<T> {
  const { attempts = 5, baseMs = 100, maxMs = 10_000, signal, when = isRetriable, clock = realClock } = options;
  const random = options.random ?? Math.random;
  for (let attempt = 1; ; attempt++) {
    signal?.throwIfAborted();
    try {
      return await fn(attempt);
    } catch (error) {
      if (attempt >= attempts || !when(error)) throw error;
      const pauseMs = random() * Math.min(maxMs, baseMs * 2 ** (attempt - 1));
      options.onRetry?.(error, attempt, pauseMs);
      await clock.sleep(pauseMs, signal);
    }
  }
}
