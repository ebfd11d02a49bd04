import { readFileSync } from 'node:fs';
import { availableParallelism, cpus, loadavg } from 'node:os';

/** Milliseconds of user and system time of this process. */
export function cpuMs(): number {
  const { user, system } = process.cpuUsage();
  return (user + system) / 1000;
}

/** The kernel's clock tick: 100 a second wherever Node runs. */
const TICKS = 100;

/**
 * Seconds of user and system time of this process, its threads, and its children that have ended (to a hundredth each).
 * @throws where there is no /proc
 */
export function treeCpuSeconds(): number {
  const stat = readFileSync('/proc/self/stat', 'utf8');
  // After the name, which may hold anything: state is field 3, cutime and cstime are 16 and 17.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  return cpuMs() / 1000 + (Number(fields[13]) + Number(fields[14])) / TICKS;
}

export const machine = () => ({
  cpu: cpus()[0]?.model,
  cores: availableParallelism(),
  load: loadavg()[0],
  node: process.version,
});

export const median = (values: readonly number[]): number => values.toSorted((a, b) => a - b)[values.length >> 1]!;
