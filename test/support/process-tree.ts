import { readdir, readFile } from 'node:fs/promises';

/** The process and everything that descends from it, from /proc. Empty when it is gone. */
export async function processTree(root: number): Promise<number[]> {
  const children = new Map<number, number[]>();
  let found = false;
  for (const name of await readdir('/proc')) {
    if (!/^\d+$/.test(name)) continue;
    const stat = await statOf(Number(name));
    if (!stat || stat.state === 'Z') continue;
    if (Number(name) === root) found = true;
    children.set(stat.parent, [...(children.get(stat.parent) ?? []), Number(name)]);
  }
  const tree: number[] = found ? [root] : [];
  for (let i = 0; i < tree.length; i++) tree.push(...(children.get(tree[i]!) ?? []));
  return tree;
}

/** Those of the processes that still run; a number that was given to another process since is told by its start time. */
export async function stillRunning(processes: ReadonlyMap<number, string>): Promise<number[]> {
  const left: number[] = [];
  for (const [pid, startedAt] of processes) {
    const stat = await statOf(pid);
    if (stat && stat.state !== 'Z' && stat.startedAt === startedAt) left.push(pid);
  }
  return left;
}

/** The process and its descendants with the times at which they started, for `stillRunning`. */
export async function rememberTree(root: number): Promise<Map<number, string>> {
  const known = new Map<number, string>();
  for (const pid of await processTree(root)) {
    const stat = await statOf(pid);
    if (stat) known.set(pid, stat.startedAt);
  }
  return known;
}

/**
 * Proportional set size in bytes, of all of them: shared pages are counted once in sum. A process that ends while we look
 * counts nothing. @throws when a living process may not be read
 */
export async function pssOf(pids: readonly number[]): Promise<number> {
  let kibibytes = 0;
  for (const pid of pids) {
    try {
      const rollup = await readFile(`/proc/${pid}/smaps_rollup`, 'utf8');
      kibibytes += Number(/^Pss:\s+(\d+) kB/m.exec(rollup)?.[1] ?? 0);
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code !== 'ENOENT' && code !== 'ESRCH') throw error;
    }
  }
  return kibibytes * 1024;
}

/**
 * CPU seconds that the processes have used so far, with those of their children that have ended and been waited for; from
 * /proc, to a hundredth. Of a whole tree the sum only rises, whoever of it ends.
 */
export async function cpuSecondsOf(pids: readonly number[]): Promise<number> {
  const ticks = await Promise.all(pids.map(async (pid) => (await statOf(pid))?.ticks ?? 0));
  return ticks.reduce((a, b) => a + b, 0) / TICKS_PER_SECOND;
}

/** The processes by what their program is called. */
export async function byProgram(pids: readonly number[]): Promise<Map<string, number[]>> {
  const names = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/comm`, 'utf8').catch(() => '')));
  return Map.groupBy(pids, (pid) => names[pids.indexOf(pid)]!.trim());
}

/** USER_HZ: what Linux shows to programs, whatever the kernel counts in. */
const TICKS_PER_SECOND = 100;

interface Stat {
  parent: number;
  state: string;
  startedAt: string;
  ticks: number;
}

async function statOf(pid: number): Promise<Stat | null> {
  const line = await readFile(`/proc/${pid}/stat`, 'utf8').catch(() => '');
  // The name in parentheses may hold anything, also spaces and parentheses.
  const fields = line.slice(line.lastIndexOf(')') + 2).split(' ');
  if (fields.length <= 20) return null;
  const ticks = fields.slice(11, 15).reduce((sum, field) => sum + Number(field), 0);
  return { state: fields[0]!, parent: Number(fields[1]), startedAt: fields[19]!, ticks };
}
