import { spawn } from 'node:child_process';

/**
 * Runs a program to its end and returns what it wrote, both channels together.
 * @throws Error when it cannot be started, ends with another code than 0, or does not end in time
 */
export function run(program: string, args: readonly string[], options: { cwd?: string; limitMs: number }) {
  return new Promise<string>((resolve, reject) => {
    const { cwd = '.', limitMs } = options;
    const child = spawn(program, args, {
      cwd,
      stdio: ['ignore', 'pipe', 'pipe'],
      timeout: limitMs,
      killSignal: 'SIGKILL',
    });
    let said = '';
    const hear = (chunk: Buffer) => {
      said = (said + chunk.toString()).slice(-20_000);
    };
    child.stdout.on('data', hear);
    child.stderr.on('data', hear);
    child.once('error', reject);
    child.once('close', (code, signal) => {
      if (code === 0) return resolve(said);
      const lines = said.trim().split('\n').slice(-5).join('\n');
      reject(new Error(`${program} ended with ${code ?? signal}: ${lines}`));
    });
  });
}
