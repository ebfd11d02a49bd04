/** Which of a proposal's alignments are looked at. Made films: every picture a random code. */
import type { Alignment, Fingerprint, ReferenceKey } from '@vigil/contracts';
import { expect, test } from 'vitest';
import { madeFingerprint } from '../../../../test/support/made-library.ts';
import { confirmAll } from './confirm-proposal.ts';

const key = (id: string): ReferenceKey => ({ id, version: 1 });
/** 30 s, two pictures a second. */
const film = (id: string, seed: number) => madeFingerprint({ reference: key(id), slices: 1, codes: 60, seed }, 0);
const one = film('one', 1);

const alignment = (id: string, offset = 0): Alignment => ({
  reference: key(id),
  kind: 'picture',
  referenceMedia: 'video',
  altered: {},
  offset,
  speed: 1,
  frames: 3,
  hits: [5, 15, 25].map((at) => ({ at, ref: at + offset, distance: 0, quality: 100, code: '00'.repeat(32) })),
});

async function confirmed(upload: Fingerprint, alignments: Alignment[], library: Record<string, Fingerprint>) {
  const looked: string[] = [];
  const evidence = await confirmAll(
    upload,
    { alignments, span: [0, 30] },
    {
      async between({ id }) {
        looked.push(id);
        return library[id] ? [library[id]] : [];
      },
    },
  );
  return { looked, found: evidence.map((e) => [e.reference.id, Math.round(e.total)]) };
}

test('what is left of a reference is not looked at once one alignment proves all of the slice', async () => {
  const { looked, found } = await confirmed(one, [alignment('one'), alignment('one', 4), alignment('one', 9)], { one });
  expect(looked).toEqual(['one']);
  expect(found).toEqual([['one', 30]]);
});

test('another reference with the same film in it is: it may be another holder’s', async () => {
  const alignments = [alignment('one'), alignment('also'), alignment('one', 4), alignment('stranger')];
  const { looked, found } = await confirmed(one, alignments, { one, also: one, stranger: film('stranger', 2) });
  expect(looked).toEqual(['one', 'also', 'stranger']);
  expect(found).toEqual([
    ['one', 30],
    ['also', 30],
  ]);
});

test('all of a reference’s alignments are looked at while part of the slice is open', async () => {
  const other = film('other', 3);
  const upload: Fingerprint = { ...one, tables: [{ ...one.tables[0]! }] };
  const { bits } = one.tables[0]!;
  const half = bits.slice();
  half.set(other.tables[0]!.bits.subarray(bits.length / 2), bits.length / 2);
  upload.tables[0]!.bits = half;
  const { looked, found } = await confirmed(upload, [alignment('one'), alignment('one', 4), alignment('other')], {
    one,
    other,
  });
  expect(looked).toEqual(['one', 'one', 'other']);
  expect(found).toContainEqual(['other', 15]);
});
