import type { RunRecord, TestRecord } from './run-record.ts';

/** One check that is not vitest's: format, lint, types, or vitest's own ending. Counts as one test. */
export interface Step {
  name: string;
  passed: boolean;
  seconds: number;
}

export interface Summary {
  passed: number;
  failed: number;
  skipped: number;
  /** What is wrong beyond failed tests, and every skip by name, ready to print. */
  notices: string[];
}

export const BUDGET_SECONDS = 12 * 60;

/**
 * Counts a run. A failure is: a failed step, a failed test, a test that did not run although nobody skipped it, anything
 * broken outside of a test, a run without tests, and a skip of what `required` (VIGIL_REQUIRE) says must run for real.
 */
export function summarise(steps: Step[], run: RunRecord, required: string[]): Summary {
  const summary: Summary = { passed: 0, failed: 0, skipped: 0, notices: [] };
  const fail = (notice: string): void => {
    summary.failed += 1;
    summary.notices.push(`FAILED  ${notice}`);
  };
  for (const step of steps) {
    if (step.passed) summary.passed += 1;
    else fail(step.name);
  }
  for (const test of run.tests) {
    const name = `${test.file} > ${test.name}`;
    if (test.outcome === 'passed') summary.passed += 1;
    else if (test.outcome === 'failed') fail(name);
    else if (test.outcome === 'not-run') fail(`${name} (did not run, or was skipped without a reason)`);
    else {
      const missing = required.filter((need) => declaresNeed(test, need));
      if (missing.length > 0) fail(`${name} (skipped, but VIGIL_REQUIRE says that ${missing.join(', ')} must run)`);
      else {
        summary.skipped += 1;
        summary.notices.push(`skipped ${name} (${reasonOf(test)})`);
      }
    }
  }
  for (const { where, message } of run.broken) fail(`${where}: ${message}`);
  if (run.tests.length === 0) fail('vitest ran no tests');
  return summary;
}

/** `2 passed, 0 failed`, and what was skipped where something was. */
export function closingLine({ passed, failed, skipped }: Summary): string {
  return `${passed} passed, ${failed} failed${skipped > 0 ? `, ${skipped} skipped` : ''}`;
}

/** Tests and seconds by suite, slowest first. Suites run side by side, so that their seconds add up to more than the total. */
export function budgetTable(steps: Step[], run: RunRecord, totalSeconds: number): string[] {
  const suites = new Map<string, { tests: number; seconds: number }>();
  const add = (suite: string, tests: number, seconds: number): void => {
    const sum = suites.get(suite) ?? { tests: 0, seconds: 0 };
    suites.set(suite, { tests: sum.tests + tests, seconds: sum.seconds + seconds });
  };
  for (const step of steps) add(step.name, 1, step.seconds);
  for (const { file, seconds } of run.files) add(suiteOf(file), 0, seconds);
  for (const { file } of run.tests) add(suiteOf(file), 1, 0);
  const rows = [...suites].sort(([, a], [, b]) => b.seconds - a.seconds);
  const width = Math.max(...rows.map(([suite]) => suite.length), 'total'.length);
  const row = (suite: string, tests: number | string, seconds: number | string): string =>
    `${suite.padEnd(width)}  ${String(tests).padStart(6)}  ${String(seconds).padStart(8)}`;
  const tests = rows.reduce((sum, [, { tests }]) => sum + tests, 0);
  const verdict = totalSeconds > BUDGET_SECONDS ? 'OVER' : 'within';
  return [
    row('suite', 'tests', 'seconds'),
    ...rows.map(([suite, { tests, seconds }]) => row(suite, tests, seconds.toFixed(1))),
    `${row('total', tests, totalSeconds.toFixed(1))}  ${verdict} the budget of ${BUDGET_SECONDS / 60} minutes`,
  ];
}

/** packages/x, services/x, test/e2e, seeds: the folder that holds a suite, at most two levels deep. */
function suiteOf(file: string): string {
  return file.split('/').slice(0, -1).slice(0, 2).join('/') || '.';
}

/**
 * A name says what it needs by the marker `[needs corpus]`, or `[needs corpus, postgres]`. Where there is no marker, the
 * bare word in the name or the reason counts, so that forgetting the marker is not a way round VIGIL_REQUIRE.
 */
/** A test that began, and says so, found all that it needs: it asks what an adapter by its nature does not promise. */
const OUT_OF_CONTRACT = 'out of contract:';

function declaresNeed(test: TestRecord, need: string): boolean {
  if (test.note?.startsWith(OUT_OF_CONTRACT)) return false;
  const marked = [...test.name.matchAll(/\[needs ([^\]]+)\]/g)].flatMap(([, list]) => (list ?? '').split(/[,\s]+/));
  if (marked.length > 0) return marked.includes(need);
  const words = `${test.file} ${test.name} ${test.note ?? ''}`.toLowerCase().split(/[^a-z0-9]+/);
  return words.includes(need.toLowerCase());
}

function reasonOf({ note, name, outcome }: TestRecord): string {
  if (note !== undefined) return note;
  if (outcome === 'todo') return 'not written yet';
  const needs = [...name.matchAll(/\[needs ([^\]]+)\]/g)].map(([, list]) => list).join(', ');
  return needs === '' ? 'no reason but its name' : `${needs}: not here`;
}
