import { execFile } from 'node:child_process';
import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

const HERE = import.meta.dirname;
const TOOLS = fileURLToPath(new URL('../../../.vigil/tools', import.meta.url));
const INSTALL_LIMIT_MS = 10 * 60_000;
const execute = promisify(execFile);

/**
 * Runs one of the peers' scripts with the packages that it needs, in a virtual environment of its own that is made once.
 * @returns what it prints as JSON, or why it cannot be run here
 */
export async function runPeer<T>(
  script: string,
  packages: readonly string[],
  args: readonly string[],
  limitMs: number,
): Promise<T | { skipped: string }> {
  try {
    const python = await pythonWith(packages);
    const { stdout } = await execute(python, [path.join(HERE, script), ...args], {
      timeout: limitMs,
      maxBuffer: 64 << 20,
    });
    return JSON.parse(stdout) as T;
  } catch (error) {
    const { message, stderr = '' } = error as Error & { stderr?: string };
    const why = stderr.split('\n').filter((line) => /error|not found/i.test(line));
    return { skipped: `${packages.join(' ')}: ${why.slice(0, 3).join('; ') || message.split('\n')[0]}` };
  }
}

async function pythonWith(packages: readonly string[]): Promise<string> {
  const name = `peers-${createHash('sha256').update(packages.join()).digest('hex').slice(0, 12)}`;
  const folder = path.join(TOOLS, name);
  const python = path.join(folder, 'bin', 'python');
  if (existsSync(python)) return python;
  await mkdir(TOOLS, { recursive: true });
  const half = path.join(TOOLS, `half-${process.pid}-${name}`);
  try {
    await execute('python3', ['-m', 'venv', half], { timeout: INSTALL_LIMIT_MS });
    const install = ['-m', 'pip', 'install', '--quiet', '--disable-pip-version-check', ...packages];
    await execute(path.join(half, 'bin', 'python'), install, { timeout: INSTALL_LIMIT_MS, maxBuffer: 64 << 20 });
    // Scripts of the environment name its folder; the interpreter, which is all that is used of it, does not.
    await rename(half, folder);
    return python;
  } finally {
    await rm(half, { recursive: true, force: true });
  }
}
