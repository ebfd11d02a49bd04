import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync } from 'node:fs';
import { cp, mkdtemp, readdir, readFile, realpath, rename, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { setTimeout as pause } from 'node:timers/promises';
import { openPostgres } from '@vigil/runtime';
import { afterAll, expect, test } from 'vitest';
import { openEmbeddedPostgres, openTemporaryPostgres } from './embedded.ts';
import { SYSTEM_FOLDER } from './embedded-home.ts';

const root = process.getuid?.() === 0;
const made: string[] = [];
/** Below mkdtemp's folder, which only we may enter: as root the server's account cannot. */
async function newFolder(name = 'data'): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), 'vigil-test-')));
  made.push(folder);
  return join(folder, name);
}
afterAll(async () => {
  const homes = await readdir(SYSTEM_FOLDER).catch(() => []);
  for (const home of homes.map((name) => join(SYSTEM_FOLDER, name))) {
    const owner = await readFile(join(home, 'owner'), 'utf8').catch(() => '');
    if (made.some((folder) => owner.startsWith(`${folder}/`))) await rm(home, { recursive: true, force: true });
  }
  for (const folder of made) await rm(folder, { recursive: true, force: true });
});

const ask = async (url: string, sql: string) => {
  await using postgres = openPostgres({ url, max: 1 });
  return postgres.query(sql);
};
const homeOf = (dataFolder: string) => realpath(join(dataFolder, 'postgres'));
const postmaster = async (dataFolder: string) =>
  Number((await readFile(join(await homeOf(dataFolder), 'data', 'postmaster.pid'), 'utf8')).split('\n')[0]);
/** A zombie does not live, though it can be signalled until somebody reaps it. */
const lives = (pid: number) => {
  try {
    return !/^State:\s+Z/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'));
  } catch {
    return false;
  }
};
async function until(is: () => boolean): Promise<void> {
  while (!is()) await pause(20);
}

/** Another process that opens the database, and says its address or why not. It lives until it is killed. */
async function openElsewhere(dataFolder: string): Promise<{ child: ChildProcess; said: string }> {
  const module = JSON.stringify(new URL('./embedded.ts', import.meta.url).href);
  const code = `
    const { openEmbeddedPostgres } = await import(${module});
    try { console.log((await openEmbeddedPostgres({ dataFolder: process.argv[1] })).url); setInterval(() => {}, 1000); }
    catch (error) { console.log(error.name + ': ' + error.message); }`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, dataFolder], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  const [said] = (await once(createInterface({ input: child.stdout! }), 'line')) as [string];
  return { child, said };
}

test('it keeps its data from one start to the next, out of reach of others', async () => {
  const dataFolder = await newFolder();
  {
    await using server = await openEmbeddedPostgres({ dataFolder });
    await ask(server.url, 'CREATE TABLE kept AS SELECT 42 AS n');
    const [about] = await ask(
      server.url,
      `SELECT current_setting('listen_addresses') AS tcp, current_setting('fsync') AS fsync,
              (SELECT datlocale FROM pg_database WHERE datname = 'vigil') AS locale, upper('é') AS upper`,
    );
    expect(about).toEqual({ tcp: '', fsync: 'on', locale: 'C.UTF-8', upper: 'É' });
    if (root) expect(await homeOf(dataFolder)).toMatch(/^\/var\/lib\/vigil\/[0-9a-f]{16}$/);
  }
  await using server = await openEmbeddedPostgres({ dataFolder });
  expect(await ask(server.url, 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
});

test('a second instance on the same folder is refused, here and in another process', async () => {
  const dataFolder = await newFolder();
  await using server = await openEmbeddedPostgres({ dataFolder });
  await expect(openEmbeddedPostgres({ dataFolder })).rejects.toMatchObject({ name: 'FolderInUse' });
  const { said } = await openElsewhere(dataFolder);
  expect(said).toContain('FolderInUse');
  expect(said).toContain(`in use by process ${process.pid}`);
  expect(await ask(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('killed with SIGKILL: the server goes down by itself, and the next start finds everything', async () => {
  const dataFolder = await newFolder();
  const { child, said: url } = await openElsewhere(dataFolder);
  await ask(url, 'CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n');
  const pid = await postmaster(dataFolder);
  child.kill('SIGKILL');
  await once(child, 'exit');
  // At once, while the old server may still be going down.
  {
    await using server = await openEmbeddedPostgres({ dataFolder });
    expect(await ask(server.url, 'SELECT count(*) AS n FROM kept')).toEqual([{ n: 1000 }]);
  }
  await until(() => !lives(pid));
});

test('an orphan whose guard was killed as well is stopped, and nothing is lost', async () => {
  const dataFolder = await newFolder();
  const { child, said: url } = await openElsewhere(dataFolder);
  await ask(url, 'CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n');
  const pid = await postmaster(dataFolder);
  const status = await readFile(`/proc/${pid}/status`, 'utf8');
  const guard = Number(/^PPid:\s+(\d+)/m.exec(status)![1]);
  child.kill('SIGSTOP');
  // The guard and the shell in it that watches the pipe, which would still stop the server.
  const watchers = (await readdir('/proc')).map(Number).filter((p) => p > 0);
  for (const watcher of watchers) {
    const of = await readFile(`/proc/${watcher}/status`, 'utf8').catch(() => '');
    if (Number(/^PPid:\s+(\d+)/m.exec(of)?.[1]) === guard && watcher !== pid) process.kill(watcher, 'SIGKILL');
  }
  process.kill(guard, 'SIGKILL');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(lives(pid)).toBe(true);
  await using server = await openEmbeddedPostgres({ dataFolder });
  expect(lives(pid)).toBe(false);
  expect(await ask(server.url, 'SELECT count(*) AS n FROM kept')).toEqual([{ n: 1000 }]);
});

test('a pid file that names some other living process does not keep it from starting', async () => {
  const dataFolder = await newFolder();
  {
    await using _ = await openEmbeddedPostgres({ dataFolder });
  }
  const home = await homeOf(dataFolder);
  await writeFile(
    join(home, 'data', 'postmaster.pid'),
    [process.pid, join(home, 'data'), 1, 5432, home, '', '', 'ready', ''].join('\n'),
  );
  await using server = await openEmbeddedPostgres({ dataFolder });
  expect(await ask(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('a server that crashed comes back with what was committed, and says that it had ended', async () => {
  const dataFolder = await newFolder();
  {
    await using server = await openEmbeddedPostgres({ dataFolder });
    await ask(server.url, 'CREATE TABLE kept AS SELECT generate_series(1, 1000) AS n');
    process.kill(await postmaster(dataFolder), 'SIGKILL');
    await server.ended;
  }
  await using server = await openEmbeddedPostgres({ dataFolder });
  expect(await ask(server.url, 'SELECT count(*) AS n FROM kept')).toEqual([{ n: 1000 }]);
});

test('a folder that was moved keeps its database', async () => {
  const before = await newFolder();
  {
    await using server = await openEmbeddedPostgres({ dataFolder: before });
    await ask(server.url, 'CREATE TABLE kept AS SELECT 42 AS n');
  }
  const after = join(before, '..', 'moved');
  await rename(before, after);
  await using server = await openEmbeddedPostgres({ dataFolder: after });
  expect(await ask(server.url, 'SELECT n FROM kept')).toEqual([{ n: 42 }]);
});

test.runIf(root)('as root: a copied data folder does not share the database of the first one', async () => {
  const dataFolder = await newFolder();
  {
    await using _ = await openEmbeddedPostgres({ dataFolder });
  }
  const copy = join(dataFolder, '..', 'copy');
  await cp(dataFolder, copy, { recursive: true, verbatimSymlinks: true });
  await expect(openEmbeddedPostgres({ dataFolder: copy })).rejects.toThrow(`is the database of ${dataFolder}`);
});

test.runIf(root)('as root: a removed data folder begins anew, a lost home is an error', async () => {
  const dataFolder = await newFolder();
  {
    await using server = await openEmbeddedPostgres({ dataFolder });
    await ask(server.url, 'CREATE TABLE old AS SELECT 1 AS n');
  }
  await rm(dataFolder, { recursive: true });
  {
    await using server = await openEmbeddedPostgres({ dataFolder });
    expect(await ask(server.url, `SELECT to_regclass('old') IS NULL AS anew`)).toEqual([{ anew: true }]);
  }
  const home = await homeOf(dataFolder);
  await rename(home, `${home}.elsewhere`);
  await expect(openEmbeddedPostgres({ dataFolder })).rejects.toThrow(`should be in ${home}, and is not there`);
  await rename(`${home}.elsewhere`, home);
  await using server = await openEmbeddedPostgres({ dataFolder });
  expect(await ask(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('a path that is too long for a socket is served all the same', async () => {
  const dataFolder = await newFolder(join('a'.repeat(60), 'b'.repeat(60)));
  await using server = await openEmbeddedPostgres({ dataFolder });
  expect(await ask(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
});

test('a temporary server leaves nothing behind', async () => {
  const server = await openTemporaryPostgres();
  const folder = decodeURIComponent(new URL(server.url).host.replace(/:\d+$/, ''));
  expect(existsSync(folder)).toBe(true);
  expect(await ask(server.url, 'SELECT 1 AS one')).toEqual([{ one: 1 }]);
  await server[Symbol.asyncDispose]();
  await server[Symbol.asyncDispose]();
  expect(existsSync(folder)).toBe(false);
});
