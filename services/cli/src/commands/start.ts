import { readConfig } from '@vigil/runtime';
import { startWorker } from '@vigil/worker';
import { canaryEnv, keepCanary } from '../canary-process.ts';
import { openSite } from '../open-site.ts';
import { note, say } from '../output.ts';

/** `vigil start`: the pipeline, and in the roles `api` and `console` what people and programs reach it by, as a long-lived process. */
export async function start(options: { port?: number; data?: string }): Promise<void> {
  const env = { ...process.env };
  if (options.port) env.VIGIL_PORT = String(options.port);
  if (options.data) env.VIGIL_DATA = options.data;
  const config = readConfig(env);
  const opened = (url: string) => (config.canary ? keepCanary(canaryEnv(env, url, config.dataFolder), note) : null);
  await startWorker(config, { say, complain: (line) => note(`vigil: ${line}`), opened }, openSite);
}
