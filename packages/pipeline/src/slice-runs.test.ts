import type { Slice } from '@vigil/contracts';
import { SAMPLES } from '@vigil/contracts/event-samples';
import type { FingerprintOutcome } from '@vigil/fingerprint';
import { beforeEach, describe, expect, test } from 'vitest';
import { createLanes, type Lanes } from './lanes.ts';
import { createSliceRuns, type SliceRuns } from './slice-runs.ts';

/** Faked: what reads. Each slice's outcome names it, so that a mix-up shows. */
describe('neighbouring slices that wait', () => {
  let lanes: Lanes;
  let runs: SliceRuns;
  let reads: number[][];
  let gate: PromiseWithResolvers<void>;

  const slice = (n: number, upload = 'up_1'): Slice => ({
    ...SAMPLES.slice,
    owner: { type: 'upload', id: upload },
    slice: n,
    slices: 20,
  });
  const named = (s: Slice): FingerprintOutcome => ({
    status: 'rejected',
    reason: 'corrupt',
    detail: `${s.slice} of ${s.owner.id}`,
  });
  const ask = async (one: Slice, signal = new AbortController().signal): Promise<string> => {
    using expected = runs.expect(one);
    await Promise.resolve();
    const read = async (slices: readonly Slice[]) => {
      reads.push(slices.map((s) => s.slice));
      await gate.promise;
      signal.throwIfAborted();
      return slices.map(named);
    };
    const made = await expected.codes({ lane: 'rest', signal, alive: () => undefined, read });
    return made.status === 'rejected' ? made.detail : made.status;
  };

  beforeEach(() => {
    lanes = createLanes(2);
    runs = createSliceRuns(lanes);
    reads = [];
    gate = Promise.withResolvers();
  });

  test('are read together, four at most, each told its own', async () => {
    const asked = [5, 4, 6, 7, 8, 12].map((n) => ask(slice(n)));
    gate.resolve();
    expect(await Promise.all(asked)).toEqual([5, 4, 6, 7, 8, 12].map((n) => `${n} of up_1`));
    expect(reads).toEqual([[5, 6, 7, 8], [4], [12]]);
    expect(lanes.waiting().rest).toBe(0);
  });

  test('are not mixed with those of other uploads', async () => {
    const asked = [ask(slice(1, 'up_1')), ask(slice(2, 'up_2'))];
    gate.resolve();
    expect(await Promise.all(asked)).toEqual(['1 of up_1', '2 of up_2']);
    expect(reads).toEqual([[1], [2]]);
  });

  test('are read again alone when the one that took them along is called off', async () => {
    const stop = new AbortController();
    const [leader, other] = [ask(slice(1), stop.signal), ask(slice(2))];
    await expect.poll(() => reads).toEqual([[1, 2]]);
    stop.abort(new Error('called off'));
    gate.resolve();
    await expect(leader).rejects.toThrow('called off');
    expect(await other).toBe('2 of up_1');
    expect(reads).toEqual([[1, 2], [2]]);
  });

  test('are not waited for: one that comes later is read later', async () => {
    const first = ask(slice(1));
    await expect.poll(() => reads).toEqual([[1]]);
    const second = ask(slice(2));
    gate.resolve();
    expect(await Promise.all([first, second])).toEqual(['1 of up_1', '2 of up_1']);
    expect(reads).toEqual([[1], [2]]);
  });
});
