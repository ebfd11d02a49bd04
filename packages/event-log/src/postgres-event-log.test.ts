import { openPostgres } from '@vigil/runtime';
import { createEmptyDatabase } from '../../../test/support/postgres.ts';
import { cuttable } from '../test/cuttable.ts';
import { type ContractHarness, eventLogContract } from './contract-suite.ts';
import { openPostgresEventLog } from './postgres-event-log.ts';

const TOMBSTONE_MS = 5000;

async function openHarness(): Promise<ContractHarness> {
  const database = await createEmptyDatabase();
  const own = openPostgres({ url: database.url, max: 12 });
  let time = 1_700_000_000_000;
  const now = () => time;
  return {
    async open({ lease = 'long' } = {}) {
      const line = cuttable(openPostgres({ url: database.url, max: 4 }));
      const leaseMs = lease === 'short' ? 600 : 120_000;
      const log = await openPostgresEventLog({
        postgres: line,
        clock: { now },
        leaseMs,
        pollMs: 30_000,
        patienceMs: 1,
        drainMs: lease === 'short' ? 300 : 10_000,
        tombstoneMs: TOMBSTONE_MS,
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
    transaction: (fn) => own.transaction(fn),
    clock: {
      now,
      advance(ms) {
        time += ms;
      },
    },
    tombstoneMs: TOMBSTONE_MS,
    async [Symbol.asyncDispose]() {
      await own[Symbol.asyncDispose]();
      await database[Symbol.asyncDispose]();
    },
  };
}

eventLogContract('PostgreSQL', openHarness);
