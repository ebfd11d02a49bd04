import { expect, test } from 'vitest';
import { isKafkaHere } from '../../infra/kafka/local-kafka.ts';
import { describeWith } from '../support/require.ts';
import { s3Here } from '../support/s3.ts';
import { runFaults } from './run-faults.ts';

/** Real: everything. The same as `npm run test:fault`, in its short form unless VIGIL_FULL asks for all of it. */
const isFull = process.env.VIGIL_FULL === '1';
/** The short form is always the same plan; `npm run test:fault -- --short --seed N` is another. */
const SHORT_SEED = 1;
const kafkaHere = await isKafkaHere((line) => process.stderr.write(`${line}\n`), { own: true });
const storeHere = await s3Here();

describeWith('kafka', kafkaHere, 'the fault test', () => {
  describeWith('s3', storeHere, 'a fleet in which everything fails', () => {
    test(
      'loses nothing, and says nothing twice',
      async () => {
        const seed = isFull ? Math.floor(Math.random() * 1e9) : SHORT_SEED;
        const lines: string[] = [];
        const outcome = await runFaults({ form: isFull ? 'full' : 'short', seed, say: (line) => lines.push(line) });
        if (!outcome) throw new Error(`there is no Kafka or no S3: ${lines.join('\n')}`);
        process.stdout.write(`seed ${seed}\n${[...lines, ...outcome.summary].join('\n')}\n`);
        expect(outcome.wrong).toEqual([]);
      },
      (isFull ? 40 : 10) * 60_000,
    );
  });
});
