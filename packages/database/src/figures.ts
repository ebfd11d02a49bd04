import type { Queryable } from '@vigil/runtime';
import { outboxLag } from './outbox.ts';

/** Sizes of what people and machines have to see to, and of the library; bounded work, whatever the tables' sizes. */
export interface Figures {
  /** Newest versions of references, by state. */
  references: Record<string, number>;
  /** Claims that wait for a person. */
  reviews: number;
  /** Takedowns and restorations that some surface has not done, and those of them that are late. */
  actions: { open: number; overdue: number };
  outbox: { waiting: number; oldest: number | null };
  /** Timers that should have been brought by now: above 0 for long, nobody brings them. */
  timersDue: number;
  webhooksDue: number;
}

/** `late`: actions sent before this time are overdue. */
export async function figuresOf(db: Queryable, { now, late }: { now: number; late: number }): Promise<Figures> {
  const one = async <T>(sql: string, values: unknown[] = []) => (await db.query<T>(sql, values))[0]!;
  const states = await db.query<{ state: string; n: number }>(
    'SELECT state, count(*) AS n FROM reference_versions GROUP BY state',
  );
  const actions = await one<{ open: number; overdue: number }>(
    `SELECT count(*) AS open, count(*) FILTER (WHERE sent_at < $1) AS overdue FROM actions WHERE closed_at IS NULL`,
    [late],
  );
  const { reviews } = await one<{ reviews: number }>(`SELECT count(*) AS reviews FROM claims WHERE state = 'open'`);
  const { timers } = await one<{ timers: number }>('SELECT count(*) AS timers FROM timers WHERE due_at <= $1', [now]);
  const { webhooks } = await one<{ webhooks: number }>(
    'SELECT count(*) AS webhooks FROM webhook_deliveries WHERE due_at <= $1',
    [now],
  );
  return {
    references: Object.fromEntries(states.map(({ state, n }) => [state, n])),
    reviews,
    actions,
    outbox: await outboxLag(db),
    timersDue: timers,
    webhooksDue: webhooks,
  };
}
