import { describe, expect, it } from 'vitest';
import type { RunRecord, TestRecord } from './run-record.ts';
import { budgetTable, closingLine, summarise } from './summary.ts';

const test = (name: string, outcome: TestRecord['outcome'], note?: string): TestRecord => ({
  file: 'packages/a/src/a.test.ts',
  name,
  outcome,
  ...(note === undefined ? {} : { note }),
});
const run = (tests: TestRecord[], broken: RunRecord['broken'] = []): RunRecord => ({ tests, broken, files: [] });
const ok = { name: 'format', passed: true, seconds: 1 };

describe('summarise', () => {
  it('counts steps as tests, and names what was skipped with its reason', () => {
    const summary = summarise([ok], run([test('a > works', 'passed'), test('b [needs corpus]', 'skipped')]), []);
    expect(closingLine(summary)).toBe('2 passed, 0 failed, 1 skipped');
    expect(summary.notices).toEqual(['skipped packages/a/src/a.test.ts > b [needs corpus] (corpus: not here)']);
  });

  it('gives the reason that was told at run time', () => {
    const { notices } = summarise([ok], run([test('a', 'passed'), test('b', 'skipped', 'no Java')]), []);
    expect(notices).toEqual(['skipped packages/a/src/a.test.ts > b (no Java)']);
  });

  it.each<[string, RunRecord, typeof ok]>([
    ['a failed step', run([test('a', 'passed')]), { ...ok, passed: false }],
    ['a failed test', run([test('a', 'failed')]), ok],
    ['a test that did not run', run([test('a', 'not-run')]), ok],
    ['a file that does not load', run([test('a', 'passed')], [{ where: 'b.test.ts', message: 'no such module' }]), ok],
    ['a run without tests', run([]), ok],
  ])('counts %s as a failure', (_, record, step) => {
    expect(summarise([step], record, []).failed).toBe(1);
  });
});

describe('what must run for real', () => {
  const skipped = run([test('ok', 'passed'), test('films [needs corpus, ffmpeg] > is found', 'skipped')]);

  it.each(['corpus', 'ffmpeg'])('fails a skip that declares %s', (need) => {
    const summary = summarise([], skipped, [need]);
    expect(closingLine(summary)).toBe('1 passed, 1 failed');
    expect(summary.notices[0]).toContain(need);
  });

  it('leaves alone what a suite that ran does not promise', () => {
    const name = 'a log [needs kafka] > joins';
    const [promised, never] = [
      [test(name, 'skipped', 'no broker')],
      [test(name, 'skipped', 'out of contract: no joins')],
    ];
    expect(summarise([ok], run([test('ok', 'passed'), ...promised]), ['kafka']).failed).toBe(1);
    expect(summarise([ok], run([test('ok', 'passed'), ...never]), ['kafka'])).toMatchObject({ failed: 0, skipped: 1 });
  });

  it('leaves other skips alone', () => {
    expect(closingLine(summarise([], skipped, ['kafka']))).toBe('1 passed, 0 failed, 1 skipped');
  });

  it('believes the bare word where there is no marker, and the marker where there is one', () => {
    const tests = run([
      test('ok', 'passed'),
      test('films of the corpus', 'skipped'),
      test('corpus [needs java]', 'skipped'),
    ]);
    expect(closingLine(summarise([], tests, ['corpus']))).toBe('1 passed, 1 failed, 1 skipped');
  });
});

describe('budgetTable', () => {
  it('adds up tests and seconds by folder, slowest first, against twelve minutes', () => {
    const record: RunRecord = {
      tests: [test('a', 'passed'), test('b', 'passed')],
      broken: [],
      files: [{ file: 'packages/a/src/a.test.ts', seconds: 4 }],
    };
    const lines = budgetTable([ok], record, 721).map((line) => line.replace(/ +/g, ' '));
    expect(lines).toEqual([
      'suite tests seconds',
      'packages/a 2 4.0',
      'format 1 1.0',
      'total 3 721.0 OVER the budget of 12 minutes',
    ]);
  });
});
