import { findFfmpeg, openInstance } from '@vigil/pipeline';
import { type Config, createLogger, runService } from '@vigil/runtime';
import { openDoor } from './door.ts';

/** Runs the pipeline and its door until a signal comes, then drains. Resolves with the exit code. */
export async function startWorker(config: Config, say: (line: string) => void): Promise<void> {
  const logger = createLogger({ level: config.logLevel });
  for (const name of config.unknown) logger.warn({ name }, 'there is no such setting');
  const ffmpeg = await findFfmpeg({ ...config.ffmpeg, allowOld: false });
  await runService({
    name: 'vigil',
    logger,
    async open(stack) {
      const instance = stack.use(await openInstance({ config, logger, ffmpeg }));
      const { host, port, limits } = config;
      const door = stack.use(await openDoor(instance, { host, port, maxBytes: limits.maxVideoBytes, logger }));
      say(`Vigil listens on ${door.url}; its data lie in ${config.dataFolder}`);
      return instance.failed;
    },
  });
}
