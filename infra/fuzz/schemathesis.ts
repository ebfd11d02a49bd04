import { execFile, spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, readFile, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const TOOLS = fileURLToPath(new URL('../../.vigil/tools', import.meta.url));
const REQUIREMENTS = fileURLToPath(new URL('requirements.txt', import.meta.url));
const INSTALL_LIMIT_MS = 5 * 60_000;

const run = promisify(execFile);

/** Whether there is a Python 3.10 or newer that can make environments of its own. */
export function isPythonHere(): boolean {
  const look = 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 10))';
  return spawnSync('python3', ['-c', look], { timeout: 20_000, stdio: 'ignore' }).status === 0;
}

/**
 * The pinned schemathesis, in an environment of its own under `.vigil/tools`, made once (some 15 s). It is moved into place whole, so
 * that of two who make it at once one is kept. @throws when pip cannot install it
 */
export async function ensureSchemathesis(log: (line: string) => void): Promise<string> {
  const digest = createHash('sha256')
    .update(await readFile(REQUIREMENTS))
    .digest('hex');
  const folder = join(TOOLS, `schemathesis-${digest.slice(0, 12)}`);
  // By its Python: what pip writes into bin/ names the folder that it was made in.
  const python = join(folder, 'bin', 'python3');
  if (existsSync(python)) return python;
  log('installing schemathesis with pip, once');
  await mkdir(TOOLS, { recursive: true });
  const draft = `${folder}.${process.pid}`;
  const limits = { timeout: INSTALL_LIMIT_MS, maxBuffer: 64 * 2 ** 20 };
  try {
    await run('python3', ['-m', 'venv', draft], limits);
    const quiet = ['--quiet', '--disable-pip-version-check', '--no-input', '--no-deps'];
    await run(join(draft, 'bin', 'python3'), ['-m', 'pip', 'install', ...quiet, '-r', REQUIREMENTS], limits);
    await rename(draft, folder).catch((error: unknown) => {
      if (!existsSync(python)) throw error;
    });
    return python;
  } catch (error) {
    const { stderr } = error as { stderr?: string };
    throw new Error(`schemathesis could not be installed: ${stderr?.trim().slice(-1000) || String(error)}`);
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
