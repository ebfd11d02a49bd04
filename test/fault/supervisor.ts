import { mkdir, writeFile } from 'node:fs/promises';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';
import { type Fleet, isReady } from '../network/open-fleet.ts';
import { pssOf } from '../support/process-tree.ts';
import type { Ended } from '../support/vigil-process.ts';

/** One life of a member, from its start to its end. Times in milliseconds since 1970, memory in bytes (PSS). */
export interface Life {
  name: string;
  startedAt: number;
  endedAt: number | null;
  /** How it ended; null while it runs. `asked`: by us, with a signal. */
  end: (Ended & { asked: boolean }) | null;
  memory: { at: number; bytes: number }[];
}

/** Starts again what ends, as a fleet's supervisor does, and keeps account of it. */
export interface Supervisor {
  readonly lives: readonly Life[];
  names(): string[];
  /** Those that run at the moment. */
  running(): string[];
  /** With SIGKILL, unless told otherwise; it is started again at once. */
  kill(name: string, signal?: NodeJS.Signals): Promise<Ended>;
  /** A member more. */
  add(name: string, roles: Record<string, string>): Promise<void>;
  /** With SIGTERM, for good. Returns how it ended. */
  remove(name: string): Promise<Ended>;
  /** Until each is ready. @throws when that takes longer */
  ready(seconds: number): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

const SAMPLE_MS = 2000;
/** What those said that ended by themselves. */
const KEPT = fileURLToPath(new URL('../../.vigil/fault', import.meta.url));

export function supervise(fleet: Fleet, first: readonly string[], say: (line: string) => void): Supervisor {
  const lives: Life[] = [];
  const current = new Map<string, Life>();
  const watching = new Map<string, Promise<void>>();
  const asked = new Set<Life>();
  const leaving = new Set<string>();
  const spawning = new Set<Promise<unknown>>();
  let over = false;

  function begin(name: string): Life {
    const life: Life = { name, startedAt: Date.now(), endedAt: null, end: null, memory: [] };
    lives.push(life);
    current.set(name, life);
    return life;
  }

  async function watch(name: string, roles?: Record<string, string>): Promise<void> {
    for (;;) {
      const life = current.get(name)!;
      const ended = await fleet.member(name).ended;
      life.endedAt = Date.now();
      life.end = { ...ended, asked: asked.has(life) };
      if (over || leaving.has(name)) return;
      if (!life.end.asked) {
        const file = path.join(KEPT, `${name}-${life.startedAt}.log`);
        await mkdir(KEPT, { recursive: true });
        await writeFile(file, `${ended.stdout}${ended.stderr}`);
        say(`${name} ended with ${ended.code ?? ended.signal}: ${lastWords(ended)} (${path.relative('.', file)})`);
      }
      // As supervisors do: a while longer from failure to failure.
      for (let pause = 200; !over; pause = Math.min(5000, pause * 2)) {
        await sleep(pause);
        try {
          const spawned = fleet.spawn(name, roles);
          spawning.add(spawned);
          await spawned.finally(() => spawning.delete(spawned));
          break;
        } catch (error) {
          say(`${name} does not start: ${String(error).slice(0, 160)}`);
        }
      }
      if (over) return;
      begin(name);
    }
  }

  async function sample(): Promise<void> {
    while (!over) {
      for (const [name, life] of current) {
        if (life.end) continue;
        const bytes = await pssOf([fleet.member(name).pid]);
        if (bytes > 0) life.memory.push({ at: Date.now(), bytes });
      }
      await sleep(SAMPLE_MS);
    }
  }

  for (const name of first) {
    begin(name);
    watching.set(name, watch(name));
  }
  const sampling = sample();

  return {
    lives,
    names: () => [...watching.keys()],
    running: () => [...watching.keys()].filter((name) => current.get(name)?.end === null),
    async kill(name, signal = 'SIGKILL') {
      asked.add(current.get(name)!);
      const victim = fleet.member(name);
      victim.kill(signal);
      return victim.ended;
    },
    async add(name, roles) {
      await fleet.spawn(name, roles);
      begin(name);
      watching.set(name, watch(name, roles));
    },
    async remove(name) {
      leaving.add(name);
      asked.add(current.get(name)!);
      const member = fleet.member(name);
      member.kill('SIGTERM');
      const ended = await member.ended;
      await watching.get(name);
      watching.delete(name);
      leaving.delete(name);
      current.delete(name);
      return ended;
    },
    async ready(seconds) {
      const until = Date.now() + seconds * 1000;
      for (const name of watching.keys()) {
        while (!(current.get(name)!.end === null && (await isReady(fleet.member(name).url)))) {
          if (Date.now() > until) throw new Error(`${name} is not ready after ${seconds} s`);
          await sleep(100);
        }
      }
    },
    async [Symbol.asyncDispose]() {
      over = true;
      await Promise.allSettled([sampling, ...spawning]);
    },
  };
}

function lastWords({ stdout, stderr }: Ended): string {
  const lines = `${stdout}\n${stderr}`.trim().split('\n');
  const failed = lines.findLast((line) => line.includes('"failed"') || line.includes('vigil:')) ?? lines.at(-1) ?? '';
  return /"message":"([^"]*)"/.exec(failed)?.[1] ?? failed.slice(0, 200);
}
