import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
// @ts-expect-error: plain JavaScript, for whatever Node is there
import { takeLock } from '../setup/lock.mjs';

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
  const release: () => void = await takeLock(join(tools, 'versitygw.lock'), { limitMs: BUILD_LIMIT_MS });
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
    release();
  }
}
