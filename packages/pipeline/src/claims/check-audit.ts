import { AuditRoot, openEnvelope, TOPICS } from '@vigil/contracts';
import { type AuditReport, verifyAudit } from '@vigil/database';
import type { EventLog } from '@vigil/event-log';
import { type Config, type Logger, openPostgres } from '@vigil/runtime';
import { findDatabase, openLog } from '../stores.ts';
import { readRoots, rootsFile } from './audit.ts';

export interface AuditCheck extends AuditReport {
  /** Roots that were found outside of the tables: in the file, and on the log. */
  inFile: number;
  onLog: number;
  file: string;
}

/**
 * Checks every chain, every root, and the copies of the roots in the file and on the log. It asks the database that the settings
 * name, or the one in the data folder, whether an instance is running there or not. Nothing is changed.
 * @throws NoDatabase; PostgresError, EventLogError, Error when something cannot be read
 */
export async function checkAudit(config: Config, logger: Logger, file?: string): Promise<AuditCheck> {
  await using stack = new AsyncDisposableStack();
  const { url } = await findDatabase(config, stack);
  const postgres = stack.use(openPostgres({ url, max: 4, applicationName: 'vigil-audit' }));
  const log = stack.use(await openLog(config, { postgres }, logger));
  const from = file ?? rootsFile(config.dataFolder);
  const inFile = await readRoots(from);
  const onLog = await publishedRoots(log);
  const report = await verifyAudit(postgres, [...inFile, ...onLog]);
  return { ...report, inFile: inFile.length, onLog: onLog.length, file: from };
}

async function publishedRoots(log: EventLog): Promise<AuditRoot[]> {
  const { name } = TOPICS.audit;
  const found: AuditRoot[] = [];
  for (const { partition, start, end } of await log.ends(name)) {
    for await (const record of log.read(name, partition, start, end)) {
      if (record.value) found.push(openEnvelope(AuditRoot, record).event.data);
    }
  }
  return found;
}
