import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { expect, test } from 'vitest';
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
