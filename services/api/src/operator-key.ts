import { readFile, rename, writeFile } from 'node:fs/promises';
import path from 'node:path';
import type { Database } from '@vigil/database';
import type { Clock } from '@vigil/runtime';
import { createKey, keyOf } from './credentials.ts';
import { OPERATOR_KEY_FILE } from './operator-key-file.ts';

const LASTS_MS = 730 * 24 * 3600 * 1000;

/**
 * Makes that key unless there is one that opens something for long enough: what is made with it lasts no longer than itself, so another
 * takes its place in the file while half of its time is left. Revoke it, and the next start makes another one.
 */
export async function keepOperatorKey(database: Database, dataFolder: string, clock: Clock): Promise<void> {
  const file = path.join(dataFolder, OPERATOR_KEY_FILE);
  const there = await readFile(file, 'utf8').catch((error: NodeJS.ErrnoException) => {
    if (error.code === 'ENOENT') return '';
    throw error;
  });
  const now = clock.now();
  const known = await keyOf(database.postgres, there.trim(), now);
  if (known && known.expiresAt - now > LASTS_MS / 2) return;
  const about = { name: 'whoever runs this instance', role: 'operator', holder: null, createdBy: 'start' } as const;
  const { secret } = await database.transaction((tx) => createKey(tx, { ...about, expiresAt: now + LASTS_MS }, now));
  await writeFile(`${file}.new`, `${secret!}\n`, { mode: 0o600 });
  await rename(`${file}.new`, file);
}
