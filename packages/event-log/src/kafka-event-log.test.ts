import { afterAll } from 'vitest';
import { openTestKafka } from '../../../test/support/kafka.ts';
import { describeWith } from '../../../test/support/require.ts';
import { cuttableLine } from '../test/cuttable-line.ts';
import { type ContractHarness, eventLogContract } from './contract-suite.ts';
import { EventLogError } from './event-log.ts';
import { openKafkaEventLog } from './kafka-event-log.ts';

const kafka = await openTestKafka();
afterAll(() => kafka?.[Symbol.asyncDispose]());

/** No transactions to join, and no clock: time, retention and compaction are the broker's. */
async function openHarness(): Promise<ContractHarness> {
  return {
    async open({ lease = 'long' } = {}) {
      const line = await cuttableLine();
      const log = openKafkaEventLog({
        brokers: kafka!.brokers,
        clientId: 'contract',
        openSocket: line.openSocket,
        sessionMs: lease === 'short' ? 1000 : 120_000,
        heartbeatMs: 100,
        rebalanceMs: 2000,
        maxWaitMs: 50,
        commitMs: 50,
        // Who is to die does so at once; nobody else, however busy the machine.
        patienceMs: lease === 'short' ? 200 : 60_000,
        drainMs: lease === 'short' ? 500 : 10_000,
        auditMs: 1000,
      });
      return {
        log,
        freeze: line.freeze,
        thaw: line.thaw,
        kill: line.kill,
        async [Symbol.asyncDispose]() {
          line.thaw();
          await log[Symbol.asyncDispose]();
          await line[Symbol.asyncDispose]();
        },
      };
    },
    // kafkajs stopped fetching without a word: see kafka-audit.ts.
    endsByItself: (error) =>
      error instanceof EventLogError && error.retriable && error.message.endsWith('that are not fetched'),
    async [Symbol.asyncDispose]() {
      // The broker goes with the file.
    },
  };
}

describeWith('kafka', kafka !== null, 'Kafka', () => eventLogContract('Kafka', openHarness));
