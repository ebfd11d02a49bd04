import { type Deaths, decodeDeaths, encodeDeaths, released } from './deaths.ts';
import type { GroupAssigner } from './kafka-client.ts';
import { type Claimant, shareOut } from './sticky.ts';

/**
 * What is written beside a committed offset: the state of deaths, and which consumer wrote it. A partition that moves from
 * one living member to another says `held` as well; only of an owner that the group does not know any more is it a death.
 */
export const encodeHolder = (deaths: Deaths, holder: string): string => `${encodeDeaths(deaths)};${holder}`;

export function decodeHolder(metadata: string | null | undefined): { deaths: Deaths; holder: string } | null {
  const [state, holder = ''] = (metadata ?? '').split(';');
  const deaths = decodeDeaths(state);
  return deaths && { deaths, holder };
}

/** What the next owner is to make of it. @param living the consumers that the group knows */
export function inherited(metadata: string | null | undefined, living: ReadonlySet<string>): Deaths | null {
  const found = decodeHolder(metadata);
  if (!found) return null;
  return living.has(found.holder) ? released(found.deaths) : found.deaths;
}

/** @param claims the partitions that this member owns at the moment of asking */
export function createAssigner(claims: () => Record<string, number[]>): GroupAssigner {
  return {
    name: 'vigil-sticky',
    say: () => JSON.stringify(claims()),
    assign: (topics, members) =>
      shareOut(
        topics,
        members.map(({ id, topics: subscribed, said }) => ({ id, topics: subscribed, claims: heard(said) })),
      ),
  };
}

/** Somebody else's words: whatever is not a list of numbers by topic counts as no claim. */
function heard(said: string): Claimant['claims'] {
  try {
    const claims: Record<string, number[]> = {};
    for (const [topic, partitions] of Object.entries(JSON.parse(said) as object))
      if (Array.isArray(partitions)) claims[topic] = partitions.filter((one): one is number => Number.isInteger(one));
    return claims;
  } catch {
    return {};
  }
}
