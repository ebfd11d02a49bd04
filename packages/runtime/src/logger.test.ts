import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { createLogger, type LogLevel } from './logger.ts';

function capture(level: LogLevel = 'info') {
  const lines: Record<string, unknown>[] = [];
  return { lines, logger: createLogger({ level, to: { write: (line) => lines.push(JSON.parse(line)) } }) };
}

test('a line has a time, a level, its fields and a message; children add theirs', () => {
  const { lines, logger } = capture();
  logger.child({ stage: 'plan' }).warn({ key: 'up_1' }, 'will try again');
  logger.debug({}, 'too detailed');
  expect(lines).toEqual([
    { level: 'warn', time: expect.stringMatching(/^\d{4}-.*Z$/), stage: 'plan', key: 'up_1', msg: 'will try again' },
  ]);
});

test('secrets stay out of it', () => {
  const { lines, logger } = capture();
  const databaseUrl = 'postgresql://vigil:hunter2@db.example/vigil';
  logger.info(
    {
      token: 'hunter2',
      config: { password: 'hunter2', s3: { secretAccessKey: 'hunter2' } },
      databaseUrl,
      note: `see ${databaseUrl}`,
    },
    'starting',
  );
  expect(JSON.stringify(lines)).not.toContain('hunter2');
  expect(lines[0]!.databaseUrl).toBe('postgresql://vigil:[hidden]@db.example/vigil');
});

test('an error is written with its code, cause and stack', () => {
  const { lines, logger } = capture();
  const cause = new Error('connection refused');
  logger.error(
    { error: Object.assign(new Error('no database', { cause }), { code: '08006', retriable: true }) },
    'failed',
  );
  expect(lines[0]!.error).toMatchObject({
    code: '08006',
    retriable: true,
    message: expect.stringContaining('no database: connection refused'),
  });
});

test('it writes to a file', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-test-'));
  const file = join(folder, 'vigil.log');
  createLogger({ file }).info({ n: 1 }, 'hello');
  expect(JSON.parse(await readFile(file, 'utf8'))).toMatchObject({ n: 1, msg: 'hello' });
  await rm(folder, { recursive: true });
});
