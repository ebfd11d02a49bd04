import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterAll, expect, test } from 'vitest';
import { FolderInUse, lockDataFolder } from './folder-lock.ts';

const folder = await mkdtemp(join(tmpdir(), 'vigil-test-'));
afterAll(() => rm(folder, { recursive: true, force: true }));

test('one at a time, and again after it was let go', async () => {
  const data = join(folder, 'one');
  {
    await using _ = await lockDataFolder(data);
    await expect(lockDataFolder(data)).rejects.toThrow(FolderInUse);
    await expect(lockDataFolder(data)).rejects.toThrow(`in use by process ${process.pid}, since `);
    await expect(lockDataFolder(join(data, '..', 'one'))).rejects.toThrow(FolderInUse);
    await using __ = await lockDataFolder(join(folder, 'another'));
  }
  await using _ = await lockDataFolder(data);
});

test('another process holds it as long as it lives, and not a moment longer', async () => {
  const data = join(folder, 'two');
  const module = JSON.stringify(new URL('./folder-lock.ts', import.meta.url).href);
  const code = `globalThis.held = await (await import(${module})).lockDataFolder(process.argv[1]); console.log('held'); setInterval(() => {}, 1000)`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', code, data], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(createInterface({ input: child.stdout! }), 'line');
  await expect(lockDataFolder(data)).rejects.toThrow(`in use by process ${child.pid}`);
  child.kill('SIGKILL');
  await once(child, 'exit');
  await using _ = await lockDataFolder(data);
});

test('a lock file that is something else is an error of its own', async () => {
  const data = join(folder, 'three');
  {
    await using _ = await lockDataFolder(data);
  }
  await writeFile(
    join(data, 'instance.lock'),
    'this is a text of some length and no database at all, as anybody can see',
  );
  await expect(lockDataFolder(data)).rejects.toThrow(/^cannot lock .*instance\.lock: /);
});
