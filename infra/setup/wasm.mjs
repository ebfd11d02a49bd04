import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { ensureBuilt } from './build.mjs';
import { filesBelow } from './files.mjs';
import { ROOT } from './process.mjs';

/** Builds the kernels when a package's `assembly` folder is not what the last build saw, or its `build` folder holds none. */
export function ensureWasm(env) {
  const packages = readdirSync(join(ROOT, 'packages')).map((name) => join(ROOT, 'packages', name));
  const kernels = packages.filter((folder) => existsSync(join(folder, 'assembly'))).sort();
  const wasm = {
    script: 'build:wasm',
    what: 'the WebAssembly kernels',
    sources: kernels.flatMap((folder) => filesBelow(join(folder, 'assembly'))),
    stamp: join(ROOT, 'node_modules', '.vigil-wasm'),
    isBuilt: () => kernels.every((folder) => filesBelow(join(folder, 'build')).some((path) => path.endsWith('.wasm'))),
  };
  return ensureBuilt(wasm, env);
}
