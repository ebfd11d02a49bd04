import { type AuditRoot, derivedId } from '@vigil/contracts';
import { openPostgres, type Postgres, type Queryable } from '@vigil/runtime';
import { afterAll, beforeEach, describe, expect, test } from 'vitest';
import { createEmptyDatabase, openTestDatabase } from '../../../test/support/postgres.ts';
import { auditRoots, makeAuditRoot, verifyAudit } from './audit.ts';
import { appendCaseEvents, caseEvents, lockCase } from './cases.ts';
import { saveClaim } from './claims.ts';
import { migrate } from './migrate.ts';
import { erasePapers, findPaper, savePaper } from './papers.ts';
import { openClaim } from './testing.ts';
import { lockUpload } from './uploads.ts';

const database = await openTestDatabase();
afterAll(() => database[Symbol.asyncDispose]());
const db = database.postgres;
const by = { role: 'uploader' as const, id: 'acc_1' };

let n = 0;
/** A case with a claim, three links, a paper, and a root that covers it. */
async function writeCase() {
  const upload = `up_${n}`;
  const name = `work_${String(n++).padStart(3, '0')}`;
  return database.transaction(async (tx) => {
    await lockUpload(tx, upload);
    const claim = await openClaim(tx, { upload, account: null, work: name });
    await lockCase(tx, { id: claim.case, account: null, work: name, holder: 'h', openedAt: 1 });
    const paper = await savePaper(tx, {
      subject: claim.case,
      kind: 'dispute',
      content: { statement: 'My name is Bo.' },
      now: 2,
    });
    const event = (kind: string, data: Record<string, unknown>) => ({ kind, at: 2, by, claim: claim.id, data });
    await appendCaseEvents(tx, claim.case, [event('opened', { state: 'open' }), event('dispute', { paper })]);
    await appendCaseEvents(tx, claim.case, [event('evidence', { total: 1e-7, ü: 'ß' })]);
    return { claim, paper };
  });
}
const root = (now = 5) => database.transaction((tx) => makeAuditRoot(tx, now));
const verify = (copies?: AuditRoot[]) => verifyAudit(db, copies);

/** As somebody who may do anything in the database, and switches off what stands in the way. */
const tamper = (sql: string, params: unknown[] = []) =>
  database.transaction(async (tx) => {
    await tx.query('SET LOCAL session_replication_role = replica');
    await tx.query('ALTER TABLE case_events DROP CONSTRAINT IF EXISTS case_events_check');
    await tx.query(sql, params);
  });
/** Columns that are not computed from others. */
const plainColumns = async (table: string): Promise<string> => {
  const rows = await db.query<{ columns: string }>(
    `SELECT string_agg(column_name, ', ') AS columns FROM information_schema.columns
     WHERE table_schema = 'public' AND table_name = $1 AND is_generated = 'NEVER'`,
    [table],
  );
  return rows[0]!.columns;
};
const restored = async (run: () => Promise<void>) => {
  await db.query('CREATE TABLE kept AS SELECT case_id, seq, body, previous, hash FROM case_events');
  const rest = ['audit_roots', 'audit_heads', 'papers', 'claims', 'cases'];
  for (const table of rest) await db.query(`CREATE TABLE kept_${table} AS SELECT * FROM ${table}`);
  try {
    await run();
  } finally {
    await tamper('DELETE FROM case_events');
    for (const table of rest) await tamper(`DELETE FROM ${table}`);
    for (const table of rest.toReversed()) {
      const columns = await plainColumns(table);
      await tamper(`INSERT INTO ${table} (${columns}) SELECT ${columns} FROM kept_${table}`);
    }
    await tamper('INSERT INTO case_events (case_id, seq, body, previous, hash) SELECT * FROM kept');
    for (const table of ['kept', ...rest.map((t) => `kept_${t}`)]) await db.query(`DROP TABLE ${table}`);
  }
};

let written: Awaited<ReturnType<typeof writeCase>>;
beforeEach(async () => {
  written = await writeCase();
});

test('a paper that is sent twice under one id stays the first, and its digest is the one that is kept', async () => {
  const about = { id: 'msg_1', subject: 'conflict_1', kind: 'message-newcomer', content: { body: 'first' }, now: 2 };
  const kept = await savePaper(db, about);
  expect(await savePaper(db, { ...about, content: { body: 'second' }, now: 3 })).toEqual(kept);
  expect(await findPaper(db, 'msg_1')).toMatchObject({ content: { body: 'first' }, writtenAt: 2, digest: kept.digest });
  await erasePapers(db, { subject: 'conflict_1' }, { at: 4, by: 'operator', why: 'request 1' });
  await savePaper(db, about);
  expect(await findPaper(db, 'msg_1')).toMatchObject({ content: null, salt: null, erasedAt: 4 });
});

test('a chain is numbered without gaps, and reads as it was written', async () => {
  const events = await caseEvents(db, written.claim.case);
  expect(events.map((e) => [e.seq, e.kind])).toEqual([
    [1, 'opened'],
    [2, 'dispute'],
    [3, 'evidence'],
  ]);
  expect(events[2]!.data).toEqual({ total: 1e-7, ü: 'ß' });
});

test('roots follow each other, and hold each chain that has grown since the last one', async () => {
  const first = (await root())!;
  expect(await root()).toBeNull();
  await writeCase();
  await writeCase();
  const second = (await root(9))!;
  expect(second).toMatchObject({ number: first.number + 1, previous: first.root, heads: 2, at: 9 });
  expect((await auditRoots(db)).at(-1)).toEqual(second);
  await writeCase();
  expect(await verify([first, second])).toMatchObject({ broken: null, copies: 2, roots: second.number, unrooted: 3 });
});

test('many may write and root at once', async () => {
  await Promise.all([...Array.from({ length: 6 }, writeCase), root(), root(), root()]);
  await root();
  expect(await verify(await auditRoots(db))).toMatchObject({ broken: null, unrooted: 0 });
});

describe('what cannot be changed', () => {
  const attempts = [
    `UPDATE case_events SET body = '{}'`,
    'DELETE FROM case_events',
    'TRUNCATE case_events',
    'UPDATE audit_roots SET at = 0',
    'DELETE FROM audit_heads',
    'TRUNCATE audit_roots CASCADE',
  ];

  test.each(attempts)('%s, not even by a superuser in passing', async (sql) => {
    await expect(db.query(sql)).rejects.toMatchObject({
      code: '42501',
      message: expect.stringMatching(/never changed or deleted/),
    });
  });

  test('the owner of the tables has no right to', async () => {
    await using server = await createEmptyDatabase();
    await using own = openPostgres({ url: server.url, max: 2 });
    const role = `owner_${derivedId('r', server.url).slice(2, 12).toLowerCase().replaceAll('-', 'x')}`;
    await own.query(`CREATE ROLE "${role}" NOSUPERUSER`);
    await own.query(`GRANT ALL ON SCHEMA public TO "${role}"`);
    await using session = await own.session();
    await session.query(`SET ROLE "${role}"`);
    await migrate(asPostgres(session));
    // What is to be done every day can be done without any more right.
    const pool = asPostgres(session);
    await pool.transaction(async (tx) => {
      await lockUpload(tx, 'up');
      const claim = await openClaim(tx, { upload: 'up' });
      const opened = { kind: 'opened', at: 2, by, claim: claim.id, data: { state: 'open' } };
      await appendCaseEvents(tx, claim.case, [opened]);
    });
    expect(await pool.transaction((tx) => makeAuditRoot(tx, 5))).toMatchObject({ number: 1, heads: 1 });
    expect(await verifyAudit(pool)).toMatchObject({ broken: null, events: 1, roots: 1 });
    for (const sql of attempts) {
      await expect(session.query(sql), sql).rejects.toMatchObject({
        code: '42501',
        message: expect.stringMatching(/permission denied/),
      });
    }
    await session.query('RESET ROLE');
    await own.query(`DROP OWNED BY "${role}"`);
    await own.query(`DROP ROLE "${role}"`);
  });

  test('a link whose hash is not of what it says is not even taken', async () => {
    const { case: id } = written.claim;
    await expect(
      db.query(
        `INSERT INTO case_events (case_id, seq, body, previous, hash) VALUES ($1, 4, '{"kind":"x","at":1}', sha256('a'), sha256('b'))`,
        [id],
      ),
    ).rejects.toMatchObject({ code: '23514' });
  });
});

describe('erasure', () => {
  test('takes what was written and leaves every chain whole', async () => {
    await root();
    const { paper, claim } = written;
    expect((await findPaper(db, paper.id))!.content).toEqual({ statement: 'My name is Bo.' });
    const told = { by: 'key_1', why: 'request 17' };
    const { case: subject } = claim;
    expect(await erasePapers(db, { subject: 'another', paper: paper.id }, { at: 40, ...told })).toEqual([]);
    expect(await erasePapers(db, { subject }, { at: 50, ...told })).toEqual([paper.id]);
    expect(await erasePapers(db, { subject, paper: paper.id }, { at: 60, ...told })).toEqual([]);
    expect(await findPaper(db, paper.id)).toMatchObject({
      content: null,
      salt: null,
      erasedAt: 50,
      erasedBy: 'key_1',
      erasedWhy: 'request 17',
      digest: paper.digest,
    });
    const report = await verify(await auditRoots(db));
    expect(report.broken).toBeNull();
    expect(report.papers.erased).toBeGreaterThan(0);
    const left = await db.query(`SELECT 1 FROM case_events WHERE body LIKE '%Bo.%'`);
    expect(left).toEqual([]);
  });
});

describe('whoever may do everything in the database is found out', () => {
  const one = () => [written.claim.case];
  const tricks: [string, string, (() => unknown[]) | null, RegExp][] = [
    [
      'rewrites a link',
      `UPDATE case_events SET body = replace(body, 'evidence', 'nothing_') WHERE case_id = $1 AND seq = 3`,
      one,
      /hash was made of/,
    ],
    ['deletes a link in the middle', 'DELETE FROM case_events WHERE case_id = $1 AND seq = 2', one, /link 2 is gone/],
    ['deletes the last link', 'DELETE FROM case_events WHERE case_id = $1 AND seq = 3', one, /link 3 of 3 is gone/],
    [
      'changes where the case points',
      `UPDATE cases SET head = sha256('x') WHERE id = $1`,
      one,
      /does not point to the last link/,
    ],
    [
      'changes the state of a claim',
      `UPDATE claims SET state = 'closed' WHERE case_id = $1`,
      one,
      /is closed, and by its chain open/,
    ],
    ['deletes a paper', 'DELETE FROM papers WHERE subject = $1', one, /is gone \(an erased one leaves its row\)/],
    [
      'rewrites a paper',
      `UPDATE papers SET content = '{"statement":"x"}' WHERE subject = $1`,
      one,
      /not what was written/,
    ],
    ['deletes a root', 'DELETE FROM audit_roots WHERE number = 1', null, /root 1 is gone/],
    ['changes a root', `UPDATE audit_roots SET root = sha256('x') WHERE number = 1`, null, /not what its heads make/],
    [
      'drops a head from a root',
      'DELETE FROM audit_heads WHERE case_id = $1',
      one,
      /not what its heads make|no root has it/,
    ],
  ];

  test.each(tricks)('who %s', async (_, sql, params, expected) => {
    await root();
    await restored(async () => {
      await tamper(sql, params?.() ?? []);
      const { broken } = await verify();
      expect(broken?.what).toMatch(expected);
      if (params && broken?.case) expect(broken.case).toBe(written.claim.case);
    });
    expect((await verify()).broken).toBeNull();
  });

  test('who rewrites a chain with new hashes is found by the root that covers it', async () => {
    await root();
    await restored(async () => {
      await forge(written.claim.case);
      const { broken } = await verify();
      expect(broken).toMatchObject({
        what: expect.stringMatching(/vouches for is another one now/),
        case: written.claim.case,
      });
    });
  });

  test('who cuts a chain and every root after it is found by a copy that lies elsewhere', async () => {
    const published = [...(await auditRoots(db)), (await root())!];
    await restored(async () => {
      const last = published.at(-1)!.number;
      await tamper('DELETE FROM audit_heads WHERE root = $1', [last]);
      await tamper('DELETE FROM audit_roots WHERE number = $1', [last]);
      await tamper('DELETE FROM case_events WHERE case_id = $1 AND seq = 3', one());
      await tamper(
        `UPDATE cases c SET seq = 2, rooted_seq = 0, head = (SELECT hash FROM case_events e WHERE e.case_id = c.id AND seq = 2)
         WHERE id = $1`,
        one(),
      );
      await tamper('UPDATE cases SET rooted_seq = 0');
      await tamper('DELETE FROM audit_heads');
      await tamper('DELETE FROM audit_roots');
      expect((await verify()).broken).toBeNull();
      expect((await verify(published)).broken).toMatchObject({ what: 'root 1 was published, and is gone', root: 1 });
    });
  });

  /** The third link says something else, and everything that can be computed again is. */
  async function forge(id: string): Promise<void> {
    await tamper(
      `UPDATE case_events SET body = replace(body, 'evidence', 'nothing_'),
         hash = chained(previous, replace(body, 'evidence', 'nothing_')) WHERE case_id = $1 AND seq = 3`,
      [id],
    );
    await tamper(
      'UPDATE cases c SET head = (SELECT hash FROM case_events e WHERE e.case_id = c.id AND e.seq = 3) WHERE id = $1',
      [id],
    );
  }
});

test('the state of a claim without a link that names it is left alone', async () => {
  await database.transaction(async (tx) => {
    await lockUpload(tx, 'up_old');
    const old = await openClaim(tx, { upload: 'up_old', account: null, work: 'work_old' });
    await saveClaim(tx, { ...old, state: 'taken-down' });
  });
  expect((await verify()).broken).toBeNull();
});

/** One session as if it were a pool, for `migrate`. */
function asPostgres(session: Queryable): Postgres {
  return {
    ...session,
    async transaction<T>(fn: (tx: Queryable) => Promise<T>): Promise<T> {
      await session.query('BEGIN');
      const result = await fn(session);
      await session.query('COMMIT');
      return result;
    },
  } as unknown as Postgres;
}
