import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { parseArgs } from 'node:util';
import { deadSpec, ENGINE_VERSION, type SliceAlignments, TOPICS, type Verdict } from '@vigil/contracts';
import { type Database, openDatabase, openTemporaryPostgres } from '@vigil/database';
import { openPostgresEventLog } from '@vigil/event-log';
import { findFfmpeg, openInstance, openTools, replay, type Tools } from '@vigil/pipeline';
import { createLogger, readConfig } from '@vigil/runtime';
import { flipped, type MadeUpload, madeUpload, randomCode, randomWords } from '../support/made-uploads.ts';
import { cpuMs, machine } from './cpu-time.ts';

const HELP = `npm run bench -- replay [--uploads 100000] [--references 2000] [--copies 0.01] [--concurrency 2] [--seed 1]
  Replay of the fingerprints of so many images (a picture code each) after an outage in which the matcher found nothing: dry, then
  applied, then applied once more, which must change nothing. The log, the database (PostgreSQL without fsync) and the library are
  real; the uploads' rows are written as the outage left them. One line of JSON; CPU is this process's, without the database's.`;

const AT_ONCE = 1000;

export async function bench(args: string[]): Promise<Record<string, unknown>> {
  const { values } = parseArgs({
    args,
    options: {
      uploads: { type: 'string', default: '100000' },
      references: { type: 'string', default: '2000' },
      copies: { type: 'string', default: '0.01' },
      concurrency: { type: 'string', default: '2' },
      seed: { type: 'string', default: '1' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return { help: HELP };
  const [uploads, references, share, concurrency] = [
    values.uploads,
    values.references,
    values.copies,
    values.concurrency,
  ].map(Number) as [number, number, number, number];
  const next = randomWords(Number(values.seed));
  await using stack = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), 'vigil-bench-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  const server = stack.use(await openTemporaryPostgres());
  const config = readConfig({ ...process.env, DATABASE_URL: server.url, VIGIL_DATA: folder, VIGIL_LOG_LEVEL: 'error' });
  const logger = createLogger({ level: 'error', to: 'stderr' });
  const ffmpeg = await findFfmpeg({ ...config.ffmpeg, allowOld: false });

  const codes = Array.from({ length: references }, () => randomCode(next));
  await protect(config, codes, { logger, ffmpeg });
  const database = stack.use(await openDatabase({ url: server.url, max: 4 }));
  const log = stack.use(await openPostgresEventLog({ postgres: database.postgres }));
  await log.ensureTopics([...Object.values(TOPICS), ...Object.values(TOPICS).map(deadSpec)]);
  const every = Math.max(1, Math.round(1 / share));
  let copies = 0;
  for (let n = 0; n < uploads; n += AT_ONCE) {
    const made = Array.from({ length: Math.min(AT_ONCE, uploads - n) }, (_, i) => {
      const isCopy = (n + i) % every === 0;
      if (isCopy) copies++;
      const code = isCopy ? flipped(codes[next() % codes.length]!, next() % 20, next) : randomCode(next);
      return madeUpload(`made-${n + i}`, code, Date.now());
    });
    await log.append(made.map((m) => m.fingerprint));
    await clear(database, made);
  }
  process.stderr.write(`${uploads} uploads are there, ${copies} of them copies\n`);

  const counted = async () => {
    const [row] = await database.postgres.query<{ verdicts: number; actions: number; claims: number }>(
      'SELECT (SELECT count(*) FROM verdicts) AS verdicts, (SELECT count(*) FROM actions) AS actions, (SELECT count(*) FROM claims) AS claims',
    );
    return row!;
  };
  const passes = [];
  for (const [name, apply] of [
    ['dry', false],
    ['applied', true],
    ['applied again', true],
  ] as const) {
    const before = await counted();
    const [opened, openedCpu] = [performance.now(), cpuMs()];
    await using tools = await openTools(config, { logger, ffmpeg, withLibrary: true });
    const openMs = performance.now() - opened;
    const [begun, begunCpu] = [performance.now(), cpuMs()];
    const { tally } = await replay(alone(tools), { apply, concurrency }, new AbortController().signal);
    const seconds = (performance.now() - begun) / 1000;
    const after = await counted();
    const wrote = {
      verdicts: after.verdicts - before.verdicts,
      claims: after.claims - before.claims,
      actions: after.actions - before.actions,
    };
    const cpuSeconds = (cpuMs() - begunCpu) / 1000;
    passes.push({
      pass: name,
      openMs,
      openCpuMs: begunCpu - openedCpu,
      seconds,
      cpuSeconds,
      uploadsPerSecond: uploads / seconds,
      tally,
      wrote,
    });
    process.stderr.write(`${name}: ${JSON.stringify(passes.at(-1))}\n`);
  }
  const right =
    passes[0]!.wrote.verdicts === 0 &&
    passes[1]!.wrote.verdicts === copies &&
    Object.values(passes[2]!.wrote).every((n) => n === 0);
  return { bench: 'replay', options: values, machine: machine(), copies, passes, right };
}

/** There is no live traffic that it would make room for. */
const alone = ({ replay: deps }: Tools): Tools['replay'] => ({ ...deps, liveFirst: async () => undefined });

/** References that are live, by an instance that then ends. */
async function protect(
  config: ReturnType<typeof readConfig>,
  codes: readonly Uint8Array[],
  about: Pick<Parameters<typeof openInstance>[0], 'logger' | 'ffmpeg'>,
) {
  await using instance = await openInstance({ config, ...about });
  for (let i = 0; i < codes.length; i += AT_ONCE) {
    const list = codes.slice(i, i + AT_ONCE).map((code, n) => ({ code, name: `hash ${i + n}` }));
    await instance.intake.hashes(list, { holder: 'bench', work: 'work', title: 'bench' });
  }
  for (;;) {
    const [row] = await instance.database.postgres.query<{ n: number }>(
      `SELECT count(*) AS n FROM reference_versions WHERE state = 'live'`,
    );
    if (row!.n === codes.length) return;
    await Promise.race([new Promise((resolve) => setTimeout(resolve, 200)), instance.failed]);
  }
}

/** As the outage left them: searched, nothing found, cleared. */
async function clear(database: Database, made: readonly MadeUpload[]): Promise<void> {
  const now = Date.now();
  const rows = made.map(({ upload, media, manifest }) => {
    const result: SliceAlignments = {
      ...{ upload, slice: 0, shards: 1, shard: 0, span: [0, 0], checkpoint: 1, steps: [] },
      ...{ outcome: { status: 'nothing', why: 'broken' }, frames: { seen: 1, usable: 1 } },
    };
    const verdict: Verdict = {
      ...{ upload, media, kind: 'image', account: null, revision: 1, cause: 'first', supersedes: null },
      ...{ verdict: 'cleared', reason: null, decisions: [], duration: 0, coverage: 1, failures: [] },
      ...{ engine: ENGINE_VERSION, checkpoints: [1], receivedAt: now, decidedAt: now },
    };
    return { upload, manifest: new TextDecoder().decode(manifest.value!), media, result, verdict };
  });
  const column = (of: (row: (typeof rows)[number]) => unknown) =>
    rows.map((r) => (typeof of(r) === 'string' ? (of(r) as string) : JSON.stringify(of(r))));
  const ids = column((r) => r.upload);
  await database.transaction(async (tx) => {
    await tx.query(
      `INSERT INTO uploads (id, manifest, media, received_at, revision, verdict, settled_at)
       SELECT u.id, u.manifest::jsonb, u.media::jsonb, $5, 1, u.verdict::jsonb, $5
       FROM unnest($1::text[], $2::text[], $3::text[], $4::text[]) AS u (id, manifest, media, verdict)`,
      [ids, column((r) => r.manifest), column((r) => r.media), column((r) => r.verdict), now],
    );
    await tx.query(
      `INSERT INTO verdicts (upload, revision, verdict, decided_at)
       SELECT v.id, 1, v.verdict::jsonb, $3 FROM unnest($1::text[], $2::text[]) AS v (id, verdict)`,
      [ids, column((r) => r.verdict), now],
    );
    await tx.query(
      `INSERT INTO slice_alignments (upload, shards, slice, shard, checkpoint, result)
       SELECT a.id, 1, 0, 0, 1, a.result::jsonb FROM unnest($1::text[], $2::text[]) AS a (id, result)`,
      [ids, column((r) => r.result)],
    );
  });
}
