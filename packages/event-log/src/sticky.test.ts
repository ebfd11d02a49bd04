import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { DEATHS_UNTIL_ALONE } from './deaths.ts';
import { encodeHolder, inherited } from './kafka-membership.ts';
import { type Claimant, shareOut } from './sticky.ts';

const topic = (name: string, n: number) => ({ topic: name, partitions: Array.from({ length: n }, (_, i) => i) });
const member = (id: string, topics: string[], claims: Claimant['claims'] = {}): Claimant => ({ id, topics, claims });

describe('shareOut', () => {
  it('gives each partition to exactly one subscriber, as equally as can be, whatever is claimed', () => {
    const claims = fc.dictionary(fc.constantFrom('a', 'b', 'c', 'gone'), fc.array(fc.integer({ min: -1, max: 9 })));
    const some = fc.record({
      topics: fc.subarray(['a', 'b', 'c'], { minLength: 1 }),
      claims,
    });
    fc.assert(
      fc.property(
        fc.array(some, { minLength: 1, maxLength: 5 }),
        fc.array(fc.nat(9), { minLength: 3, maxLength: 3 }),
        (list, n) => {
          const members = list.map((one, i) => ({ ...one, id: `m${i}` }));
          const topics = ['a', 'b', 'c'].map((name, i) => topic(name, n[i]!));
          const shares = shareOut(topics, members);
          for (const { topic: name, partitions } of topics) {
            const subscribed = members.filter((one) => one.topics.includes(name));
            const given = members.map(({ id }) => shares.get(id)?.[name] ?? []);
            expect(given.flat().toSorted((x, y) => x - y)).toEqual(subscribed.length > 0 ? partitions : []);
            const counts = subscribed.map(({ id }) => shares.get(id)?.[name]?.length ?? 0);
            if (counts.length > 0) expect(Math.max(...counts) - Math.min(...counts)).toBeLessThanOrEqual(1);
            for (const one of members)
              if (!one.topics.includes(name)) expect(shares.get(one.id)?.[name]).toBeUndefined();
          }
        },
      ),
    );
  });

  it('moves nothing when nothing has changed', () => {
    fc.assert(
      fc.property(fc.integer({ min: 1, max: 6 }), fc.nat(20), fc.nat(20), (n, x, y) => {
        const topics = [topic('a', x), topic('b', y)];
        const ids = Array.from({ length: n }, (_, i) => `m${i}`);
        const first = shareOut(
          topics,
          ids.map((id) => member(id, ['a', 'b'])),
        );
        const again = shareOut(
          topics,
          ids.map((id) => member(id, ['a', 'b'], first.get(id) ?? {})),
        );
        expect(again).toEqual(first);
      }),
    );
  });

  it('moves no more than a newcomer is due', () => {
    const shares = shareOut([topic('a', 6)], [member('old', ['a'], { a: [0, 1, 2, 3, 4, 5] }), member('new', ['a'])]);
    expect(Object.fromEntries(shares)).toEqual({ old: { a: [0, 1, 2] }, new: { a: [3, 4, 5] } });
  });

  it('leaves the only partition where it is, and shares out topics of one partition each', () => {
    const one = shareOut([topic('a', 1)], [member('a', ['a']), member('z', ['a'], { a: [0] })]);
    expect(one.get('z')).toEqual({ a: [0] });
    const all = { a: [0], b: [0], c: [0], d: [0] };
    const names = Object.keys(all);
    const four = shareOut(
      names.map((name) => topic(name, 1)),
      [member('old', names, all), member('new', names)],
    );
    expect([...four.values()].map((share) => Object.keys(share).length)).toEqual([2, 2]);
  });
});

describe('what an owner inherits', () => {
  const held = { at: 7, deaths: 1, held: true, alone: true, left: 3 };
  const written = (holder: string, blamed: string[] = [], deaths = held) => encodeHolder({ deaths, holder, blamed });

  it('is a death when the group does not know the holder any more', () => {
    expect(inherited(written('gone'), new Set(['me', 'you']))).toEqual({ deaths: held, blamed: ['gone'] });
  });

  it('is none when the holder lives: the partition has only moved', () => {
    const deaths = { ...held, held: false, alone: false };
    expect(inherited(written('you'), new Set(['me', 'you']))).toEqual({ deaths, blamed: [] });
  });

  it('is no death of somebody who is known again: only cut off for a moment', () => {
    const two = { ...held, deaths: 2 };
    expect(inherited(written('gone', ['dead', 'back'], two), new Set(['me', 'back']))).toEqual({
      deaths: { ...two, deaths: 1 },
      blamed: ['dead', 'gone'],
    });
    // As many names as deaths are kept, the newest ones.
    expect(inherited(written('me', ['long ago', 'dead'], held), new Set(['me', 'long ago']))).toMatchObject({
      deaths: { deaths: 1 },
      blamed: ['dead'],
    });
  });

  it('never outgrows what the broker takes, however many have died', () => {
    let metadata: string | null = null;
    for (let n = 0; n < 50; n++) {
      const found = inherited(metadata, new Set());
      const { deaths: before = { ...held, deaths: 0 }, blamed = [] } = found ?? {};
      const holder = `vigil-${'replica-of-a-long-name.'.repeat(10)}.${n}`;
      metadata = encodeHolder({ deaths: { ...before, deaths: found ? before.deaths + 1 : 0 }, holder, blamed });
      expect(Buffer.byteLength(metadata)).toBeLessThan(4096);
    }
    const { deaths, blamed } = inherited(metadata, new Set())!;
    expect(deaths.deaths).toBe(DEATHS_UNTIL_ALONE + 1);
    // All of those that the deaths are laid to can still be known again.
    expect(blamed.map((name) => name.split('.').at(-1))).toEqual(['45', '46', '47', '48', '49']);
    expect(inherited(metadata, new Set(blamed))).toMatchObject({ deaths: { deaths: 0 }, blamed: [] });
  });

  it('is nothing where nothing of ours was written', () => {
    for (const text of [null, undefined, '', 'somebody else', ';']) expect(inherited(text, new Set())).toBeNull();
  });
});
