import { existsSync, readdirSync } from 'node:fs';
import { join } from 'node:path';

/** Paths of the files below a folder, sorted; none where there is no such folder. */
export function filesBelow(folder) {
  if (!existsSync(folder)) return [];
  const entries = readdirSync(folder, { recursive: true, withFileTypes: true });
  return entries
    .filter((entry) => entry.isFile())
    .map((entry) => join(entry.parentPath ?? entry.path, entry.name))
    .sort();
}
