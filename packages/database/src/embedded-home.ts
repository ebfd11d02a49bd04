import { createHash } from 'node:crypto';
import {
  chown,
  lstat,
  mkdir,
  mkdtemp,
  readFile,
  readlink,
  realpath,
  rename,
  rm,
  stat,
  symlink,
  writeFile,
} from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import type { Account } from './embedded-binaries.ts';

/** Where a server keeps what it has. */
export interface Home {
  /** Owned by the account, closed to others. Holds `data`. */
  folder: string;
  account: Account;
}

/** What is kept for root lies here, since PostgreSQL refuses to run as root and its account may enter few folders. */
export const SYSTEM_FOLDER = '/var/lib/vigil';

/**
 * As an ordinary user the database lies in the data folder. As root it lies under /var/lib/vigil and belongs to `nobody`,
 * an account that every system has; the data folder holds a link to it. A link whose target is gone is an error, never an
 * empty database; a home that no data folder links to any more is set aside, never taken over.
 */
export async function openHome(dataFolder: string): Promise<Home> {
  await mkdir(dataFolder, { recursive: true });
  const real = await realpath(dataFolder);
  const link = join(real, 'postgres');
  const there = await lstat(link).catch(() => null);
  if (process.getuid?.() !== 0) {
    if (there?.isSymbolicLink() && !(await canEnter(link))) {
      throw new Error(
        `the database of ${real} was made by root, in ${await readlink(link)}: start as root, or use another data folder`,
      );
    }
    await mkdir(link, { recursive: true, mode: 0o700 });
    return { folder: link, account: null };
  }
  // Made by an ordinary user: go on as that user, so that it can be used by both.
  if (there?.isDirectory())
    return { folder: link, account: there.uid === 0 ? await nobody() : { uid: there.uid, gid: there.gid } };
  const account = await nobody();
  if (there) {
    const folder = await readlink(link);
    await checkOwner(real, folder);
    return { folder, account };
  }
  const folder = join(SYSTEM_FOLDER, createHash('sha256').update(real).digest('hex').slice(0, 16));
  await mkdir(SYSTEM_FOLDER, { recursive: true, mode: 0o755 }).catch((cause) => {
    throw new Error(`cannot make ${SYSTEM_FOLDER}: start as an ordinary user, or set DATABASE_URL`, { cause });
  });
  if (await exists(join(folder, 'data'))) {
    await rm(`${folder}.set-aside`, { recursive: true, force: true });
    await rename(folder, `${folder}.set-aside`);
  }
  await makeFolder(folder, account);
  await writeFile(join(folder, 'owner'), real);
  await symlink(folder, link);
  return { folder, account };
}

/** A home that nobody will miss. Whoever opened it removes it; so does the server's guard when its parent is killed. */
export async function openTemporaryHome(): Promise<Home> {
  const account = process.getuid?.() === 0 ? await nobody() : null;
  const folder = await mkdtemp(join(tmpdir(), 'vigil-postgres-'));
  if (account) await chown(folder, account.uid, account.gid);
  return { folder, account };
}

/** Two data folders must not share a database: a copied link is refused, a moved folder is recognised. */
async function checkOwner(dataFolder: string, folder: string): Promise<void> {
  if (!(await exists(folder))) {
    const remedy = `bring it back, or remove ${join(dataFolder, 'postgres')} to begin with an empty one`;
    throw new Error(`the database of ${dataFolder} should be in ${folder}, and is not there: ${remedy}`);
  }
  const owner = await readFile(join(folder, 'owner'), 'utf8').catch(() => dataFolder);
  if (owner === dataFolder) return;
  if ((await readlink(join(owner, 'postgres')).catch(() => null)) === folder) {
    throw new Error(`${folder} is the database of ${owner}; ${dataFolder} is a copy of that folder and cannot use it`);
  }
  await writeFile(join(folder, 'owner'), dataFolder);
}

async function makeFolder(folder: string, account: Account): Promise<void> {
  await mkdir(folder, { recursive: true, mode: 0o700 });
  if (account) await chown(folder, account.uid, account.gid);
}

/** Read from /etc/passwd, because neither useradd nor getent need exist on a small system. */
async function nobody(): Promise<{ uid: number; gid: number }> {
  const passwd = await readFile('/etc/passwd', 'utf8').catch(() => '');
  const fields = passwd
    .split('\n')
    .find((line) => line.startsWith('nobody:'))
    ?.split(':');
  const [uid, gid] = [Number(fields?.[2]), Number(fields?.[3])];
  if (uid > 0 && gid > 0) return { uid, gid };
  throw new Error(
    'PostgreSQL does not run as root, and /etc/passwd has no account `nobody` to run it as: start as an ordinary user, or set DATABASE_URL',
  );
}

const exists = (path: string) =>
  stat(path).then(
    () => true,
    () => false,
  );
const canEnter = (path: string) => exists(join(path, 'data'));
