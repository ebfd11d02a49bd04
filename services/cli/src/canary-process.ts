import { type ChildProcess, spawn } from 'node:child_process';
import path from 'node:path';
import { fileURLToPath } from 'node:url';
import { OPERATOR_KEY_FILE } from '@vigil/api/operator-key-file';

/** By its path: a canary shares no code with what it watches, not even what starts it. */
const MAIN = fileURLToPath(new URL('../../canary/src/main.ts', import.meta.url));

/** It ends with this process, however this one ends. */
export function spawnCanary(args: readonly string[], env: NodeJS.ProcessEnv): ChildProcess {
  const child = spawn(process.execPath, [MAIN, '--while-stdin', ...args], {
    env,
    stdio: ['pipe', 'inherit', 'inherit'],
  });
  child.stdin?.on('error', () => undefined);
  return child;
}

/** Of a canary beside an instance, whose key it may use at whatever address that one has. */
export const canaryEnv = (env: NodeJS.ProcessEnv, url: string, dataFolder: string): NodeJS.ProcessEnv => ({
  ...env,
  VIGIL_CANARY_INSTANCE: url,
  VIGIL_CANARY_KEY_FILE: env.VIGIL_CANARY_KEY_FILE || path.join(dataFolder, OPERATOR_KEY_FILE),
  VIGIL_DATA: dataFolder,
});

const PAUSE_MS = [1000, 5000, 30_000];

/** Keeps one running beside this process: what ends is started again, after a while that grows. */
export function keepCanary(env: NodeJS.ProcessEnv, note: (line: string) => void): AsyncDisposable {
  let over = false;
  let timer: NodeJS.Timeout | undefined;
  let child: ChildProcess | null = null;
  let ended: Promise<void> = Promise.resolve();
  let failures = 0;

  function start(): void {
    if (over) return;
    const startedAt = Date.now();
    child = spawnCanary([], env);
    ended = new Promise((resolve) => {
      const end = (how: string) => {
        child = null;
        resolve();
        if (over) return;
        failures = Date.now() - startedAt > 60_000 ? 1 : failures + 1;
        const pause = PAUSE_MS[Math.min(failures, PAUSE_MS.length) - 1]!;
        note(
          `vigil: the canary ended with ${how}: nobody watches that takedowns work; started again in ${pause / 1000} s`,
        );
        timer = setTimeout(start, pause);
      };
      child!.once('error', (error) => end(error.message));
      child!.once('exit', (code, signal) => end(`${code ?? signal}`));
    });
  }
  start();
  return {
    async [Symbol.asyncDispose]() {
      over = true;
      clearTimeout(timer);
      child?.kill('SIGTERM');
      await ended;
    },
  };
}
