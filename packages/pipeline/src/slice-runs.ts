/**
 * Neighbouring slices of one upload that wait for a decoder at the same time are read by one. Its start costs as much as a slice
 * does, and nobody waits for it longer than before: who comes first takes along those that would have come after.
 */
import { SLICES_IN_RUN, type Slice } from '@vigil/contracts';
import type { FingerprintOutcome } from '@vigil/fingerprint';
import { ownerKey } from './events.ts';
import type { Lane, Lanes } from './lanes.ts';

export type ReadRun = (slices: readonly Slice[]) => Promise<FingerprintOutcome[]>;

export interface SliceRuns {
  /** Says that a slice will be asked for; until it is disposed of, a neighbour may take it along. */
  expect(slice: Slice): ExpectedSlice;
}

export interface ExpectedSlice extends Disposable {
  /**
   * Codes of the slice, when a slot of the lane is free or a neighbour has read it.
   * @throws what `read` throws, or the signal's reason
   */
  codes(options: { lane: Lane; signal: AbortSignal; alive: () => void; read: ReadRun }): Promise<FingerprintOutcome>;
}

interface Waiting {
  slice: Slice;
  /** Set by the neighbour that takes it along. */
  taken: Promise<FingerprintOutcome> | null;
  /** Ends its own waiting for a slot. */
  leave: AbortController;
}

const PULSE_MS = 10_000;

export function createSliceRuns(lanes: Lanes): SliceRuns {
  const uploads = new Map<string, Map<number, Waiting>>();

  /** The slice and its neighbours that wait as well, in order. */
  function together(one: Waiting): Waiting[] {
    const waiting = uploads.get(ownerKey(one.slice.owner));
    const at = (n: number) => {
      const found = waiting?.get(n);
      return found && found.taken === null ? found : null;
    };
    const run = [one];
    for (let n = one.slice.slice + 1; run.length < SLICES_IN_RUN && at(n); n++) run.push(at(n)!);
    for (let n = one.slice.slice - 1; run.length < SLICES_IN_RUN && at(n); n--) run.unshift(at(n)!);
    return run;
  }

  return {
    expect(slice) {
      const own: Waiting = { slice, taken: null, leave: new AbortController() };
      const key = ownerKey(slice.owner);
      const waiting = uploads.get(key) ?? new Map<number, Waiting>();
      waiting.set(slice.slice, own);
      uploads.set(key, waiting);
      const forget = () => {
        if (waiting.get(slice.slice) === own) waiting.delete(slice.slice);
        if (waiting.size === 0 && uploads.get(key) === waiting) uploads.delete(key);
      };

      return {
        async codes({ lane, signal, alive, read }) {
          const lead = () => {
            const run = together(own);
            forget();
            const outcomes = read(run.map((w) => w.slice));
            for (const [n, other] of run.entries()) {
              if (other === own) continue;
              other.taken = outcomes.then((all) => all[n]!);
              other.taken.catch(() => undefined); // it may have left meanwhile
              other.leave.abort();
            }
            return outcomes.then((all) => all[run.indexOf(own)]!);
          };
          if (!own.taken) {
            try {
              return await lanes.run(lane, AbortSignal.any([signal, own.leave.signal]), lead, alive);
            } catch (error) {
              if (!own.taken) throw error;
            }
          }
          const pulse = setInterval(alive, PULSE_MS);
          try {
            return await own.taken!;
          } catch {
            // Its reader was called off, or broke down: that is its own affair.
            signal.throwIfAborted();
            return await lanes.run(lane, signal, async () => (await read([slice]))[0]!, alive);
          } finally {
            clearInterval(pulse);
          }
        },
        [Symbol.dispose]: forget,
      };
    },
  };
}
