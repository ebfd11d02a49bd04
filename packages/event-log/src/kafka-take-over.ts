import type { Logger } from '@vigil/runtime';
import type { Plan } from './deaths.ts';
import { EventLogError } from './event-log.ts';
import type { Admin } from './kafka-client.ts';
import { decodeHolder, inherited } from './kafka-membership.ts';
import { toOffset } from './kafka-records.ts';
import { type Progress, planFor, type WorkLimits } from './partition-work.ts';

export interface Place {
  topic: string;
  partition: number;
}
export const nameOf = ({ topic, partition }: Place): string => `${topic}/${partition}`;

export interface Inheritance {
  owned: Place;
  /** To be written before the first record is fetched. */
  progress: Progress;
  plan: Plan;
  /** Whom `progress.deaths` are laid to. */
  blamed: readonly string[];
}

/**
 * Where to begin partitions that the group has just given us, and what became of their last owners. Offsets that the log
 * does not have any more are an alarm, and not left to kafkajs, which would say so in its log and go on.
 */
export async function inherit(
  admin: Admin,
  { group, self, limits, logger }: { group: string; self: string; limits: WorkLimits; logger: Logger },
  places: readonly Place[],
): Promise<Inheritance[]> {
  const topics = [...new Set(places.map(({ topic }) => topic))];
  const [committed, ...ends] = await Promise.all([
    admin.fetchOffsets({ groupId: group, topics }),
    ...topics.map((name) => admin.fetchTopicOffsets(name)),
  ]);
  const found = places.map((place) => {
    const partitions = committed.find(({ topic }) => topic === place.topic)?.partitions;
    const at = partitions?.find(({ partition }) => partition === place.partition);
    const end = ends[topics.indexOf(place.topic)]?.find(({ partition }) => partition === place.partition);
    if (!at || !end) throw new EventLogError(`nothing is known of ${nameOf(place)}`, { retriable: true });
    return { place, at, start: toOffset(end.low), end: toOffset(end.high) };
  });
  const living = new Set([self]);
  const held = found.map(({ at }) => decodeHolder(at.metadata)).filter((one) => one !== null);
  if (held.some(({ deaths, blamed }) => deaths.held || blamed.length > 0)) {
    const { groups } = await admin.describeGroups([group]);
    for (const member of groups[0]?.members ?? []) living.add(member.clientId);
  }
  return found.map(({ place, at, start, end }) => {
    const offset = Number(at.offset);
    const from = offset < start || offset > end ? start : offset;
    // Below zero: the group has never committed.
    if (offset >= 0 && from !== offset) {
      const what = { ...place, committed: offset, start, end };
      if (offset > end) logger.error(what, 'the log ends before what this group has read: it was cut, or made anew');
      else logger.error(what, 'records were removed by retention before this group had read them');
    }
    const previous = inherited(at.metadata, living);
    const { state, plan } = planFor(previous?.deaths ?? null, from, end, limits);
    if (plan.kind !== 'together') logger.warn({ ...place, ...state, plan: plan.kind }, 'records run alone');
    const blamed = state.deaths > 0 ? (previous?.blamed ?? []) : [];
    return { owned: place, progress: { committed: from, deaths: state }, plan, blamed };
  });
}
