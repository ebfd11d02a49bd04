import { TOPICS, type TopicName } from '@vigil/contracts';
import { type EventLog, lagOf, unreadOf } from '@vigil/event-log';
import type { Shard } from './library-snapshot.ts';

/** Who reads what: a stage's name, its group on the log, and its topics. */
export interface Reader {
  name: string;
  group: string;
  consumes: readonly TopicName[];
}

/** All but matchers, of which there is one a shard of each layout. */
export const READERS = {
  plan: { name: 'plan', group: 'plan', consumes: ['uploads'] },
  learn: { name: 'learn', group: 'learn', consumes: ['references'] },
  slicesFirst: { name: 'fingerprint-first', group: 'fingerprint-first', consumes: ['slicesFirst'] },
  slicesRest: { name: 'fingerprint-rest', group: 'fingerprint-rest', consumes: ['slicesRest'] },
  slicesBatch: { name: 'fingerprint-batch', group: 'fingerprint-batch', consumes: ['slicesBatch'] },
  confirm: { name: 'confirm', group: 'confirm', consumes: ['proposals'] },
  manifests: { name: 'decide-manifest', group: 'decide-manifests', consumes: ['manifests'] },
  alignments: { name: 'decide-alignments', group: 'decide-alignments', consumes: ['alignments'] },
  evidence: { name: 'decide-evidence', group: 'decide-evidence', consumes: ['evidence'] },
  acknowledgements: {
    name: 'record-acknowledgement',
    group: 'record-acknowledgements',
    consumes: ['acknowledgements'],
  },
  pictures: { name: 'take-pictures', group: 'take-pictures', consumes: ['pictures'] },
} as const satisfies Record<string, Reader>;

/** Each shard of each layout reads all fingerprints by itself; its replicas share them. */
export const matchGroup = ({ number, of }: Shard): string => `match-${number}-of-${of}`;
export const matcher = (shard: Shard): Reader => ({
  name: 'match',
  group: matchGroup(shard),
  consumes: ['fingerprints'],
});

/** Events that these have yet to read. @throws EventLogError */
export async function lagOfAll(log: EventLog, readers: readonly Pick<Reader, 'group' | 'consumes'>[]): Promise<number> {
  let lag = 0;
  for (const { group, consumes } of readers) {
    for (const name of consumes) lag += await lagOf(log, group, TOPICS[name].name);
  }
  return lag;
}

/** What one reader has yet to do. */
export interface Queue {
  stage: string;
  group: string;
  /** Events that it has not done. */
  waiting: number;
  /** Seconds since the log took the oldest of these; 0 where none waits. */
  behindSeconds: number;
}

/** @throws EventLogError */
export async function queueOf(
  log: Pick<EventLog, 'committed' | 'ends' | 'read'>,
  reader: Reader,
  now: number,
): Promise<Queue> {
  const { name: stage, group, consumes } = reader;
  let waiting = 0;
  let oldest = now;
  for (const topicName of consumes) {
    const topic = TOPICS[topicName].name;
    const lag = await unreadOf(log, group, topic);
    waiting += lag.reduce((sum, { behind }) => sum + behind, 0);
    for (const { partition, next, behind } of lag) {
      if (behind === 0) continue;
      for await (const { time } of log.read(topic, partition, next, next + 1)) oldest = Math.min(oldest, time);
    }
  }
  return { stage, group, waiting, behindSeconds: (now - oldest) / 1000 };
}
