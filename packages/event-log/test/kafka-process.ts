/** A process of its own that consumes, says what it handles, and hangs on `hold` until somebody kills it. */
import { openKafkaEventLog } from '../src/index.ts';

const [broker, topic, settings] = process.argv.slice(2) as [string, string, string];
const say = (what: string) => new Promise<void>((resolve) => process.stdout.write(`${what}\n`, () => resolve()));
const ending = new AbortController();
process.on('SIGTERM', () => ending.abort());

await using log = openKafkaEventLog({ brokers: [broker], clientId: 'child', ...JSON.parse(settings) });
const consumer = log.consume({
  group: 'one',
  topics: [topic],
  concurrency: 4,
  signal: ending.signal,
  async handle(record) {
    const text = new TextDecoder().decode(record.value ?? new Uint8Array());
    await say(text);
    if (text === 'hold') await new Promise(() => undefined);
  },
  bury: (record) => say(`buried ${record.offset}`),
});
await consumer.done;
