import { mkdir, open, readFile, truncate } from 'node:fs/promises';
import path from 'node:path';
import { AuditRoot, derivedId } from '@vigil/contracts';
import { auditRoots, type Database, makeAuditRoot, setTimer } from '@vigil/database';
import type { Clock, Logger, Queryable } from '@vigil/runtime';
import { sendOutput } from '../send-output.ts';

/** Kind of the timer that roots the chains of all cases. */
export const AUDIT_ROOT = 'audit-root';
const HOUR_MS = 3600 * 1000;

/** Once an hour the heads of all chains that grew become one hash, which goes to the log in the same transaction. */
export function createAudit({ database, clock }: { database: Database; clock: Clock }) {
  async function schedule(tx: Queryable, hour: number): Promise<void> {
    const id = `${AUDIT_ROOT}:${hour}`;
    await setTimer(tx, { id, kind: AUDIT_ROOT, dueAt: hour * HOUR_MS, payload: { hour } });
  }
  const hourNow = () => Math.floor(clock.now() / HOUR_MS);

  return {
    /** Sees to it that the next full hour has its timer, whoever else does. */
    start: () => database.transaction((tx) => schedule(tx, hourNow() + 1)),
    handlers: {
      async [AUDIT_ROOT](tx: Queryable): Promise<void> {
        const root = await makeAuditRoot(tx, clock.now());
        if (root) {
          const key = String(root.number);
          const id = derivedId('ev', 'audit-root', root.number, root.root);
          const output = { to: 'audit', key, id, type: 'vigil.audit.rooted', data: root } as const;
          await sendOutput(tx, output, root.at);
        }
        await schedule(tx, hourNow() + 1);
      },
    },
  };
}

/** Where the copy of all roots lies in a data folder: one a line, as JSON. */
export const rootsFile = (dataFolder: string): string => path.join(dataFolder, 'audit', 'roots.ndjson');

/**
 * Brings the file up to date. It is only ever added to, so that a root stays there whatever becomes of the database; where the two
 * differ, that is said aloud and left for `vigil audit verify` to name. Returns how many were added.
 */
export async function copyRoots(db: Queryable, file: string, logger: Logger): Promise<number> {
  await mkdir(path.dirname(file), { recursive: true });
  const known = await readRoots(file);
  const last = known.at(-1);
  const [same] = last ? await auditRoots(db, last.number - 1, 1) : [];
  if (last && same?.root !== last.root) {
    logger.error(
      { file, root: last.number },
      'the roots in the file are not those of the database: vigil audit verify',
    );
    return 0;
  }
  const fresh = await auditRoots(db, last?.number ?? 0);
  if (fresh.length === 0) return 0;
  // A line that was cut off when somebody pulled the plug is written anew.
  const text = await readFile(file, 'utf8').catch(() => '');
  const whole = text.slice(0, text.lastIndexOf('\n') + 1);
  if (whole.length < text.length) await truncate(file, Buffer.byteLength(whole));
  const handle = await open(file, 'a', 0o644);
  try {
    await handle.write(fresh.map((root) => `${JSON.stringify(root)}\n`).join(''));
    await handle.sync();
  } finally {
    await handle.close();
  }
  return fresh.length;
}

/** Of a file that was cut in the middle of its last line, what stands before. @throws Error on lines that are no roots */
export async function readRoots(file: string): Promise<AuditRoot[]> {
  const text = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const lines = text.split('\n').slice(0, -1);
  return lines.map((line, n) => {
    const root = AuditRoot.safeParse(parsed(line));
    if (!root.success) throw new Error(`${file}, line ${n + 1}, is not an audit root`);
    return root.data;
  });
}

function parsed(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return null;
  }
}
