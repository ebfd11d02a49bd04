import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, rename } from 'node:fs/promises';
import path from 'node:path';

/**
 * A file named by the digest of all that went into it, made where it is missing; nobody sees it half made.
 * @param recipe what changes the bytes: versions, arguments, names and sizes of sources
 * @param ending of the name, with its dot
 */
export async function madeOnce(
  folder: string,
  recipe: readonly unknown[],
  ending: string,
  make: (file: string) => Promise<unknown>,
): Promise<string> {
  const name = `${createHash('sha256').update(JSON.stringify(recipe)).digest('hex').slice(0, 24)}${ending}`;
  const file = path.join(folder, name);
  if (existsSync(file)) return file;
  await mkdir(folder, { recursive: true });
  const half = path.join(folder, `half-${process.pid}-${name}`);
  await make(half);
  await rename(half, file);
  return file;
}
