import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  writeFileSync,
} from 'node:fs';
import { join } from 'node:path';
import { installWithApt, isDebianOrUbuntu } from './apt.mjs';
import { capture, lastLine, onThePath, ROOT, SetupError, say } from './process.mjs';

/** What the tests drive, and letters for it to draw: a bare machine has none. */
const PACKAGES = ['chromium', 'fonts-dejavu-core', 'fonts-inter'];
const NAMES = ['chromium', 'chromium-browser', 'google-chrome-stable', 'google-chrome'];
/** Where it is unpacked when it may not be installed. */
const HOME = join(ROOT, '.vigil', 'tools', 'chromium');
const DOWNLOAD_LIMIT_MS = 10 * 60_000;

/**
 * The browser of the tests: the one that VIGIL_CHROMIUM names (used or refused, never replaced), the one on the path,
 * Debian's by apt-get as root, else Debian's packages unpacked into .vigil/tools. Null with a line that says why where none can be
 * had: tests are tests, and whoever wants this to be a failure says VIGIL_REQUIRE=browser.
 * @returns {Promise<string | null>} the program
 */
export async function ensureChromium(env = process.env) {
  const seen = [];
  if (env.VIGIL_CHROMIUM) {
    if (await runs(env.VIGIL_CHROMIUM, seen)) return env.VIGIL_CHROMIUM;
    throw new SetupError(`VIGIL_CHROMIUM does not name a browser that will do: ${seen.join('; ')}`);
  }
  const found =
    (await installed(env, seen)) ??
    (await unpacked(seen)) ??
    ((await installWithApt(PACKAGES, env, seen)) ? await installed(env, seen) : null) ??
    (await unpack(env, seen));
  if (!found)
    say(
      `Setting up: no browser to test the page with (${seen.join('; ')}): its tests will be skipped. Install Chromium, or name ` +
        'one: VIGIL_CHROMIUM=/path/to/chromium.',
    );
  return found;
}

async function installed(env, seen) {
  for (const name of NAMES) {
    const path = onThePath(name, env);
    if (path && (await runs(path, seen))) return path;
  }
  seen.push('none on the PATH');
  return null;
}

async function runs(program, seen) {
  const { code, stdout, stderr } = await capture(program, ['--version'], { limitMs: 60_000 });
  if (code === 0 && /Chrom/.test(stdout)) return true;
  seen.push(`${program} does not run: ${lastLine(stderr) || `code ${code}`}`);
  return false;
}

const unpacked = async (seen) =>
  existsSync(join(HOME, 'run')) && (await runs(join(HOME, 'run'), seen)) ? join(HOME, 'run') : null;

/** Without root: the packages that apt would install, fetched by apt and unpacked beside each other. */
async function unpack(env, seen) {
  if (!isDebianOrUbuntu()) return null;
  const lists = await capture('apt-get', ['install', '-s', '--no-install-recommends', ...PACKAGES], {
    env,
    limitMs: 60_000,
  });
  const wanted = [...lists.stdout.matchAll(/^Inst (\S+)/gm)].map(([, name]) => name);
  if (lists.code !== 0 || wanted.length === 0) {
    seen.push(`apt-get knows no chromium: ${lastLine(lists.stderr)}`);
    return null;
  }
  say(`Setting up: fetching Chromium (${wanted.length} packages of Debian's) into .vigil/tools (once) ...`);
  const work = `${HOME}.${process.pid}`;
  rmSync(work, { recursive: true, force: true });
  mkdirSync(work, { recursive: true });
  try {
    const fetched = await capture('apt-get', ['download', '-qq', ...wanted], {
      env,
      cwd: work,
      limitMs: DOWNLOAD_LIMIT_MS,
    });
    if (fetched.code !== 0) {
      seen.push(`apt-get download failed: ${lastLine(fetched.stderr)}`);
      return null;
    }
    const archives = readdirSync(work).filter((name) => name.endsWith('.deb'));
    for (const name of archives) {
      const { code, stderr } = await capture('dpkg-deb', ['-x', name, 'root'], {
        env,
        cwd: work,
        limitMs: DOWNLOAD_LIMIT_MS,
      });
      if (code !== 0) {
        seen.push(`${name} could not be unpacked: ${stderr.trim()}`);
        return null;
      }
      rmSync(join(work, name));
    }
    writeFileSync(join(work, 'run'), starter(work));
    chmodSync(join(work, 'run'), 0o755);
    rmSync(HOME, { recursive: true, force: true });
    renameSync(work, HOME);
  } finally {
    rmSync(work, { recursive: true, force: true });
  }
  return unpacked(seen);
}

/** Its libraries and letters lie beside it, not where the system looks. */
function starter(work) {
  const libraries = readdirSync(join(work, 'root', 'usr', 'lib')).filter((name) => name.endsWith('-linux-gnu'));
  const list = libraries.map((name) => `"$root/usr/lib/${name}"`).join(':');
  const fonts = readFileSync(new URL('./fonts.conf', import.meta.url), 'utf8');
  writeFileSync(join(work, 'fonts.conf'), fonts);
  return [
    '#!/bin/sh',
    'home=$(cd "$(dirname "$0")" && pwd)',
    'root=$home/root',
    `export LD_LIBRARY_PATH=${list}\${LD_LIBRARY_PATH:+:$LD_LIBRARY_PATH}`,
    'export XDG_DATA_HOME="$root/usr/share" FONTCONFIG_FILE="$home/fonts.conf"',
    'exec "$root/usr/lib/chromium/chromium" "$@"',
    '',
  ].join('\n');
}
