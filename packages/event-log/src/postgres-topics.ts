import type { TopicSpec } from '@vigil/contracts';
import type { Postgres } from '@vigil/runtime';
import { EventLogError } from './event-log.ts';

export interface Topic {
  id: number;
  name: string;
  partitions: number;
  cleanup: TopicSpec['cleanup'];
  retentionMs: number | null;
  maxBytes: number;
}

export interface Topics {
  ensure(specs: readonly TopicSpec[]): Promise<void>;
  /** @throws EventLogError, not retriable, when there is no such topic. */
  get(name: string): Promise<Topic>;
  all(): Promise<Topic[]>;
}

const COLUMNS = 'id, name, partitions, cleanup, retention_ms AS "retentionMs", max_bytes AS "maxBytes"';

/** What a topic is never changes once it is there, so it is remembered. */
export function createTopics(postgres: Postgres): Topics {
  const known = new Map<string, Topic>();
  const all = async () => {
    const topics = await postgres.query<Topic>(`SELECT ${COLUMNS} FROM vigil_log_topic ORDER BY name`);
    for (const topic of topics) known.set(topic.name, topic);
    return topics;
  };
  return {
    all,
    async ensure(specs) {
      const column = <K extends keyof TopicSpec>(name: K) => specs.map((spec) => spec[name]);
      await postgres.transaction(async (tx) => {
        await tx.query(
          `INSERT INTO vigil_log_topic (name, partitions, cleanup, retention_ms, max_bytes)
           SELECT * FROM unnest($1::text[], $2::int[], $3::text[], $4::bigint[], $5::int[]) AS t (name) ORDER BY name
           ON CONFLICT (name) DO NOTHING`,
          [column('name'), column('partitions'), column('cleanup'), column('retentionMs'), column('maxBytes')],
        );
        await tx.query(
          `INSERT INTO vigil_log_partition (topic, partition)
           SELECT id, generate_series(0, partitions - 1) FROM vigil_log_topic WHERE name = ANY($1)
           ON CONFLICT DO NOTHING`,
          [column('name')],
        );
      });
      await all();
      for (const spec of specs) {
        const there = known.get(spec.name)!;
        for (const name of ['partitions', 'cleanup', 'retentionMs', 'maxBytes'] as const) {
          if (there[name] === spec[name]) continue;
          const text = `topic ${spec.name} exists with ${name} ${there[name]}, where ${spec[name]} is asked for`;
          throw new EventLogError(text, { retriable: false });
        }
      }
    },
    async get(name) {
      if (!known.has(name)) await all();
      const topic = known.get(name);
      if (!topic) throw new EventLogError(`there is no topic ${name}`, { retriable: false });
      return topic;
    },
  };
}
