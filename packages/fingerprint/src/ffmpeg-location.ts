import { execFile } from 'node:child_process';
import { constants } from 'node:fs';
import { access, chmod } from 'node:fs/promises';
import { delimiter, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

export interface FfmpegLocation {
  /** Paths of the two programs. */
  ffmpeg: string;
  ffprobe: string;
  /** Begins with major and minor, "5.1.9-0+deb12u1"; of a snapshot build by its libraries: "4.0 (N-47683-g0e8eb07980)". */
  version: string;
  /** Below OLDEST_MAJOR: years of open decoder faults. */
  old: boolean;
  /** What to tell whoever runs this, when there is something. */
  warning: string | null;
}

export const OLDEST_MAJOR = 5;

/** Where the set-up script puts the registry's build of 2018, when there is no better one. */
export const FALLBACK_FOLDER = fileURLToPath(new URL('../../../infra/ffmpeg-fallback/node_modules/', import.meta.url));

const REMEDIES =
  'Install ffmpeg 5 or newer (Debian and Ubuntu: apt-get install ffmpeg; macOS: brew install ffmpeg), or name the two ' +
  'programs in the settings (ffmpeg and ffprobe path). To try Vigil without one, `npm run setup` fetches an old build ' +
  'for demo, test and `vigil match`.';

/**
 * The two programs, in this order: those named, those on `path` when they are recent, and, where `allowOld`, the
 * registry's build of 2018. A named program that does not work is an error, never passed over.
 * @param options.path the PATH to look through
 * @throws Error that names the remedies
 */
export async function findFfmpeg(options: {
  ffmpegPath?: string | undefined;
  ffprobePath?: string | undefined;
  path: string;
  allowOld: boolean;
  fallbackFolder?: string | undefined;
}): Promise<FfmpegLocation> {
  const { ffmpegPath, ffprobePath, allowOld } = options;
  if (ffmpegPath || ffprobePath) {
    if (!ffmpegPath || !ffprobePath) throw new Error('name both programs, ffmpeg and ffprobe, or neither');
    const named = await describe(ffmpegPath, ffprobePath);
    if (!named) throw new Error(`${ffmpegPath} and ${ffprobePath} do not both run. ${REMEDIES}`);
    if (named.old && !allowOld) throw new Error(`${ffmpegPath} is ffmpeg ${named.version}: too old. ${REMEDIES}`);
    return named;
  }
  let passedOver = '';
  const onPath = [await which('ffmpeg', options.path), await which('ffprobe', options.path)] as const;
  if (onPath[0] && onPath[1]) {
    const found = await describe(onPath[0], onPath[1]);
    if (found && !found.old) return found;
    passedOver = found
      ? ` ${onPath[0]} is ${found.version}, older than ${OLDEST_MAJOR}.`
      : ` ${onPath[0]} does not run.`;
  }
  if (allowOld) {
    const folder = options.fallbackFolder ?? FALLBACK_FOLDER;
    const ffmpeg = join(folder, '@ffmpeg-installer/linux-x64/ffmpeg');
    const ffprobe = join(folder, '@ffprobe-installer/linux-x64/ffprobe');
    // The registry's package sets this bit in an install script, which need not have run.
    await Promise.allSettled([chmod(ffmpeg, 0o755), chmod(ffprobe, 0o755)]);
    const fallback = await describe(ffmpeg, ffprobe);
    if (fallback) return fallback;
  }
  throw new Error(`no usable ffmpeg was found.${passedOver} ${REMEDIES}`);
}

async function which(name: string, path: string): Promise<string | null> {
  for (const folder of path.split(delimiter)) {
    if (folder === '') continue;
    const file = join(folder, name);
    if (
      await access(file, constants.X_OK).then(
        () => true,
        () => false,
      )
    )
      return file;
  }
  return null;
}

async function describe(ffmpeg: string, ffprobe: string): Promise<FfmpegLocation | null> {
  const [version, other] = await Promise.all([versionOf(ffmpeg), versionOf(ffprobe)]);
  if (!version || !other) return null;
  const old = Number.parseInt(version, 10) < OLDEST_MAJOR;
  const warning = old
    ? `ffmpeg ${version} at ${ffmpeg} is an old build with known faults in its decoders. It will do for a trial; ` +
      'for uploads by strangers install ffmpeg 5 or newer.'
    : null;
  return { ffmpeg, ffprobe, version, old, warning };
}

async function versionOf(program: string): Promise<string | null> {
  try {
    const { stdout } = await promisify(execFile)(program, ['-hide_banner', '-version'], { timeout: 20_000 });
    return readVersion(stdout);
  } catch {
    return null;
  }
}

/** Snapshots ("N-47683-g0e8eb07980") carry no number, but libavcodec 58 came with 4, 59 with 5 and so on. */
export function readVersion(text: string): string | null {
  const name = /^ff(?:mpeg|probe) version (\S+)/m.exec(text)?.[1];
  if (!name) return null;
  const release = /^n?(\d+\.\d+.*)$/.exec(name);
  if (release) return release[1]!;
  const codec = Number(/^libavcodec\s+(\d+)\./m.exec(text)?.[1]);
  return codec > 54 ? `${codec - 54}.0 (${name})` : null;
}
