import { writeFileSync } from 'node:fs';
import type { SerializedError } from 'vitest';
import type { Reporter, TestCase, TestModule } from 'vitest/node';
import type { RunRecord, TestRecord } from './run-record.ts';

/** Writes the run as a RunRecord to the file that VIGIL_TEST_RECORD names. vitest calls it with `new`. */
export default function recordReporter(): Reporter {
  const path = process.env.VIGIL_TEST_RECORD;
  if (path === undefined) throw new Error('VIGIL_TEST_RECORD names no file');
  return {
    onTestRunEnd(modules, unhandled) {
      const record: RunRecord = {
        tests: modules.flatMap((module) =>
          [...module.children.allTests()].filter(isAskedFor).map((test) => testRecord(module, test)),
        ),
        broken: [
          ...modules.flatMap(brokenIn),
          ...unhandled.map((error) => ({ where: 'unhandled', message: text(error) })),
        ],
        files: modules.map((module) => ({ file: module.relativeModuleId, seconds: secondsOf(module) })),
      };
      writeFileSync(path, JSON.stringify(record));
    },
  };
}

/** What `-t` leaves out is reported as skipped; nobody asked for it, so that it is not counted at all. */
function isAskedFor(test: TestCase): boolean {
  const pattern = test.project.config.testNamePattern;
  return pattern === undefined || pattern.test(test.fullName.replaceAll(' > ', ' '));
}

function testRecord(module: TestModule, test: TestCase): TestRecord {
  const result = test.result();
  const note = result.state === 'skipped' ? result.note : undefined;
  const base = { file: module.relativeModuleId, name: test.fullName, ...(note === undefined ? {} : { note }) };
  if (result.state === 'passed' || result.state === 'failed') return { ...base, outcome: result.state };
  if (test.options.mode === 'todo') return { ...base, outcome: 'todo' };
  const asked = result.state === 'skipped' && (test.options.mode === 'skip' || note !== undefined);
  return { ...base, outcome: asked ? 'skipped' : 'not-run' };
}

function brokenIn(module: TestModule): RunRecord['broken'] {
  const at = (where: string) => (error: SerializedError) => ({ where, message: text(error) });
  const suites = [...module.children.allSuites()];
  return [
    ...module.errors().map(at(module.relativeModuleId)),
    ...suites.flatMap((suite) => suite.errors().map(at(`${module.relativeModuleId} > ${suite.fullName}`))),
  ];
}

function secondsOf(module: TestModule): number {
  const { collectDuration, setupDuration, prepareDuration, environmentSetupDuration, duration } = module.diagnostic();
  return (collectDuration + setupDuration + prepareDuration + environmentSetupDuration + duration) / 1000;
}

const text = (error: SerializedError): string => String(error.message).split('\n')[0] ?? '';
