import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { access } from 'node:fs/promises';
import { dirname } from 'node:path';
import { expect, it } from 'vitest';
import { describeWith } from '../../test/support/require.ts';
import { findProgram } from './jars.ts';
import { answers } from './probe.ts';

const own = !process.env.VIGIL_TEST_KAFKA && (await findProgram(() => undefined)) !== null;

const PARENT = `
  import { startKafka } from '${new URL('local-kafka.ts', import.meta.url)}';
  const { brokers, folder } = await startKafka();
  process.stdout.write(JSON.stringify({ broker: brokers[0], folder }));
  setInterval(() => undefined, 1000);
`;

describeWith('kafka', own, 'a local broker', () => {
  it('ends, and leaves nothing behind, when the process that started it is killed', async () => {
    const args = ['--input-type=module', '--eval', PARENT];
    const parent = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'] });
    const [said] = (await once(parent.stdout, 'data')) as [Buffer];
    const { broker, folder } = JSON.parse(said.toString()) as { broker: string; folder: string };
    const [host = '', port] = broker.split(':');
    expect(await answers(host, Number(port))).toBe(true);
    parent.kill('SIGKILL');
    await until(async () => !(await answers(host, Number(port))));
    await until(async () => !(await exists(folder)));
    expect(await exists(dirname(folder))).toBe(true);
  }, 60_000);
});

const exists = (path: string) =>
  access(path).then(
    () => true,
    () => false,
  );
async function until(ready: () => Promise<boolean>): Promise<void> {
  while (!(await ready())) await new Promise((resolve) => setTimeout(resolve, 50));
}
