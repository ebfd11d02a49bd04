import { type Envelope, isCanary, TOPICS } from '@vigil/contracts';
import type { Metrics } from '@vigil/runtime';

/** Header of actions that come of an upload's first judgement: those are what the objective for time to takedown is about. */
export const FIRST = 'vigil_first';
export const isFirst = ({ headers }: Pick<Envelope, 'headers'>): boolean => headers[FIRST] === 'true';

interface Said {
  action?: string;
  attempt?: number;
  kind?: string | null;
  verdict?: string;
  cause?: string;
  holder?: string;
  latency?: { receivedAt: number };
}

/** Counts what has just reached the log: time to takedown, verdicts and alarms by kind. Never throws. */
export function countOutgoing(metrics: Metrics, records: readonly (Envelope & { topic: string })[], now: number): void {
  for (const record of records) {
    const counted = COUNTED[record.topic];
    if (!counted || !record.value) continue;
    try {
      counted(metrics, JSON.parse(new TextDecoder().decode(record.value)) as Said, record, now);
    } catch {
      // What is no JSON was spilled to the store: it is large, and none of these are.
    }
  }
}

const COUNTED: Readonly<Record<string, (metrics: Metrics, said: Said, record: Envelope, now: number) => void>> = {
  [TOPICS.takedowns.name](metrics, { action, attempt, kind, holder, latency }, record, now) {
    metrics.add('vigil_actions_total', { action: action ?? '', sending: attempt === 1 ? 'first' : 'again' });
    // Canaries are measured by themselves: theirs must not hide how others fare.
    if (action !== 'takedown' || attempt !== 1 || !latency || !isFirst(record) || isCanary(holder)) return;
    metrics.observe(
      'vigil_takedown_seconds',
      { kind: kind ?? 'unknown' },
      Math.max(0, now - latency.receivedAt) / 1000,
    );
  },
  [TOPICS.verdicts.name](metrics, { verdict, cause }) {
    metrics.add('vigil_verdicts_total', { verdict: verdict ?? '', cause: cause ?? '' });
  },
  [TOPICS.alarms.name](metrics, { kind }) {
    metrics.add('vigil_alarms_total', { kind: kind ?? '' });
  },
};
