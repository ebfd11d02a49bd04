import type { ChildProcess } from 'node:child_process';
import { availableParallelism, constants, getPriority, setPriority } from 'node:os';
import { Writable } from 'node:stream';
import createCommand from 'fluent-ffmpeg';

/** Bounds of one decoder process. Wall time is ours to keep; the kernel keeps the others, even if we die. */
export interface DecoderLimits {
  wallSeconds: number;
  cpuSeconds: number;
  addressBytes: number;
  /** What it may say, on stderr and on stdout. More of it ends the process. */
  stderrBytes: number;
  stdoutBytes: number;
}

export interface DecoderRun {
  /** Path of ffmpeg or ffprobe. */
  program: string;
  /** Options before `-i`. */
  input: readonly string[];
  url: string;
  /** Options after it; the output is `pipe:1`. */
  output: readonly string[];
  limits: DecoderLimits;
  /** Bytes of stdout in order; the process waits while the promise is open. False stops it. */
  onBytes: (chunk: Buffer) => boolean | Promise<boolean>;
  onLine?: (line: string) => void;
  /** Every line has been handed over and no more will come, while bytes may still. */
  onQuiet?: () => void;
  signal?: AbortSignal | undefined;
}

/**
 * How a decoder ended. `done`: by itself, content. `stopped`: by onBytes. `failed`: by itself, with an error; `crashed`:
 * by a signal of its own doing. `too-slow`: wall or CPU time. `too-much`: it talked beyond its limit.
 */
export interface DecoderEnd {
  how: 'done' | 'stopped' | 'failed' | 'crashed' | 'too-slow' | 'too-much';
  /** The last lines that it said. */
  said: string;
  ms: number;
}

/**
 * Somebody else ended the decoder: the kernel, for want of memory, or a person. That says nothing of the media: the same run may
 * succeed later.
 */
export class DecoderKilled extends Error {
  override name = 'DecoderKilled';
  readonly retriable = true;
}

/**
 * The decoder starts in an empty environment: no proxy to go through (ffmpeg obeys http_proxy), no report file, no
 * locale. Static builds crash when they load the system's character set modules, hence GCONV_PATH. No core, no file.
 */
const LAUNCH = [
  'ulimit -c 0; ulimit -f 0; ulimit -t "$1"; ulimit -v "$2" 2>/dev/null; shift 2',
  // biome-ignore lint/suspicious/noTemplateCurlyInString: the shell's own
  'exec env -i PATH=/usr/bin:/bin LC_ALL=C GCONV_PATH=/nonexistent ${LD_LIBRARY_PATH:+LD_LIBRARY_PATH="$LD_LIBRARY_PATH"} "$@"',
].join('; ');

const CANNOT_START = [126, 127];
/** Said by the protocols, not by what they carry: the path is gone or the server is. */
const UNREACHABLE = /^\[(http|tcp) @ 0x[0-9a-f]+\] (HTTP error|Connection to)/m;
const CPU_SIGNALS = /signal (SIGXCPU|SIGKILL)/;
/** Beside those that decode, a decoder has threads that read, filter and write; together they seldom take more than this many processors. */
const OTHER_THREADS = 3;

/** Can a run of so many milliseconds have used up its CPU time? The bound of it is the wall time's times the threads that decode. */
function isOutOfCpu(ms: number, { cpuSeconds, wallSeconds }: DecoderLimits): boolean {
  const atOnce = Math.min(availableParallelism(), cpuSeconds / wallSeconds + OTHER_THREADS);
  return (ms / 1000) * atOnce >= cpuSeconds;
}

/** The parts of a fluent-ffmpeg command that its types leave out. */
type Command = Omit<createCommand.FfmpegCommand, 'availableEncoders'> & {
  ffmpegProc?: ChildProcess;
  _checkCapabilities: (done: (error: Error | null) => void) => void;
  availableEncoders: (done: (error: Error | null, encoders: object) => void) => void;
};

/**
 * Runs ffmpeg or ffprobe under limits and never leaves it behind: when this settles, the process is gone.
 * fluent-ffmpeg would start the program twice more to learn what it can do (0.1 s of CPU each, again in every thread);
 * we know what we ask for, so that is left out.
 * @throws when the program cannot be started or somebody else ends it (DecoderKilled), or when the signal aborts: nothing that is a
 * verdict on the media.
 */
export async function runDecoder(run: DecoderRun): Promise<DecoderEnd> {
  run.signal?.throwIfAborted();
  const started = performance.now();
  const { limits } = run;
  let cause: 'stopped' | 'too-slow' | 'too-much' | 'aborted' | null = null;
  let seen = 0;
  let said = 0;

  const command = createCommand(run.url, { stdoutLines: 40 }) as Command;
  const stop = (why: NonNullable<typeof cause>) => {
    cause ??= why;
    command.ffmpegProc?.kill('SIGKILL');
  };
  const sink = new Writable({
    // 'close' would make fluent-ffmpeg call the run failed 20 ms later, whether or not the process has ended by then.
    emitClose: false,
    highWaterMark: 1,
    write(chunk: Buffer, _encoding, next) {
      seen += chunk.length;
      if (seen > limits.stdoutBytes) stop('too-much');
      if (cause) return next();
      Promise.resolve(run.onBytes(chunk))
        .then((go) => {
          if (!go) stop('stopped');
          next();
        })
        .catch(next);
    },
  });
  const drained = new Promise<void>((resolve, reject) => {
    sink.once('finish', resolve).once('error', reject);
  });
  drained.catch(() => undefined);

  command._checkCapabilities = (done) => done(null);
  command.availableEncoders = (done) => done(null, {});
  command
    .setFfmpegPath('/bin/sh')
    .inputOptions(
      ...[
        '-c',
        LAUNCH,
        'vigil-decoder',
        String(Math.ceil(limits.cpuSeconds)),
        String(Math.floor(limits.addressBytes / 1024)),
      ],
      ...[run.program, ...run.input],
    )
    .outputOptions(...run.output)
    .output(sink);
  const timer = setTimeout(() => stop('too-slow'), limits.wallSeconds * 1000);
  const onAbort = () => stop('aborted');
  run.signal?.addEventListener('abort', onAbort, { once: true });

  try {
    const { error, stderr } = await new Promise<{ error: Error | null; stderr: string }>((resolve) => {
      command
        .on('start', () => {
          yieldToOthers(command.ffmpegProc?.pid);
          // Aborted between the call and the start: there was no process to kill yet.
          if (cause) command.ffmpegProc?.kill('SIGKILL');
          command.ffmpegProc?.stderr?.on('data', (text: string) => {
            said += text.length;
            if (said > limits.stderrBytes) stop('too-much');
          });
        })
        .on('stderr', (line: string) => run.onLine?.(line))
        .on('end', (_out, err) => resolve({ error: null, stderr: String(err ?? '') }))
        .on('error', (e: Error, _out, err) => resolve({ error: e, stderr: String(err ?? '') }))
        .run();
    });
    run.onQuiet?.();
    // Without a process nothing ends the sink; with one, its stdout does, killed or not.
    if (!error || !/cannot find|spawn/i.test(error.message)) await drained;
    if (cause === 'aborted') run.signal?.throwIfAborted();
    const end = (how: DecoderEnd['how']) => ({ how, said: tail(stderr, run.url), ms: performance.now() - started });
    if (cause) return end(cause as DecoderEnd['how']);
    if (!error) return end('done');
    if (/SIGKILL/.test(error.message) && !isOutOfCpu(performance.now() - started, limits))
      throw new DecoderKilled(`${run.program} was killed, by the kernel for want of memory or by hand`);
    if (CPU_SIGNALS.test(error.message)) return end('too-slow');
    if (/signal/.test(error.message)) return end('crashed');
    const code = Number(/exited with code (\d+)/.exec(error.message)?.[1] ?? Number.NaN);
    if (Number.isNaN(code) || CANNOT_START.includes(code)) {
      throw new Error(`${run.program} could not be started: ${tail(stderr, run.url) || error.message}`, {
        cause: error,
      });
    }
    if (UNREACHABLE.test(stderr))
      throw new Error(`the media could not be read over loopback: ${tail(stderr, run.url)}`);
    return end('failed');
  } finally {
    clearTimeout(timer);
    run.signal?.removeEventListener('abort', onAbort);
  }
}

/**
 * Decoders take what is left: whoever handles events or a still, in milliseconds, does not wait behind seconds of film. A tenth of the
 * share of others, and no less, however low whoever starts them stands: with a hundredth, media would be too slow where the machine is.
 */
function yieldToOthers(pid: number | undefined): void {
  if (pid === undefined) return;
  try {
    setPriority(pid, Math.max(getPriority(), constants.priority.PRIORITY_BELOW_NORMAL));
  } catch {
    // It has ended already, or may not be touched: it is no worse off than before.
  }
}

const TAIL_LINES = 6;
const TAIL_CHARACTERS = 600;

/** Without progress, without what showinfo prints, without our own addresses: two runs on one file say the same. */
function tail(stderr: string, url: string): string {
  const lines = stderr
    .split('\n')
    .filter((line) => /^\S/.test(line) && !/showinfo|^(Input|Output) #|^frame=/.test(line));
  const said = lines.slice(-TAIL_LINES).join('; ').replaceAll(url, 'the media');
  return said.replace(/ @ 0x[0-9a-f]+\]/g, ']').slice(-TAIL_CHARACTERS);
}
