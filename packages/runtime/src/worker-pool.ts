import { fileURLToPath } from 'node:url';
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';

export interface WorkerPoolOptions {
  /** The worker's module. Each of its exported functions is a task, wrapped in `task`. */
  file: URL;
  threads: number;
  /** Tasks that may wait beside those that run; more are refused, so look at `queued` before asking. */
  maxQueue: number;
  /** Handed to each worker when it starts, read there by `workerData`. SharedArrayBuffers are shared, not copied. */
  workerData?: unknown;
  /** Of the old generation of one worker's heap, in MiB. A worker that needs more is ended and its task fails. */
  maxHeapMib?: number;
}

export interface WorkerPool {
  /**
   * Runs one task. `transfer` lists buffers that are handed over and no longer ours afterwards. Aborting a task that runs
   * ends its thread (another one is started), so keep that for what is truly stuck.
   * @throws WorkerError
   */
  run<T>(name: string, payload: unknown, options?: RunOptions): Promise<T>;
  readonly threads: number;
  /** Tasks that wait for a thread. */
  readonly queued: number;
  readonly maxQueue: number;
  /** Ends the threads; what runs or waits fails. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface RunOptions {
  transfer?: readonly (ArrayBuffer | MessagePort)[];
  signal?: AbortSignal | undefined;
}

/**
 * A task failed. `name`, `code`, `retriable` and message are those of the error in the worker; structured cloning would
 * have kept the message alone. Its own codes: `QUEUE_FULL` (retriable), `ABORTED`, `WORKER_DIED` (not retriable: the task
 * is what killed it, or met the same fate as the one that did).
 */
export class WorkerError extends Error {
  readonly retriable: boolean;
  readonly code: string;
  constructor(message: string, options: { name: string; code: string; retriable: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.name = options.name;
    this.code = options.code;
    this.retriable = options.retriable;
  }
}

/** How a task's end crosses the thread: as data. */
export type TaskResult<T> =
  | { ok: true; value: T }
  | { ok: false; error: { name: string; message: string; code: string; retriable: boolean } };

const HANDED_OVER = Symbol.for('vigil.handed-over');

/** In the worker: makes a function a task. */
export function task<P, T>(fn: (payload: P) => T | HandedOver<T> | Promise<T | HandedOver<T>>) {
  return async (payload: P): Promise<unknown> => {
    try {
      const value = await fn(payload);
      if (!isHandedOver(value)) return { ok: true, value } satisfies TaskResult<T>;
      const result: TaskResult<unknown> = { ok: true, value: value.value };
      const movable = { [Piscina.transferableSymbol]: value.buffers, [Piscina.valueSymbol]: result };
      // Piscina's types speak of ArrayBuffers only; its code takes whatever has these two.
      return Piscina.move(movable as unknown as ArrayBuffer);
    } catch (error) {
      const e =
        error instanceof Error ? (error as Error & { code?: unknown; retriable?: unknown }) : new Error(String(error));
      const { name, message, code, retriable } = e as typeof e & { code?: unknown; retriable?: unknown };
      return {
        ok: false,
        error: { name, message, code: typeof code === 'string' ? code : 'TASK_FAILED', retriable: retriable === true },
      } satisfies TaskResult<T>;
    }
  };
}

/** In the worker: a result some of whose buffers are handed over instead of copied. */
export interface HandedOver<T> {
  [HANDED_OVER]: true;
  value: T;
  buffers: readonly ArrayBuffer[];
}
export const handOver = <T>(value: T, buffers: readonly ArrayBuffer[]): HandedOver<T> => ({
  [HANDED_OVER]: true,
  value,
  buffers,
});
const isHandedOver = <T>(value: T | HandedOver<T>): value is HandedOver<T> =>
  typeof value === 'object' && value !== null && HANDED_OVER in value;

/** In the worker: what the pool was opened with. */
export const workerData = (): unknown => Piscina.workerData;

/** Starts all threads at once: a pool that is there is warm. */
export function openWorkerPool(options: WorkerPoolOptions): WorkerPool {
  const { file, threads, maxQueue, maxHeapMib } = options;
  const pool = new Piscina({
    filename: fileURLToPath(file),
    minThreads: threads,
    maxThreads: threads,
    maxQueue,
    // `sync`, the default, parks a thread between tasks and with it whatever the worker still does asynchronously.
    atomics: 'async',
    workerData: options.workerData,
    ...(maxHeapMib ? { resourceLimits: { maxOldGenerationSizeMb: maxHeapMib } } : {}),
  });
  // A thread that dies between tasks has nobody to tell; Piscina replaces it.
  pool.on('error', () => undefined);
  let closed: Promise<void> | undefined;

  return {
    threads,
    maxQueue,
    get queued() {
      return pool.queueSize;
    },
    async run<T>(name: string, payload: unknown, { transfer, signal }: RunOptions = {}): Promise<T> {
      let result: TaskResult<T>;
      try {
        result = await pool.run(payload, {
          name,
          ...(transfer ? { transferList: [...transfer] as never } : {}),
          ...(signal ? { signal } : {}),
        });
      } catch (error) {
        throw poolError(error as Error, name);
      }
      if (result.ok) return result.value;
      throw new WorkerError(result.error.message, result.error);
    },
    [Symbol.asyncDispose]() {
      closed ??= pool.destroy();
      return closed;
    },
  };
}

function poolError(error: Error, task: string): WorkerError {
  const about = { name: 'WorkerError', cause: error };
  if (error.name === 'AbortError')
    return new WorkerError(`${task} was aborted`, { ...about, code: 'ABORTED', retriable: false });
  if (/queue is at limit/.test(error.message)) {
    return new WorkerError(`no room for ${task}: the queue is full`, { ...about, code: 'QUEUE_FULL', retriable: true });
  }
  return new WorkerError(`${task}: ${error.message}`, { ...about, code: 'WORKER_DIED', retriable: false });
}
