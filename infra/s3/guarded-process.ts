import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';

export interface GuardedProcess {
  readonly exited: boolean;
  /** The last of what it wrote. */
  output(): string;
  /** Asks it to end, and kills it when it has not within 5 s. */
  stop(): Promise<void>;
  /** SIGKILL, as a crash would have it. */
  kill(): Promise<void>;
}

/**
 * A shell between us and the program holds the other end of a pipe: when we are gone, however that came about, the pipe
 * closes and the program is killed. The shell says the program's process id first, and ends with the program.
 */
const GUARD = `
exec 3<&0
"$@" </dev/null 3<&- &
child=$!
echo "guarded pid $child"
( exec >/dev/null 2>&1; read -r _ <&3; kill -9 $child ) &
watcher=$!
trap '' INT TERM HUP
wait $child
code=$?
kill -9 $watcher 2>/dev/null
exit $code
`;

const STOP_MS = 5000;
const KEPT = 8000;

/** Starts a program that ends with this process, even when this process is killed. */
export async function startGuarded(
  program: string,
  args: readonly string[],
  env: NodeJS.ProcessEnv,
): Promise<GuardedProcess> {
  const shell: ChildProcess = spawn('/bin/sh', ['-c', GUARD, 'guard', program, ...args], {
    stdio: ['pipe', 'pipe', 'pipe'],
    env,
  });
  let said = '';
  let exited = false;
  const ended = new Promise<void>((resolve) => {
    shell.once('error', () => resolve());
    shell.once('exit', () => resolve());
  }).then(() => {
    exited = true;
  });
  const pid = new Promise<number>((resolve, reject) => {
    const take = (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-KEPT);
      const found = /^guarded pid (\d+)\n/m.exec(said);
      if (found) resolve(Number(found[1]));
    };
    shell.stdout!.on('data', take);
    shell.stderr!.on('data', take);
    shell.once('error', reject);
    shell.once('exit', () => reject(new Error(`${program} did not start: ${said}`)));
  });
  shell.stdin!.on('error', () => undefined);
  const child = await pid;
  // Whoever forgets to stop it does not keep this process from ending.
  shell.unref();
  for (const stream of [shell.stdin, shell.stdout, shell.stderr]) (stream as unknown as { unref(): void }).unref();

  const signal = (name: 'SIGTERM' | 'SIGKILL') => {
    if (exited) return;
    try {
      process.kill(child, name);
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ESRCH') throw error;
    }
  };
  async function within(ms: number): Promise<void> {
    shell.ref();
    let timer: NodeJS.Timeout | undefined;
    const late = new Promise<void>((resolve) => {
      timer = setTimeout(resolve, ms);
    });
    await Promise.race([ended, late]);
    clearTimeout(timer);
    if (!exited) {
      signal('SIGKILL');
      await once(shell, 'exit');
    }
  }
  return {
    get exited() {
      return exited;
    },
    output: () => said,
    async stop() {
      if (exited) return;
      signal('SIGTERM');
      await within(STOP_MS);
    },
    async kill() {
      if (exited) return;
      signal('SIGKILL');
      await within(STOP_MS);
    },
  };
}
