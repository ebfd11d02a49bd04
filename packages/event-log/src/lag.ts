import type { EventLog } from './event-log.ts';

/** What a group has yet to read of each partition: from `next` on, so many records. @throws EventLogError */
export async function unreadOf(
  log: Pick<EventLog, 'committed' | 'ends'>,
  group: string,
  topic: string,
): Promise<{ partition: number; next: number; behind: number }[]> {
  const readTo = new Map((await log.committed(group, topic)).map(({ partition, offset }) => [partition, offset]));
  return (await log.ends(topic)).map(({ partition, start, end }) => {
    const next = Math.max(start, readTo.get(partition) ?? start);
    return { partition, next, behind: Math.max(0, end - next) };
  });
}

/** Records of a topic that a group has yet to read. @throws EventLogError */
export const lagOf = async (log: Pick<EventLog, 'committed' | 'ends'>, group: string, topic: string): Promise<number> =>
  (await unreadOf(log, group, topic)).reduce((sum, { behind }) => sum + behind, 0);
