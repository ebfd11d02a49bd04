import { existsSync } from 'node:fs';
import { defineConfig } from 'vitest/config';

const sources = ['packages', 'services', 'seeds', 'infra'];
/** Suites that boot the whole of Vigil, one file at a time. `npm test` runs all projects side by side. */
const whole = ['test/network/**/*.test.ts', 'test/e2e/**/*.test.ts'];
/** So are these, which take as long together as the others: what is killed, stopped, broken and started again, and some more. */
const fault = [
  'test/fault/**/*.test.ts',
  'test/drill/**/*.test.ts',
  'test/network/replay.test.ts',
  'test/network/watching.test.ts',
  'test/e2e/seeds.test.ts',
  'test/e2e/accuracy.test.ts',
];
/** Files that put something else in the place of a module, which those after them would get too. */
const mocking = [
  'packages/event-log/src/kafka-client.test.ts',
  'packages/fingerprint/src/image-faults.test.ts',
  'services/console/web/src/list.test.ts',
];
const globalSetup = './test/global-setup.ts';

export default defineConfig({
  test: {
    pool: 'forks',
    maxWorkers: 2,
    globalSetup: existsSync(new URL(globalSetup, import.meta.url)) ? [globalSetup] : [],
    exclude: ['**/node_modules/**', '**/dist/**', '**/.vigil/**'],
    // Not what a test takes, but what a busy machine may make of it.
    testTimeout: 60_000,
    hookTimeout: 60_000,
    teardownTimeout: 20_000,
    // A poll waits for a process, a connection or a server, which a busy machine lets wait for more than a second.
    expect: { poll: { timeout: 20_000 } },
    restoreMocks: true,
    silent: 'passed-only',
    projects: [
      {
        extends: true,
        test: {
          name: 'parts',
          include: [...sources.map((folder) => `${folder}/**/*.test.ts`), 'test/**/*.test.ts'],
          exclude: [...whole, ...fault, ...mocking],
          // To load all modules anew for each of 180 files is a tenth of what these take.
          isolate: false,
          sequence: { groupOrder: 0 },
        },
      },
      { extends: true, test: { name: 'parts-mocking', include: mocking, sequence: { groupOrder: 1 } } },
      ...Object.entries({ whole, fault }).map(([name, include], n) => ({
        extends: true as const,
        test: {
          name,
          include,
          exclude: include === whole ? fault : [],
          maxWorkers: 1,
          testTimeout: 300_000,
          hookTimeout: 300_000,
          sequence: { groupOrder: 2 + n },
        },
      })),
    ],
  },
});
