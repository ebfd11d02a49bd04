import { setPriority } from 'node:os';
import { findFfmpeg, openTools, ReplayRefused, RunInUse, type RunProgress, type Tools } from '@vigil/pipeline';
import { createLogger, hearSignals } from '@vigil/runtime';
import { note, UsageError } from '../output.ts';
import { remaining } from '../progress.ts';
import { configOf, ofInstallation } from '../settings.ts';

/** What `replay` and `look-back` share: the installation's stores, beside those who run it, and a way to be interrupted. */
export async function beside<T>(
  data: string | undefined,
  options: { withLibrary: boolean; title: string; quiet: boolean },
  work: (tools: Tools, signal: AbortSignal, onProgress: (progress: RunProgress) => void) => Promise<T>,
): Promise<T> {
  const config = configOf(data);
  const logger = createLogger({ level: 'warn', to: 'stderr' });
  const stop = new AbortController();
  const unhear = hearSignals(
    () => {
      note('stopping when what was begun is written down; once more to leave at once');
      stop.abort(new Interrupted());
    },
    () => process.exit(130),
  );
  // Whatever else this machine does comes first.
  setPriority(5);
  const bar = remaining(options.title, options.quiet);
  try {
    const ffmpeg = await findFfmpeg({ ...config.ffmpeg, allowOld: false });
    await using tools = await ofInstallation(openTools(config, { logger, ffmpeg, withLibrary: options.withLibrary }));
    return await work(tools, stop.signal, bar.at);
  } catch (error) {
    if (stop.signal.aborted) throw new Interrupted();
    if (error instanceof ReplayRefused || error instanceof RunInUse) throw new UsageError(error.message);
    throw error;
  } finally {
    bar.end();
    unhear();
  }
}

class Interrupted extends Error {
  override name = 'Interrupted';
  constructor() {
    super('stopped; the same command goes on from there');
  }
}

const UNITS: Record<string, number> = { s: 1000, m: 60_000, h: 3_600_000, d: 86_400_000 };

/** A moment: a date and time (ISO 8601), milliseconds since 1970, or so long ago (`90s`, `45m`, `24h`, `7d`). @throws UsageError */
export function momentOf(name: string, text: string, now = Date.now()): number {
  const ago = /^(\d+)([smhd])$/.exec(text);
  if (ago) return now - Number(ago[1]) * UNITS[ago[2]!]!;
  if (/^\d{12,}$/.test(text)) return Number(text);
  // What else it would take for a date is not meant: 5 is a month of 2001 to it.
  const at = /^\d{4}-\d/.test(text) ? Date.parse(text) : Number.NaN;
  if (Number.isNaN(at))
    throw new UsageError(`${name} ${text} is no time: give one like 2030-01-31T08:00Z, or 24h for that long ago`);
  return at;
}

/** @throws UsageError */
export function wholeOf(name: string, text: string): number {
  const n = Number(text);
  if (!/^\d+$/.test(text) || !Number.isSafeInteger(n)) throw new UsageError(`${name} ${text}: give a whole number`);
  return n;
}
