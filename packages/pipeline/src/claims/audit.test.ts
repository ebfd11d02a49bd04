import { appendFile, mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { AuditRoot, openEnvelope, TOPICS } from '@vigil/contracts';
import { auditRoots, claimsOf, openDatabase, relayBatch } from '@vigil/database';
import { openPostgresEventLog } from '@vigil/event-log';
import { createLogger, silentLogger } from '@vigil/runtime';
import { afterAll, beforeAll, expect, test } from 'vitest';
import { createTestDatabase } from '../../../../test/support/postgres.ts';
import { vigil } from '../../../../test/support/vigil-process.ts';
import { takeTimers } from '../timers.ts';
import { AUDIT_ROOT, copyRoots, createAudit, readRoots, rootsFile } from './audit.ts';
import { openCaseBench } from './cases-testing.ts';

/** Real: database, log, file, and the command line as a process. Faked: time. */
const stack = new AsyncDisposableStack();
const { url } = stack.use(await createTestDatabase());
const database = stack.use(await openDatabase({ url, max: 5 }));
const db = database.postgres;
const log = stack.use(await openPostgresEventLog({ postgres: db }));
const bench = openCaseBench(database);
const { clock } = bench;
const audit = createAudit({ database, clock });
const data = await mkdtemp(path.join(tmpdir(), 'vigil-audit-'));
const file = rootsFile(data);
stack.defer(() => rm(data, { recursive: true, force: true }));
afterAll(() => stack.disposeAsync());

const logger = createLogger({ level: 'silent' });
const hour = async () => {
  await clock.advance(3600_000);
  await takeTimers({ database, clock, logger, handlers: audit.handlers as never });
};
const takenDown = async (upload: string) => {
  await bench.say(upload);
  await bench.found(upload, [{ reference: 'ref' }]);
  await db.query(`DELETE FROM timers WHERE kind <> $1`, [AUDIT_ROOT]);
};
const verify = (...args: string[]) =>
  vigil(['audit', 'verify', '--data', data, ...args], { env: { ...process.env, DATABASE_URL: url } });

beforeAll(async () => {
  await log.ensureTopics([TOPICS.audit, TOPICS.pictures, TOPICS.takedowns, TOPICS.verdicts, TOPICS.alarms]);
  await bench.reference('ref');
});

test('every hour in which something happened has a root, on the log and in the file, and the command finds all whole', async () => {
  await audit.start();
  await audit.start();
  await takenDown('up_1');
  await hour();
  await hour();
  await takenDown('up_2');
  await hour();
  const roots = await auditRoots(db);
  expect(roots.map((r) => [r.number, r.heads])).toEqual([
    [1, 1],
    [2, 1],
  ]);
  expect(await db.query('SELECT id FROM timers WHERE kind = $1', [AUDIT_ROOT])).toHaveLength(1);

  while ((await relayBatch(database, 100, (events) => log.append(events))) > 0);
  const published: AuditRoot[] = [];
  const [end] = await log.ends(TOPICS.audit.name);
  for await (const record of log.read(TOPICS.audit.name, 0, end!.start, end!.end)) {
    published.push(openEnvelope(AuditRoot, record).event.data);
  }
  expect(published).toEqual(roots);

  expect(await copyRoots(db, file, silentLogger)).toBe(2);
  expect(await copyRoots(db, file, silentLogger)).toBe(0);
  expect(await readRoots(file)).toEqual(roots);
  expect(await verify()).toEqual({
    code: 0,
    signal: null,
    stderr: '',
    stdout: `whole: 6 links in the chains of 1 cases, 2 roots
roots compared with copies: 2 in the file, 2 on the log; links not rooted yet: 0
papers: 0 as written, 0 erased
`,
  });
});

test('a line of the file that was cut off is written anew', async () => {
  const before = await readFile(file, 'utf8');
  await appendFile(file, '{"number":3,"at":18');
  await takenDown('up_3');
  await hour();
  expect(await copyRoots(db, file, silentLogger)).toBe(1);
  const after = await readFile(file, 'utf8');
  expect(after.startsWith(before)).toBe(true);
  expect(await readRoots(file)).toEqual(await auditRoots(db));
});

test('whoever rewrites what happened, as a superuser and with every hash made anew, is named', async () => {
  const [claim] = await claimsOf(db, 'up_1');
  await database.transaction(async (tx) => {
    await tx.query('SET LOCAL session_replication_role = replica');
    await tx.query(`UPDATE case_events SET body = replace(body, '"take-down"', '"overlooked"'),
      hash = chained(previous, replace(body, '"take-down"', '"overlooked"')) WHERE seq = 2`);
    for (const seq of [3, 4, 5, 6, 7, 8, 9]) {
      await tx.query(
        `UPDATE case_events e SET previous = p.hash, hash = chained(p.hash, e.body) FROM case_events p
         WHERE p.case_id = e.case_id AND p.seq = e.seq - 1 AND e.seq = $1`,
        [seq],
      );
    }
    await tx.query(
      'UPDATE cases c SET head = (SELECT hash FROM case_events e WHERE e.case_id = c.id AND e.seq = c.seq)',
    );
  });
  const found = await verify();
  expect(found.code).toBe(1);
  expect(found.stderr).toBe(
    `vigil: broken: root 1, case ${claim!.case}, link 3: a link that root 1 vouches for is another one now\n`,
  );
  const asJson = JSON.parse((await verify('--json')).stdout);
  expect(asJson.broken).toMatchObject({ root: 1, case: claim!.case, seq: 3 });
});

test('a file that tells another story than the database is left as it is, and says so', async () => {
  const lines = (await readFile(file, 'utf8')).trim().split('\n');
  const other = path.join(data, 'other.ndjson');
  await appendFile(other, `${lines[0]}\n${JSON.stringify({ ...JSON.parse(lines[1]!), root: 'ab'.repeat(32) })}\n`);
  const said: unknown[] = [];
  const listening = { ...silentLogger, error: (fields: unknown) => void said.push(fields) };
  expect(await copyRoots(db, other, listening)).toBe(0);
  expect(said).toEqual([{ file: other, root: 2 }]);
});
