import { lstat } from 'node:fs/promises';
import path from 'node:path';
import { type BlobStore, type FileBlobStore, openFileBlobStore, openS3BlobStore } from '@vigil/blob-store';
import { deadSpec, TOPICS } from '@vigil/contracts';
import {
  type Database,
  findRunningPostgres,
  lockDataFolder,
  openDatabase,
  openEmbeddedPostgres,
} from '@vigil/database';
import { type EventLog, openKafkaEventLog, openPostgresEventLog } from '@vigil/event-log';
import type { Config, Logger } from '@vigil/runtime';
import { OWN_BUCKET } from './emit.ts';
import { REFERENCE_BUCKET, UPLOAD_BUCKET } from './intake.ts';

export const BLOBS_PATH = '/blobs/';

/** Where everything lies: one expression picks each. */
export interface Stores {
  database: Database;
  log: EventLog;
  blobs: BlobStore;
  /** Serves the store's own addresses, below BLOBS_PATH; null where the store has a server. */
  serveBlobs: FileBlobStore['handle'] | null;
  /** Buckets that events may name. */
  buckets: string[];
  /** Rejects when a server that we started ends by itself. */
  gone: Promise<never> | null;
}

/** Opens the stores onto the stack, creates or checks the topics. @throws when one cannot be used */
export async function openStores(config: Config, logger: Logger, stack: AsyncDisposableStack): Promise<Stores> {
  stack.use(await lockDataFolder(config.dataFolder));
  const embedded = config.databaseUrl ? null : stack.use(await openEmbeddedPostgres({ dataFolder: config.dataFolder }));
  const database = stack.use(await openDatabase({ url: config.databaseUrl ?? embedded!.url, max: 16 }));
  const buckets = [...new Set([UPLOAD_BUCKET, REFERENCE_BUCKET, ...config.buckets])].filter((b) => b !== OWN_BUCKET);
  const log = stack.use(await openLog(config, database, logger));
  const { blobs, serveBlobs } = await openBlobs(config, logger, [...buckets, OWN_BUCKET]);
  stack.use(blobs);
  const specs = Object.values(TOPICS);
  await log.ensureTopics([...specs, ...specs.map(deadSpec)]);
  const gone =
    embedded?.ended.then((words): never => {
      throw new Error(`PostgreSQL has ended: ${words}`);
    }) ?? null;
  gone?.catch(() => undefined);
  return { database, log, blobs, serveBlobs, buckets, gone };
}

/** There is no database where one was to be found. */
export class NoDatabase extends Error {
  override name = 'NoDatabase';
  readonly retriable = false;
}

/**
 * Address of the database that the settings name, or of the one in the data folder, whether an instance is running there or not; what
 * has to be started for it is put onto the stack. None is made. @throws NoDatabase where the folder holds none
 */
export async function findDatabase(
  { databaseUrl, dataFolder }: Pick<Config, 'databaseUrl' | 'dataFolder'>,
  stack: AsyncDisposableStack,
): Promise<{ url: string; running: boolean }> {
  if (databaseUrl) return { url: databaseUrl, running: true };
  // The link itself: one whose target is gone has an error of its own.
  const there = await lstat(path.join(dataFolder, 'postgres')).catch(() => null);
  if (!there)
    throw new NoDatabase(
      `there is no database in ${dataFolder}: name the data folder of an installation (--data or VIGIL_DATA), or set DATABASE_URL`,
    );
  const found = await findRunningPostgres(dataFolder);
  return { url: found ?? stack.use(await openEmbeddedPostgres({ dataFolder })).url, running: found !== null };
}

export async function openLog(
  { kafka, replica }: Config,
  { postgres }: Pick<Database, 'postgres'>,
  logger: Logger,
): Promise<EventLog> {
  if (!kafka) return openPostgresEventLog({ postgres, logger });
  const { brokers, ssl, sasl, replicas } = kafka;
  return openKafkaEventLog({
    brokers,
    clientId: `vigil-${replica}`,
    ssl,
    logger,
    ...(sasl ? { sasl } : {}),
    ...(replicas ? { replicas } : {}),
  });
}

export async function openBlobs({ s3, dataFolder }: Config, logger: Logger, buckets: string[]) {
  if (!s3) {
    // Under which host it is reached, only those know who ask: signatures do not speak of it.
    const baseUrl = `http://localhost${BLOBS_PATH}`;
    const blobs = await openFileBlobStore({ root: path.join(dataFolder, 'blobs'), baseUrl });
    return { blobs, serveBlobs: blobs.handle };
  }
  const { endpoint, region, credentials, bucketPrefix } = s3;
  const blobs = await openS3BlobStore({
    region,
    bucketPrefix,
    buckets,
    logger,
    ...(endpoint ? { endpoint } : {}),
    ...(credentials ? { credentials } : {}),
  });
  return { blobs, serveBlobs: null };
}
