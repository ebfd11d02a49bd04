import { handOver, task, workerData } from './worker-pool.ts';

/** Tasks for worker-pool.test.ts. */
export const greet = task((name: string) => `${(workerData() as { greeting: string }).greeting}, ${name}`);

export const waits = task(async (ms: number) => {
  await new Promise((resolve) => setTimeout(resolve, ms));
  return 'waited';
});

let ticked = 0;
export const startsTicking = task(() => void setInterval(() => ticked++, 5));
export const ticks = task(() => ticked);

let last: Uint8Array | undefined;
export const sums = task((bytes: Uint8Array) => {
  const sum = bytes.reduce((a, b) => a + b, 0);
  last = bytes.map((b) => b + 1);
  return handOver({ sum, bytes: last }, [last.buffer as ArrayBuffer]);
});
export const kept = task(() => last?.byteLength);

export const fails = task(() => {
  throw Object.assign(new Error('no room'), { name: 'DiskFull', code: 'ENOSPC', retriable: true });
});
export const throwsText = task(() => Promise.reject('just text'));
export const dies = task(() => process.exit(3));
export const spins = task(() => {
  for (;;);
});
