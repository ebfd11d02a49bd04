export interface Member {
  id: string;
  /** Ids of the topics that it subscribes to. */
  topics: readonly number[];
}

/**
 * How many partitions of each topic are `me`'s: as equal as can be, and over all members exactly as many as there are.
 * The odd ones go to another member for each topic. Whoever has more gives some back, whoever has less takes free ones;
 * so partitions stay where they are as long as that is fair.
 * @param members in the same order for everyone
 */
export function shareOf(
  topics: readonly { id: number; partitions: number }[],
  members: readonly Member[],
  me: string,
): Map<number, number> {
  const shares = new Map<number, number>();
  for (const { id, partitions } of topics) {
    const subscribed = members.filter((member) => member.topics.includes(id));
    const place = subscribed.findIndex((member) => member.id === me);
    if (place < 0) continue;
    const turn = (place + id) % subscribed.length;
    const odd = turn < partitions % subscribed.length ? 1 : 0;
    shares.set(id, Math.floor(partitions / subscribed.length) + odd);
  }
  return shares;
}
