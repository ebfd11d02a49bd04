/** Lists that people page through, on many rows: each page is read off an index, however far down it is, and no row is met twice. */
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { manyCases } from '../../../test/support/many-cases.ts';
import { openTestDatabase } from '../../../test/support/postgres.ts';
import { listCases } from './cases.ts';
import { listClaims } from './claims.ts';
import { countMatches } from './matches.ts';
import { policiesFor } from './policies.ts';
import { listReferencesOf } from './references.ts';
import { countReviews, listQueue, takeLocks } from './reviews.ts';
import { listWorks } from './works.ts';

const CASES = 20_000;

const database = await openTestDatabase();
afterAll(() => database[Symbol.asyncDispose]());
const db = database.postgres;

/** The plan of whatever `work` asks last (or last of a table), as PostgreSQL tells it of these very values. */
async function planOf(work: (spy: typeof db) => Promise<unknown>, table = ''): Promise<string> {
  const asked: [string, unknown[]][] = [];
  const spy = {
    ...db,
    query(text: string, values: unknown[] = []) {
      asked.push([text, values]);
      return db.query(text, values);
    },
  };
  await work(spy as typeof db);
  const [text, values] = asked.filter(([text]) => text.includes(table)).at(-1)!;
  const rows = await db.query<Record<string, string>>(`EXPLAIN (ANALYZE, BUFFERS) ${text}`, values);
  return rows.map((r) => Object.values(r)[0]).join('\n');
}
/** Blocks that were looked at: what a page costs, on whatever machine. */
const blocks = (plan: string): number =>
  Number(/Buffers: shared hit=(\d+)/.exec(plan)?.[1] ?? 0) +
  Number(/Buffers: shared.* read=(\d+)/.exec(plan)?.[1] ?? 0);

beforeAll(() => manyCases(db, CASES), 60_000);

describe('cases', () => {
  test.each([
    ['all', {}],
    ['of a state', { state: 'contested' as const }],
    ['of a holder', { holder: 'holder_3' }],
    ['of a holder and a state', { holder: 'holder_3', state: 'open' as const }],
    ['of a work', { work: 'work_77' }],
    ['of an account', { account: 'acc_4' }],
  ])('%s: every one once, newest first, each page for a few blocks', async (_, filter) => {
    const wanted = await db.query<{ n: number }>(
      `SELECT count(*) AS n FROM cases WHERE ${Object.entries({ true: true, ...filter })
        .map(([column, value]) => (column === 'true' ? 'true' : `${column} = '${value}'`))
        .join(' AND ')}`,
    );
    const seen: { id: string; openedAt: number }[] = [];
    let before: { openedAt: number; id: string } | undefined;
    for (;;) {
      const page = await listCases(db, { ...filter, before, limit: 500 });
      seen.push(...page);
      if (page.length < 500) break;
      before = page.at(-1);
    }
    expect(seen.length).toBe(wanted[0]!.n);
    expect(new Set(seen.map((c) => c.id)).size).toBe(seen.length);
    expect(seen.every((c, i) => i === 0 || seen[i - 1]!.openedAt >= c.openedAt)).toBe(true);
    const middle = seen[Math.floor(seen.length / 2)];
    const plan = await planOf((spy) => listCases(spy, { ...filter, before: middle, limit: 51 }));
    expect(plan, plan).not.toContain('Seq Scan on cases');
    // 51 rows with their titles and claims: some ten blocks each at most, and none for the thousands before them.
    expect(blocks(plan), plan).toBeLessThan(700);
  });
});

test('claims of one case are read off its index, not out of all that were opened', async () => {
  const plan = await planOf((spy) => listClaims(spy, { case: 'case_77', limit: 101 }));
  expect(await listClaims(db, { case: 'case_77', limit: 101 })).toMatchObject([{ id: 'claim_77' }]);
  expect(blocks(plan), plan).toBeLessThan(50);
});

test('policies that hold for an upload are read off an index, however many their holder has', async () => {
  await db.query(
    `INSERT INTO policies (id, version, holder, work, reference, data)
     SELECT 'p_r' || n, 1, 'many', 'work_' || n % 100, 'ref_' || n, '{"minContiguousSeconds": 20}'::jsonb FROM generate_series(1, 10000) n
     UNION ALL SELECT 'p_w' || n, 1, 'many', 'work_' || n, NULL, '{"minContiguousSeconds": 30}'::jsonb FROM generate_series(1, 10000) n
     UNION ALL SELECT 'p_h', v, 'many', NULL, NULL, jsonb_build_object('minContiguousSeconds', 100 + v) FROM generate_series(1, 100) v
     UNION ALL SELECT 'p_r7', v, 'many', 'work_7', 'ref_7', jsonb_build_object('minContiguousSeconds', v) FROM generate_series(2, 9) v`,
  );
  await db.query('ANALYZE policies');
  const scopes = [
    { holder: 'many', work: 'work_7', reference: 'ref_7' },
    { holder: 'many', work: 'work_8', reference: 'ref_none' },
    { holder: 'many', work: 'work_none', reference: 'ref_none' },
    { holder: 'few', work: 'work_7', reference: 'ref_7' },
  ];
  const found = await policiesFor(db, scopes);
  expect(found.map((p) => p.minContiguousSeconds)).toEqual([9, 30, 200, 4]);
  const plan = await planOf((spy) => policiesFor(spy, scopes), 'FROM policies');
  expect(plan, plan).not.toContain('Seq Scan');
  expect(blocks(plan), plan).toBeLessThan(100);
});

test('works and references of all holders are read off an index as well', async () => {
  const works = await planOf((spy) => listWorks(spy, { holder: null, after: [1000, 'work_1000'], limit: 51 }));
  expect(works, works).toMatch(/Index Scan.* using works_created/);
  const references = await planOf((spy) =>
    listReferencesOf(spy, { holder: null, after: [1000, 'ref_1000'], limit: 51 }),
  );
  expect(references, references).toMatch(/Index Scan.* using reference_versions_received/);
});

describe('the review queue', () => {
  const about = { seat: 'seat', person: 'ada', now: 1e6, until: 2e6, skippedSince: 0, spreadSince: 0 };
  test('hands out its head for a few blocks, however long it is', async () => {
    const plan = await planOf((spy) => takeLocks(spy, { ...about, count: 2 }));
    expect(plan, plan).toMatch(/using claims_review/);
    expect(plan, plan).not.toContain('Seq Scan on claims');
    expect(blocks(plan), plan).toBeLessThan(3000);
    const { open, held, waiting } = await countReviews(db, 1e6);
    // Twice: once to see the plan, once by EXPLAIN ANALYZE.
    expect([held, waiting]).toEqual([4, open - 4]);
  });

  test('is paged in its order, every one once', async () => {
    const seen: { claim: string; reviewAt: number }[] = [];
    let after: [number, string] | null = null;
    for (;;) {
      const page = await listQueue(db, { now: 1e6, after, limit: 1000 });
      seen.push(...page);
      if (page.length < 1000) break;
      after = [page.at(-1)!.reviewAt, page.at(-1)!.claim];
    }
    expect(seen.length).toBe((await countReviews(db, 1e6)).open);
    expect(new Set(seen.map((c) => c.claim)).size).toBe(seen.length);
    expect(seen.every((c, i) => i === 0 || seen[i - 1]!.reviewAt <= c.reviewAt)).toBe(true);
    const middle = seen[seen.length >> 1]!;
    const plan = await planOf((spy) => listQueue(spy, { now: 1e6, after: [middle.reviewAt, middle.claim], limit: 51 }));
    expect(plan, plan).toMatch(/using claims_review/);
  });
});

describe('how often each part of a reference was matched', () => {
  const count = (seconds: number, buckets: number) =>
    countMatches(db, { id: 'ref_counted', version: 1 }, { seconds, buckets });
  const claim = (n: number, spans: [number, number][]) =>
    db.query(
      `INSERT INTO claims (id, upload, reference, version, case_id, state, decision, territories, opened_at, changed_at)
       VALUES ($1, $2, 'ref_counted', 1, 'case_1', 'taken-down', $3, '["*"]', 1, 1)`,
      [
        `counted_${n}`,
        `up_${n}`,
        JSON.stringify({
          evidence: { confidence: 1, total: 1, share: {}, segments: spans.map((s) => ({ reference: s })) },
        }),
      ],
    );

  test('counts uploads, each once a part, also at the edges', async () => {
    expect(await count(10, 6)).toEqual({ uploads: 0, buckets: [0, 0, 0, 0, 0, 0] });
    await claim(1, [[0, 25]]);
    // Twice the same part, and one that ends where a bucket does.
    await claim(2, [
      [12, 18],
      [14, 20],
    ]);
    // Up to the end and beyond it; an instant.
    await claim(3, [
      [49, 63],
      [30, 30],
    ]);
    expect(await count(10, 6)).toEqual({ uploads: 3, buckets: [1, 2, 1, 1, 1, 1] });
    expect(await count(60, 1)).toEqual({ uploads: 3, buckets: [3] });
  });

  test('of a reference that all upload is counted in one look', async () => {
    const plan = await planOf((spy) => countMatches(spy, { id: 'ref_7', version: 1 }, { seconds: 5, buckets: 120 }));
    expect(plan, plan).toMatch(/claims_reference/);
  });
});
