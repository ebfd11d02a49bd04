import { createHash } from 'node:crypto';
import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { filesBelow } from './files.mjs';
import { capture, ROOT, SetupError, say, withProjectPath } from './process.mjs';

const BUILD_LIMIT_MS = 5 * 60_000;
const STAMP = join(ROOT, 'node_modules', '.vigil-wasm');

/**
 * Runs the root script `build:wasm`, where there is one, when a package's `assembly` folder is not what the last build
 * saw, or its `build` folder holds no kernel. Digests, not file times: in a fresh clone every file is equally new.
 */
export async function ensureWasm(env) {
  const script = JSON.parse(readFileSync(join(ROOT, 'package.json'), 'utf8')).scripts['build:wasm'];
  if (script === undefined) return;
  const packages = readdirSync(join(ROOT, 'packages')).map((name) => join(ROOT, 'packages', name));
  const kernels = packages.filter((folder) => existsSync(join(folder, 'assembly'))).sort();
  const hash = createHash('sha256').update(script);
  for (const path of kernels.flatMap((folder) => filesBelow(join(folder, 'assembly')))) hash.update(readFileSync(path));
  const wanted = hash.digest('hex');
  const built = kernels.every((folder) => filesBelow(join(folder, 'build')).some((path) => path.endsWith('.wasm')));
  if (built && existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted) return;
  say('Setting up: building the WebAssembly kernels ...');
  const npmRun = ['run', '--silent', 'build:wasm'];
  const result = await capture('npm', npmRun, { cwd: ROOT, env: withProjectPath(env), limitMs: BUILD_LIMIT_MS });
  if (result.code === 0) return writeFileSync(STAMP, wanted);
  throw new SetupError(`${result.stdout}${result.stderr}\nnpm run build:wasm failed with code ${result.code}.`);
}
