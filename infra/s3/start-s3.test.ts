import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { describeWith } from '../../test/support/require.ts';
import { s3Here } from '../../test/support/s3.ts';
import { startGuarded } from './guarded-process.ts';
import { startS3 } from './start-s3.ts';

let folder: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'vigil-s3-'));
});
afterEach(() => rm(folder, { recursive: true, force: true }));

const answers = (endpoint: string) =>
  fetch(`${endpoint}/health`).then(
    (answer) => answer.ok,
    () => false,
  );

it('runs a program that says what it says, and ends it by word or by force', async () => {
  const stubborn = "trap '' TERM; echo ready; while :; do sleep 0.05; done";
  const one = await startGuarded('/bin/sh', ['-c', stubborn], process.env);
  await expect.poll(() => one.output()).toContain('ready');
  await one.kill();
  expect(one.exited).toBe(true);
  const two = await startGuarded('/bin/sh', ['-c', 'echo ready; exec sleep 60'], process.env);
  await two.stop();
  expect(two.exited).toBe(true);
  const none = await startGuarded('/nowhere/program', [], process.env);
  await expect.poll(() => none.exited).toBe(true);
  expect(none.output()).toContain('/nowhere/program');
});

const ours = (await s3Here()) && !process.env.VIGIL_TEST_S3_ENDPOINT;
describeWith('versitygw', ours, 'a gateway of our own', () => {
  it('comes back at its address after a crash, with its buckets', async () => {
    await using s3 = (await startS3({ folder }))!;
    await s3.createBucket('kept');
    await s3.process!.kill();
    expect(await answers(s3.endpoint)).toBe(false);
    await s3.process!.start();
    expect(await answers(s3.endpoint)).toBe(true);
    await s3.createBucket('kept');
    await expect(s3.createBucket('no')).rejects.toThrow('InvalidBucketName');
    await s3.process!.stop();
    expect(await answers(s3.endpoint)).toBe(false);
  });

  it('ends with whoever started it, even when that is killed', async () => {
    const source = `
      const { startS3 } = await import(${JSON.stringify(new URL('start-s3.ts', import.meta.url).href)});
      const s3 = await startS3({ folder: ${JSON.stringify(folder)} });
      console.log(s3.endpoint);
      setInterval(() => undefined, 1000);`;
    const parent = spawn(process.execPath, ['--input-type=module', '-e', source], {
      stdio: ['ignore', 'pipe', 'inherit'],
    });
    const [line] = (await once(parent.stdout, 'data')) as [Buffer];
    const endpoint = line.toString().trim();
    expect(await answers(endpoint)).toBe(true);
    parent.kill('SIGKILL');
    await expect.poll(() => answers(endpoint), { timeout: 10_000 }).toBe(false);
  });
});
