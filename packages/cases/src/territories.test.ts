import fc from 'fast-check';
import { expect, test } from 'vitest';
import { blockedBy } from './claim.ts';
import { territoriesOf, within } from './territories.ts';

test.each([
  [['DE', 'FR'], ['FR', 'DE', 'AT'], true],
  [['US-CA'], ['US'], true],
  [['US'], ['US-CA'], false],
  [['US-CA', 'US-NY'], ['US-CA'], false],
  [['US'], ['*'], true],
  [['*'], ['US'], false],
  [['DE-BY'], ['DK'], false],
])('%j lies within %j: %s', (inner, outer, is) => {
  expect(within(inner, outer)).toBe(is);
});

test('what lies in another territory of a list adds nothing to it', () => {
  expect(
    territoriesOf([
      ['US-CA', 'DE'],
      ['US', 'DE'],
      ['DE-BY', 'FR-IDF'],
    ]),
  ).toEqual(['DE', 'FR-IDF', 'US']);
  expect(territoriesOf([['DE-BY'], ['*']])).toEqual(['*']);
});

test('a claim on a country and one on a part of it hold the country back, and the part alone when the country falls', () => {
  const claims = (country: 'taken-down' | 'reversed') => [
    { state: country, territories: ['US'] },
    { state: 'taken-down' as const, territories: ['US-CA'] },
  ];
  expect(blockedBy(claims('taken-down'))).toEqual(['US']);
  expect(blockedBy(claims('reversed'))).toEqual(['US-CA']);
});

test('a union holds where some list does, and nowhere else', () => {
  const lists = fc.array(fc.array(fc.constantFrom('*', 'DE', 'DE-BY', 'DE-BE', 'US', 'US-CA')));
  const check = fc.property(lists, (many) => {
    const union = territoriesOf(many);
    expect(within(union, many.flat()) && within(many.flat(), union)).toBe(true);
    for (const one of union)
      expect(
        within(
          [one],
          union.filter((t) => t !== one),
        ),
      ).toBe(false);
  });
  fc.assert(check, { seed: 20221120 });
});
