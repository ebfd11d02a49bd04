/** What newcomers share with references that are there. Made films: every picture a random code. */
import { CODE_BYTES, type Fingerprint, type ReferenceKey } from '@vigil/contracts';
import { createIndex } from '@vigil/similarity';
import { describe, expect, test } from 'vitest';
import { madeFingerprint } from '../../../test/support/made-library.ts';
import { hashFingerprint } from './hash-lists.ts';
import { overlapsOf } from './overlaps.ts';
import type { ReferenceCodes } from './reference-codes.ts';

const key = (id: string): ReferenceKey => ({ id, version: 1 });
/** 30 s, two pictures a second. */
const film = (id: string, seed: number) => madeFingerprint({ reference: key(id), slices: 1, codes: 60, seed }, 0);

/** The film with `seconds` of another one, from `from`, set in at `at`. */
function withPart(
  into: Fingerprint,
  of: Fingerprint,
  about: { from: number; at: number; seconds: number },
): Fingerprint {
  const bits = into.tables[0]!.bits.slice();
  const [from, at, n] = [about.from, about.at, about.seconds].map((s) => 2 * s * CODE_BYTES) as [
    number,
    number,
    number,
  ];
  bits.set(of.tables[0]!.bits.subarray(from, from + n), at);
  return { ...into, tables: [{ ...into.tables[0]!, bits }] };
}

describe('overlaps', () => {
  async function look(mine: Fingerprint, there: Record<string, Fingerprint>, own = 'newcomer') {
    await using index = { it: createIndex(), [Symbol.asyncDispose]: async () => index.it[Symbol.dispose]() };
    for (const [id, codes] of Object.entries(there))
      index.it.add(key(id), 0, codes.sampling === 'still' ? 'image' : 'video', codes);
    const references: Pick<ReferenceCodes, 'between'> = { between: async ({ id }) => [there[id]!] };
    return overlapsOf(key(own), mine, index.it, references as ReferenceCodes);
  }

  test('a part of another film is found, with its place in both', async () => {
    const other = film('other', 1);
    const mine = withPart(film('newcomer', 2), other, { from: 12, at: 3, seconds: 10 });
    const found = await look(mine, { other, stranger: film('stranger', 3) });
    expect(found.map((o) => o.other.id)).toEqual(['other']);
    const [{ span, otherSpan }] = found as [(typeof found)[number]];
    for (const [got, want] of [
      [span[0], 3],
      [span[1], 13],
      [otherSpan[0], 12],
      [otherSpan[1], 22],
    ] as const)
      expect(Math.abs(got - want)).toBeLessThanOrEqual(1);
  });

  test('less than would be a manifest copy is none, nor is an earlier version of its own', async () => {
    const other = film('other', 1);
    expect(await look(withPart(film('newcomer', 2), other, { from: 12, at: 3, seconds: 1 }), { other })).toEqual([]);
    expect(await look(film('newcomer', 2), { other })).toEqual([]);
    expect(await look(other, { newcomer: other })).toEqual([]);
  });

  test('hashes are the same picture within ten bits', async () => {
    const code = film('x', 9).tables[0]!.bits.slice(0, CODE_BYTES);
    const near = (bits: number) => {
      const other = code.slice();
      for (let i = 0; i < bits; i++) other[i]! ^= 1;
      return hashFingerprint(other);
    };
    const there = { other: hashFingerprint(code) };
    expect((await look(near(10), there)).length).toBe(1);
    expect(await look(near(11), there)).toEqual([]);
  });
});
