import fc from 'fast-check';
import { expect, test } from 'vitest';
import { createBruteForceIndex } from './brute-force.ts';
import { createIndex } from './create-index.ts';
import { createRandom, fingerprintOf, flipOrdered, joined, reference } from './testing.ts';
import { typescriptKernel } from './typescript-kernel.ts';
import { wasmKernel } from './wasm-kernel.ts';

/**
 * Codes are near one of a few centres, so that sequences of some tens of steps meet: the distance to the centre is drawn
 * around half the radius and the radius, in bits that are spread, or that crowd in a few chunks.
 */
const centres = (() => {
  const random = createRandom(99);
  const three = [random.code(), random.code(), new Uint8Array(32)];
  return [...three, flipOrdered(three[0]!, random.some(31, 256))];
})();

const spread = fc.uniqueArray(fc.nat(255), { maxLength: 34 });
const crowded = fc
  .tuple(fc.nat(255), fc.uniqueArray(fc.nat(47), { maxLength: 34 }))
  .map(([from, bits]) => bits.map((b) => (from + b) % 256));
const code = fc
  .tuple(fc.nat(centres.length - 1), fc.oneof(fc.constant<number[]>([]), spread, crowded))
  .map(([centre, bits]) => flipOrdered(centres[centre]!, bits));

const made = fc.record({
  code,
  kind: fc.constantFrom('picture' as const, 'picture' as const, 'patch' as const),
  flags: fc.constantFrom(0, 0, 0, 0, 1, 2, 4),
  quality: fc.constantFrom(100, 100, 20, 19),
});

const who = fc.tuple(fc.nat(4), fc.integer({ min: 1, max: 2 }));

const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({ do: fc.constant('add' as const), who, slice: fc.nat(2), codes: fc.array(made) }),
  },
  {
    weight: 1,
    arbitrary: fc.record({
      do: fc.constant('add' as const),
      who,
      slice: fc.nat(2),
      codes: fc.array(made, { minLength: 30, maxLength: 60 }),
    }),
  },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('remove' as const), who, all: fc.boolean() }) },
  { weight: 2, arbitrary: fc.record({ do: fc.constant('maintain' as const), work: fc.nat(200) }) },
  { weight: 1, arbitrary: fc.record({ do: fc.constant('compact' as const) }) },
  {
    weight: 4,
    arbitrary: fc.record({
      do: fc.constant('search' as const),
      codes: fc.array(code, { maxLength: 6 }),
      limit: fc.constantFrom(undefined, 0, 1, 3, 1000),
    }),
  },
);

test('any sequence of adding, replacing, removing, merging and searching agrees with brute force', () => {
  const options = fc.record({
    headCodes: fc.integer({ min: 1, max: 40 }),
    mergeRatio: fc.integer({ min: 1, max: 5 }),
    mergeWork: fc.constantFrom(0, 3, 1056),
    kernel: fc.constantFrom(typescriptKernel, wasmKernel() ?? typescriptKernel),
  });
  fc.assert(
    fc.property(options, fc.array(step, { minLength: 12, maxLength: 40 }), (chosen, steps) => {
      const index = createIndex(chosen);
      const oracle = createBruteForceIndex();
      for (const s of steps) {
        if (s.do === 'add') {
          const [id, version] = s.who;
          const fingerprint = fingerprintOf(s.codes);
          for (const i of [index, oracle]) i.add(reference(id, version), s.slice, 'video', fingerprint);
        } else if (s.do === 'remove') {
          const [id, version] = s.who;
          for (const i of [index, oracle]) i.remove(String(id), s.all ? undefined : version);
        } else if (s.do === 'maintain') index.maintain(s.work);
        else if (s.do === 'compact') index.compact();
        else {
          const bits = joined(s.codes);
          for (const kind of ['picture', 'patch'] as const) {
            expect(index.search(kind, bits, s.limit)).toEqual(oracle.search(kind, bits, s.limit));
          }
        }
        const names = (i: typeof oracle) =>
          i
            .references()
            .map((r) => `${r.id}@${r.version}`)
            .sort();
        expect(names(index)).toEqual(names(oracle));
        const held = (i: typeof oracle) => i.stats().map((k) => [k.kind, k.codes, k.references]);
        expect(held(index)).toEqual(held(oracle));
      }
    }),
    { numRuns: 150, seed: 20260101 },
  );
}, 60_000);

test('the ring filter: any sixteen chunk distances that sum to 31 or less have a start that passes', () => {
  const passes = (d: readonly number[]) =>
    d.some((own, i) => own <= 1 && own + d[(i + 1) % 16]! <= 3 && own + d[(i + 1) % 16]! + d[(i + 2) % 16]! <= 5);
  fc.assert(
    fc.property(fc.array(fc.nat(15), { minLength: 31, maxLength: 31 }), (where) => {
      const d = new Array<number>(16).fill(0);
      for (const chunk of where) d[chunk]!++;
      expect(passes(d)).toBe(true);
    }),
    { numRuns: 3000, seed: 20260102 },
  );
  // And nearly all twos, the worst that there is: every place for the one, every move of two others.
  for (let low = 0; low < 16; low++) {
    for (let from = 0; from < 16; from++) {
      for (let to = 0; to < 16; to++) {
        const d = new Array<number>(16).fill(2);
        d[low]!--;
        d[from]!--;
        d[to]!++;
        if (Math.min(...d) >= 0) expect(passes(d)).toBe(true);
      }
    }
  }
  expect(passes(new Array<number>(16).fill(2))).toBe(false);
});
