export interface Claimant {
  id: string;
  topics: readonly string[];
  /** Partitions that it owns now, by topic. */
  claims: Readonly<Record<string, readonly number[]>>;
}

/**
 * Shares partitions out as equally as can be, topic by topic and over all, and leaves them where they are as long as that
 * is fair: what moves is done again by its new owner. The odd partitions of a topic go to whoever has least so far; where
 * that is equal, to whoever has one already.
 */
export function shareOut(
  topics: readonly { topic: string; partitions: readonly number[] }[],
  members: readonly Claimant[],
): Map<string, Record<string, number[]>> {
  const shares = new Map<string, Record<string, number[]>>(members.map(({ id }) => [id, {}]));
  const total = new Map(members.map(({ id }) => [id, 0]));
  for (const { topic, partitions } of topics.toSorted((a, b) => (a.topic < b.topic ? -1 : 1))) {
    const subscribed = members
      .filter((member) => member.topics.includes(topic))
      .toSorted((a, b) => (a.id < b.id ? -1 : 1));
    if (subscribed.length === 0) continue;
    const floor = Math.floor(partitions.length / subscribed.length);
    const free = new Set(partitions);
    const own = new Map<string, number[]>();
    for (const { id, claims } of subscribed)
      own.set(
        id,
        (claims[topic] ?? []).filter((partition) => free.delete(partition)),
      );

    const wantsOdd = (a: Claimant, b: Claimant) =>
      total.get(a.id)! - total.get(b.id)! || own.get(b.id)!.length - own.get(a.id)!.length || (a.id < b.id ? -1 : 1);
    const odd = new Set(
      subscribed
        .toSorted(wantsOdd)
        .slice(0, partitions.length % subscribed.length)
        .map(({ id }) => id),
    );
    const due = ({ id }: Claimant) => floor + (odd.has(id) ? 1 : 0);
    for (const member of subscribed) for (const given of own.get(member.id)!.splice(due(member))) free.add(given);
    const rest = [...free].toSorted((a, b) => a - b);
    for (const member of subscribed) {
      const mine = own.get(member.id)!;
      mine.push(...rest.splice(0, due(member) - mine.length));
      if (mine.length > 0) shares.get(member.id)![topic] = mine.toSorted((a, b) => a - b);
      total.set(member.id, total.get(member.id)! + mine.length);
    }
  }
  return shares;
}
