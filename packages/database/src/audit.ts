import { type AuditRoot, type CaseEvent, Paper } from '@vigil/contracts';
import type { Postgres, Queryable } from '@vigil/runtime';
import { canonical, hex, sha256 } from './canonical.ts';
import { type PaperRow, paperIsWhole } from './papers.ts';

/** Any number that nobody else takes for an advisory lock: "vroot" in ASCII. */
const LOCK = 0x76726f6f74;
const ZERO = '0'.repeat(64);

interface Head {
  case: string;
  seq: number;
  hash: string;
}

/** SHA-256 over the root before, what the new one says of itself, and a line for each chain that grew, in order of case. */
function rootOf(
  { number, at, previous }: Pick<AuditRoot, 'number' | 'at' | 'previous'>,
  heads: readonly Head[],
): string {
  const sorted = [...heads].sort((a, b) => (a.case < b.case ? -1 : 1));
  const lines = sorted.map((h) => `${h.case} ${h.seq} ${h.hash}\n`);
  return hex(sha256(Buffer.from(previous, 'hex'), canonical({ at, number }), '\n', lines.join('')));
}

const ROOT = `SELECT number, at, encode(previous, 'hex') AS previous, encode(root, 'hex') AS root, heads FROM audit_roots`;

/**
 * Hashes the heads of all chains that have grown since the last root. null: none has. A chain that somebody adds to at this moment
 * is in the next one.
 */
export async function makeAuditRoot(tx: Queryable, now: number): Promise<AuditRoot | null> {
  await tx.query('SELECT pg_advisory_xact_lock($1)', [LOCK]);
  const heads = await tx.query<Head>(
    `WITH grown AS (SELECT id FROM cases WHERE seq > rooted_seq ORDER BY id FOR UPDATE SKIP LOCKED)
     UPDATE cases c SET rooted_seq = c.seq FROM grown g WHERE c.id = g.id
     RETURNING c.id AS "case", c.seq, encode(c.head, 'hex') AS hash`,
  );
  if (heads.length === 0) return null;
  const [last] = await tx.query<AuditRoot>(`${ROOT} ORDER BY number DESC LIMIT 1`);
  const about = { number: (last?.number ?? 0) + 1, at: now, previous: last?.root ?? ZERO };
  const root: AuditRoot = { ...about, root: rootOf(about, heads), heads: heads.length };
  await tx.query('INSERT INTO audit_roots (number, at, previous, root, heads) VALUES ($1, $2, $3, $4, $5)', [
    root.number,
    root.at,
    Buffer.from(root.previous, 'hex'),
    Buffer.from(root.root, 'hex'),
    root.heads,
  ]);
  await tx.query(
    `INSERT INTO audit_heads (root, case_id, seq, hash)
     SELECT $1, c, s, decode(h, 'hex') FROM unnest($2::text[], $3::int[], $4::text[]) AS t (c, s, h)`,
    [root.number, heads.map((h) => h.case), heads.map((h) => h.seq), heads.map((h) => h.hash)],
  );
  return root;
}

/** In order, from after a number. */
export const auditRoots = (db: Queryable, after = 0, limit = 1000): Promise<AuditRoot[]> =>
  db.query<AuditRoot>(`${ROOT} WHERE number > $1 ORDER BY number LIMIT $2`, [after, limit]);

/** Newest first; those below a number, where one is given. */
export const newestRoots = (db: Queryable, limit: number, below: number | null = null): Promise<AuditRoot[]> =>
  db.query<AuditRoot>(`${ROOT} WHERE $1::int IS NULL OR number < $1 ORDER BY number DESC LIMIT $2`, [below, limit]);

/**
 * What no root covers yet, by an index that holds nothing else. `oldest`: when the chain that has grown no more for longest last did, in
 * milliseconds since 1970; null where there is none.
 */
export async function unrooted(db: Queryable): Promise<{ chains: number; events: number; oldest: number | null }> {
  const [row] = await db.query<{ chains: number; events: number; oldest: number | null }>(
    `SELECT count(*) AS chains, coalesce(sum(seq - rooted_seq), 0)::bigint AS events, min(changed_at) AS oldest
     FROM cases WHERE seq > rooted_seq`,
  );
  return row!;
}

/** How many chains there are, and events in them: reads every case, so not for each request. */
export async function countChains(db: Queryable): Promise<{ chains: number; events: number }> {
  const [row] = await db.query<{ chains: number; events: number }>(
    'SELECT count(*) AS chains, coalesce(sum(seq), 0)::bigint AS events FROM cases',
  );
  return row!;
}

export interface AuditReport {
  cases: number;
  events: number;
  roots: number;
  /** Copies of roots, kept elsewhere, that were compared. */
  copies: number;
  papers: { whole: number; erased: number };
  /** Events that no root covers yet. */
  unrooted: number;
  /** The first thing that is not as it was written; null when all is whole. */
  broken: { what: string; case?: string; seq?: number; root?: number } | null;
}

class Broken extends Error {
  readonly at: NonNullable<AuditReport['broken']>;
  constructor(what: string, at: Omit<NonNullable<AuditReport['broken']>, 'what'> = {}) {
    super(what);
    this.at = { what, ...at };
  }
}

const PAGE = 500;

/**
 * Reads every chain from its first link, every root, and what the chains say of papers and of the state of claims. `copies` are
 * roots that were kept elsewhere (the log, a file): with them, nothing that was rooted can be rewritten or cut off without being
 * found. Reads page by page, all of it as it was at one instant.
 */
export async function verifyAudit(
  postgres: Pick<Postgres, 'transaction'>,
  copies: readonly AuditRoot[] = [],
): Promise<AuditReport> {
  return postgres.transaction(async (tx) => {
    await tx.query('SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY');
    return verify(tx, copies);
  });
}

async function verify(db: Queryable, copies: readonly AuditRoot[]): Promise<AuditReport> {
  const report: AuditReport = {
    cases: 0,
    events: 0,
    roots: 0,
    copies: 0,
    papers: { whole: 0, erased: 0 },
    unrooted: 0,
    broken: null,
  };
  try {
    await verifyChains(db, report);
    await verifyRoots(db, report);
    await verifyCopies(db, copies, report);
  } catch (error) {
    if (!(error instanceof Broken)) throw error;
    report.broken = error.at;
  }
  return report;
}

async function verifyChains(db: Queryable, report: AuditReport): Promise<void> {
  const stray = await db.query<{ case: string; seq: number }>(
    `SELECT e.case_id AS "case", e.seq FROM case_events e LEFT JOIN cases c ON c.id = e.case_id
     WHERE c.id IS NULL ORDER BY 1, 2 LIMIT 1`,
  );
  if (stray[0]) throw new Broken('a chain has lost its case', stray[0]);
  for (let after = ''; ; ) {
    const cases = await db.query<{ id: string; seq: number; head: string; rootedSeq: number }>(
      `SELECT id, seq, encode(head, 'hex') AS head, rooted_seq AS "rootedSeq" FROM cases WHERE id > $1 ORDER BY id LIMIT $2`,
      [after, PAGE],
    );
    for (const one of cases) await verifyChain(db, one, report);
    if (cases.length < PAGE) return;
    after = cases.at(-1)!.id;
  }
}

async function verifyChain(
  db: Queryable,
  { id, seq: length, head, rootedSeq }: { id: string; seq: number; head: string; rootedSeq: number },
  report: AuditReport,
): Promise<void> {
  report.cases++;
  report.unrooted += length - rootedSeq;
  let previous = ZERO;
  const states = new Map<string, unknown>();
  for (let seq = 0; seq < length; ) {
    const links = await db.query<{ seq: number; body: string; previous: string; hash: string }>(
      `SELECT seq, body, encode(previous, 'hex') AS previous, encode(hash, 'hex') AS hash FROM case_events
       WHERE case_id = $1 AND seq > $2 AND seq <= $3 ORDER BY seq LIMIT $4`,
      [id, seq, length, PAGE],
    );
    if (links.length === 0) throw new Broken(`link ${seq + 1} of ${length} is gone`, { case: id, seq: seq + 1 });
    const papers: { paper: Paper; seq: number }[] = [];
    for (const link of links) {
      seq++;
      const at = { case: id, seq };
      if (link.seq !== seq) throw new Broken(`link ${seq} is gone`, at);
      if (link.previous !== previous) throw new Broken('the link does not follow the one before it', at);
      if (hex(sha256(Buffer.from(previous, 'hex'), link.body)) !== link.hash) {
        throw new Broken('what the link says is not what its hash was made of', at);
      }
      const event = JSON.parse(link.body) as CaseEvent;
      if (event.case !== id || event.seq !== seq) throw new Broken('the link belongs to another place', at);
      if (event.claim && 'state' in event.data) states.set(event.claim, event.data.state);
      for (const value of [event.data.paper, event.data.notice]) {
        const paper = Paper.safeParse(value);
        if (paper.success) papers.push({ paper: paper.data, seq });
      }
      previous = link.hash;
      report.events++;
    }
    await verifyPapers(db, id, papers, report);
  }
  if (previous !== head)
    throw new Broken('the case does not point to the last link of its chain', { case: id, seq: length });
  const claims = await db.query<{ id: string; state: string }>('SELECT id, state FROM claims WHERE case_id = $1', [id]);
  for (const claim of claims) {
    const said = states.get(claim.id);
    if (said !== undefined && said !== claim.state) {
      throw new Broken(`claim ${claim.id} is ${claim.state}, and by its chain ${said}`, { case: id });
    }
  }
  for (const claim of states.keys()) {
    if (!claims.some((c) => c.id === claim)) throw new Broken(`claim ${claim} is gone`, { case: id });
  }
}

async function verifyPapers(
  db: Queryable,
  id: string,
  said: readonly { paper: Paper; seq: number }[],
  report: AuditReport,
): Promise<void> {
  if (said.length === 0) return;
  const rows = await db.query<Pick<PaperRow, 'id' | 'content' | 'salt' | 'digest' | 'erasedAt'>>(
    `SELECT id, content, salt, encode(digest, 'hex') AS digest, erased_at AS "erasedAt" FROM papers WHERE id = ANY($1)`,
    [said.map((s) => s.paper.id)],
  );
  for (const { paper, seq } of said) {
    const row = rows.find((r) => r.id === paper.id);
    const at = { case: id, seq };
    if (!row) throw new Broken(`paper ${paper.id} is gone (an erased one leaves its row)`, at);
    if (row.digest !== paper.digest || !paperIsWhole(row))
      throw new Broken(`paper ${paper.id} is not what was written`, at);
    if (row.erasedAt === null) report.papers.whole++;
    else report.papers.erased++;
  }
}

async function verifyRoots(db: Queryable, report: AuditReport): Promise<void> {
  let previous = ZERO;
  for (let number = 0; ; ) {
    const roots = await auditRoots(db, number, PAGE);
    for (const root of roots) {
      number++;
      const at = { root: root.number };
      if (root.number !== number) throw new Broken(`root ${number} is gone`, { root: number });
      if (root.previous !== previous) throw new Broken('the root does not follow the one before it', at);
      const heads = await db.query<Head & { now: string | null }>(
        `SELECT h.case_id AS "case", h.seq, encode(h.hash, 'hex') AS hash, encode(e.hash, 'hex') AS now FROM audit_heads h
         LEFT JOIN case_events e ON e.case_id = h.case_id AND e.seq = h.seq WHERE h.root = $1`,
        [root.number],
      );
      const changed = heads.find((h) => h.now !== h.hash);
      if (changed) {
        const how = changed.now === null ? 'gone' : 'another one now';
        throw new Broken(`a link that root ${number} vouches for is ${how}`, {
          ...at,
          case: changed.case,
          seq: changed.seq,
        });
      }
      if (heads.length !== root.heads || rootOf(root, heads) !== root.root) {
        throw new Broken('the root is not what its heads make', at);
      }
      previous = root.root;
      report.roots++;
    }
    if (roots.length < PAGE) break;
  }
  const [beyond] = await db.query<{ case: string }>(
    `SELECT c.id AS "case" FROM cases c WHERE c.rooted_seq > 0 AND NOT EXISTS
       (SELECT 1 FROM audit_heads h WHERE h.case_id = c.id AND h.seq = c.rooted_seq) LIMIT 1`,
  );
  if (beyond) throw new Broken('the case counts as rooted, and no root has it', beyond);
}

async function verifyCopies(db: Queryable, copies: readonly AuditRoot[], report: AuditReport): Promise<void> {
  for (const copy of copies) {
    const [root] = await auditRoots(db, copy.number - 1, 1);
    const at = { root: copy.number };
    if (root?.number !== copy.number) throw new Broken(`root ${copy.number} was published, and is gone`, at);
    if (root.root !== copy.root)
      throw new Broken(`root ${copy.number} was published as ${copy.root.slice(0, 16)}..., and is another one`, at);
    report.copies++;
  }
}
