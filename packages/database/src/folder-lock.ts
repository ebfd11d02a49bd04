import { mkdir, realpath } from 'node:fs/promises';
import { join } from 'node:path';
import { DatabaseSync } from 'node:sqlite';

/** The folder is in use by another process (or by this one, a second time). */
export class FolderInUse extends Error {
  override name = 'FolderInUse';
  readonly retriable = false;
  /** Null where it cannot be told. */
  readonly holder: Holder | null;
  constructor(message: string, holder: Holder | null) {
    super(message);
    this.holder = holder;
  }
}

/**
 * One instance a data folder. @throws FolderInUse with who holds it.
 */
export async function lockDataFolder(folder: string): Promise<AsyncDisposable> {
  await mkdir(folder, { recursive: true });
  const path = await realpath(folder);
  const lock = lockFile(join(path, 'instance.lock'), (holder) => {
    const who = holder ? `process ${holder.pid}, since ${holder.since}` : 'another process';
    return `the data folder ${path} is in use by ${who}: stop that one first, or start this one with another data folder`;
  });
  return { [Symbol.asyncDispose]: async () => lock.release() };
}

export interface Holder {
  pid: number;
  /** ISO 8601. */
  since: string;
}

/**
 * A lock that the kernel holds for the process and lets go when it dies, however it dies, so that nothing stale is left to
 * be mistaken for a living owner. Node offers no flock; SQLite's lock on a file (fcntl on POSIX) is one, it also holds
 * between containers that share the folder, and within one process. Nobody else may open the file while it is held:
 * closing any descriptor of it would let a POSIX lock go.
 */
export function lockFile(path: string, message: (holder: Holder | null) => string): { release(): void } {
  const db = new DatabaseSync(path, { timeout: 200 });
  try {
    db.exec('PRAGMA synchronous = OFF; BEGIN EXCLUSIVE; CREATE TABLE IF NOT EXISTS holder (pid INTEGER, since TEXT)');
    db.exec('DELETE FROM holder');
    db.prepare('INSERT INTO holder VALUES (?, ?)').run(process.pid, new Date().toISOString());
    // From here on the lock is RESERVED: others may read who holds it, and cannot take it.
    db.exec('COMMIT; BEGIN IMMEDIATE');
  } catch (error) {
    const busy = (error as { errcode?: number }).errcode === SQLITE_BUSY;
    const holder = busy ? readHolder(db) : null;
    db.close();
    if (busy) throw new FolderInUse(message(holder), holder);
    throw new Error(`cannot lock ${path}: ${(error as Error).message}`, { cause: error });
  }
  return { release: () => db.close() };
}

const SQLITE_BUSY = 5;

function readHolder(db: DatabaseSync): Holder | null {
  try {
    if (db.isTransaction) db.exec('ROLLBACK');
    return (db.prepare('SELECT pid, since FROM holder').get() as Holder | undefined) ?? null;
  } catch {
    // Its writer is at it this instant. Who it is is good to know, not needed.
    return null;
  }
}
