/**
 * Finding the record that kills whoever handles it. Pure: states in, states out; the adapter keeps the state beside the
 * partition's committed offset (a column, or the metadata of an offset commit) and writes both at once.
 *
 * 1. Whoever is assigned a partition writes a state that says `held`; whoever leaves in good order takes that back. A
 *    `held` state found at assignment is a death of the previous owner. Deaths at one committed offset add up, unless there
 *    is no record there: whoever died of an idle partition did not die of it.
 * 2. After the third, records run alone: nothing else runs in the process, and before each the state says `alone` with
 *    the committed offset at that very record.
 * 3. An `alone` state found at assignment is the proof: that record is buried instead of handled. Then all is as usual.
 *    Where nothing dies, the partition returns to usual after as many records as can have been under way at once.
 */
export interface Deaths {
  /** The committed offset that `deaths` belongs to. */
  at: number;
  deaths: number;
  /** Somebody owns the partition, or died owning it. */
  held: boolean;
  /** The record at `at` runs alone at this moment. */
  alone: boolean;
  /** How many more records run one at a time. */
  left: number;
}

/** Deaths at one offset after which records run alone. */
export const DEATHS_UNTIL_ALONE = 3;

export type Plan =
  | { kind: 'together' }
  | { kind: 'alone' }
  /** Bury the record at `offset`; if it is not there any more, nothing is left to be done about it. */
  | { kind: 'bury'; offset: number; deaths: number };

/**
 * What a new owner is to do, and the state that it must write before it reads its first record.
 * @param committed next offset to be read
 * @param span how many records can be under way at once, so that the guilty one is among the first `span`
 * @param end where the log ends: with nothing left to be read there is nothing to blame
 */
export function assigned(
  found: Deaths | null,
  committed: number,
  span: number,
  end = Number.POSITIVE_INFINITY,
): { state: Deaths; plan: Plan } {
  const previous = committed < end ? found : null;
  const same = previous !== null && previous.at === committed;
  const before = same ? previous.deaths : 0;
  const deaths = previous?.held ? before + 1 : before;
  if (previous?.held && previous.alone && same)
    return { state: { ...previous, deaths }, plan: { kind: 'bury', offset: committed, deaths } };
  const unfinished = previous?.left ?? 0;
  const left = unfinished > 0 ? unfinished : deaths >= DEATHS_UNTIL_ALONE ? Math.max(1, span) : 0;
  return {
    state: { at: committed, deaths, held: true, alone: false, left },
    plan: { kind: left > 0 ? 'alone' : 'together' },
  };
}

/** Before a record runs alone; to be written together with committed = offset. */
export const beginAlone = (state: Deaths, offset: number): Deaths => ({ ...state, at: offset, alone: true });

/** After it ran and lived; to be written together with committed = next, before anything else may run. */
export function endAlone(state: Deaths, next: number): Deaths {
  const left = Math.max(0, state.left - 1);
  return { ...state, at: next, alone: false, left, deaths: left > 0 ? state.deaths : 0 };
}

/** After the guilty record was buried, or was found to be gone. */
export const passed = (state: Deaths, next: number): Deaths => ({
  ...state,
  at: next,
  alone: false,
  left: 0,
  deaths: 0,
});

/** The owner leaves in good order. What it interrupted by leaving is not to blame. */
export const released = (state: Deaths): Deaths => ({ ...state, held: false, alone: false });

/** At most some 40 characters: `at,deaths,flags,left`. */
export function encodeDeaths(state: Deaths): string {
  const flags = `${state.held ? 'h' : ''}${state.alone ? 'a' : ''}`;
  return `${state.at},${state.deaths},${flags},${state.left}`;
}

/** Null for no state. What cannot be read (somebody else's metadata) counts as none as well. */
export function decodeDeaths(text: string | null | undefined): Deaths | null {
  const match = /^(\d+),(\d+),(h?)(a?),(\d+)$/.exec(text ?? '');
  if (!match) return null;
  const [, at, deaths, held, alone, left] = match;
  return { at: Number(at), deaths: Number(deaths), held: held !== '', alone: alone !== '', left: Number(left) };
}
