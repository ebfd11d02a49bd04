import { once } from 'node:events';
import { spawnCanary } from '../canary-process.ts';

/** `vigil canary`: rounds until told to stop, or one; the code is the canary's own. */
export async function canary(options: { instance?: string; once?: boolean; every?: number }): Promise<void> {
  const env = { ...process.env };
  if (options.instance) env.VIGIL_CANARY_INSTANCE = options.instance;
  if (options.every) env.VIGIL_CANARY_EVERY_SECONDS = String(options.every);
  const child = spawnCanary(options.once ? ['--once'] : [], env);
  // ^C at a terminal reaches the child by itself.
  process.on('SIGINT', () => process.stdin.isTTY || child.kill('SIGINT'));
  process.on('SIGTERM', () => child.kill('SIGTERM'));
  const [code] = (await once(child, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
}
