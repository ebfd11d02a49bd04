import { DEATHS_UNTIL_ALONE, type Deaths, decodeDeaths, encodeDeaths, released } from './deaths.ts';
import type { GroupAssigner } from './kafka-client.ts';
import { type Claimant, shareOut } from './sticky.ts';

/**
 * What is written beside a committed offset: the state of deaths, which consumer wrote it, and whom the deaths are laid to. A
 * partition that moves from one living member to another says `held` as well; only of an owner that the group does not know any
 * more is it a death, and only until that owner is known again: a member that was cut off for a moment has not died.
 */
export interface Holding {
  deaths: Deaths;
  holder: string;
  /** Oldest first, one a death. */
  blamed: readonly string[];
}

/** More change nothing any more, and the broker takes no more than 4096 bytes (offset.metadata.max.bytes). */
const DEATHS_WRITTEN = DEATHS_UNTIL_ALONE + 1;

export function encodeHolder({ deaths, holder, blamed }: Holding): string {
  const written = Math.min(deaths.deaths, DEATHS_WRITTEN);
  const names = written > 0 ? blamed.slice(-written) : [];
  return [encodeDeaths({ ...deaths, deaths: written }), holder, names.join('|')].join(';');
}

export function decodeHolder(metadata: string | null | undefined): Holding | null {
  const [state, holder = '', blamed = ''] = (metadata ?? '').split(';');
  const deaths = decodeDeaths(state);
  return deaths && { deaths, holder, blamed: blamed.split('|').filter(Boolean) };
}

/** What the next owner is to make of it. @param living the consumers that the group knows */
export function inherited(
  metadata: string | null | undefined,
  living: ReadonlySet<string>,
): Pick<Holding, 'deaths' | 'blamed'> | null {
  const found = decodeHolder(metadata);
  if (!found) return null;
  const { deaths: before, holder } = found;
  const blamed = found.blamed.filter((name) => !living.has(name));
  const deaths = { ...before, deaths: Math.max(0, before.deaths - (found.blamed.length - blamed.length)) };
  if (living.has(holder)) return { deaths: released(deaths), blamed };
  return { deaths, blamed: before.held ? [...blamed, holder] : blamed };
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
