import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { VIGIL } from '../support/vigil-process.ts';
import { openFleet } from './open-fleet.ts';

/** `npm run fleet`: Kafka, S3, PostgreSQL and every role as a process, and the demo against all of it. */
const say = (line: string) => void process.stdout.write(`${line}\n`);
const startedAt = Date.now();
await using fleet = await openFleet({ log: say });
if (fleet) {
  say(
    `the fleet is up (${((Date.now() - startedAt) / 1000).toFixed(1)} s): Kafka ${fleet.kafka.brokers.join(', ')}, S3 ${fleet.s3.endpoint}`,
  );
  const env = { ...process.env, ...fleet.env, VIGIL_ROLES: 'api' };
  const demo = spawn(process.execPath, [VIGIL, 'demo', ...process.argv.slice(2)], { env, stdio: 'inherit' });
  const [code] = (await once(demo, 'exit')) as [number | null];
  process.exitCode = code ?? 1;
} else {
  say('the fleet needs Kafka and S3: see infra/README.md for what can bring them');
  process.exitCode = 2;
}
