import { type LocalKafka, startKafka } from '../../infra/kafka/local-kafka.ts';

/**
 * A broker for one test file: `const kafka = await openTestKafka();` at its top, `describeWith('kafka', kafka !== null, ...)`
 * below, and `kafka?.[Symbol.asyncDispose]()` after all. Null where there is none to be had; then stderr says why.
 */
export function openTestKafka(): Promise<LocalKafka | null> {
  return startKafka({
    log: (line) => {
      if (line.startsWith('no Kafka') || line.startsWith('fetching')) process.stderr.write(`${line}\n`);
    },
  });
}
