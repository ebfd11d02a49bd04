/** The command line as a user meets it first: help, mistakes, and whatever Node there is. */
import { execFileSync, spawn } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { lockDataFolder } from '@vigil/database';
import { describe, expect, test } from 'vitest';
import { describeWith } from '../../../test/support/require.ts';
import { VIGIL, vigil } from '../../../test/support/vigil-process.ts';

/** A Node on the path that is too old to run the sources itself. */
const olderNode = (process.env.PATH ?? '')
  .split(path.delimiter)
  .map((folder) => path.join(folder, 'node'))
  .find((file) => existsSync(file) && majorOf(file) < 24);

function majorOf(node: string): number {
  try {
    return Number(/^v(\d+)/.exec(execFileSync(node, ['--version'], { encoding: 'utf8' }))?.[1] ?? Number.NaN);
  } catch {
    return Number.NaN;
  }
}

describe('vigil', () => {
  test('--help says what it is for and names every command', async () => {
    const { code, stdout, stderr } = await vigil(['--help']);
    expect({ code, stderr }).toEqual({ code: 0, stderr: '' });
    expect(stdout).toMatch(/^Usage: vigil /);
    const commands = [
      'match',
      'start',
      'demo',
      'upload',
      'reference',
      'trace',
      'replay',
      'look-back',
      'dead',
      'doctor',
      'status',
      'shards',
      'replicas',
      'audit',
      'console',
      'schema',
    ];
    for (const command of commands) expect(stdout).toMatch(new RegExp(`^  ${command} `, 'm'));
    const listed = stdout.split('\n').filter((line) => line.length > 100);
    expect(listed).toEqual([]);
  });

  test('each command has a help of its own', async () => {
    for (const command of [
      ['match'],
      ['reference', 'add'],
      ['trace'],
      ['shards'],
      ['replicas', 'remove'],
      ['audit', 'erase'],
    ]) {
      const { code, stdout } = await vigil([...command, '--help']);
      expect(code).toBe(0);
      expect(stdout).toContain(`Usage: vigil ${command.join(' ')}`);
    }
  });

  test('--version is a version', async () => {
    const { code, stdout } = await vigil(['--version']);
    expect(code).toBe(0);
    expect(stdout).toMatch(/^\d+\.\d+\.\d+\n$/);
  });

  test.each([
    ['nothing', [], /Usage: vigil/],
    ['an unknown command', ['destroy'], /unknown command 'destroy'/],
    ['a port that is none', ['start', '--port', 'http'], /give a whole number/],
    ['half of the demo', ['demo', '--uploads', '/tmp'], /give both --references and --uploads, or neither/],
    ['an event that is none', ['schema', 'rumour'], /there is no event rumour: vigil schema lists them/],
    ['no file to upload', ['upload'], /missing required argument 'file'/],
    ['an instance that is not there', ['trace', 'up_1', '-i', 'http://127.0.0.1:9'], /nothing answers at .*npm start/],
    ['a topic that goes out', ['replay', '-t', 'takedowns'], /takedowns is not replayed: give one of vigil\.uploads/],
    ['a time that is none', ['replay', '--since', 'noon'], /--since noon is no time: give one like .* or 24h/],
    ['a number for a time', ['replay', '--until', '1'], /--until 1 is no time: give one like .* or 24h/],
    ['times in the wrong order', ['replay', '--since', '1h', '--until', '26h'], /give the earlier time to --since/],
    ['a time to come', ['replay', '--since', '2999-01-01'], /--since 2999-01-01 is not past/],
    [
      'an empty stretch',
      ['replay', '--offsets', '3:200-100'],
      /--offsets 3:200-100 is empty: FROM must be less than TO/,
    ],
    ['a misspelt topic', ['dead', 'list', '-t', 'fingerprint'], /no such topic; give one of .*vigil\.fingerprints/],
    ['no reason to erase', ['audit', 'erase', 'case_1'], /required option '--why <text>' not specified/],
    ['what cannot be erased', ['audit', 'erase', 'up_1', '--why', 'x'], /up_1 is no case, notice or conflict/],
    ['more roots than there are at once', ['audit', 'heads', '-n', '201'], /give 200 at most/],
    ['no number of shards', ['shards', 'many'], /give a whole number/],
    ['an address that is none', ['trace', 'up_1', '-i', 'nowhere'], /--instance nowhere is not an address/],
    [
      'a file that is not there',
      ['upload', 'no-such.mp4', '-i', 'http://127.0.0.1:9'],
      /there is no file no-such\.mp4/,
    ],
  ])('given %s it ends with 2 and says what to do', async (_, args, message) => {
    const { code, stdout, stderr } = await vigil(args);
    expect({ code, stdout }).toEqual({ code: 2, stdout: '' });
    expect(stderr).toMatch(message);
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test('a demo leaves alone what an earlier one, or npm start on its data, is still at work on', async () => {
    const folder = await mkdtemp(path.join(tmpdir(), 'vigil-demo-'));
    const data = path.join(folder, '.vigil', 'demo');
    const lock = await lockDataFolder(data);
    await writeFile(path.join(data, 'kept'), '');
    // Without an ffmpeg, so that it ends there at the latest.
    const env = { ...process.env, VIGIL_FFMPEG: '/nowhere/ffmpeg', VIGIL_FFPROBE: '/nowhere/ffprobe' };
    const { code, stderr } = await vigil(['demo'], { cwd: folder, env });
    expect(stderr).toContain(`${data} is in use by process ${process.pid}`);
    expect(code).toBe(2);
    expect(existsSync(path.join(data, 'kept'))).toBe(true);
    await lock[Symbol.asyncDispose]();
    const { stderr: free } = await vigil(['demo'], { cwd: folder, env });
    expect(free).not.toContain('in use');
    await rm(folder, { recursive: true });
  });

  test.each([
    ['dead', 'list'],
    ['audit', 'verify'],
  ])('%s %s makes no database in a folder that has none', async (...args) => {
    const folder = await mkdtemp(path.join(tmpdir(), 'vigil-no-data-'));
    const env = { ...process.env, DATABASE_URL: '' };
    const { code, stdout, stderr } = await vigil([...args, '--data', folder], { env });
    expect(stderr).toContain(`there is no database in ${folder}: name the data folder of an installation (--data`);
    expect({ code, stdout, files: await readdir(folder) }).toEqual({ code: 2, stdout: '', files: [] });
    await rm(folder, { recursive: true });
  });

  test('settings that cannot be used are named, without a stack', async () => {
    const { code, stderr } = await vigil(['start'], { env: { ...process.env, VIGIL_CONCURRENCY: 'many' } });
    expect(code).not.toBe(0);
    expect(stderr).toContain('VIGIL_CONCURRENCY is "many": give a whole number');
    expect(stderr).not.toMatch(/^\s+at /m);
  });

  test('prints the schema of an event, and of all of them', async () => {
    const one = await vigil(['schema', 'takedown']);
    expect(JSON.parse(one.stdout)).toMatchObject({ title: 'takedown', type: 'object' });
    const all = await vigil(['schema', '--asyncapi']);
    expect(JSON.parse(all.stdout)).toMatchObject({
      asyncapi: '3.0.0',
      channels: { uploads: { address: 'vigil.uploads' } },
    });
    const list = await vigil(['schema']);
    expect(list.stdout).toMatch(/^verdict +you read +vigil\.upload\.judged$/m);
  });

  test('ends quietly when nobody reads on', async () => {
    const child = spawn(process.execPath, [VIGIL, '--help'], { stdio: ['ignore', 'pipe', 'pipe'] });
    child.stdout.destroy();
    let stderr = '';
    child.stderr.setEncoding('utf8').on('data', (text: string) => {
      stderr += text;
    });
    await new Promise((resolve) => child.on('close', resolve));
    expect(stderr).toBe('');
  });
});

describeWith('older-node', olderNode !== undefined, 'vigil on the Node that the system has', () => {
  test('runs on the Node that the project brings along', async () => {
    const { code, stdout } = await vigil(['--help'], { node: olderNode! });
    expect(code).toBe(0);
    expect(stdout).toMatch(/^Usage: vigil /);
  });

  test('hands over arguments and exit codes', async () => {
    const { code, stderr } = await vigil(['match', '-r', 'no such folder', '-u', 'x'], { node: olderNode! });
    expect(code).toBe(2);
    expect(stderr).toContain('--references: there is no no such folder');
  });
});
