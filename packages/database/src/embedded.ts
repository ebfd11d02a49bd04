import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { chown, mkdir, mkdtemp, readFile, readlink, realpath, rename, rm } from 'node:fs/promises';
import { connect } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as pause } from 'node:timers/promises';
import { promisify } from 'node:util';
import { openPostgres } from '@vigil/runtime';
import { findBinaries, spawnAs } from './embedded-binaries.ts';
import { type Home, openHome, openTemporaryHome, SYSTEM_FOLDER } from './embedded-home.ts';
import { lockFile } from './folder-lock.ts';

const run = promisify(execFile);

export interface EmbeddedPostgres {
  /** Of a database named `vigil`, on a Unix socket that only root and the server's account can reach. */
  url: string;
  /** Resolves with the server's last words when it ended without having been asked to. */
  readonly ended: Promise<string>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Starts a PostgreSQL of our own, with its data in (or linked from) the data folder; initialises it the first time.
 * It ends when disposed of, and also when this process dies in whatever way.
 * @throws FolderInUse when a server already serves this folder; Error with the server's own words when it does not start.
 */
export async function openEmbeddedPostgres({ dataFolder }: { dataFolder: string }): Promise<EmbeddedPostgres> {
  await mkdir(dataFolder, { recursive: true });
  const lock = lockFile(join(await realpath(dataFolder), 'postgres.lock'), (holder) => {
    const who = holder ? `process ${holder.pid}` : 'another process';
    return `the database of ${dataFolder} is in use by ${who}: stop that one first, or use another data folder`;
  });
  try {
    return await serve(await openHome(dataFolder), { temporary: false, release: lock.release });
  } catch (error) {
    lock.release();
    throw error;
  }
}

/** A server for tests: fast instead of durable, and gone without a trace when disposed of or when this process dies. */
export async function openTemporaryPostgres(): Promise<EmbeddedPostgres> {
  const home = await openTemporaryHome();
  const release = () => undefined;
  try {
    return await serve(home, { temporary: true, release });
  } catch (error) {
    await rm(home.folder, { recursive: true, force: true });
    throw error;
  }
}

/**
 * Address of the server that another process has started in this data folder, for whoever may enter it; null when none answers.
 * It belongs to that process, and goes with it.
 */
export async function findRunningPostgres(dataFolder: string): Promise<string | null> {
  const lines = (await readFile(join(dataFolder, 'postgres', 'data', 'postmaster.pid'), 'utf8').catch(() => '')).split(
    '\n',
  );
  const [, , , port, socket] = lines;
  if (!port || !socket || !(await answers(`${socket}/.s.PGSQL.${port}`))) return null;
  return `postgresql://${USER}@${encodeURIComponent(socket)}:${port}/vigil`;
}

const USER = 'vigil';
const PORT = 5432;
/** Of sockaddr_un on Linux; macOS has four less. */
const MAX_SOCKET_PATH = 103;
const START_MS = 60_000;
const STOP_MS = 20_000;

/** Small, no parallel workers, no replication: one machine, a few dozen connections, short statements. */
const SETTINGS: Record<string, string | number> = {
  port: PORT,
  listen_addresses: '',
  unix_socket_permissions: '0700',
  max_connections: 120,
  shared_buffers: '64MB',
  max_wal_size: '256MB',
  wal_level: 'minimal',
  max_wal_senders: 0,
  max_logical_replication_workers: 0,
  max_parallel_workers_per_gather: 0,
  io_method: 'sync',
  // Works without a /dev/shm, as in a chroot.
  dynamic_shared_memory_type: 'mmap',
  jit: 'off',
  timezone: 'UTC',
  log_timezone: 'UTC',
  log_min_messages: 'warning',
  log_line_prefix: '',
};
const FAST = {
  fsync: 'off',
  synchronous_commit: 'off',
  full_page_writes: 'off',
  autovacuum: 'off',
  shared_buffers: '32MB',
};

/**
 * Runs the server as a child of a shell that holds a pipe from us. When the pipe closes, because we close it or because we
 * are gone, the server is told to shut down (SIGINT: ends connections, writes everything), and what must go is removed.
 * Both are in a session of their own, so that Ctrl-C in a terminal reaches us alone and we can drain first; the guard
 * itself hears no signal that is sent to a whole group.
 */
const GUARD = `
trap '' HUP INT TERM
remove=$1; shift
exec 3<&0 </dev/null
"$@" 3<&- &
server=$!
( read -r line <&3; kill -INT $server ) >/dev/null 2>&1 &
watch=$!
exec 3<&-
wait $server
code=$?
kill -KILL $watch 2>/dev/null
[ -z "$remove" ] || rm -rf "$remove"
exit $code
`;

async function serve(home: Home, how: { temporary: boolean; release(): void }): Promise<EmbeddedPostgres> {
  const binaries = await findBinaries(home.account, SYSTEM_FOLDER);
  const data = join(home.folder, 'data');
  await stopLeftOver(binaries, home, data);
  await initialise(binaries, home, data, how.temporary);
  const socket = await socketFolder(home);
  const remove = how.temporary ? home.folder : socket === home.folder ? '' : socket;
  const server = await start(binaries, home, data, socket, remove, how.temporary);
  const url = (database: string) => `postgresql://${USER}@${encodeURIComponent(socket)}:${PORT}/${database}`;
  let closing: Promise<void> | undefined;
  const close = async () => {
    await server.stop();
    if (remove) await rm(remove, { recursive: true, force: true });
    how.release();
  };
  const self: EmbeddedPostgres = {
    url: url('vigil'),
    ended: server.ended,
    [Symbol.asyncDispose]() {
      closing ??= close();
      return closing;
    },
  };
  try {
    await using admin = openPostgres({ url: url('postgres'), max: 1 });
    const [found] = await admin.query(`SELECT 1 FROM pg_database WHERE datname = 'vigil'`);
    if (!found) await admin.query('CREATE DATABASE vigil');
    return self;
  } catch (error) {
    await self[Symbol.asyncDispose]();
    throw error;
  }
}

async function socketFolder({ folder, account }: Home): Promise<string> {
  if (`${folder}/.s.PGSQL.${PORT}`.length <= MAX_SOCKET_PATH) return folder;
  const short = await mkdtemp(join(tmpdir(), 'vigil-'));
  if (account) await chown(short, account.uid, account.gid);
  return short;
}

/** initdb works in a folder beside and is moved in place when done: a data folder is whole or not there. */
async function initialise(binaries: string, { folder, account }: Home, data: string, fast: boolean): Promise<void> {
  const found = await readFile(join(data, 'PG_VERSION'), 'utf8').catch(() => null);
  if (found !== null) return;
  const draft = join(folder, 'data.new');
  await rm(draft, { recursive: true, force: true });
  const locale = ['--encoding=UTF8', '--no-locale', '--locale-provider=builtin', '--builtin-locale=C.UTF-8'];
  const args = [`--pgdata=${draft}`, `--username=${USER}`, '--auth=trust', '--no-instructions', ...locale];
  await run(join(binaries, 'bin', 'initdb'), fast ? [...args, '--no-sync'] : args, {
    ...spawnAs(account, binaries),
    timeout: START_MS,
  });
  await rename(draft, data);
}

async function start(binaries: string, home: Home, data: string, socket: string, remove: string, fast: boolean) {
  const settings = { ...SETTINGS, ...(fast ? FAST : {}), unix_socket_directories: socket };
  const args = Object.entries(settings).flatMap(([name, value]) => ['-c', `${name}=${value}`]);
  const command = [join(binaries, 'bin', 'postgres'), '-D', data, ...args];
  const guard = spawn('/bin/sh', ['-c', GUARD, 'vigil-postgres', remove, ...command], {
    ...spawnAs(home.account, binaries),
    detached: true,
    stdio: ['pipe', 'ignore', 'pipe'],
  });
  let words = '';
  let stopping = false;
  const exited = once(guard, 'exit').then(
    () => undefined,
    (error: Error) => {
      words += error.message;
    },
  );
  const ready = new Promise<true>((resolve) => {
    guard.stderr.setEncoding('utf8').on('data', (text: string) => {
      words = (words + text).slice(-8192);
      if (words.includes('ready to accept connections')) resolve(true);
    });
  });
  guard.stdin.on('error', () => undefined);
  const ended = new Promise<string>((resolve) => void exited.then(() => stopping || resolve(words.trim())));
  const stop = async () => {
    stopping = true;
    guard.ref();
    guard.stdin.end();
    const done = await Promise.race([exited.then(() => true), pause(STOP_MS, false, { ref: false })]);
    if (done) return;
    await control(binaries, home, data, 'immediate');
    await exited;
  };
  const timer = new AbortController();
  const late = pause(START_MS, null, { signal: timer.signal }).catch(() => null);
  const up = await Promise.race([ready, exited, late]);
  timer.abort();
  if (!up) {
    await stop();
    if (remove) await rm(remove, { recursive: true, force: true });
    throw new Error(`PostgreSQL did not start in ${data}: ${words.trim() || 'it said nothing'}`);
  }
  // The server must not keep us alive: when we are done, it is.
  guard.unref();
  (guard.stdin as unknown as { unref(): void }).unref();
  (guard.stderr as unknown as { unref(): void }).unref();
  return { stop, ended };
}

const control = (binaries: string, { account }: Home, data: string, mode: 'fast' | 'immediate') =>
  run(join(binaries, 'bin', 'pg_ctl'), ['stop', '-D', data, '-m', mode, '-t', '30'], spawnAs(account, binaries)).then(
    () => true,
    () => false,
  );

/**
 * We hold the folder's lock, so a server that still runs here has lost its parent: it is going down, or its guard was
 * killed too and it will not. Wait for the first, stop the second. A postmaster.pid that no server stands behind is left
 * for PostgreSQL to judge, unless another process happens to have that number now, which would make it refuse for ever.
 */
async function stopLeftOver(binaries: string, home: Home, data: string): Promise<void> {
  const file = join(data, 'postmaster.pid');
  const lines = (await readFile(file, 'utf8').catch(() => '')).split('\n');
  const pid = Number(lines[0]);
  if (!(pid > 0)) return;
  const running = async () => (await answers(`${lines[4]}/.s.PGSQL.${lines[3]}`)) || (await worksIn(pid, data));
  if (await running()) {
    const stopped = (await control(binaries, home, data, 'fast')) || (await control(binaries, home, data, 'immediate'));
    for (let i = 0; i < 200 && (await running()); i++) await pause(50);
    if (await running()) {
      throw new Error(
        `an earlier PostgreSQL (process ${pid}) still runs in ${data}, and could not be stopped${stopped ? '' : ' with pg_ctl'}`,
      );
    }
    return;
  }
  if ((await readFile(file, 'utf8').catch(() => '')) === lines.join('\n')) await rm(file, { force: true });
}

/** The postmaster listens from its first second to its last; its children do not. */
function answers(path: string): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(path);
    socket.once('connect', () => socket.destroy(resolve(true) as undefined));
    socket.once('error', () => resolve(false));
  });
}

/** PostgreSQL's processes have the data folder as their working directory. Says false where there is no /proc. */
const worksIn = (pid: number, data: string) =>
  readlink(`/proc/${pid}/cwd`).then(
    async (cwd) => cwd === (await realpath(data)),
    () => false,
  );
