import type { Logger } from './logger.ts';

export interface Service {
  name: string;
  logger: Logger;
  /**
   * Opens what the service is made of, putting each part onto the stack, then stays until something fails. Resolving means
   * that the work is done. `stopping` aborts when a signal asks for the end, so that what is being opened can be left.
   */
  open(stack: AsyncDisposableStack, stopping: AbortSignal): Promise<unknown>;
  /** Of everything on the stack together. Default 10 s. */
  drainMs?: number;
}

/** Tests stand in for the process. */
export interface ServiceProcess {
  on(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  off(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  exit(code: number): void;
  exitCode?: number | string | null | undefined;
}

/**
 * Runs a service until SIGTERM, SIGINT or a failure, then disposes of its parts in reverse order. Exit code 0 after a
 * signal or when the work is done, 1 after a failure or a drain that failed or took too long. A second signal does not wait.
 */
export async function runService(service: Service, host: ServiceProcess = process): Promise<number> {
  const { name, logger, drainMs = 10_000 } = service;
  const stack = new AsyncDisposableStack();
  const stopping = new AbortController();
  let code = 0;
  let asked = 0;
  const asksToStop = Promise.withResolvers<'stop'>();
  const onSignal = () => {
    asked++;
    if (asked > 1) {
      logger.warn({ service: name }, 'asked twice to stop: leaving at once');
      host.exit(1);
      return;
    }
    logger.info({ service: name }, 'stopping');
    stopping.abort(new Error('the service is stopping'));
    asksToStop.resolve('stop');
  };
  host.on('SIGTERM', onSignal);
  host.on('SIGINT', onSignal);

  let drained = false;
  let lastResort: NodeJS.Timeout | undefined;
  try {
    const opened = service.open(stack, stopping.signal);
    // Heard even when the signal wins: what fails while we stop is part of stopping.
    opened.catch(() => undefined);
    await Promise.race([opened, asksToStop.promise]);
  } catch (error) {
    code = 1;
    logger.error({ service: name, error }, 'failed');
  }
  // It stays set after the drain and holds nothing up itself: it fires only if something else keeps the process alive.
  lastResort = setTimeout(() => {
    logger.error(
      { service: name, drained },
      drained ? 'something keeps the process alive' : 'the drain takes too long',
    );
    host.exit(drained ? code : 1);
  }, drainMs);
  try {
    await stack.disposeAsync();
    lastResort.unref();
  } catch (error) {
    code = 1;
    logger.error({ service: name, error }, 'the drain failed');
  }
  drained = true;
  lastResort.unref();
  host.off('SIGTERM', onSignal);
  host.off('SIGINT', onSignal);
  host.exitCode = code;
  logger.info({ service: name, code }, 'stopped');
  return code;
}
