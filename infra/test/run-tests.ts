// `npm test`: format, lint and types beside vitest in three lanes; a time budget by suite; and `N passed, N failed` as the very last line.
import { type ChildProcess, spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import type { RunRecord } from './run-record.ts';
import { budgetTable, closingLine, type Step, summarise } from './summary.ts';

const MINUTE_MS = 60_000;
const CHECK_LIMIT_MS = 10 * MINUTE_MS;
const KILL_AFTER_MS = 20_000;

const full = process.env.VIGIL_FULL === '1';
const required = (process.env.VIGIL_REQUIRE ?? '').split(',').filter((need) => need !== '');
const filters = process.argv.slice(2);
/**
 * Projects of vitest.config.ts by how their names begin, side by side: suites that boot the whole of Vigil wait for much, and the rest
 * computes meanwhile.
 */
const LANES = ['fault', 'whole', 'parts'];
const running = new Set<ChildProcess>();
for (const signal of ['SIGINT', 'SIGTERM', 'SIGHUP'] as const)
  process.on(signal, () => {
    for (const child of running) child.kill(signal);
  });

const startedAt = Date.now();
const testing = Promise.all(LANES.map(vitest));
const steps: Step[] = [
  await check('format', 'biome', ['format', '.']),
  await check('lint', 'biome', ['check', '--formatter-enabled=false', '--error-on-warnings', '.']),
  await check('types', 'tsc', ['--noEmit']),
  await check('types of the page', 'tsc', ['--noEmit', '--project', 'services/console/web']),
];
const lanes = await testing;
steps.push(...lanes.map(({ step }) => step).filter(({ passed }) => !passed));
const run: RunRecord = {
  tests: lanes.flatMap((lane) => lane.run.tests),
  broken: lanes.flatMap((lane) => lane.run.broken),
  files: lanes.flatMap((lane) => lane.run.files),
};
const summary = summarise(steps, run, required);
const budget = budgetTable(steps, run, (Date.now() - startedAt) / 1000);
print('', ...summary.notices, '', ...budget, '', closingLine(summary));
process.exitCode = summary.failed > 0 ? 1 : 0;

/** Quiet when it passes; all that it wrote when it does not. */
async function check(name: string, program: string, args: string[]): Promise<Step> {
  const from = Date.now();
  const output: string[] = [];
  const code = await runToEnd(program, args, CHECK_LIMIT_MS, (line) => output.push(line));
  const seconds = (Date.now() - from) / 1000;
  if (code !== 0) print(...output);
  print(`${code === 0 ? ' ok ' : 'FAIL'}  ${name} (${seconds.toFixed(1)} s)`);
  return { name, passed: code === 0, seconds };
}

/** The step stands for vitest's own ending: a start-up or teardown that fails shows in its exit code and in no test. */
async function vitest(lane: string): Promise<{ run: RunRecord; step: Step }> {
  const folder = mkdtempSync(join(tmpdir(), 'vigil-test-'));
  const path = join(folder, 'record.json');
  const reporters = ['--reporter=default', '--reporter=./infra/test/reporter.ts'];
  const args = ['run', '--project', `${lane}*`, ...reporters, '--allowOnly=false', '--passWithNoTests', ...filters];
  const limitMs = (full ? 180 : 40) * MINUTE_MS;
  try {
    const env = { VIGIL_TEST_RECORD: path, ...(process.stdout.isTTY ? { FORCE_COLOR: '1' } : {}) };
    const code = await runToEnd('vitest', args, limitMs, print, env);
    const wrote = existsSync(path);
    const run: RunRecord = wrote ? JSON.parse(readFileSync(path, 'utf8')) : { tests: [], broken: [], files: [] };
    const explained = run.broken.length > 0 || run.tests.some(({ outcome }) => outcome === 'failed');
    return {
      run,
      step: { name: `vitest of ${lane} ended with code ${code}`, passed: code === 0 || explained, seconds: 0 },
    };
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

/** Runs a program of the project to its end. Programs write at once: each line stays whole. One that is late is killed. */
function runToEnd(
  program: string,
  args: string[],
  limitMs: number,
  onLine: (line: string) => void,
  env: Record<string, string> = {},
): Promise<number> {
  return new Promise((resolve) => {
    const child = spawn(join('node_modules', '.bin', program), args, {
      stdio: ['ignore', 'pipe', 'pipe'],
      env: { ...process.env, ...env },
    });
    running.add(child);
    for (const input of [child.stdout, child.stderr]) createInterface({ input }).on('line', onLine);
    let kill: NodeJS.Timeout | undefined;
    const late = setTimeout(() => {
      print(`${program} has not ended within ${limitMs / MINUTE_MS} minutes and is stopped`);
      child.kill('SIGTERM');
      kill = setTimeout(() => child.kill('SIGKILL'), KILL_AFTER_MS);
    }, limitMs);
    const ended = (code: number): void => {
      clearTimeout(late);
      clearTimeout(kill);
      running.delete(child);
      resolve(code);
    };
    child.on('error', (error) => {
      print(`${program} could not be started: ${error.message}`);
      ended(127);
    });
    child.on('close', (code) => ended(code ?? 128));
  });
}

function print(...lines: string[]): void {
  process.stdout.write(`${lines.join('\n')}\n`);
}
