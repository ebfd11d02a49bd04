/** Which of a proposal's alignments are looked at. Made films: every picture a random code. */
import {
  type Alignment,
  type Fingerprint,
  FRAME_FLAT,
  FRAME_FOUND,
  FRAMES_FORMAT,
  isFit,
  type ReferenceKey,
  type Span,
} from '@vigil/contracts';
import type { FingerprintOutcome } from '@vigil/fingerprint';
import { realClock } from '@vigil/runtime';
import { describe, expect, test } from 'vitest';
import { madeFingerprint } from '../../../../test/support/made-library.ts';
import { withOtherShots } from '../other-shots.ts';
import { confirmAll, confirmProposal, lookCloser } from './confirm-proposal.ts';
import { codesToConfirm } from './match-slice.ts';

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

describe('a slice whose keyframes were read', () => {
  /** Those frames of a film alone. */
  const keyframes = (whole: Fingerprint, times: readonly number[]): Fingerprint => {
    const rows = times.map((t) => whole.frames.time.indexOf(t));
    const [table] = whole.tables;
    const of = <C extends Uint8Array | Uint16Array>(column: C, width: number): C =>
      new (column.constructor as new (values: number[]) => C)(
        rows.flatMap((row) => [...column.subarray(row * width, (row + 1) * width)]),
      );
    return {
      ...whole,
      sampling: 'keyframes',
      frames: {
        time: Float64Array.from(times),
        quality: of(whole.frames.quality, 1),
        flags: of(whole.frames.flags, 1),
      },
      tables: [
        {
          ...table!,
          count: rows.length,
          bits: of(table!.bits, 32),
          frame: Uint16Array.from(rows, (_, i) => i),
          place: of(table!.place, 4),
          turn: of(table!.turn, 1),
          quality: of(table!.quality, 1),
        },
      ],
    };
  };
  const part = (whole: Fingerprint, [from, to]: Span): Fingerprint => ({
    ...keyframes(
      whole,
      [...whole.frames.time].filter((t) => t >= from && t < to),
    ),
    sampling: 'dense',
  });

  async function looked(
    upload: Fingerprint,
    times: number[],
    alignments: Alignment[],
    library: Record<string, Fingerprint>,
  ) {
    const read: Span[] = [];
    const codes = keyframes(upload, times);
    const { outcome, left } = await lookCloser(
      codesToConfirm(codes, alignments),
      { alignments, span: [0, 30] },
      withOtherShots({ between: async ({ id }) => (library[id] ? [library[id]] : []) }),
      async (span) => {
        read.push(span);
        return { status: 'codes', fingerprint: part(upload, span) };
      },
    );
    const found = outcome.status === 'confirmed' ? outcome.evidence : [];
    return {
      read,
      found: found.map((e) => [e.reference.id, e.total]),
      left: left && [...left.frames.time].filter((_, n) => isFit(left, n)),
    };
  }
  const NEAR = [0, 4, 8, 12, 16, 20, 24, 28];

  test('leaves what was found in none of its stretches to be looked for, where something was found in another', async () => {
    const [first, second] = [film('first', 11), film('second', 12)];
    const { bits } = first.tables[0]!;
    const half = bits.slice();
    half.set(second.tables[0]!.bits.subarray(bits.length / 2), bits.length / 2);
    const two: Fingerprint = { ...first, tables: [{ ...first.tables[0]!, bits: half }] };
    const { found, left } = await looked(two, [2, 9, 22], [alignment('first')], { first, second });
    expect(found).toEqual([['first', 14.75]]);
    expect(left).toEqual(Array.from({ length: 30 }, (_, n) => 15 + n / 2));
    // Nothing is left where all is found, and where nothing is.
    expect((await looked(first, [2, 9, 22], [alignment('first')], { first })).left).toBeNull();
    expect((await looked(second, [2, 9, 22], [alignment('first')], { first })).left).toBeNull();
  });

  test('two moments of a film at either side of what was found are no stretch of it', async () => {
    const [first, other] = [film('first', 11), film('other', 12)];
    const bits = first.tables[0]!.bits.slice();
    for (const row of [0, 1, 58, 59]) bits.set(other.tables[0]!.bits.subarray(row * 32, row * 32 + 32), row * 32);
    const upload: Fingerprint = { ...first, tables: [{ ...first.tables[0]!, bits }] };
    const { found, left } = await looked(upload, [2, 9, 22], [alignment('first')], { first, other });
    expect(found.map(([id]) => id)).toEqual(['first']);
    expect(left).toEqual([0, 0.5, 29, 29.5]);
    const flags = upload.frames.flags.map((flag, n) => (n > 1 && n < 58 ? flag | FRAME_FOUND : flag));
    const rest: Fingerprint = { ...upload, sampling: 'dense', frames: { ...upload.frames, flags } };
    const again = await lookCloser(
      rest,
      { alignments: [alignment('other')], span: [0, 30] },
      withOtherShots({ between: async () => [other] }),
      async () => ({ status: 'codes', fingerprint: rest }),
    );
    expect(again.outcome).toMatchObject({ status: 'nothing' });
  });

  test('is not read again where they prove all of it', async () => {
    const { read, found } = await looked(one, NEAR, [alignment('one'), alignment('one', 4)], { one });
    expect(found).toEqual([['one', 30]]);
    expect(read).toEqual([]);
  });

  test('is read again at its ends alone where they lie far from any', async () => {
    const { read, found } = await looked(one, [4, 8, 12, 16, 20, 24], [alignment('one')], { one });
    expect(found).toEqual([['one', 30]]);
    expect(read).toEqual([
      [0, 4],
      [26.05, 30],
    ]);
  });

  test('is read all of it where the copy ends beyond the last one', async () => {
    const [upload, other] = [{ ...one, tables: [{ ...one.tables[0]! }] }, film('other', 9)];
    const { bits } = one.tables[0]!;
    const cut = bits.slice();
    cut.set(other.tables[0]!.bits.subarray((bits.length * 54) / 60), (bits.length * 54) / 60);
    upload.tables[0]!.bits = cut;
    const { read, found } = await looked(upload, [0, 4, 8, 12, 16, 20, 24], [alignment('one')], { one });
    expect(read).toEqual([
      [26.05, 30],
      [0, 30],
    ]);
    expect(found).toEqual([['one', 26.75]]);
  });

  test('is read all of it where its end is black: nobody knows where the copy ended', async () => {
    const black = { ...one, frames: { ...one.frames, flags: one.frames.flags.slice() } };
    black.frames.flags.fill(FRAME_FLAT, 50);
    const { read, found } = await looked(black, [0, 4, 8, 12, 16, 20, 24], [alignment('one')], { one });
    expect(read).toEqual([
      [26.05, 30],
      [0, 30],
    ]);
    expect(found).toEqual([['one', 24.75]]);
  });

  test('is read all of it where another reference is left open', async () => {
    const alignments = [alignment('one'), alignment('stranger')];
    const { read, found } = await looked(one, NEAR, alignments, { one, stranger: film('stranger', 2) });
    expect(read).toEqual([[0, 30]]);
    expect(found).toEqual([['one', 30]]);
  });

  test('is read all of it, and they do not go along, where patches alone speak for a reference', async () => {
    const patches: Alignment = { ...alignment('also'), kind: 'patch' };
    expect(codesToConfirm(keyframes(one, NEAR), [alignment('one'), patches])).toBe(null);
    const { read } = await looked(one, NEAR, [alignment('one'), patches], { one });
    expect(read).toEqual([[0, 30]]);
  });
});

describe('of a film that is found in a part of a slice', () => {
  /** Rows of `from` of the upload are those of `to` on of the film. */
  function shots(
    film: Fingerprint,
    stranger: Fingerprint,
    places: readonly [from: number, to: number, count: number][],
  ) {
    const bits = stranger.tables[0]!.bits.slice();
    for (const [from, to, count] of places)
      bits.set(film.tables[0]!.bits.subarray(32 * to, 32 * (to + count)), 32 * from);
    return { ...stranger, sampling: 'dense' as const, tables: [{ ...stranger.tables[0]!, bits }] };
  }
  const stranger = film('stranger', 7);
  const never = (): Promise<FingerprintOutcome> => Promise.reject(new Error('all frames are there'));
  async function look(
    upload: Fingerprint,
    alignments: Alignment[],
    library: Record<string, Fingerprint>,
    read: (span: Span) => Promise<FingerprintOutcome> = never,
  ) {
    const asked = new Set<string>();
    const between = async ({ id }: ReferenceKey) => {
      asked.add(id);
      return library[id] ? [library[id]] : [];
    };
    const { outcome } = await lookCloser(upload, { alignments, span: [0, 30] }, withOtherShots({ between }), read);
    const found = (outcome.status === 'confirmed' ? outcome.evidence : []).flatMap(({ reference, segments }) =>
      segments.map((s) => [reference.id, ...s.upload.map(Math.round), Math.round(s.offset)]),
    );
    return { asked: [...asked], found: found.sort() };
  }

  // From second 4 for 6 s seconds 10 to 16; from 14 for 5 s seconds 1 to 6; from 22 for 5 s seconds 23 to 28.
  const upload = shots(one, stranger, [
    [8, 20, 12],
    [28, 2, 10],
    [44, 46, 10],
  ]);
  const shotsOf = (id: string) => [
    [id, 14, 19, -13],
    [id, 22, 27, 1],
    [id, 4, 10, 6],
  ];

  test('its other shots are found that no keyframe had proposed, nothing is said twice, and no other film is asked for', async () => {
    const { found, asked } = await look(upload, [alignment('one', 6)], { one, other: film('other', 8) });
    expect(found).toEqual(shotsOf('one'));
    expect(asked).toEqual(['one']);
  });

  test('of the same film under another name as well, whoever holds it', async () => {
    const { found } = await look(upload, [alignment('one', 6), alignment('also', 6)], { one, also: one });
    expect(found).toEqual([...shotsOf('also'), ...shotsOf('one')]);
  });

  test('nothing else is looked for where no room is left, or nothing was found', async () => {
    const whole = await look(shots(one, stranger, [[0, 0, 58]]), [alignment('one')], { one });
    expect(whole.found).toEqual([['one', 0, 29, 0]]);
    expect((await look({ ...stranger, sampling: 'dense' }, [alignment('one')], { one })).found).toEqual([]);
  });

  test('several uploads at once have each their own film, also when it gives way to others', async () => {
    const films = Object.fromEntries(Array.from({ length: 6 }, (_, n) => [`f${n}`, film(`f${n}`, 20 + n)]));
    const library = withOtherShots({ between: async ({ id }) => [films[id]!] });
    const ask = async (id: string) => {
      const own = shots(films[id]!, stranger, [[8, 20, 12]]);
      return (await library.otherShots(own, key(id), 10)).map((a) => [a.reference.id, Math.round(a.offset)]);
    };
    const ids = Object.keys(films);
    for (let round = 0; round < 2; round++) expect(await Promise.all(ids.map(ask))).toEqual(ids.map((id) => [[id, 6]]));
  });

  describe('and many places agree in it', () => {
    const half = shots(one, stranger, [[8, 20, 12]]);
    const proposed = { ...alignment('one', 6), inliers: 20, cells: 10 };
    const more = shots(one, stranger, [[4, 16, 20]]);

    test('it is read again, and what was found before stays', async () => {
      const read = async () => ({ status: 'codes' as const, fingerprint: more });
      expect((await look(half, [proposed], { one }, read)).found).toEqual([
        ['one', 2, 12, 6],
        ['one', 4, 10, 6],
      ]);
      const worse = async () => ({ status: 'codes' as const, fingerprint: stranger });
      expect((await look(half, [proposed], { one }, worse)).found).toEqual([['one', 4, 10, 6]]);
    });

    test('what cannot be read again takes nothing from it; an outage is for those who try again', async () => {
      const refused = async () => ({ status: 'rejected' as const, reason: 'missing' as const, detail: 'gone' });
      expect((await look(half, [proposed], { one }, refused)).found).toEqual([['one', 4, 10, 6]]);
      await expect(look(half, [proposed], { one }, never)).rejects.toThrow('all frames are there');
    });

    test('a list of frames is never read as a film', async () => {
      const stage = confirmProposal({
        ...{ references: { between: async () => [one] }, clock: realClock, concurrency: 1 },
        lanes: { run: () => Promise.reject(new Error('no decoder reads a list')) },
      } as never);
      const data = { alignments: [proposed], span: [0, 30], probe: { format: FRAMES_FORMAT }, id: 'pr', steps: [] };
      const outcome = await stage.run({ event: { data }, codes: half } as never, new AbortController().signal);
      expect(outcome).toMatchObject({ kind: 'done', outputs: [{ data: { outcome: { status: 'confirmed' } } }] });
    });
  });
});
