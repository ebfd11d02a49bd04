/** A process of its own that consumes until it meets `poison`, and then kills itself the hard way. */
import { openPostgres } from '@vigil/runtime';
import { openPostgresEventLog } from '../src/index.ts';

const [url, topic] = process.argv.slice(2) as [string, string];
const say = (what: string) => new Promise<void>((resolve) => process.stdout.write(`${what}\n`, () => resolve()));
const ending = new AbortController();
process.on('SIGTERM', () => ending.abort());

await using postgres = openPostgres({ url, max: 3 });
await using log = await openPostgresEventLog({ postgres, leaseMs: 1000 });
const text = (value: Uint8Array | null) => new TextDecoder().decode(value ?? new Uint8Array());
const consumer = log.consume({
  group: 'doomed',
  topics: [topic],
  concurrency: 4,
  signal: ending.signal,
  async handle(record) {
    if (text(record.value) === 'poison') process.kill(process.pid, 'SIGKILL');
    await say(`handled ${text(record.value)}`);
  },
  bury: (record, deaths) => say(`buried ${text(record.value)} ${deaths}`),
});
await consumer.done;
