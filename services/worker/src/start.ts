import { setPriority } from 'node:os';
import { findFfmpeg, type Instance, openInstance } from '@vigil/pipeline';
import { type Config, createLogger, type Logger, runService } from '@vigil/runtime';
import { type Mounted, openDoor } from './door.ts';

export interface Voice {
  /** Where it listens, for whoever started it. */
  say(line: string): void;
  /** Why it does not start, in one line; the log has the rest. */
  complain(line: string): void;
  /** What else is to run while it listens there. */
  opened?(url: string): AsyncDisposable | null;
}

/**
 * What a process with the role `api` or `console` serves beside its health: services do not know each other, whoever starts them
 * does. `greet` is called once it can be reached.
 */
export type OpenSite = (
  instance: Instance,
  about: { config: Config; logger: Logger },
) => Promise<Mounted & AsyncDisposable & { greet(url: string): Promise<string[]> }>;

/** Where both share a machine, whoever answers people goes before whoever works through events; decoders come after both. */
const NICE = 4;

/** Runs the pipeline and its door until a signal comes, then drains. The exit code is the process's own. */
export async function startWorker(config: Config, { say, complain, opened }: Voice, openSite: OpenSite): Promise<void> {
  const serves = config.roles.includes('api') || config.roles.includes('console');
  if (!serves && process.platform === 'linux') setPriority(NICE);
  const logger = createLogger({ level: config.logLevel });
  for (const name of config.unknown) logger.warn({ setting: name }, 'there is no such setting');
  const ffmpeg = await findFfmpeg({ ...config.ffmpeg, allowOld: false });
  await runService({
    name: 'vigil',
    logger,
    async open(stack, stopping) {
      const { host, port } = config;
      const opening = async () => {
        // Alive from here on, for whoever would end it otherwise: to read a whole library takes its time. That the port is taken is said
        // last, after what explains it better: the data folder is another instance's.
        const at = { host, port, logger, mounted: null };
        const early = await openDoor(null, at).catch(() => null);
        if (stopping.aborted) return early?.[Symbol.asyncDispose]();
        stack.use(early);
        const instance = await openInstance({ config, logger, ffmpeg });
        // Asked to stop meanwhile: the stack is gone, and nobody else would close what was just opened.
        if (stopping.aborted) return instance[Symbol.asyncDispose]();
        stack.use(instance);
        const mounted = serves ? stack.use(await openSite(instance, { config, logger })) : null;
        // Once more, so that it closes before what stands behind it.
        const door = stack.use(early ?? (await openDoor(null, at)));
        door.lead(instance, mounted);
        say(`Vigil listens on ${door.url}; its data lie in ${config.dataFolder}`);
        for (const line of (await mounted?.greet(door.url)) ?? []) say(line);
        const beside = opened?.(door.url);
        if (beside) stack.use(beside);
        return instance;
      };
      const instance = await opening().catch((error: Error) => {
        complain(error.message);
        throw error;
      });
      return instance?.failed;
    },
  });
}
