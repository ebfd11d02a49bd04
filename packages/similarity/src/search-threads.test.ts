import { expect, test } from 'vitest';
import { createBruteForceIndex } from './brute-force.ts';
import { createIndex, type Index, type IndexOptions } from './create-index.ts';
import { createHome } from './home.ts';
import { restoreIndex } from './restore-index.ts';
import { EXACT } from './rules.ts';
import { openSearchThreads, SearchThreadDied, SearchThreadsGone } from './search-threads.ts';
import { createRandom, fingerprintOf, flipOrdered, joined, reference } from './testing.ts';
import { typescriptKernel } from './typescript-kernel.ts';
import { wasmKernel } from './wasm-kernel.ts';

const KERNELS = { wasm: wasmKernel() ?? typescriptKernel, typescript: typescriptKernel };
const KINDS = ['picture', 'patch'] as const;
type Random = ReturnType<typeof createRandom>;

/** Codes near a few centres, around the radius. */
const near = (random: Random, centres: readonly Uint8Array[]) =>
  flipOrdered(centres[random.next(centres.length)]!, random.some(random.next(34), 256));

const breath = () => new Promise<void>((resolve) => setImmediate(resolve));

/** Until no thread merges. */
async function merged(index: Index): Promise<void> {
  while (index.maintain(1)) await breath();
}

test.each(Object.keys(KERNELS) as (keyof typeof KERNELS)[])(
  'searches among adds, replacements, removals and merges answer as at one instant (%s)',
  async (name) => {
    const random = createRandom(31);
    const centres = Array.from({ length: 4 }, random.code);
    const options: IndexOptions = { headCodes: 24, segmentCodes: 400, threads: 3, kernel: KERNELS[name] };
    using index = createIndex(options);
    const oracle = createBruteForceIndex();
    const open: { kind: (typeof KINDS)[number]; bits: Uint8Array; allowed: Set<string>; limit: number }[] = [];
    const answers: Promise<void>[] = [];
    let [hits, changedMeanwhile] = [0, 0];
    const changed = () => {
      for (const s of open) s.allowed.add(JSON.stringify(oracle.search(s.kind, s.bits, s.limit)));
    };

    for (let step = 0; step < 700; step++) {
      const id = random.next(30);
      const what = random.next(10);
      if (what < 4) {
        const codes = Array.from({ length: 1 + random.next(12) }, () => ({
          code: near(random, centres),
          kind: KINDS[random.next(2)]!,
        }));
        for (const i of [index, oracle]) i.add(reference(id), random.next(1), 'video', fingerprintOf(codes));
        changed();
      } else if (what === 4) {
        for (const i of [index, oracle]) i.remove(String(id));
        changed();
      } else if (what === 5) await breath();
      else {
        const bits = joined(Array.from({ length: 1 + random.next(5) }, () => near(random, centres)));
        const search = {
          kind: KINDS[random.next(2)]!,
          bits,
          allowed: new Set<string>(),
          limit: [1, 4, 1000][step % 3]!,
        };
        search.allowed.add(JSON.stringify(oracle.search(search.kind, bits, search.limit)));
        open.push(search);
        answers.push(
          index.searchAsync(search.kind, bits, search.limit).then((found) => {
            open.splice(open.indexOf(search), 1);
            hits += found.length;
            if (search.allowed.size > 1) changedMeanwhile++;
            expect([...search.allowed]).toContain(JSON.stringify(found));
            // What was removed before the answer is not in it.
            for (const { origin } of found) expect(oracle.has(origin.reference)).toBe(true);
          }),
        );
        if (open.length > 8) await Promise.race(answers.slice(-9));
      }
    }
    await Promise.all(answers);
    await merged(index);
    for (const kind of KINDS) {
      const bits = joined(centres);
      const expected = oracle.search(kind, bits, 1000);
      expect(await index.searchAsync(kind, bits, 1000)).toEqual(expected);
      expect(index.search(kind, bits, 1000)).toEqual(expected);
      expect(expected.length).toBeGreaterThan(20);
    }
    expect(hits).toBeGreaterThan(1000);
    expect(changedMeanwhile).toBeGreaterThan(10);
  },
  60_000,
);

test('a removal that has returned is never hit, however many searches are under way', async () => {
  const random = createRandom(32);
  const code = random.code();
  using index = createIndex({ headCodes: 64, threads: 2 });
  for (let id = 0; id < 200; id++) index.add(reference(id), 0, 'image', fingerprintOf([{ code }]));
  const searches: Promise<void>[] = [];
  const gone = new Set<string>();
  for (let id = 0; id < 200; id++) {
    searches.push(
      index.searchAsync('picture', code, 1000).then((hits) => {
        expect(hits.filter((h) => gone.has(h.origin.reference.id))).toEqual([]);
        expect(hits.length).toBe(200 - gone.size);
      }),
    );
    if (id % 3 === 0) await breath();
    index.remove(String(id));
    gone.add(String(id));
  }
  await Promise.all(searches);
  expect(await index.searchAsync('picture', code)).toEqual([]);
});

test('many segments of a bounded size, searched in parts by all threads, give what brute force gives', async () => {
  const random = createRandom(33);
  // As past the 4 GiB of one memory, with small numbers: no segment may hold all.
  using index = createIndex({ headCodes: 32, segmentCodes: 256, threads: 2 });
  const oracle = createBruteForceIndex();
  const codes = Array.from({ length: 2400 }, random.code);
  for (let i = 0; i < codes.length; i += 20) {
    const slice = fingerprintOf(codes.slice(i, i + 20).map((code) => ({ code })));
    for (const one of [index, oracle]) one.add(reference(i % 7), i, 'video', slice);
  }
  await merged(index);
  expect(index.stats()[0]!.segments).toBeGreaterThan(8);
  const asked = Array.from({ length: 900 }, (_, i) => flipOrdered(codes[i]!, random.some(29 + (i % 4), 256)));
  const found = await index.searchAsync('picture', joined(asked));
  expect(found).toEqual(oracle.search('picture', joined(asked)));
  // Planted at 29, 30, 31 and 32: three of four are there.
  expect(found.map((h) => h.distance).filter((d) => d >= 29).length).toBe(675);
}, 60_000);

test('cuts to the nearest by distance, then by name, as the caller itself would', async () => {
  const random = createRandom(34);
  const code = random.code();
  using index = createIndex({ headCodes: 16, threads: 2 });
  for (let id = 0; id < 90; id++) {
    const codes = Array.from({ length: 8 }, () => ({ code: flipOrdered(code, random.some(random.next(4), 256)) }));
    index.add(reference(id), 0, 'image', fingerprintOf(codes));
  }
  for (const limit of [0, 1, 7, 200, 1000]) {
    expect(await index.searchAsync('picture', code, limit)).toEqual(index.search('picture', code, limit));
  }
  // 720 codes: every limit but the last cut its query short, once by each way of asking.
  expect(index.stats()[0]!.truncated).toBe(8);
});

test('a snapshot of a searched index is restored into a searched index', async () => {
  const random = createRandom(35);
  const codes = Array.from({ length: 300 }, random.code);
  using index = createIndex({ headCodes: 32, threads: 2 });
  codes.forEach((code, i) => {
    index.add(reference(i % 50), i, 'video', fingerprintOf([{ code }]));
  });
  const [search] = [index.searchAsync('picture', joined(codes))];
  const restored = await restoreIndex(index.snapshot('here'), { headCodes: 32, threads: 1 });
  using again = restored.index;
  expect(await again.searchAsync('picture', joined(codes))).toEqual(await search);
  expect((await search)!.length).toBe(300);
});

test('a thread that dies says so to those who wait, and another takes its place', async () => {
  const kernel = KERNELS.wasm;
  using threads = openSearchThreads(kernel, 1);
  const [known, unknown] = [createHome(kernel, 8, 0, 2), createHome(kernel, 8, 0, 2)];
  known.codes.fill(7, 0, 8);
  threads.enter(known);
  const bits = new Uint8Array(32);
  const task = { bits, rule: EXACT, limit: 10 };
  const lost = threads.search({ ...task, among: [{ home: unknown, scanned: 1 }] });
  await expect(lost).rejects.toThrow(SearchThreadDied);
  const found = await threads.search({ ...task, among: [{ home: known, scanned: 8 }] });
  // Seven codes are all zeros, the eighth, the first, has three bits a word.
  expect([...found].filter((_, i) => i % 4 === 3)).toEqual([0, 1, 2, 3, 4, 5, 6, 7]);
});

test('threads that end as they start are given up after some tries, with pauses, and it is said what to do', async () => {
  let started = 0;
  const count = () => void started++;
  process.on('worker', count);
  try {
    using threads = openSearchThreads(typescriptKernel, 1, 1);
    // No thread can make anything of it, nor can any of its successors.
    threads.enter({ id: -1, memory: null, layout: null } as never);
    const task = { bits: new Uint8Array(32), rule: EXACT, limit: 10, among: [] };
    let error: unknown;
    do error = await threads.search(task).then(breath, (e: unknown) => breath().then(() => e));
    while (error instanceof SearchThreadDied && started < 50);
    expect(error).toBeInstanceOf(SearchThreadsGone);
    expect(error).toMatchObject({ retriable: false, message: expect.stringContaining('npm run build:wasm') });
    expect(started).toBe(8);
  } finally {
    process.off('worker', count);
  }
});

test('an index that is disposed of lets go of those who wait', async () => {
  const index = createIndex({ threads: 1 });
  index.add(reference('a'), 0, 'image', fingerprintOf([{ code: new Uint8Array(32) }]));
  const search = index.searchAsync('picture', new Uint8Array(32 * 500));
  index[Symbol.dispose]();
  await expect(search).rejects.toThrow(SearchThreadDied);
});
