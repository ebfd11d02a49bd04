import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test, vi } from 'vitest';
// @ts-expect-error: plain JavaScript, for whatever Node is there
import { superviseService } from './process.mjs';

/** Writes a dot a start, and ends with the code that its nth start has in the list. */
const program = `const fs = require('node:fs'); const [file, codes] = process.argv.slice(1);
fs.appendFileSync(file, '.'); process.exitCode = Number(codes.split(',')[fs.readFileSync(file, 'utf8').length - 1]);`;

test('a service that had run well is started again after a failure, and what cannot be started is left alone', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'vigil-supervise-'));
  const starts = async (name: string, codes: string, wellMs: number) => {
    const file = path.join(folder, name);
    const options = { wellMs, pauses: [1, 1, 1] };
    const code = await superviseService(process.execPath, ['-e', program, file, codes], process.env, options);
    return [code, (await readFile(file, 'utf8')).length];
  };
  expect(await starts('well', '1,1,0', 0)).toEqual([0, 3]);
  expect(await starts('never', '1,0', 60_000)).toEqual([1, 1]);
  expect(await starts('usage', '2,0', 0)).toEqual([2, 1]);
  await rm(folder, { recursive: true });
});

/** Says that it runs; asked to stop, it ends with 1 the first time, as after a drain that took too long, and with 0 later on. */
const drains = `const fs = require('node:fs'); const [file] = process.argv.slice(1); const code = fs.existsSync(file) ? 0 : 1;
fs.appendFileSync(file, '.'); process.on('SIGTERM', () => process.exit(code)); setInterval(() => {}, 1000); console.log('up');`;

test('what was asked to stop is not started again, however it ended', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'vigil-asked-'));
  const args = JSON.stringify(['-e', drains, path.join(folder, 'starts')]);
  const supervisor = `import { superviseService } from ${JSON.stringify(new URL('./process.mjs', import.meta.url).href)};
    process.exitCode = await superviseService(process.execPath, ${args}, process.env, { wellMs: 0, pauses: [1] });`;
  const child = spawn(process.execPath, ['--input-type=module', '-e', supervisor], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  child.stdout.on('data', () => child.kill('SIGTERM'));
  expect(await once(child, 'exit')).toEqual([1, null]);
  expect(await readFile(path.join(folder, 'starts'), 'utf8')).toBe('.');
  await rm(folder, { recursive: true });
});

test('npm hands its signals to what it runs: no shell stands between', async () => {
  const folder = await mkdtemp(path.join(tmpdir(), 'vigil-npm-'));
  const { start } = JSON.parse(await readFile(new URL('../../package.json', import.meta.url), 'utf8')).scripts;
  await mkdir(path.join(folder, 'infra', 'setup'), { recursive: true });
  await writeFile(path.join(folder, 'package.json'), JSON.stringify({ scripts: { start } }));
  const door = `process.on('SIGTERM', () => { console.log('told'); process.exit(0); }); setInterval(() => {}, 1000);
    console.log('up ' + process.argv.slice(2) + ' ' + process.pid);`;
  await writeFile(path.join(folder, 'infra', 'setup', 'run.mjs'), door);
  const npm = spawn('npm', ['start', '--', '--port', '1'], { cwd: folder, stdio: ['ignore', 'pipe', 'inherit'] });
  let said = '';
  let pid = 0;
  npm.stdout.setEncoding('utf8').on('data', (text: string) => {
    said += text;
    const up = /^up start,--port,1 (\d+)$/m.exec(said);
    if (!up || pid !== 0) return;
    pid = Number(up[1]);
    npm.kill('SIGTERM');
  });
  await once(npm, 'exit');
  await vi
    .waitFor(() => expect(said).toContain('told'))
    .finally(() => said.includes('told') || process.kill(pid, 'SIGKILL'));
  await rm(folder, { recursive: true });
});
