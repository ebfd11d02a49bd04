import { chmodSync, existsSync, statSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { installWithApt } from './apt.mjs';
import { npmCi } from './dependencies.mjs';
import { capture, lastLine, onThePath, ROOT, SetupError, say } from './process.mjs';

/** libavutil 57 came with ffmpeg 5.0. It is asked for, because builds from git have no version number. */
const LIBAVUTIL_OF_FFMPEG_5 = 57;
/** Versions and digests stand in the package-lock.json there; it is no dependency of ours otherwise. */
const FALLBACK = join(ROOT, 'infra', 'ffmpeg-fallback');
const MACHINE = `${process.platform}-${process.arch}`;
const OLD = {
  ffmpeg: join(FALLBACK, 'node_modules', '@ffmpeg-installer', MACHINE, 'ffmpeg'),
  ffprobe: join(FALLBACK, 'node_modules', '@ffprobe-installer', MACHINE, 'ffprobe'),
};
const REMEDIES = [
  '  - install ffmpeg 5 or newer (Debian or Ubuntu: apt-get install ffmpeg; macOS: brew install ffmpeg),',
  '  - or name one: VIGIL_FFMPEG=/path/to/ffmpeg VIGIL_FFPROBE=/path/to/ffprobe.',
].join('\n');

/**
 * Sees to it that there is an ffmpeg with its ffprobe and returns where they are. In this order: the pair that
 * VIGIL_FFMPEG and VIGIL_FFPROBE name, the one on the path, apt-get as root on Debian or Ubuntu, and, where
 * `allowFallback` says that no hostile media is decoded, the registry's build of 2018 (before apt-get, once it is there,
 * so that a machine without a package mirror does not wait for it every time).
 * Throws a SetupError that names the remedies.
 */
export async function ensureFfmpeg({ allowFallback, env = process.env }) {
  const seen = [];
  if (env.VIGIL_FFMPEG || env.VIGIL_FFPROBE) {
    const found = await named(env, allowFallback, seen);
    if (found) return found;
    throw new SetupError(
      `VIGIL_FFMPEG and VIGIL_FFPROBE do not name programs that will do:\n${listed(seen)}\n${REMEDIES}`,
    );
  }
  const installed = () => usable(onThePath('ffmpeg', env), onThePath('ffprobe', env), seen);
  const found =
    (await installed()) ??
    (allowFallback ? await fallback(seen) : null) ??
    ((await installWithApt(['ffmpeg'], env, seen)) ? await installed() : null) ??
    (allowFallback ? await installFallback(seen) : null);
  if (found) return found;
  throw new SetupError(`Vigil needs ffmpeg 5 or newer with ffprobe, and has none:\n${listed(seen)}\n${REMEDIES}`);
}

const listed = (seen) => seen.map((line) => `  ${line}`).join('\n');

/** What was named is used or refused; something else is never taken in its place. Of one, the other lies beside it. */
async function named({ VIGIL_FFMPEG, VIGIL_FFPROBE }, allowFallback, seen) {
  const ffmpeg = VIGIL_FFMPEG || join(dirname(VIGIL_FFPROBE), 'ffmpeg');
  const ffprobe = VIGIL_FFPROBE || join(dirname(VIGIL_FFMPEG), 'ffprobe');
  const handedDown = allowFallback && ffmpeg === OLD.ffmpeg;
  const found = await usable(ffmpeg, ffprobe, seen, handedDown ? 1 : undefined);
  return found && { ...found, byName: true };
}

async function usable(ffmpeg, ffprobe, seen, atLeast = LIBAVUTIL_OF_FFMPEG_5) {
  if (!ffmpeg || !ffprobe) {
    seen.push(`no ${[!ffmpeg && 'ffmpeg', !ffprobe && 'ffprobe'].filter(Boolean).join(' and no ')} on the PATH`);
    return null;
  }
  for (const program of [ffmpeg, ffprobe]) {
    const { code, stdout, stderr } = await capture(program, ['-version'], { limitMs: 30_000 });
    const major = Number(/^libavutil\s+(\d+)\./m.exec(stdout)?.[1] ?? 0);
    if (code !== 0) seen.push(`${program} does not run: ${lastLine(stderr) || `code ${code}`}`);
    else if (major < atLeast) seen.push(`${program} is too old: ${stdout.split('\n')[0]}`);
    else continue;
    return null;
  }
  return { ffmpeg, ffprobe, byName: false };
}

async function installFallback(seen) {
  say('Setting up: no ffmpeg here and no way to install one: fetching an old build from the npm registry (once) ...');
  try {
    await npmCi(FALLBACK, ['--ignore-scripts', '--include=optional']);
  } catch (error) {
    seen.push(`the old build of the registry could not be fetched: ${error.message.trim().split('\n')[0]}`);
    return null;
  }
  const found = await fallback(seen);
  if (!found) seen.push(`the registry has no build that runs on ${MACHINE}`);
  return found;
}

async function fallback(seen) {
  if (!existsSync(OLD.ffmpeg) || !existsSync(OLD.ffprobe)) return null;
  for (const program of Object.values(OLD)) {
    const { mode } = statSync(program);
    if ((mode & 0o100) === 0) chmodSync(program, mode | 0o100);
  }
  const found = await usable(OLD.ffmpeg, OLD.ffprobe, seen, 1);
  if (!found) return null;
  say(
    'WARNING: using a build of ffmpeg from 2018, with years of known decoder faults. Good enough to try Vigil on files that\n' +
      `you trust, never for uploads of strangers; \`npm start\` refuses it. Better:\n${REMEDIES}`,
  );
  return { ...found, byName: true };
}
