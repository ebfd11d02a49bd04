import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

const VERSION = 'v1.8.0';
const MODULE = `github.com/versity/versitygw/cmd/versitygw@${VERSION}`;
/** Three minutes on two cores with nothing in Go's caches. */
const BUILD_LIMIT_MS = 12 * 60_000;

const run = promisify(execFile);

/** The pinned gateway, built once and kept in `tools`; null, and a line of log that says why, where that cannot be done. */
export async function findVersitygw(tools: string, log: (line: string) => void): Promise<string | null> {
  const program = join(tools, `versitygw-${VERSION}`);
  if (existsSync(program)) return program;
  try {
    await run('go', ['version']);
  } catch {
    log('no Go compiler on the path, so no S3 gateway is built');
    return null;
  }
  await mkdir(tools, { recursive: true });
  const lock = await takeLock(join(tools, 'versitygw.lock'));
  const draft = join(tools, `versitygw.${process.pid}`);
  try {
    if (existsSync(program)) return program;
    log(`building ${MODULE}, once: this takes minutes`);
    await run('go', ['install', MODULE], {
      env: { ...process.env, GOBIN: draft },
      timeout: BUILD_LIMIT_MS,
      cwd: tools,
    });
    await rename(join(draft, 'versitygw'), program);
    return program;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    log(`versitygw could not be built: ${stderr?.trim().slice(-1000) || String(error)}`);
    return null;
  } finally {
    await rm(draft, { recursive: true, force: true });
    await lock.release();
  }
}

/** One builder at a time; the lock of a process that is gone is taken over. */
async function takeLock(path: string): Promise<{ release(): Promise<void> }> {
  for (const until = Date.now() + BUILD_LIMIT_MS; ; await sleep(500)) {
    try {
      const file = await open(path, 'wx');
      await file.writeFile(String(process.pid));
      await file.close();
      return { release: () => rm(path, { force: true }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'EEXIST' || Date.now() > until) throw error;
    }
    const owner = Number(await readFile(path, 'utf8').catch(() => ''));
    if (owner > 0 && !isAlive(owner)) await rm(path, { force: true });
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
