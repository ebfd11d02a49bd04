import { MessageChannel } from 'node:worker_threads';
import type { WorkerPool } from '@vigil/runtime';

/** Between being told to abort, or being out of time, and losing its thread. */
const GRACE_MS = 5000;

/** A task went on beyond its time and was ended with its thread. */
export class TaskOverdue extends Error {}

export interface WorkerJobs {
  /**
   * Runs a task that finds in its payload a `line` (MessagePort): it says something on it when it starts, and is told
   * there to abort. Its time counts from then. An abort takes it out of the queue, or tells the worker,
   * who ends its decoder first; only what does not answer loses its thread.
   * @throws TaskOverdue after `seconds` and a grace; the signal's reason; whatever the pool throws
   */
  run<T>(
    name: string,
    payload: object,
    options: { seconds: number; transfer?: readonly ArrayBuffer[]; signal?: AbortSignal | undefined },
  ): Promise<T>;
  /** Aborts what runs and waits for its end. */
  [Symbol.asyncDispose](): Promise<void>;
}

export function createWorkerJobs(pool: Pick<WorkerPool, 'run'>): WorkerJobs {
  const closing = new AbortController();
  const running = new Set<Promise<unknown>>();

  async function run<T>(
    name: string,
    payload: object,
    options: { seconds: number; transfer?: readonly ArrayBuffer[]; signal?: AbortSignal | undefined },
  ): Promise<T> {
    const { seconds, transfer = [] } = options;
    const signal = options.signal ? AbortSignal.any([options.signal, closing.signal]) : closing.signal;
    signal.throwIfAborted();
    const { port1: ours, port2: theirs } = new MessageChannel();
    const thread = new AbortController();
    let started = false;
    let overdue = false;
    let timer: NodeJS.Timeout | undefined;
    const endThreadIn = (ms: number, late: boolean) => {
      clearTimeout(timer);
      timer = setTimeout(() => {
        overdue = late;
        thread.abort();
      }, ms);
    };
    ours.on('message', () => {
      started = true;
      if (!signal.aborted) endThreadIn(seconds * 1000 + GRACE_MS, true);
    });
    const onAbort = () => {
      if (!started) return thread.abort();
      ours.postMessage('abort');
      endThreadIn(GRACE_MS, false);
    };
    signal.addEventListener('abort', onAbort, { once: true });
    try {
      return await pool.run<T>(
        name,
        { ...payload, line: theirs },
        { transfer: [...transfer, theirs], signal: thread.signal },
      );
    } catch (error) {
      signal.throwIfAborted();
      if (overdue) throw new TaskOverdue(`${name} took more than ${seconds} s`, { cause: error });
      throw error;
    } finally {
      clearTimeout(timer);
      signal.removeEventListener('abort', onAbort);
      ours.close();
    }
  }

  return {
    async run(name, payload, options) {
      const job = run<never>(name, payload, options);
      const settled = job.then(
        () => undefined,
        () => undefined,
      );
      running.add(settled);
      void settled.then(() => running.delete(settled));
      return job;
    },
    async [Symbol.asyncDispose]() {
      closing.abort(new Error('the fingerprinter is closing'));
      await Promise.all(running);
    },
  };
}
