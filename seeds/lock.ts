import { readFile, rm, stat, writeFile } from 'node:fs/promises';
import { setTimeout as sleep } from 'node:timers/promises';

const LONGEST_MS = 5 * 60_000;

/**
 * Lets one process work while others wait for what it makes. A lock whose process is gone, or that is older than any work
 * takes, is broken; should two break it at once, both work, which costs time and nothing else.
 */
export async function alone<T>(lock: string, found: () => Promise<T | null>, work: () => Promise<T>): Promise<T> {
  for (;;) {
    try {
      await writeFile(lock, String(process.pid), { flag: 'wx' });
      break;
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error;
    }
    await sleep(200);
    const made = await found();
    if (made) return made;
    if (await isBroken(lock)) await rm(lock, { force: true });
  }
  try {
    return (await found()) ?? (await work());
  } finally {
    await rm(lock, { force: true });
  }
}

async function isBroken(lock: string): Promise<boolean> {
  try {
    const pid = Number(await readFile(lock, 'utf8'));
    if (Date.now() - (await stat(lock)).mtimeMs > LONGEST_MS) return true;
    // Another one may have made the file and not yet written its name.
    if (!pid) return false;
    process.kill(pid, 0);
    return false;
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH';
  }
}
