import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFile, readlink, rm } from 'node:fs/promises';
import path from 'node:path';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

export const VIGIL = fileURLToPath(new URL('../../services/cli/bin/vigil.mjs', import.meta.url));

export interface Ended {
  code: number | null;
  signal: NodeJS.Signals | null;
  stdout: string;
  stderr: string;
}

/** Runs the command line to its end, as a user would. `node`: which Node; the one that runs this unless told otherwise. */
export async function vigil(
  args: readonly string[],
  options: { node?: string; env?: NodeJS.ProcessEnv; cwd?: string; seconds?: number } = {},
): Promise<Ended> {
  const { node = process.execPath, env = process.env, cwd, seconds = 120 } = options;
  const child = spawn(node, [VIGIL, ...args], {
    env: withoutVitest(env),
    stdio: ['ignore', 'pipe', 'pipe'],
    timeout: seconds * 1000,
    ...(cwd ? { cwd } : {}),
  });
  return ended(child);
}

/** What a test runner leaves in the environment would change colours and say that this is a test. */
export const withoutVitest = (env: NodeJS.ProcessEnv): NodeJS.ProcessEnv =>
  Object.fromEntries(
    Object.entries({ ...env, NO_COLOR: '1' }).filter(
      ([name]) => !/^(VITEST|NODE_ENV|NODE_OPTIONS|FORCE_COLOR)/.test(name),
    ),
  );

async function ended(child: ChildProcess): Promise<Ended> {
  const [stdout, stderr] = [textOf(child.stdout!), textOf(child.stderr!)];
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout: stdout(), stderr: stderr() };
}

function textOf(stream: Readable): () => string {
  const chunks: string[] = [];
  stream.setEncoding('utf8').on('data', (chunk: string) => chunks.push(chunk));
  return () => chunks.join('');
}

/** `vigil start` as a process of its own. */
export interface VigilProcess {
  pid: number;
  url: string;
  /** Of its embedded database, for whoever wants to read the log. */
  databaseUrl(): Promise<string>;
  /** The key that it keeps for whoever runs it. */
  key(): Promise<string>;
  /** Headers that let a request in: of that key. */
  authorization(): Promise<{ authorization: string }>;
  readonly ended: Promise<Ended>;
  kill(signal: NodeJS.Signals): void;
  /** Kills it if it still runs. */
  [Symbol.asyncDispose](): Promise<void>;
}

/** For those who copy the same few works over and over, by nobody in particular: what brakes are there to hold back. */
export const WITHOUT_BRAKES = {
  VIGIL_BRAKE_HOT: '200',
  VIGIL_BRAKE_REFERENCE: '1000000',
  VIGIL_BRAKE_HOLDER: '1000000',
};

export interface StartOptions {
  /** 0: any free one. */
  port?: number;
  /** For Node itself, before the program. */
  nodeArgs?: readonly string[];
}

/** `vigil start`, not waited for. */
export function spawnVigil(dataFolder: string, env: NodeJS.ProcessEnv, { port = 0, nodeArgs = [] }: StartOptions = {}) {
  const child = spawn(process.execPath, [...nodeArgs, VIGIL, 'start', '--data', dataFolder], {
    env: withoutVitest({ ...env, VIGIL_PORT: `${port}` }),
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  return { child, end: ended(child) };
}

/** Starts Vigil on any free port and waits until it listens. @throws with what it said when it ends before */
export async function startVigil(
  dataFolder: string,
  env: NodeJS.ProcessEnv = process.env,
  options: StartOptions = {},
): Promise<VigilProcess> {
  const { child, end } = spawnVigil(dataFolder, env, options);
  const listens = new Promise<string>((resolve) => {
    let said = '';
    child.stdout.on('data', (chunk: string) => {
      said = (said + chunk).slice(-100_000);
      const url = /Vigil listens on (http:\S+);/.exec(said)?.[1];
      if (url) resolve(url);
    });
  });
  const stop = async () => {
    child.kill('SIGKILL');
    await end;
  };
  const key = async () => (await readFile(path.join(dataFolder, 'operator.key'), 'utf8')).trim();
  const url = await Promise.race([listens, end.then((e) => e)]);
  if (typeof url !== 'string') {
    throw new Error(`vigil start ended with ${url.code ?? url.signal}: ${url.stdout}${url.stderr}`.slice(0, 4000));
  }
  return {
    pid: child.pid!,
    url,
    databaseUrl: () => embeddedUrl(dataFolder),
    key,
    authorization: async () => ({ authorization: `Bearer ${await key()}` }),
    ended: end,
    kill: (signal) => void child.kill(signal),
    [Symbol.asyncDispose]: stop,
  };
}

/** Removes a data folder with its database, which lies elsewhere when root has started it. Nothing may run in it. */
export async function removeData(dataFolder: string): Promise<void> {
  const database = await readlink(path.join(dataFolder, 'postgres')).catch(() => null);
  // A server whose Vigil was killed may still be writing its last.
  const patiently = { recursive: true, force: true, maxRetries: 40, retryDelay: 100 };
  if (database !== null) await rm(database, patiently);
  await rm(dataFolder, patiently);
}

/** PostgreSQL writes where its socket is, and its port, into postmaster.pid. */
async function embeddedUrl(dataFolder: string): Promise<string> {
  const lines = (await readFile(path.join(dataFolder, 'postgres', 'data', 'postmaster.pid'), 'utf8')).split('\n');
  return `postgresql://vigil@${encodeURIComponent(lines[4]!)}:${lines[3]}/vigil`;
}
