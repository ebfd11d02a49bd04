import { createHash } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { capture, NODE, pathOutsideProject, ROOT, SetupError, say } from './process.mjs';

const INSTALL_LIMIT_MS = 15 * 60_000;
const NODE_MAJOR = 24;
const STAMP = join(ROOT, 'node_modules', '.vigil-setup');

/** Installs what package-lock.json names, unless node_modules already is just that. */
export async function ensureDependencies() {
  const lock = readFileSync(join(ROOT, 'package-lock.json'), 'utf8');
  const wanted = `${createHash('sha256').update(lock).digest('hex')} ${process.platform}-${process.arch}\n`;
  if (existsSync(STAMP) && readFileSync(STAMP, 'utf8') === wanted && existsSync(NODE)) return;
  if (installedAgrees(JSON.parse(lock))) {
    await checkNode();
    writeFileSync(STAMP, wanted);
    return;
  }
  say('Setting up: installing dependencies with npm ci (once; about a minute) ...');
  const startedAt = Date.now();
  await npmCi(ROOT, ['--include=dev', '--include=optional']);
  await checkNode();
  writeFileSync(STAMP, wanted);
  say(`Setting up: dependencies are in (${Math.round((Date.now() - startedAt) / 1000)} s).`);
}

/**
 * `npm ci` in a folder. Warnings are left out (npm on an older Node complains about the engines of packages that we only
 * ever run on Node 24); errors are shown whole.
 */
export async function npmCi(folder, args) {
  const env = { ...process.env, PATH: pathOutsideProject(process.env) };
  const result = await capture('npm', ['ci', '--loglevel=error', '--no-audit', '--no-fund', ...args], {
    cwd: folder,
    env,
    limitMs: INSTALL_LIMIT_MS,
  });
  if (result.code === 0) return;
  const shown = (result.stderr.trim() || result.stdout.trim()).split('\n').slice(-30).join('\n');
  const why =
    result.code === 127
      ? 'npm was not found on the PATH.'
      : result.code === 124
        ? `npm did not finish within ${INSTALL_LIMIT_MS / 60_000} minutes.`
        : `npm ended with code ${result.code}.`;
  throw new SetupError(
    `${shown}\n\nSetting up failed: npm ci in ${folder}: ${why}\n` +
      'It needs a network way to the npm registry, or a filled npm cache, and about 1 GB of free disk. Try again, or run ' +
      '`npm ci` there by hand to see everything that npm says.',
  );
}

/** The `node` package fetches its program in an install script; with scripts switched off it is not there. */
async function checkNode() {
  const { code, stdout, stderr } = await capture(NODE, ['--version'], { limitMs: 30_000 });
  if (code === 0 && stdout.startsWith(`v${NODE_MAJOR}.`)) return;
  throw new SetupError(
    `Setting up failed: ${NODE} should be Node ${NODE_MAJOR}, but: ${stdout.trim() || stderr.trim() || `code ${code}`}\n` +
      'It comes from the `node` package, whose install script fetches it. If npm is told to ignore scripts ' +
      '(`npm config get ignore-scripts`), run `npm rebuild node --ignore-scripts=false`.',
  );
}

/**
 * npm's own record of what is installed, compared with the lockfile entry by entry, so that an install made by hand is
 * taken as it is.
 */
function installedAgrees(lock) {
  const recordPath = join(ROOT, 'node_modules', '.package-lock.json');
  if (!existsSync(recordPath) || !existsSync(NODE)) return false;
  const installed = JSON.parse(readFileSync(recordPath, 'utf8')).packages;
  const wanted = Object.entries(lock.packages).filter(([path]) => path.startsWith('node_modules/'));
  return wanted.every(([path, entry]) => {
    const found = installed[path];
    if (found === undefined) return entry.optional === true && !forThisMachine(entry);
    return found.version === entry.version && found.integrity === entry.integrity;
  });
}

function forThisMachine({ os, cpu, libc }) {
  const glibc = process.report?.getReport().header.glibcVersionRuntime !== undefined;
  const fits = (list, own) => list === undefined || list.includes(own);
  return fits(os, process.platform) && fits(cpu, process.arch) && fits(libc, glibc ? 'glibc' : 'musl');
}
