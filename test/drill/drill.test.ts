import { expect, test } from 'vitest';
import { runDrill } from './run-drill.ts';

/** Real: everything, and on the fleet set where Kafka and S3 are to be had. The same as `npm run drill -- --short`. */
test('matchers that find nothing are noticed by the canary, and the gap is closed by replay', {
  timeout: 10 * 60_000,
}, async () => {
  const { timeline, report, wrong } = await runDrill({ short: true, say: () => undefined });
  process.stdout.write(`${[...timeline, ...report].join('\n')}\n`);
  expect(wrong).toEqual([]);
  expect(report).toHaveLength(5);
});
