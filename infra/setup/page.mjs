import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join, relative } from 'node:path';
import { filesBelow } from './files.mjs';
import { capture, ROOT, SetupError, say, withProjectPath } from './process.mjs';

const BUILD_LIMIT_MS = 5 * 60_000;
const CONSOLE = join(ROOT, 'services', 'console');
const SCRIPT = 'build:page';
const STAMP = join(CONSOLE, 'dist', '.built-from');

/** Builds the web page of the console when its sources, or what builds them, are not those of the last build. */
export async function ensurePage(env) {
  const script = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts[SCRIPT];
  if (script === undefined) return;
  const hash = createHash('sha256').update(script);
  const sources = [...filesBelow(join(CONSOLE, 'web')), ...filesBelow(join(CONSOLE, 'src'))];
  for (const path of [join(ROOT, 'package-lock.json'), join(CONSOLE, 'vite.config.ts'), ...sources])
    hash.update(relative(ROOT, path)).update(readFileSync(path));
  const wanted = hash.digest('hex');
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  say('Setting up: building the web page ...');
  const npmRun = ['run', '--silent', SCRIPT];
  const result = await capture('npm', npmRun, { cwd: ROOT, env: withProjectPath(env), limitMs: BUILD_LIMIT_MS });
  if (result.code === 0) return writeFileSync(STAMP, wanted);
  throw new SetupError(`${result.stdout}${result.stderr}\nnpm run ${SCRIPT} failed with code ${result.code}.`);
}
