import { codeToHex } from '@vigil/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import {
  type BrakeInForce,
  braked,
  type Counts,
  counts,
  holds,
  isUnlike,
  type Mark,
  match,
  trippedBy,
} from './brakes.ts';

const limits = { hot: 10, floodReference: 100, floodHolder: 300, cap: 1000 };
const quiet: Counts = {
  reference: { slight: 0, busiest: 0 },
  holder: { slight: 0, busiest: 0 },
  all: 0,
  unlike: 0,
};
const code = fc.uint8Array({ minLength: 32, maxLength: 32 }).map((bytes) => codeToHex(bytes));
const mark: fc.Arbitrary<Mark> = fc
  .record({
    upload: fc.uuid(),
    account: fc.option(fc.string({ maxLength: 3 })),
    solid: fc.boolean(),
    whole: fc.boolean(),
    duration: fc.constantFrom(0, 5, 30, 120),
    from: fc.tuple(fc.constantFrom(0, 3), fc.constantFrom(0, 100, 200)),
    codes: fc.array(fc.record({ ref: fc.constantFrom(0, 100, 200), code }), { maxLength: 3 }),
  })
  .map((m) => ({ ...m, slight: m.solid ? null : 'a picture' }));
const someCounts: fc.Arbitrary<Counts> = fc.record({
  reference: fc.record({ slight: fc.nat(5000), busiest: fc.nat(1000) }),
  holder: fc.record({ slight: fc.nat(5000), busiest: fc.nat(1000) }),
  all: fc.nat(1000),
  unlike: fc.nat(50),
});

describe('what brakes look at', () => {
  test('a long confirmed copy trips nothing while finds are trusted, however many there are', () => {
    fc.assert(
      fc.property(mark, someCounts, (m, now) => {
        expect(trippedBy({ ...m, solid: true, slight: null }, now, limits, true)).toBeNull();
      }),
    );
  });

  test('and is held by no brake but the one on everything, or what a person has set', () => {
    fc.assert(
      fc.property(mark, fc.constantFrom('hot-reference', 'flood-reference', 'flood-holder', 'all'), (m, brake) => {
        const inForce = { id: 'b', brake, everything: false } as BrakeInForce;
        expect(holds(inForce, { ...m, solid: true }, true)).toBe(brake === 'all');
        expect(holds(inForce, { ...m, solid: true }, false)).toBe(true);
        expect(holds({ ...inForce, everything: true }, m, true)).toBe(true);
        expect(holds(inForce, { ...m, solid: false }, true)).toBe(true);
      }),
    );
  });

  test('more of anything never trips less', () => {
    fc.assert(
      fc.property(mark, someCounts, fc.nat(100), fc.boolean(), (m, now, more, trusted) => {
        if (trippedBy(m, now, limits, trusted) === null) return;
        const later = {
          reference: { ...now.reference, slight: now.reference.slight + more },
          holder: { ...now.holder, slight: now.holder.slight + more },
          all: now.all + more,
          unlike: now.unlike + more,
        };
        expect(trippedBy(m, later, limits, trusted)).not.toBeNull();
      }),
    );
  });

  test('matching goes both ways, and a mark matches itself where there is anything to go by', () => {
    fc.assert(
      fc.property(mark, mark, (a, b) => {
        expect(match(a, b)).toBe(match(b, a));
        if (a.duration > 0 || (a.whole && a.codes.length > 0)) expect(match(a, a)).toBe(true);
      }),
    );
  });

  test('one account is one voice, whatever it uploads', () => {
    fc.assert(
      fc.property(fc.array(mark, { maxLength: 40 }), (all) => {
        const kept: Mark[] = [];
        for (const m of all.map((one) => ({ ...one, account: 'mallory' }))) if (isUnlike(m, kept)) kept.push(m);
        expect(kept.length).toBeLessThanOrEqual(1);
      }),
    );
  });

  test('a picture that goes round counts once towards a flood, unless finds are not trusted', () => {
    const picture: Mark = {
      ...{ upload: 'a', account: 'x', solid: false, slight: 'a picture', whole: true, duration: 0, from: [0, 0] },
      codes: [{ ref: 0, code: 'ab'.repeat(32) }],
    };
    const again = { ...picture, upload: 'b', account: 'y', codes: [{ ref: 0, code: `aa${'ab'.repeat(31)}` }] };
    expect(counts(picture, [], true)).toBe(true);
    expect(counts(again, [picture], true)).toBe(false);
    expect(counts(again, [picture], false)).toBe(true);
    expect(counts({ ...again, codes: [{ ref: 0, code: '54'.repeat(32) }] }, [picture], true)).toBe(true);
  });

  test('each limit at its edge', () => {
    const slight: Mark = {
      ...{
        upload: 'a',
        account: 'x',
        solid: false,
        slight: 'only 3.0 s',
        whole: false,
        duration: 30,
        from: [0, 0],
        codes: [],
      },
    };
    const by = (now: Partial<Counts>, m = slight, trusted = true) =>
      trippedBy(m, { ...quiet, ...now }, limits, trusted)?.brake ?? null;
    expect([by({ unlike: 9 }), by({ unlike: 10 })]).toEqual([null, 'hot-reference']);
    expect([100, 101].map((n) => by({ reference: { slight: n, busiest: 0 } }))).toEqual([null, 'flood-reference']);
    expect([240, 241].map((n) => by({ reference: { slight: n, busiest: 80 } }))).toEqual([null, 'flood-reference']);
    expect([300, 301].map((n) => by({ holder: { slight: n, busiest: 0 } }))).toEqual([null, 'flood-holder']);
    expect([1000, 1001].map((all) => by({ all }))).toEqual([null, 'all']);
    const solid = { ...slight, solid: true, slight: null };
    expect(by({ reference: { slight: 101, busiest: 0 } }, solid, false)).toBe('flood-reference');
  });

  test('what is held is for a person, with the rule that holds it', () => {
    const decision = { action: 'takedown', manifest: true, rule: 'film-contiguous', trials: [] } as never;
    expect(braked(decision, 'hot-reference', 'why')).toMatchObject({
      ...{ action: 'review', manifest: false, rule: 'brake-hot-reference' },
      trials: [{ rule: 'brake-hot-reference', fired: true, why: 'why' }],
    });
  });
});
