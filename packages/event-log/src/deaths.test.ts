import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  assigned,
  beginAlone,
  DEATHS_UNTIL_ALONE,
  type Deaths,
  decodeDeaths,
  encodeDeaths,
  endAlone,
  passed,
  released,
} from './deaths.ts';

const SPAN = 8;

describe('deaths', () => {
  it('count at one offset, when the owner before did not leave in good order', () => {
    let { state } = assigned(null, 7, SPAN);
    expect(state).toEqual({ at: 7, deaths: 0, held: true, alone: false, left: 0 });
    const counts = [1, 2, 3].map(() => {
      const next = assigned(state, 7, SPAN);
      state = next.state;
      return [state.deaths, next.plan.kind];
    });
    expect(counts).toEqual([
      [1, 'together'],
      [2, 'together'],
      [3, 'alone'],
    ]);
  });

  it('begin at one again when the committed offset has moved', () => {
    const two = { at: 7, deaths: 2, held: true, alone: false, left: 0 };
    expect(assigned(two, 8, SPAN).state).toMatchObject({ at: 8, deaths: 1 });
  });

  it('are not added by an owner that left in good order', () => {
    const two = { at: 7, deaths: 2, held: true, alone: false, left: 0 };
    expect(assigned(released(two), 7, SPAN).state.deaths).toBe(2);
    expect(assigned(released(two), 9, SPAN).state.deaths).toBe(0);
  });

  it('are forgotten where there is no record that could have caused them', () => {
    const three = { at: 7, deaths: 3, held: true, alone: false, left: 0 };
    const fresh = { state: { at: 7, deaths: 0, held: true, alone: false, left: 0 }, plan: { kind: 'together' } };
    expect(assigned(three, 7, SPAN, 7)).toEqual(fresh);
    // Those that ran alone have all lived, and none is left that could be guilty.
    expect(assigned({ ...three, left: 4 }, 7, SPAN, 7)).toEqual(fresh);
    expect(assigned(three, 7, SPAN, 8)).toMatchObject({ state: { deaths: 4 }, plan: { kind: 'alone' } });
  });

  it('are pinned on a record only when it ran alone', () => {
    const three = assigned({ at: 7, deaths: 2, held: true, alone: false, left: 0 }, 7, SPAN).state;
    expect(assigned(three, 7, SPAN).plan).toEqual({ kind: 'alone' });
    const suspected = beginAlone(three, 7);
    expect(assigned(suspected, 7, SPAN).plan).toEqual({ kind: 'bury', offset: 7, deaths: 4 });
    // It lived after all, and whoever came next in line did not.
    expect(assigned(beginAlone(endAlone(suspected, 8), 8), 8, SPAN).plan).toMatchObject({ kind: 'bury', offset: 8 });
    // Leaving while it runs (a drain that took too long) is no proof.
    expect(assigned(released(suspected), 7, SPAN).plan).toEqual({ kind: 'alone' });
  });

  it('bury again when the undertaker dies', () => {
    const suspected = { at: 7, deaths: 3, held: true, alone: true, left: 4 };
    const first = assigned(suspected, 7, SPAN);
    expect(assigned(first.state, 7, SPAN).plan).toEqual({ kind: 'bury', offset: 7, deaths: 5 });
    expect(assigned(passed(first.state, 8), 8, SPAN).plan).toEqual({ kind: 'together' });
  });

  it('survive being written down', () => {
    const states = fc.record({
      at: fc.maxSafeNat(),
      deaths: fc.nat(),
      held: fc.boolean(),
      alone: fc.boolean(),
      left: fc.nat(),
    });
    fc.assert(
      fc.property(states, (state) => {
        expect(decodeDeaths(encodeDeaths(state))).toEqual(state);
      }),
    );
    expect(['', null, 'rdkafka-metadata', '1,2,x,3'].map(decodeDeaths)).toEqual([null, null, null, null]);
  });
});

/**
 * A fleet that is restarted for ever over one partition. Up to SPAN records run at once; a poisonous record kills as soon
 * as it is begun (or, sometimes, later); other processes die for no reason of ours, and some leave in good order.
 */
describe('a fleet over hostile records', () => {
  const worlds = fc.record({
    length: fc.integer({ min: 1, max: 40 }),
    poison: fc.uniqueArray(fc.nat(39), { maxLength: 6 }),
    concurrency: fc.integer({ min: 1, max: SPAN }),
    /** What befalls the owner at each step that is not deadly by itself. */
    fate: fc.infiniteStream(fc.constantFrom('work', 'work', 'work', 'work', 'work', 'work', 'leave', 'crash between')),
    choice: fc.infiniteStream(fc.nat(1000)),
  });

  it('handles every innocent record and buries every poisonous one, never the other way round', () => {
    fc.assert(
      fc.property(worlds, ({ length, poison, concurrency, fate, choice }) => {
        const store: { committed: number; deaths: Deaths | null } = { committed: 0, deaths: null };
        const handled = new Set<number>();
        const buried = new Set<number>();
        let lives = 0;
        while (store.committed < length) {
          if (++lives > 2000) throw new Error('no end to it');
          live();
        }
        const guilty = poison.filter((offset) => offset < length);
        expect([...buried].toSorted()).toEqual(guilty.toSorted());
        expect(handled.size).toBe(length - guilty.length);

        /** One owner, from assignment to its end. */
        function live(): void {
          const { state, plan } = assigned(store.deaths, store.committed, concurrency);
          let deaths = state;
          store.deaths = deaths;
          if (plan.kind === 'bury') {
            expect(poison).toContain(plan.offset);
            expect(plan.deaths).toBeGreaterThan(DEATHS_UNTIL_ALONE);
            buried.add(plan.offset);
            deaths = passed(deaths, plan.offset + 1);
            Object.assign(store, { committed: plan.offset + 1, deaths });
          }
          while (plan.kind === 'alone' && deaths.left > 0 && store.committed < length) {
            const end = fate.next().value;
            if (end === 'leave') store.deaths = released(deaths);
            if (end !== 'work') return;
            const offset = store.committed;
            deaths = beginAlone(deaths, offset);
            store.deaths = deaths;
            if (poison.includes(offset)) return;
            handled.add(offset);
            deaths = endAlone(deaths, offset + 1);
            Object.assign(store, { committed: offset + 1, deaths });
          }
          const open: number[] = [];
          let next = store.committed;
          while (next < length || open.length > 0) {
            const end = fate.next().value;
            if (end === 'leave') {
              // A drain: what runs is awaited; a poisonous one among it would still kill.
              if (open.some((offset) => poison.includes(offset))) return;
              for (const offset of open) handled.add(offset);
              Object.assign(store, { committed: next, deaths: released(deaths) });
              return;
            }
            if (end === 'crash between') return;
            while (open.length < concurrency && next < length && next - (open[0] ?? next) < concurrency)
              open.push(next++);
            const [done] = open.splice(choice.next().value % open.length, 1);
            if (poison.includes(done!)) return;
            handled.add(done!);
            store.committed = open[0] ?? next;
          }
          store.deaths = released(deaths);
        }
      }),
      { numRuns: 300 },
    );
  });
});
