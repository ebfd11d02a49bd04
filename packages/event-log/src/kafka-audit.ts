import { EventLogError } from './event-log.ts';
import type { Admin } from './kafka-client.ts';
import { toOffset } from './kafka-records.ts';
import type { Owned } from './partition-work.ts';

/**
 * kafkajs may stop fetching without a word, of all partitions or of those of one broker (kafkajs#659, #660, #1616). So the
 * log is asked where it ends: a partition that stands still below its end from one audit to the next is not fetched. What kafkajs
 * calls `high` is the last stable offset: it asks as read_committed does, so a transaction that stays open stops nobody.
 */
export interface Audit {
  /** We have seen a batch. @param whole nothing of it was left to be fetched again */
  taken(name: string, whole: boolean): void;
  /** kafkajs has come this far, control records included, which nobody else is shown. */
  passed(name: string, lastOffset: number, records: number): void;
  /** @throws EventLogError when a partition has stood still since the last time */
  run(admin: Admin, waiting: ReadonlyMap<string, Owned>): Promise<void>;
}

export function createAudit(): Audit {
  const reached = new Map<string, number>();
  const whole = new Map<string, boolean>();
  const suspects = new Map<string, { owned: Owned; at: number }>();
  return {
    taken: (name, all) => void whole.set(name, all),
    passed(name, lastOffset, records) {
      if (records === 0 || whole.get(name)) reached.set(name, lastOffset + 1);
      else reached.delete(name);
    },
    async run(admin, waiting) {
      for (const name of suspects.keys()) if (!waiting.has(name)) suspects.delete(name);
      for (const topic of new Set([...waiting.values()].map((owned) => owned.topic))) {
        const ends = await admin.fetchTopicOffsets(topic);
        for (const [name, owned] of waiting) {
          if (owned.topic !== topic || owned.lost) continue;
          const at = Math.max(owned.fetchFrom, reached.get(name) ?? 0);
          const end = ends.find((one) => one.partition === owned.partition);
          const behind = end !== undefined && toOffset(end.high) > at;
          const suspect = suspects.get(name);
          // One that was lost and taken over since has only begun.
          if (behind && suspect?.owned === owned && suspect.at === at)
            throw new EventLogError(`${name} has records from ${at} on that are not fetched`, { retriable: true });
          if (behind) suspects.set(name, { owned, at });
          else suspects.delete(name);
        }
      }
    },
  };
}
