import { EventEmitter } from 'node:events';
import { afterEach, expect, test, vi } from 'vitest';
import { silentLogger } from './logger.ts';
import { runService, type Service, type ServiceProcess } from './run-service.ts';

afterEach(() => vi.useRealTimers());

function host() {
  const exits: number[] = [];
  const emitter = Object.assign(new EventEmitter(), {
    exit: (code: number) => void exits.push(code),
    exitCode: undefined,
  });
  return { exits, emitter, process: emitter as unknown as ServiceProcess };
}
const service = (open: Service['open'], drainMs?: number): Service => ({
  name: 'test',
  logger: silentLogger,
  open,
  ...(drainMs ? { drainMs } : {}),
});
const forever = () => new Promise<never>(() => undefined);

test('a signal drains what was opened, last first, and the code is 0', async () => {
  const { exits, emitter, process } = host();
  const closed: string[] = [];
  const opened = Promise.withResolvers<void>();
  const running = runService(
    service(async (stack, stopping) => {
      stack.defer(() => void closed.push('database'));
      stack.defer(async () => void closed.push(`pipeline, ${stopping.aborted}`));
      opened.resolve();
      await forever();
    }),
    process,
  );
  await opened.promise;
  emitter.emit('SIGTERM');
  expect(await running).toBe(0);
  expect(closed).toEqual(['pipeline, true', 'database']);
  expect(exits).toEqual([]);
  expect(process.exitCode).toBe(0);
  expect(emitter.listenerCount('SIGTERM') + emitter.listenerCount('SIGINT')).toBe(0);
});

test('a failure drains as well, and the code is 1', async () => {
  const { process } = host();
  const closed: string[] = [];
  const failing = service(async (stack) => {
    stack.defer(() => void closed.push('database'));
    throw new Error('the pipeline stopped');
  });
  expect(await runService(failing, process)).toBe(1);
  expect(closed).toEqual(['database']);
});

test('work that is done ends with 0, a drain that fails with 1', async () => {
  expect(
    await runService(
      service(async () => undefined),
      host().process,
    ),
  ).toBe(0);
  const failing = service(async (stack) => {
    stack.defer(() => Promise.reject(new Error('will not close')));
  });
  expect(await runService(failing, host().process)).toBe(1);
});

test('a drain that takes too long is cut short by the last resort', async () => {
  vi.useFakeTimers();
  const { exits, process } = host();
  void runService(
    service(async (stack) => void stack.defer(forever), 10_000),
    process,
  );
  await vi.advanceTimersByTimeAsync(9_999);
  expect(exits).toEqual([]);
  await vi.advanceTimersByTimeAsync(1);
  expect(exits).toEqual([1]);
});

test('whoever asks twice does not wait; the same signal within a second is the first one, passed on', async () => {
  vi.useFakeTimers();
  const asked = async (...signals: [signal: string, afterMs: number][]) => {
    const { exits, emitter, process } = host();
    void runService(
      service(async (stack) => void stack.defer(forever)),
      process,
    );
    await vi.advanceTimersByTimeAsync(1);
    for (const [signal, afterMs] of signals) {
      await vi.advanceTimersByTimeAsync(afterMs);
      emitter.emit(signal);
    }
    return exits;
  };
  expect(await asked(['SIGTERM', 0], ['SIGTERM', 0], ['SIGTERM', 999])).toEqual([]);
  expect(await asked(['SIGINT', 0], ['SIGINT', 0], ['SIGINT', 1000])).toEqual([1]);
  expect(await asked(['SIGTERM', 0], ['SIGINT', 0])).toEqual([1]);
});
