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

export interface Signalled {
  on(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
  off(event: 'SIGTERM' | 'SIGINT', listener: () => void): unknown;
}

/** Tests stand in for the process. */
export interface ServiceProcess extends Signalled {
  exit(code: number): void;
  exitCode?: number | string | null | undefined;
}

/** For so long the same signal is still the first one: nobody asks twice so fast. */
const ECHO_MS = 1000;

/**
 * Calls `stop` at the first SIGTERM or SIGINT and `leave` at each further one. The same signal again within a second is an echo:
 * who signals a whole group (systemd, a terminal) reaches us directly, and once more through each parent that passes signals on.
 * Returns what ends the listening.
 */
export function hearSignals(stop: () => void, leave: () => void, host: Signalled = process): () => void {
  let first: { signal: string; at: number } | null = null;
  const listeners = (['SIGTERM', 'SIGINT'] as const).map((signal) => {
    const listener = () => {
      if (first === null) {
        first = { signal, at: performance.now() };
        stop();
      } else if (signal !== first.signal || performance.now() - first.at >= ECHO_MS) leave();
    };
    host.on(signal, listener);
    return () => host.off(signal, listener);
  });
  return () => {
    for (const off of listeners) off();
  };
}

/**
 * Runs a service until SIGTERM, SIGINT or a failure, then disposes of its parts in reverse order. Exit code 0 after a
 * signal or when the work is done, 1 after a failure or a drain that failed or took too long. A second signal, other than an echo
 * of the first, does not wait.
 */
export async function runService(service: Service, host: ServiceProcess = process): Promise<number> {
  const { name, logger, drainMs = 10_000 } = service;
  const stack = new AsyncDisposableStack();
  const stopping = new AbortController();
  let code = 0;
  const asksToStop = Promise.withResolvers<'stop'>();
  const unhear = hearSignals(
    () => {
      logger.info({ service: name }, 'stopping');
      stopping.abort(new Error('the service is stopping'));
      asksToStop.resolve('stop');
    },
    () => {
      logger.warn({ service: name }, 'asked twice to stop: leaving at once');
      host.exit(1);
    },
    host,
  );

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
  unhear();
  host.exitCode = code;
  logger.info({ service: name, code }, 'stopped');
  return code;
}
