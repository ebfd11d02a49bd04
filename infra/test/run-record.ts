/** What the reporter writes and the test runner reads: one run of vitest, flattened. */
export interface RunRecord {
  tests: TestRecord[];
  /** Errors that belong to no test: a file that does not load, a failed hook, an unhandled rejection. */
  broken: Array<{ where: string; message: string }>;
  files: Array<{ file: string; seconds: number }>;
}

export interface TestRecord {
  /** Path from the project folder. */
  file: string;
  /** Suites and test, joined by ` > `. */
  name: string;
  /** `not-run`: neither passed nor failed and nobody asked for it to be skipped. */
  outcome: 'passed' | 'failed' | 'skipped' | 'todo' | 'not-run';
  /** The reason given at run time, by `context.skip(reason)`. */
  note?: string;
}
