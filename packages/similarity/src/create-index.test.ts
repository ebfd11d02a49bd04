import { FRAME_FLAT, FRAME_KEY, FRAME_PAGE, RADIUS } from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { createBruteForceIndex } from './brute-force.ts';
import { createIndex, type IndexOptions } from './create-index.ts';
import { createRandom, fingerprintOf, flipOrdered, joined, type MadeCode, reference } from './testing.ts';
import { typescriptKernel } from './typescript-kernel.ts';
import { wasmKernel } from './wasm-kernel.ts';

/** Small homes, so that few codes make many segments. */
const SMALL: IndexOptions = { headCodes: 64 };

/** An index by the default kernel, one by the TypeScript walk, and their oracle, told the same. */
function both(options: IndexOptions = SMALL) {
  const fast = createIndex(options);
  const twin = createIndex({ ...options, kernel: typescriptKernel });
  const oracle = createBruteForceIndex();
  const all = [fast, twin, oracle];
  return {
    index: {
      ...fast,
      maintain: (work: number) => [fast, twin].map((i) => i.maintain(work)).includes(true),
      compact() {
        for (const i of [fast, twin]) i.compact();
      },
    },
    add(id: string | number, slice: number, codes: readonly MadeCode[], version = 1) {
      for (const i of all) i.add(reference(id, version), slice, 'video', fingerprintOf(codes));
    },
    remove(id: string | number, version?: number) {
      for (const i of all) i.remove(String(id), version);
    },
    agree(queries: readonly Uint8Array[], limit?: number) {
      const bits = joined(queries);
      const counts = (i: typeof oracle) => i.stats().map(({ kind, codes, references: r }) => ({ kind, codes, r }));
      for (const i of [fast, twin]) {
        for (const kind of ['picture', 'patch', 'sound'] as const) {
          expect(i.search(kind, bits, limit)).toEqual(oracle.search(kind, bits, limit));
        }
        expect(counts(i)).toEqual(counts(oracle));
      }
      return oracle.search('picture', bits, limit);
    },
  };
}

describe('at the radius', () => {
  // Distances a chunk, each to be turned through all sixteen alignments. The tight ones leave a single passing start.
  const patterns: Record<string, number[]> = {
    'all in two chunks': [16, 14, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0],
    'two everywhere but one': [1, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1],
    'zero, three, two': [0, 3, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 2, 1],
    'one, two, two': [1, 2, 2, 3, 1, 2, 2, 2, 2, 3, 1, 2, 2, 2, 2, 1],
    'fours and noughts': [0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 4, 0, 2],
    'one heavy': [15, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1, 1],
  };

  test.each(Object.entries(patterns))('finds 30 and 31 and not 32: %s', (_name, pattern) => {
    const random = createRandom(7);
    const { index, add, agree } = both({ headCodes: 32 });
    const asked = random.code();
    const planted: MadeCode[] = [];
    for (let turn = 0; turn < 16; turn++) {
      const base = pattern.reduce((a, b) => a + b, 0);
      expect(base).toBe(30);
      for (const extra of [0, 1, 2]) {
        const bits = pattern.flatMap((d, i) => random.some(d, 16).map((b) => ((i + turn) % 16) * 16 + b));
        const free = Array.from({ length: 256 }, (_, b) => b).filter((b) => !bits.includes(b));
        const more = random.some(extra, free.length).map((k) => free[k]!);
        planted.push({ code: flipOrdered(asked, [...bits, ...more]) });
      }
    }
    for (let i = 0; i < planted.length; i += 6) add('film', i, planted.slice(i, i + 6));
    index.compact();
    const hits = agree([asked]);
    expect(hits.map((h) => h.distance)).toEqual([...Array(16).fill(30), ...Array(16).fill(31)]);
  });

  test('finds what lies exactly at it in every chunk alignment, in head, segment and merged segment', () => {
    const random = createRandom(8);
    const { index, add, agree } = both({ headCodes: 48 });
    const asked = random.code();
    for (let start = 0; start < 256; start += 4) {
      const run = (n: number) => Array.from({ length: n }, (_, k) => (start + k) % 256);
      add(
        'film',
        start,
        [RADIUS - 1, RADIUS, RADIUS + 1].map((n) => ({ code: flipOrdered(asked, run(n)) })),
      );
      const hits = agree([asked], 1000);
      expect(hits.filter((h) => h.distance === RADIUS).length).toBe(start / 4 + 1);
    }
    index.compact();
    expect(agree([asked], 1000).length).toBe(128);
  });
});

test('agrees with brute force on random codes and their neighbours', () => {
  const random = createRandom(11);
  const { index, add, agree } = both({ headCodes: 128 });
  const codes = Array.from({ length: 2000 }, () => random.code());
  for (let i = 0; i < codes.length; i += 50) {
    add(
      i % 700,
      i,
      codes.slice(i, i + 50).map((code, k) => ({ code, kind: k % 3 ? 'picture' : 'patch' })),
    );
  }
  const queries = Array.from({ length: 150 }, (_, i) =>
    flipOrdered(codes[random.next(codes.length)]!, random.some(20 + (i % 14), 256)),
  );
  expect(agree(queries).length).toBeGreaterThan(50);
  while (index.maintain(1e6));
  agree(queries);
  index.compact();
  agree(queries);
});

test('agrees on structured codes: clusters, duplicates, constant chunks', () => {
  const random = createRandom(12);
  const { index, add, agree } = both({ headCodes: 100 });
  const centres = Array.from({ length: 4 }, () => random.code());
  const blank = new Uint8Array(32);
  const make = (i: number): Uint8Array => {
    if (i % 4 === 0) return centres[i % 3]!;
    if (i % 4 === 1) return flipOrdered(centres[i % 4]!, random.some(random.next(24), 256));
    // Only three chunks ever differ from nought.
    if (i % 4 === 2) return flipOrdered(blank, random.some(random.next(30), 48));
    return flipOrdered(blank, random.some(random.next(34), 256));
  };
  const codes = Array.from({ length: 1200 }, (_, i) => make(i));
  for (let i = 0; i < codes.length; i += 40)
    add(
      i % 5,
      i,
      codes.slice(i, i + 40).map((code) => ({ code })),
    );
  const queries = [blank, ...centres, ...codes.filter((_, i) => i % 60 === 0)];
  expect(agree(queries, 5000).length).toBeGreaterThan(3000);
  agree(queries, 7);
  agree(queries, 1);
  agree(queries, 0);
  agree(queries);
  index.compact();
  agree(queries, 5000);
  expect(index.stats()[0]!.truncated).toBeGreaterThan(0);
});

test('hands over more hits than one call of the walk holds', () => {
  const random = createRandom(13);
  const { index, add, agree } = both({ headCodes: 4096 });
  const code = random.code();
  const near = Array.from({ length: 2600 }, (_, i) => ({ code: flipOrdered(code, random.some(i % 33, 256)) }));
  add('many', 0, near);
  expect(index.stats()[0]).toMatchObject({ head: 2600, segments: 0 });
  expect(agree([code, code], 10_000).length).toBe(2 * near.filter((_, i) => i % 33 <= RADIUS).length);
  index.compact();
  expect(index.stats()[0]).toMatchObject({ head: 0, segments: 1 });
  agree([code, code], 10_000);
  agree([code], 2000);
});

test('an empty index answers, and no query has no hits', () => {
  const { agree, index } = both();
  expect(agree([])).toEqual([]);
  expect(agree([new Uint8Array(32)])).toEqual([]);
  expect(index.references()).toEqual([]);
  expect(index.has(reference('x'))).toBe(false);
  expect(index.maintain(1e6)).toBe(false);
  index.compact();
  index.remove('x');
});

test('refuses bits that are not whole codes and limits that are none', () => {
  const { index } = both();
  expect(() => index.search('picture', new Uint8Array(33))).toThrow(RangeError);
  expect(() => index.search('picture', new Uint8Array(32), -1)).toThrow(RangeError);
  expect(() => index.search('picture', new Uint8Array(32), 1.5)).toThrow(RangeError);
  expect(() => createIndex({ headCodes: 0 })).toThrow(RangeError);
  expect(() => createIndex({ segmentCodes: 2 ** 25 })).toThrow(RangeError);
  expect(() => createIndex({ mergeRatio: 0 })).toThrow(RangeError);
});

test('refuses a fingerprint whose columns disagree, and stays as it was', () => {
  const { index } = both();
  const good = fingerprintOf([{ code: new Uint8Array(32) }]);
  index.add(reference('a'), 0, 'image', good);
  const broken = [
    { ...good, frames: { ...good.frames, time: new Float64Array(0), flags: new Uint8Array(0) } },
    { ...good, frames: { ...good.frames, time: Float64Array.of(Number.NaN) } },
    { ...good, tables: [{ ...good.tables[0]!, bits: new Uint8Array(31) }] },
    { ...good, tables: [good.tables[0]!, good.tables[0]!] },
  ];
  for (const fingerprint of broken) {
    expect(() => index.add(reference('a'), 0, 'image', fingerprint)).toThrow(RangeError);
  }
  expect(index.search('picture', new Uint8Array(32)).length).toBe(1);
});

describe('what a hit says', () => {
  test('reference, media, time and place of the code, to a ten-thousandth of a second', () => {
    const random = createRandom(14);
    const index = createIndex();
    const code = random.code();
    const made = [{ code: random.code() }, { code, time: 12.34567 }, { code: random.code() }];
    index.add(reference('r', 3), 2, 'video', fingerprintOf(made));
    const hit = {
      query: 1,
      distance: 2,
      origin: { reference: reference('r', 3), media: 'video', time: 12.3457, place: [1, 1, 65535, 65534] },
    };
    const bits = joined([random.code(), flipOrdered(code, [3, 200])]);
    expect(index.search('picture', bits)).toEqual([hit]);
    index.compact();
    expect(index.search('picture', bits)).toEqual([hit]);
  });

  test('order does not depend on the order of arrival', () => {
    const code = createRandom(15).code();
    const names = ['b', 'a', 'c', 'B'];
    const forward = createIndex(SMALL);
    const backward = createIndex(SMALL);
    const add = (index: typeof forward, id: string) => {
      for (const version of [2, 1]) index.add(reference(id, version), 0, 'image', fingerprintOf([{ code }]));
    };
    for (const id of names) add(forward, id);
    for (const id of names.toReversed()) add(backward, id);
    expect(forward.search('picture', code, 3)).toEqual(backward.search('picture', code, 3));
    expect(
      forward
        .search('picture', code)
        .map((h) => h.origin.reference.id)
        .join(''),
    ).toBe('BBaabbcc');
  });
});

describe('what is not indexed', () => {
  const random = createRandom(16);
  const code = random.code();
  const found = (made: MadeCode) => {
    const { add, agree, index } = both();
    add('r', 0, [made]);
    agree([made.code]);
    expect(index.has(reference('r'))).toBe(true);
    return index.search(made.kind ?? 'picture', made.code).length;
  };

  test('flat frames and pages, of any kind', () => {
    expect(found({ code })).toBe(1);
    expect(found({ code, flags: FRAME_KEY })).toBe(1);
    expect(found({ code, flags: FRAME_FLAT })).toBe(0);
    expect(found({ code, flags: FRAME_PAGE | FRAME_KEY })).toBe(0);
    expect(found({ code, flags: FRAME_PAGE, kind: 'patch' })).toBe(0);
  });

  test('pictures of too little quality; a patch has a rank there', () => {
    expect(found({ code, quality: 19 })).toBe(0);
    expect(found({ code, quality: 20 })).toBe(1);
    expect(found({ code, quality: 0, kind: 'patch' })).toBe(1);
  });
});

describe('replacing and removing', () => {
  const random = createRandom(17);
  const codes = Array.from({ length: 600 }, () => random.code());
  const some = (from: number, to: number): MadeCode[] => codes.slice(from, to).map((code) => ({ code }));

  test('the same slice again replaces the earlier one, all kinds of it', () => {
    const { add, agree, index } = both();
    add('r', 0, [{ code: codes[0]! }, { code: codes[1]!, kind: 'patch' }]);
    add('r', 1, [{ code: codes[2]! }]);
    add('r', 0, [{ code: codes[3]! }]);
    agree(codes.slice(0, 5));
    expect(index.search('patch', codes[1]!)).toEqual([]);
    expect(index.references()).toEqual([reference('r')]);
    add('r', 0, []);
    agree(codes.slice(0, 5));
    expect(index.has(reference('r'))).toBe(true);
  });

  test('one version of an id, or all of them', () => {
    const { add, agree, remove, index } = both();
    for (const version of [1, 2, 3]) add('r', 0, some(version, version + 1), version);
    add('s', 0, some(9, 10));
    remove('r', 2);
    agree(codes.slice(0, 12));
    expect([1, 2, 3].map((v) => index.has(reference('r', v)))).toEqual([true, false, true]);
    remove('r');
    agree(codes.slice(0, 12));
    expect(index.references()).toEqual([reference('s')]);
    remove('r');
    remove('s', 7);
    expect(index.has(reference('s'))).toBe(true);
  });

  test('gone from the very next search: from the head, from a segment, from a merge under way', () => {
    const { add, agree, remove, index } = both({ headCodes: 64 });
    add('head', 0, some(0, 20));
    expect(index.stats()[0]).toMatchObject({ head: 20, segments: 0 });
    remove('head');
    expect(agree(codes.slice(0, 20))).toEqual([]);

    add('segment', 0, some(20, 40));
    add('other', 0, some(40, 60));
    index.compact();
    expect(index.stats()[0]).toMatchObject({ head: 0, segments: 1 });
    remove('segment');
    expect(agree(codes.slice(20, 60)).length).toBe(20);
  });

  test('a merge that is stopped at every step loses nothing that stays and keeps nothing that goes', () => {
    const few = codes.filter((_, i) => i % 4 === 0);
    // Of them, what is there at the end: `stays`, whose slice 0 was replaced.
    const left = few.filter((_, i) => 4 * i < 10 || (4 * i >= 100 && (4 * i) % 100 >= 30 && (4 * i) % 100 < 60));
    const stopped = new Set<boolean>();
    for (let steps = 0; steps < 66; steps += 3) {
      const { add, agree, remove, index } = both({ headCodes: 64, mergeWork: 0 });
      for (let i = 0; i < 6; i++) {
        add('gone', i, some(100 * i, 100 * i + 30));
        add('stays', i, some(100 * i + 30, 100 * i + 60));
      }
      // Nothing pays for merging here, so it stands where it was left: one step a call.
      for (let i = 0; i < steps; i++) index.maintain(1);
      const before = index.stats()[0]!;
      stopped.add(before.segments === 5);
      remove('gone');
      expect(agree(few).every((h) => h.origin.reference.id === 'stays')).toBe(true);
      add('stays', 0, some(0, 10));
      agree(few);
      while (index.maintain(1e6));
      expect(agree(few).length).toBe(left.length);
      expect(index.stats()[0]!.removed).toBeLessThan(100);
      remove('stays');
      expect(agree(few)).toEqual([]);
    }
    expect(stopped).toEqual(new Set([true, false]));
  });

  test('room that removed codes took is given back', () => {
    const { add, remove, index } = both({ headCodes: 64 });
    for (let i = 0; i < 10; i++) add(i, 0, some(60 * i, 60 * i + 60));
    index.compact();
    const full = index.stats()[0]!.bytes;
    for (let i = 0; i < 8; i++) remove(i);
    while (index.maintain(1e6));
    expect(index.stats()[0]).toMatchObject({ codes: 120, removed: 0 });
    expect(index.stats()[0]!.bytes).toBeLessThan(full);
    remove(8);
    remove(9);
    expect(index.stats()[0]).toMatchObject({ codes: 0, segments: 0, bytes: 0 });
  });
});

test('stays at few segments however much is added', () => {
  const random = createRandom(18);
  const index = createIndex({ headCodes: 32 });
  for (let i = 0; i < 3000; i++) index.add(reference(i), 0, 'image', fingerprintOf([{ code: random.code() }]));
  // 3000 codes are 94 heads; tiers of 32, 128, 512 and 2048 codes hold three each at most when merging keeps up.
  expect(index.stats()[0]!.segments).toBeLessThanOrEqual(12);
});

test('no segment grows past its bound', () => {
  const random = createRandom(19);
  const { index, add, agree } = both({ headCodes: 32, segmentCodes: 200 });
  const codes = Array.from({ length: 1000 }, () => random.code());
  for (let i = 0; i < 1000; i += 20)
    add(
      i,
      0,
      codes.slice(i, i + 20).map((code) => ({ code })),
    );
  index.compact();
  expect(index.stats()[0]!.segments).toBeGreaterThanOrEqual(5);
  expect(index.stats()[0]!.segments).toBeLessThanOrEqual(9);
  expect(agree(codes).length).toBe(1000);
  expect(() =>
    add(
      'big',
      0,
      Array.from({ length: 201 }, () => ({ code: random.code() })),
    ),
  ).toThrow(RangeError);
});

test('gives everything back when disposed of', () => {
  const index = createIndex();
  index.add(reference('r'), 0, 'image', fingerprintOf([{ code: new Uint8Array(32) }]));
  index[Symbol.dispose]();
  expect(index.stats().every((s) => s.codes === 0 && s.bytes === 0)).toBe(true);
  expect(index.search('picture', new Uint8Array(32))).toEqual([]);
});

test('stats say which walk answers', () => {
  const walkOf = (options?: IndexOptions) => createIndex(options).stats()[0]!.walk;
  expect(walkOf({ kernel: typescriptKernel })).toBe('typescript');
  expect(walkOf()).toBe(wasmKernel() ? 'wasm' : 'typescript');
});
