import type { Queryable } from '@vigil/runtime';

/** So many cases with a claim each, of 2,000 works of ten holders; a quarter of them wait for a person. For tests and benches of lists. */
export async function manyCases(db: Queryable, cases: number): Promise<void> {
  await db.query(`INSERT INTO works (id, holder, title, created_at)
    SELECT 'work_' || n, 'holder_' || n % 10, 'Title ' || n, n FROM generate_series(1, 2000) n`);
  await db.query(`INSERT INTO reference_versions (id, version, work, holder, media, kind, state, duration, received_at)
    SELECT 'ref_' || n, 1, 'work_' || n, 'holder_' || n % 10, '{}', 'video', 'live', 600, n FROM generate_series(1, 2000) n`);
  await db.query(`INSERT INTO uploads (id) SELECT 'up_' || n FROM generate_series(1, ${cases}) n`);
  // Many of the same instant, as after an import.
  await db.query(`INSERT INTO cases (id, account, work, holder, opened_at, state)
    SELECT 'case_' || n, 'acc_' || n % 4999, 'work_' || 1 + n % 2000, 'holder_' || (1 + n % 2000) % 10, 1000 + n / 7,
      (ARRAY['open', 'taken-down', 'contested', 'closed'])[1 + n % 4]
    FROM generate_series(1, ${cases}) n ON CONFLICT DO NOTHING`);
  await db.query(`INSERT INTO claims (id, upload, reference, version, case_id, state, decision, territories, opened_at, changed_at)
    SELECT 'claim_' || n, 'up_' || n, 'ref_' || 1 + n % 2000, 1, 'case_' || n,
      CASE n % 4 WHEN 0 THEN 'open' ELSE 'taken-down' END,
      jsonb_build_object('evidence', jsonb_build_object('confidence', (n % 100) / 100.0, 'total', n % 300,
        'share', jsonb_build_object('upload', 0.5, 'reference', (n % 600) / 600.0),
        'segments', jsonb_build_array(jsonb_build_object('reference', jsonb_build_array(n % 500, n % 500 + 30))))),
      '["*"]', 1000 + n / 7, 1000 + n / 7
    FROM generate_series(1, ${cases}) n WHERE EXISTS (SELECT FROM cases WHERE id = 'case_' || n)`);
  await db.query('VACUUM (ANALYZE) works, reference_versions, cases, claims');
}
