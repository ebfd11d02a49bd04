import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { capture, ROOT, SetupError, say, withProjectPath } from './process.mjs';

const LIMIT_MS = 5 * 60_000;

/**
 * Runs a root script that builds `what`, where there is such a script, when its sources are not what the last build saw (its `stamp`
 * says what that was), or nothing is built. Digests, not file times: in a fresh clone every file is equally new.
 */
export async function ensureBuilt({ script, what, sources, stamp, isBuilt = () => true }, env) {
  const command = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts[script];
  if (command === undefined) return;
  const hash = createHash('sha256').update(command);
  for (const path of sources) hash.update(relative(ROOT, path)).update(readFileSync(path));
  const wanted = hash.digest('hex');
  if (isBuilt() && existsSync(stamp) && readFileSync(stamp, 'utf8') === wanted) return;
  say(`Setting up: building ${what} ...`);
  const npmRun = ['run', '--silent', script];
  const result = await capture('npm', npmRun, { cwd: ROOT, env: withProjectPath(env), limitMs: LIMIT_MS });
  if (result.code === 0) return writeFileSync(stamp, wanted);
  throw new SetupError(`${result.stdout}${result.stderr}\nnpm run ${script} failed with code ${result.code}.`);
}
