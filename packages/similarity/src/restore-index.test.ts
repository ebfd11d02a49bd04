import { describe, expect, test } from 'vitest';
import { createBruteForceIndex } from './brute-force.ts';
import { createIndex, type Index } from './create-index.ts';
import { restoreIndex, SnapshotRefused } from './restore-index.ts';
import { createRandom, fingerprintOf, flipOrdered, joined, reference } from './testing.ts';
import { typescriptKernel } from './typescript-kernel.ts';

const OPTIONS = { headCodes: 64 };

/** Two kinds, several references, replaced and removed slices, a slice without codes, some codes still in the head. */
function filled() {
  const random = createRandom(31);
  const index = createIndex(OPTIONS);
  const oracle = createBruteForceIndex();
  const codes = Array.from({ length: 400 }, () => random.code());
  const add = (i: number, id: string, slice: number) => {
    const made = codes.slice(i, i + 20).map((code, k) => ({ code, kind: k % 4 ? ('picture' as const) : 'patch' }));
    for (const x of [index, oracle])
      x.add(reference(id, 2), slice, i % 40 ? 'video' : 'image', fingerprintOf(made as never));
  };
  for (let i = 0; i < 400; i += 20) add(i, ['film', 'naïve ☃', 'gone'][(i / 20) % 3]!, i);
  add(0, 'film', 0);
  for (const x of [index, oracle]) {
    x.remove('gone');
    x.add(reference('empty'), 0, 'image', fingerprintOf([]));
  }
  const queries = joined(codes.map((code, i) => flipOrdered(code, random.some(i % 33, 256))));
  return { index, oracle, queries };
}

const bytesOf = (index: Index, note?: string): Uint8Array => Buffer.concat([...index.snapshot(note)]);

function* chopped(bytes: Uint8Array, size: number) {
  for (let i = 0; i < bytes.length; i += size) yield bytes.subarray(i, i + size);
}

function expectSame(index: Index, oracle: ReturnType<typeof createBruteForceIndex>, queries: Uint8Array) {
  for (const kind of ['picture', 'patch', 'sound'] as const) {
    expect(index.search(kind, queries)).toEqual(oracle.search(kind, queries));
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

describe('a snapshot', () => {
  test.each([1000, 7, 1 << 20])('comes back whole, in pieces of %i bytes', async (size) => {
    const { index, oracle, queries } = filled();
    const { index: restored, note } = await restoreIndex(chopped(bytesOf(index, '{"offset": 7}'), size), OPTIONS);
    expect(note).toBe('{"offset": 7}');
    expect(oracle.search('picture', queries).length).toBeGreaterThan(100);
    expectSame(restored, oracle, queries);
  });

  test('comes back under the other walk, and from an asynchronous source', async () => {
    const { index, oracle, queries } = filled();
    const source = (async function* () {
      yield* index.snapshot();
    })();
    const { index: restored } = await restoreIndex(source, { ...OPTIONS, kernel: typescriptKernel });
    expect(restored.stats()[0]!.walk).toBe('typescript');
    expectSame(restored, oracle, queries);
  });

  test('lets go of what it was read from, whether it was whole, refused, or failed to come', async () => {
    const whole = bytesOf(filled().index);
    let open = 0;
    const file = async function* (bytes: Uint8Array, error?: Error) {
      open++;
      try {
        yield* chopped(bytes, 4096);
        if (error) throw error;
        yield new Uint8Array(9);
      } finally {
        open--;
      }
    };
    await restoreIndex(file(whole), OPTIONS);
    expect(open).toBe(0);
    await expect(restoreIndex(file(whole.subarray(4)), OPTIONS)).rejects.toThrow(SnapshotRefused);
    expect(open).toBe(0);
    await expect(restoreIndex(file(whole.subarray(0, 500), new Error('gone')), OPTIONS)).rejects.toThrow('gone');
    expect(open).toBe(0);
  });

  test('goes on as an index does: more is added, replaced, removed and merged', async () => {
    const { index, oracle, queries } = filled();
    const { index: restored } = await restoreIndex(index.snapshot(), OPTIONS);
    const random = createRandom(32);
    const more = fingerprintOf(Array.from({ length: 100 }, () => ({ code: random.code() })));
    for (const x of [restored, oracle]) {
      x.add(reference('film', 2), 60, 'video', more);
      x.add(reference('new'), 0, 'video', more);
      x.remove('naïve ☃');
    }
    expectSame(restored, oracle, queries);
    restored.compact();
    expectSame(restored, oracle, queries);
    expect(restored.stats()[0]!.removed).toBe(0);
  });

  test('is of the moment of the call, though the index goes on while it is read', async () => {
    const { index, oracle, queries } = filled();
    const snapshot = index.snapshot();
    const random = createRandom(33);
    for (let i = 0; i < 20; i++) {
      const made = Array.from({ length: 30 }, () => ({ code: random.code() }));
      index.add(reference('later'), i, 'video', fingerprintOf(made));
    }
    index.remove('film');
    index.compact();
    const { index: restored } = await restoreIndex(snapshot, OPTIONS);
    expectSame(restored, oracle, queries);
  });

  test('of an empty index is an empty index', async () => {
    const { index } = await restoreIndex(createIndex().snapshot());
    expectSame(index, createBruteForceIndex(), new Uint8Array(32));
  });
});

describe('what is refused', () => {
  const refused = (bytes: Uint8Array) => expect(restoreIndex([bytes], OPTIONS)).rejects.toThrow(SnapshotRefused);

  test('a snapshot cut short, anywhere', async () => {
    const bytes = bytesOf(filled().index);
    const random = createRandom(34);
    const cuts = [0, 3, 19, 20, 28, 29, bytes.length - 1, bytes.length - 5, bytes.length - 13];
    for (let i = 0; i < 40; i++) cuts.push(random.next(bytes.length));
    for (const cut of cuts) await refused(bytes.subarray(0, cut));
  });

  test('a snapshot with a bit turned over, anywhere', async () => {
    const bytes = bytesOf(filled().index, 'note');
    const random = createRandom(35);
    const places = Array.from({ length: 60 }, (_, i) => i);
    for (let i = 0; i < 60; i++) places.push(random.next(bytes.length));
    for (const at of places) {
      const altered = bytes.slice();
      altered[at]! ^= 1 << random.next(8);
      await refused(altered);
    }
  });

  test('a snapshot of another format, order of bits or radius', async () => {
    const bytes = bytesOf(createIndex());
    for (let word = 0; word < 5; word++) {
      const altered = bytes.slice();
      altered[4 * word]! += 1;
      await refused(altered);
    }
  });

  test('a fault of the source is passed on as it is', async () => {
    const source = (async function* () {
      yield new Uint8Array(4);
      throw new Error('disk');
    })();
    await expect(restoreIndex(source)).rejects.toThrow('disk');
  });
});
