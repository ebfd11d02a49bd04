/** Real: canaries as processes. What they watch is not there. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { canaryEnv } from './canary-process.ts';

test('a canary beside an instance is told of its key, at whatever address that one listens', () => {
  expect(canaryEnv({ HOME: '/h' }, 'http://10.0.0.7:8080', '/data')).toEqual({
    HOME: '/h',
    VIGIL_CANARY_INSTANCE: 'http://10.0.0.7:8080',
    VIGIL_CANARY_KEY_FILE: path.join('/data', 'operator.key'),
    VIGIL_DATA: '/data',
  });
  const given = canaryEnv({ VIGIL_CANARY_KEY_FILE: '/run/secrets/key' }, 'http://10.0.0.7:8080', '/data');
  expect(given.VIGIL_CANARY_KEY_FILE).toBe('/run/secrets/key');
});

test('a canary ends with who started it, though that one is killed', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'vigil-beside-'));
  await writeFile(path.join(folder, 'reference.mkv'), 'a film');
  const module = new URL('./canary-process.ts', import.meta.url).href;
  const source = `import { spawnCanary } from ${JSON.stringify(module)}; console.log('pid ' + spawnCanary([], process.env).pid);`;
  const env = {
    ...process.env,
    ...{ VIGIL_CANARY_INSTANCE: 'http://127.0.0.1:9', VIGIL_CANARY_KEY: 'k', VIGIL_CANARY_FOLDER: folder },
    VIGIL_FFMPEG: '/nowhere/ffmpeg',
  };
  const parent = spawn(process.execPath, ['--input-type=module', '-e', source], {
    env,
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  let said = '';
  let isKilled = false;
  parent.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    // It has had its round, and waits for the next one.
    if (!isKilled && said.includes('clean: ')) isKilled = parent.kill('SIGKILL');
  });
  // Its end of what the killed one wrote to is open as long as it runs.
  await once(parent, 'close', { signal: AbortSignal.timeout(45_000) }).finally(() => {
    const pid = Number(/^pid (\d+)$/m.exec(said)?.[1]);
    try {
      if (pid > 0) process.kill(pid, 'SIGKILL');
    } catch {
      // It is gone, as it should be.
    }
  });
  expect(isKilled).toBe(true);
  await rm(folder, { recursive: true });
});
