import type { Fingerprint, TopicName } from '@vigil/contracts';

/** An event that a stage wants sent; the runner knows topics, envelopes and logs, the stage does not. */
export interface Output {
  to: TopicName;
  key: string;
  id: string;
  type: string;
  data: unknown;
  codes?: Fingerprint | null;
  /** Beside those that say what the event is. */
  headers?: Record<string, string>;
  /** The traceparent that it belongs to, where that is not the one that is under way. */
  trace?: string | undefined;
}

/**
 * What became of one event. Every event ends in exactly one of these.
 * - done: its outputs are in the log before its offset is committed;
 * - skipped: nothing had to be done, and why;
 * - rejected: the event itself is at fault; it goes to the dead topic, and its outputs (the terminal results that others
 *   wait for) are sent all the same;
 * - retry: something outside is broken; the same event is tried again.
 */
export type Outcome =
  | { kind: 'done'; outputs: Output[] }
  | { kind: 'skipped'; reason: string }
  | { kind: 'rejected'; reason: string; outputs: Output[] }
  | { kind: 'retry'; reason: string };

export const done = (outputs: Output[] = []): Outcome => ({ kind: 'done', outputs });
export const skipped = (reason: string): Outcome => ({ kind: 'skipped', reason });
export const rejected = (reason: string, outputs: Output[] = []): Outcome => ({ kind: 'rejected', reason, outputs });
export const retry = (reason: string): Outcome => ({ kind: 'retry', reason });
