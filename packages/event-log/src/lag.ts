import type { EventLog } from './event-log.ts';

/** Records of a topic that a group has yet to read. @throws EventLogError */
export async function lagOf(log: Pick<EventLog, 'committed' | 'ends'>, group: string, topic: string): Promise<number> {
  const readTo = new Map((await log.committed(group, topic)).map(({ partition, offset }) => [partition, offset]));
  const ends = await log.ends(topic);
  return ends.reduce((sum, { partition, start, end }) => sum + Math.max(0, end - (readTo.get(partition) ?? start)), 0);
}
