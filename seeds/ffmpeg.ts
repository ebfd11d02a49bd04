import { execFile, spawn } from 'node:child_process';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';

const MAX_SECONDS = 180;
/** Nothing in the file that depends on the time or on chance. */
const EXACT = ['-fflags', '+bitexact', '-flags:v', '+bitexact', '-flags:a', '+bitexact', '-map_metadata', '-1'];

/** Runs ffmpeg once, the output file last, with what `feed` gives as its standard input. @throws Error with the last words of ffmpeg */
export async function runFfmpeg(program: string, args: string[], feed?: Iterable<Uint8Array>): Promise<void> {
  const child = spawn(
    program,
    ['-hide_banner', '-nostdin', '-loglevel', 'error', '-y', ...args.slice(0, -1), ...EXACT, args.at(-1)!],
    {
      stdio: [feed ? 'pipe' : 'ignore', 'ignore', 'pipe'],
      timeout: MAX_SECONDS * 1000,
      killSignal: 'SIGKILL',
    },
  );
  let said = '';
  child.stderr!.on('data', (chunk: Buffer) => {
    said = (said + chunk.toString()).slice(-2000);
  });
  const ended = new Promise<void>((resolve, reject) => {
    child.on('error', reject);
    child.on('close', (code, signal) => {
      if (code === 0) resolve();
      else reject(new Error(`ffmpeg ended with ${code ?? signal}: ${said.trim()} (${args.join(' ')})`));
    });
  });
  await Promise.all([ended, feed ? pour(child.stdin!, feed) : undefined]);
}

async function pour(stdin: Writable, feed: Iterable<Uint8Array>): Promise<void> {
  function* copies() {
    // A painter uses its array again while the last picture still waits in the pipe.
    for (const chunk of feed) yield Buffer.from(chunk);
  }
  try {
    await pipeline(Readable.from(copies()), stdin);
  } catch (error) {
    // ffmpeg's own end says more than the broken pipe that follows from it.
    const { code } = error as NodeJS.ErrnoException;
    if (code !== 'EPIPE' && code !== 'ERR_STREAM_PREMATURE_CLOSE' && code !== 'ECONNRESET') throw error;
  }
}

/** Names of the encoders that this ffmpeg has. */
export function encodersOf(program: string): Promise<Set<string>> {
  return new Promise((resolve, reject) => {
    execFile(program, ['-hide_banner', '-encoders'], { timeout: 20_000, maxBuffer: 2 ** 22 }, (error, stdout) => {
      if (error) reject(new Error(`cannot run ffmpeg (${program}): ${error.message}`, { cause: error }));
      else resolve(new Set(stdout.split('\n').flatMap((line) => /^ [VAS]\S{5} (\S+)/.exec(line)?.[1] ?? [])));
    });
  });
}
