/** The commands in the README of the API, each as it stands there, against `vigil start`. Real: all of it. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdtemp, readFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { describeWith } from '../support/require.ts';
import { seedsHere } from '../support/seeds.ts';
import { PROJECT } from '../support/source-tree.ts';
import { removeData, startVigil } from '../support/vigil-process.ts';

const ffmpeg = await ffmpegHere().catch(() => null);

describeWith('ffmpeg-5', ffmpeg !== null && !ffmpeg.warning, 'the README of the API', () => {
  test('a work is registered, its copy taken down, disputed, and put back, by the commands that stand there', async () => {
    const readme = await readFile(path.join(PROJECT, 'services/api/README.md'), 'utf8');
    const blocks = [...readme.matchAll(/```sh\n(.*?)```/gs)].map(([, code]) => code!);
    expect(blocks.length).toBe(6);
    const seeds = await seedsHere();
    const fileOf = (name: string) => [...seeds.references, ...seeds.uploads].find((s) => s.name === name)!.path;
    await using stack = new AsyncDisposableStack();
    const data = await mkdtemp(path.join(tmpdir(), 'vigil-readme-'));
    stack.defer(() => removeData(data));
    const vigil = stack.use(await startVigil(data, { ...process.env, VIGIL_LOG_LEVEL: 'warn' }));

    const copy = seeds.uploads.find(
      (u) => u.expect.verdict === 'taken-down' && u.expect.reference === 'paper-machines.mp4',
    )!;
    const env = {
      ...process.env,
      VIGIL_INSTANCE: vigil.url,
      VIGIL_DATA: data,
      FILM: fileOf(copy.expect.reference!),
      COPY: copy.path,
    };
    // A marker after each block, so that what each one said can be told apart.
    const script = ['set -euo pipefail', ...blocks.flatMap((block, n) => [block, `echo "--- ${n}"`])].join('\n');
    const shell = spawn('bash', ['-c', script], { cwd: PROJECT, env, stdio: ['ignore', 'pipe', 'pipe'] });
    let [said, complained] = ['', ''];
    shell.stdout.setEncoding('utf8').on('data', (text: string) => {
      said += text;
    });
    shell.stderr.setEncoding('utf8').on('data', (text: string) => {
      complained += text;
    });
    const [code] = (await once(shell, 'close')) as [number | null];
    expect(code, `${said}\n${complained}`).toBe(0);
    const parts = said.split(/--- \d\n/).map((part) => part.trim().split('\n'));
    expect(parts[1]).toEqual(['live']);
    expect(parts[2]).toEqual(['taken-down']);
    const [span, disputed, reversed, actions] = parts[3]!;
    expect(span).toMatch(/^\[ [\d.]+, [\d.]+ \]$/);
    expect([disputed, reversed, actions]).toEqual(['disputed', 'reversed', 'takedown,restore']);
    expect(parts[4]).toEqual(['complete']);
    expect(Number(parts[5]![0])).toBeGreaterThanOrEqual(1);
    // Some twenty processes one after the other: quick, but not on a machine that is busy with something else.
  }, 600_000);
});
