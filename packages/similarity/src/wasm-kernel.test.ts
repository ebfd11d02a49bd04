import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { pathToFileURL } from 'node:url';
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { describeWith } from '../../../test/support/require.ts';
import { createHome, type Home } from './home.ts';
import type { Kernel } from './kernel.ts';
import { HITS_AT_ONCE, type Layout, QUERIES_AT_ONCE } from './layout.ts';
import { CODE_WORDS } from './permutation.ts';
import { EXACT, tablesOf, WIDE_KEYS } from './rules.ts';
import { createRandom } from './testing.ts';
import { typescriptKernel } from './typescript-kernel.ts';
import { openWasmKernel, wasmKernel } from './wasm-kernel.ts';

const kernel = wasmKernel();

test('refuses a kernel that was built from other sources', () => {
  // A module of nothing.
  const nothing = Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0);
  const file = pathToFileURL(path.join(mkdtempSync(path.join(tmpdir(), 'vigil-walk-')), 'walk.wasm'));
  writeFileSync(file, nothing);
  try {
    expect(() => openWasmKernel(file)).toThrow(/npm run build:wasm/);
  } finally {
    rmSync(path.dirname(file.pathname), { recursive: true });
  }
});

test('says that it was not built rather than fail', () => {
  expect(openWasmKernel(new URL('file:///nowhere/walk.wasm'))).toBe(null);
});

describeWith('wasm', kernel !== null, 'the WASM kernel, built by npm run build:wasm', () => {
  interface Made {
    codes: Uint32Array;
    dead: readonly number[];
    queries: Uint32Array;
  }

  /** Low-entropy codes: buckets of hundreds of entries, many hits, many that fail by a little. */
  const make = (seed: number, n: number, entropy: number): Made => {
    const random = createRandom(seed);
    const centres = Array.from({ length: 3 }, () => Uint32Array.from({ length: 8 }, () => random.next(2 ** 32)));
    const near = (words: Uint32Array, at: number) => {
      words.set(centres[random.next(3)]!, at * CODE_WORDS);
      const flips = random.next(40);
      for (let k = 0; k < flips; k++) words[at * CODE_WORDS + random.next(entropy)]! ^= 1 << random.next(32);
    };
    const codes = new Uint32Array(n * CODE_WORDS);
    for (let i = 0; i < n; i++) near(codes, i);
    const queries = new Uint32Array(40 * CODE_WORDS);
    for (let i = 0; i < 40; i++) near(queries, i);
    return { codes, dead: Array.from({ length: n }, (_, i) => i).filter(() => random.next(9) === 0), queries };
  };

  const homeWith = (by: Kernel, made: Made, rule = EXACT): Home => {
    const n = made.codes.length / CODE_WORDS;
    const home = createHome(by, n, tablesOf(rule), 2);
    home.codes.set(made.codes);
    for (let table = 0; table < tablesOf(rule); table++) {
      home.builder.count(table, 0, n >> 1);
      home.builder.count(table, n >> 1, n);
      home.builder.sum(table);
      home.builder.scatter(table, 0, n >> 2);
      home.builder.scatter(table, n >> 2, n);
    }
    for (const i of made.dead) home.dead[i >>> 5]! |= 1 << (i & 31);
    return home;
  };

  const tables = ({ memory, layout }: Home) =>
    new Uint8Array(memory.buffer).slice(layout.tablesAt, layout.tablesAt + layout.tables * layout.tableBytes);

  /** Hits of queries [0, count), as they were handed over. */
  const hitsOf = (home: Home, queries: Uint32Array, count: number, scan: boolean, rule = EXACT): number[][] => {
    const { walker, layout } = home;
    if (scan) walker.beginScan(queries, count, rule, layout.codes);
    else walker.beginWalk(queries, count, rule);
    const rounds: number[][] = [];
    for (let n = walker.next(); n > 0; n = walker.next()) rounds.push([...walker.hits.subarray(0, 2 * n)]);
    expect(walker.next()).toBe(0);
    return rounds;
  };

  const sorted = (rounds: number[][]) => {
    const words = rounds.flat();
    return words.flatMap((hit, i) => (i % 2 ? [] : [`${words[i + 1]} ${hit}`])).sort();
  };

  test('builds the same tables and gives the same hits in the same order as its TypeScript twin', () => {
    let hits = 0;
    const size = fc.oneof(fc.nat(40), fc.nat(700), fc.integer({ min: 1100, max: 3000 }));
    fc.assert(
      fc.property(
        fc.integer({ min: 1 }),
        size,
        fc.integer({ min: 1, max: 8 }),
        fc.nat(40),
        (seed, n, entropy, asked) => {
          const made = make(seed, n, entropy);
          for (const rule of [EXACT, WIDE_KEYS, { ...EXACT, radius: 20 }]) {
            const twin = homeWith(typescriptKernel, made, rule);
            const home = homeWith(kernel!, made, rule);
            expect(Buffer.compare(tables(home), tables(twin))).toBe(0);
            for (const scan of [false, true]) {
              const expected = hitsOf(twin, made.queries, asked, scan, rule);
              expect(hitsOf(home, made.queries, asked, scan, rule)).toEqual(expected);
              hits += expected.flat().length / 2;
            }
            // A walk finds what a scan finds, each code once.
            const walked = sorted(hitsOf(home, made.queries, asked, false, rule));
            expect(walked).toEqual(sorted(hitsOf(home, made.queries, asked, true, rule)));
          }
        },
      ),
      { numRuns: 24, seed: 20260103 },
    );
    expect(hits).toBeGreaterThan(50 * HITS_AT_ONCE);
  });

  test('goes on where it left off among queries of several blocks', () => {
    for (const seed of [1, 2, 3]) {
      const { queries: _, ...made } = make(seed, 1500, 3);
      const queries = make(seed, QUERIES_AT_ONCE, 3).codes;
      const [home, twin] = [kernel!, typescriptKernel].map((by) => homeWith(by, { ...made, queries }, WIDE_KEYS));
      const expected = hitsOf(twin!, queries, QUERIES_AT_ONCE, false, WIDE_KEYS);
      expect(expected.length).toBeGreaterThan(20);
      expect(hitsOf(home!, queries, QUERIES_AT_ONCE, false, WIDE_KEYS)).toEqual(expected);
    }
  });

  test('threads that search one segment at once do not disturb each other', () => {
    const made = make(5, 6000, 2);
    const home = homeWith(kernel!, made);
    const other = kernel!.walker(home.memory, home.layout, 1);
    const expected = hitsOf(home, made.queries, 20, false);
    expect(expected.length).toBeGreaterThan(2);
    const next = () => [...home.walker.hits.subarray(0, 2 * home.walker.next())];
    home.walker.beginWalk(made.queries, 20, EXACT);
    const rounds = [next()];
    other.beginWalk(made.queries.subarray(20 * CODE_WORDS), 20, EXACT);
    for (const _ of expected.slice(1)) {
      other.next();
      rounds.push(next());
    }
    expect(rounds).toEqual(expected);
    expect(next()).toEqual([]);
  });

  test('finds its way in memory past 2 GiB', () => {
    // Only the address space is asked for: pages that nobody writes take no memory.
    const codes = 4096;
    const base = 0x9000_0000;
    const small = homeWith(typescriptKernel, make(6, codes, 4));
    const moved = Object.fromEntries(
      Object.entries(small.layout).map(([k, v]) =>
        ['codesAt', 'deadAt', 'timeAt', 'placeAt', 'tablesAt', 'bytes'].includes(k) ? [k, v + base] : [k, v],
      ),
    ) as unknown as Layout;
    const memory = kernel!.allocate(moved.bytes);
    const { codesAt, bytes } = small.layout;
    new Uint8Array(memory.buffer).set(new Uint8Array(small.memory.buffer).subarray(codesAt, bytes), codesAt + base);
    const queries = make(6, codes, 4).queries;
    const far = { ...small, memory, layout: moved, walker: kernel!.walker(memory, moved, 0) };
    expect(hitsOf(far, queries, 20, false)).toEqual(hitsOf(small, queries, 20, false));
    expect(hitsOf(far, queries, 20, true)).toEqual(hitsOf(small, queries, 20, true));
  });
});
