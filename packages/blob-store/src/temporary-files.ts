import { createHash, randomUUID } from 'node:crypto';
import { lstat, readdir, rm } from 'node:fs/promises';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { attempt, missing } from './file-errors.ts';

const ABANDONED_AFTER_MS = 60 * 60 * 1000;
const HOST = createHash('sha256').update(hostname()).digest('hex').slice(0, 8);

/** Says whose it is, because several processes and hosts may share one root. */
export const temporaryName = (): string => `${HOST}.${process.pid}.${randomUUID()}`;

/**
 * Removes what a killed process left: files of a process of this host that is gone, and files that nobody has written to
 * for an hour. A put that is under way is neither.
 */
export async function sweepAbandoned(folder: string): Promise<void> {
  for (const name of await attempt(() => readdir(folder), 'the temporary files')) {
    const path = join(folder, name);
    try {
      const [host, pid] = name.split('.');
      const gone = host === HOST && !isAlive(Number(pid));
      if (gone || Date.now() - (await lstat(path)).mtimeMs > ABANDONED_AFTER_MS) await rm(path, { force: true });
    } catch (error) {
      if (!missing(error)) throw error;
    }
  }
}

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}
