import { chmodSync, existsSync, readFileSync, statSync } from 'node:fs';
import { delimiter, dirname, join } from 'node:path';
import { npmCi } from './dependencies.mjs';
import { capture, pathOutsideProject, ROOT, SetupError, say } from './process.mjs';

/** libavutil 57 came with ffmpeg 5.0. It is asked for, because builds from git have no version number. */
const LIBAVUTIL_OF_FFMPEG_5 = 57;
const APT_LIMIT_MS = 10 * 60_000;
const FALLBACK = join(ROOT, 'infra', 'ffmpeg-fallback');
const REMEDIES = [
  '  - install ffmpeg 5 or newer (Debian or Ubuntu: apt-get install ffmpeg; macOS: brew install ffmpeg),',
  '  - or name one: VIGIL_FFMPEG=/path/to/ffmpeg VIGIL_FFPROBE=/path/to/ffprobe.',
].join('\n');

/**
 * Sees to it that there is an ffmpeg with its ffprobe and returns where they are. In this order: the pair that
 * VIGIL_FFMPEG and VIGIL_FFPROBE name, the one on the path, apt-get as root on Debian or Ubuntu, and, where
 * `allowFallback` says that no hostile media is decoded, the registry's build of 2018.
 * Throws a SetupError that names the remedies.
 */
export async function ensureFfmpeg({ allowFallback, env = process.env }) {
  if (env.VIGIL_FFMPEG) return named(env, allowFallback);
  const seen = [];
  const onPath = await usable(onThePath('ffmpeg', env), onThePath('ffprobe', env), seen);
  if (onPath) return onPath;
  if (process.getuid?.() === 0 && isDebianOrUbuntu()) {
    const installed = await installWithApt(env, seen);
    if (installed) return installed;
  }
  if (allowFallback) {
    const old = await installFallback(seen);
    if (old) return old;
  }
  throw new SetupError(
    `Vigil needs ffmpeg 5 or newer with ffprobe, and has none:\n  ${seen.join('\n  ')}\n${REMEDIES}`,
  );
}

/** What was named is used or refused; something else is never taken in its place. */
async function named(env, allowFallback) {
  const seen = [];
  const handedDown = allowFallback && env.VIGIL_FFMPEG.startsWith(FALLBACK);
  const beside = join(dirname(env.VIGIL_FFMPEG), 'ffprobe');
  const ffprobe = env.VIGIL_FFPROBE ?? (existsSync(beside) ? beside : onThePath('ffprobe', env));
  const found = await usable(env.VIGIL_FFMPEG, ffprobe, seen, handedDown ? 1 : undefined);
  if (found) return { ...found, old: handedDown };
  throw new SetupError(
    `VIGIL_FFMPEG and VIGIL_FFPROBE do not name an ffmpeg that can be used:\n  ${seen.join('\n  ')}\n${REMEDIES}`,
  );
}

async function usable(ffmpeg, ffprobe, seen, atLeast = LIBAVUTIL_OF_FFMPEG_5) {
  if (!ffmpeg || !ffprobe) {
    seen.push(`no ${[!ffmpeg && 'ffmpeg', !ffprobe && 'ffprobe'].filter(Boolean).join(' and no ')} on the PATH`);
    return null;
  }
  for (const program of [ffmpeg, ffprobe]) {
    const { code, stdout, stderr } = await capture(program, ['-version'], { limitMs: 30_000 });
    const major = Number(/^libavutil\s+(\d+)\./m.exec(stdout)?.[1] ?? 0);
    if (code !== 0) seen.push(`${program} does not run: ${stderr.trim().split('\n').at(-1) || `code ${code}`}`);
    else if (major < atLeast) seen.push(`${program} is too old: ${stdout.split('\n')[0]}`);
    else continue;
    return null;
  }
  return { ffmpeg, ffprobe, old: false };
}

async function installWithApt(env, seen) {
  say('Setting up: installing ffmpeg with apt-get (once) ...');
  const aptEnv = { ...env, DEBIAN_FRONTEND: 'noninteractive' };
  const options = ['-y', '-qq', '-o', 'DPkg::Lock::Timeout=120', '-o', 'Acquire::Retries=2'];
  for (const args of [['update'], ['install', '--no-install-recommends', 'ffmpeg']]) {
    const { code, stdout, stderr } = await capture('apt-get', [...options, ...args], {
      env: aptEnv,
      limitMs: APT_LIMIT_MS,
    });
    if (code !== 0) {
      const last = (stderr.trim() || stdout.trim()).split('\n').at(-1);
      seen.push(`apt-get ${args[0]} failed with code ${code}: ${last}`);
      return null;
    }
  }
  return usable(onThePath('ffmpeg', env), onThePath('ffprobe', env), seen);
}

/** Versions and digests stand in infra/ffmpeg-fallback/package-lock.json; it is no dependency of ours otherwise. */
async function installFallback(seen) {
  const folder = `${process.platform}-${process.arch}`;
  const ffmpeg = join(FALLBACK, 'node_modules', '@ffmpeg-installer', folder, 'ffmpeg');
  const ffprobe = join(FALLBACK, 'node_modules', '@ffprobe-installer', folder, 'ffprobe');
  if (!existsSync(ffmpeg) || !existsSync(ffprobe)) {
    say('Setting up: no ffmpeg here and no way to install one: fetching an old build from the npm registry (once) ...');
    try {
      await npmCi(FALLBACK, ['--ignore-scripts', '--include=optional']);
    } catch (error) {
      seen.push(`the registry's build could not be fetched: ${error.message.trim().split('\n')[0]}`);
      return null;
    }
  }
  for (const program of [ffmpeg, ffprobe]) {
    if (!existsSync(program)) {
      seen.push(`the registry has no build for ${folder}`);
      return null;
    }
    const { mode } = statSync(program);
    if ((mode & 0o100) === 0) chmodSync(program, mode | 0o100);
  }
  const found = await usable(ffmpeg, ffprobe, seen, 1);
  if (!found) return null;
  say(
    'WARNING: using a build of ffmpeg from 2018, with years of known decoder faults. Good enough to try Vigil on files that\n' +
      `you trust, never for uploads of strangers; \`npm start\` refuses it. Better:\n${REMEDIES}`,
  );
  return { ...found, old: true };
}

function onThePath(program, env) {
  const folders = pathOutsideProject(env).split(delimiter);
  return folders.map((folder) => join(folder, program)).find((path) => existsSync(path));
}

function isDebianOrUbuntu() {
  if (!existsSync('/etc/os-release') || !existsSync('/usr/bin/apt-get')) return false;
  return /^ID(_LIKE)?=.*\b(debian|ubuntu)\b/m.test(readFileSync('/etc/os-release', 'utf8'));
}
