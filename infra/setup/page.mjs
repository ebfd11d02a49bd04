import { join } from 'node:path';
import { ensureBuilt } from './build.mjs';
import { filesBelow } from './files.mjs';
import { ROOT } from './process.mjs';

const CONSOLE = join(ROOT, 'services', 'console');

/** Builds the web page of the console when its sources, or what builds them, are not those of the last build. */
export function ensurePage(env) {
  const sources = [...filesBelow(join(CONSOLE, 'web')), ...filesBelow(join(CONSOLE, 'src'))];
  const page = {
    script: 'build:page',
    what: 'the web page',
    sources: [join(ROOT, 'package-lock.json'), join(CONSOLE, 'vite.config.ts'), ...sources],
    stamp: join(CONSOLE, 'dist', '.built-from'),
  };
  return ensureBuilt(page, env);
}
