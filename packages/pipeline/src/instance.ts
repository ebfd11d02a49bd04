import path from 'node:path';
import { type BlobStore, openFileBlobStore } from '@vigil/blob-store';
import { deadSpec, TOPICS } from '@vigil/contracts';
import {
  type Database,
  lockDataFolder,
  OUTBOX_CHANNEL,
  openDatabase,
  openEmbeddedPostgres,
  purgeOutbox,
} from '@vigil/database';
import { type EventLog, openPostgresEventLog } from '@vigil/event-log';
import { type Fingerprinter, openFingerprinter } from '@vigil/fingerprint';
import { type Config, type Counters, createCounters, type Logger, realClock } from '@vigil/runtime';
import { createIndex, type SimilarityIndex } from '@vigil/similarity';
import { OWN_BUCKET } from './emit.ts';
import { createInspect, type Inspect } from './inspect.ts';
import { createIntake, type Intake, REFERENCE_BUCKET, UPLOAD_BUCKET } from './intake.ts';
import { createLanes } from './lanes.ts';
import { createLibrary, type Library } from './library.ts';
import { createMedia } from './media.ts';
import { createReferenceCodes } from './reference-codes.ts';
import { runRelay } from './relay.ts';
import { route } from './route.ts';
import { runStage, type Stage } from './run-stage.ts';
import { DEADLINE, decideUpload } from './stages/decide-upload.ts';
import { runTimers } from './timers.ts';

/** A whole pipeline in this process, running. */
export interface Instance {
  readonly database: Database;
  readonly log: EventLog;
  readonly blobs: BlobStore;
  readonly index: SimilarityIndex;
  readonly library: Library;
  readonly intake: Intake;
  readonly inspect: Inspect;
  readonly counters: Counters;
  /** Events that some stage has yet to read. */
  lag(): Promise<number>;
  /** Rejects with the error that stopped a part; never resolves before the instance is disposed. */
  readonly failed: Promise<void>;
  /** Drains: nothing new is begun, what runs is finished and committed. */
  [Symbol.asyncDispose](): Promise<void>;
}

export interface InstanceOptions {
  config: Config;
  logger: Logger;
  /** Which ffmpeg reads uploads; see fingerprint's `findFfmpeg`. */
  ffmpeg: Parameters<typeof openFingerprinter>[0]['ffmpeg'];
  /** Tests put something between the pipeline and its log. */
  wrapLog?: (log: EventLog) => EventLog;
}

const MAINTENANCE_MS = 60_000;
/** How long an id that was sent is refused a second time. */
const OUTBOX_KEPT_MS = 30 * 24 * 3600 * 1000;

/** @throws when the data folder is in use, or a part cannot be opened. */
export async function openInstance({ config, logger, ffmpeg, wrapLog }: InstanceOptions): Promise<Instance> {
  const stack = new AsyncDisposableStack();
  try {
    const clock = realClock;
    const counters = createCounters();
    stack.use(await lockDataFolder(config.dataFolder));
    const embedded = config.databaseUrl
      ? null
      : stack.use(await openEmbeddedPostgres({ dataFolder: config.dataFolder }));
    const url = config.databaseUrl ?? embedded!.url;
    const database = stack.use(await openDatabase({ url, max: 16 }));
    const opened = stack.use(await openPostgresEventLog({ postgres: database.postgres }));
    const log = wrapLog ? wrapLog(opened) : opened;
    const specs = Object.values(TOPICS);
    await log.ensureTopics([...specs, ...specs.map(deadSpec)]);
    const blobs = stack.use(await openFileBlobStore({ root: path.join(config.dataFolder, 'blobs') }));
    const fingerprinter: Fingerprinter = stack.use(
      await openFingerprinter({ threads: config.concurrency, limits: config.limits, ffmpeg }),
    );
    const index = createIndex();
    const shard = { number: 0, of: 1 };
    const library = createLibrary({ log, blobs, database, index, shard, replica: 'local', clock, logger });
    await library.catchUp();
    await library.reconcile();

    const wake = createWake();
    stack.use(await database.postgres.listen(OUTBOX_CHANNEL, wake.now));
    const buckets = [...new Set([UPLOAD_BUCKET, REFERENCE_BUCKET, ...config.buckets])].filter((b) => b !== OWN_BUCKET);
    const decide = decideUpload({ database, clock, concurrency: 8, published: wake.now });
    const stages = route({
      media: createMedia(blobs, fingerprinter, buckets),
      blobs,
      database,
      index,
      library,
      references: createReferenceCodes(blobs),
      lanes: createLanes(config.concurrency),
      clock,
      decide,
      shard,
      epoch: 0,
      decoders: config.concurrency,
    });

    const stop = new AbortController();
    const { signal } = stop;
    const handlers = {
      [DEADLINE]: (tx: Parameters<typeof decide.deadline>[0], { upload }: { upload: string }) =>
        decide.deadline(tx, upload),
    };
    const parts = [
      ...stages.map((stage) => runStage(stage, { log, blobs, clock, logger, counters }, signal).done),
      library.follow(signal),
      runRelay({ database, log, clock, woken: wake.next }, signal),
      runTimers({ database, clock, logger, handlers, published: wake.now }, signal),
      maintain(log, database, signal),
    ];
    const serverGone = embedded?.ended.then((words) => {
      throw new Error(`PostgreSQL has ended: ${words}`);
    });
    const failed = Promise.all([...parts, serverGone]).then(() => undefined);
    failed.catch(() => undefined);
    stack.defer(async () => {
      stop.abort(new Error('draining'));
      wake.now();
      await Promise.allSettled(parts);
    });
    const running = stack.move();
    const intake = createIntake({ blobs, log, database, clock, published: wake.now });
    return {
      database,
      log,
      blobs,
      index,
      library,
      intake,
      inspect: createInspect({ database, index, clock }),
      counters,
      lag: () => lagOf(log, stages),
      failed,
      [Symbol.asyncDispose]: () => running.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }

  async function maintain(log: EventLog, database: Database, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      await log.maintain();
      await purgeOutbox(database.postgres, realClock.now() - OUTBOX_KEPT_MS);
      await Promise.allSettled([realClock.sleep(MAINTENANCE_MS, signal)]);
    }
  }
}

async function lagOf(log: EventLog, stages: readonly Stage<never>[]): Promise<number> {
  let lag = 0;
  for (const { group, consumes } of stages) {
    for (const name of consumes) {
      const committed = await log.committed(group, TOPICS[name].name);
      for (const { partition, start, end } of await log.ends(TOPICS[name].name)) {
        lag += end - (committed.find((c) => c.partition === partition)?.offset ?? start);
      }
    }
  }
  return lag;
}

/** A bell: `next` resolves at the following `now`, however many ring at once. */
function createWake() {
  let { promise, resolve } = Promise.withResolvers<void>();
  return {
    now: () => {
      resolve();
      ({ promise, resolve } = Promise.withResolvers<void>());
    },
    next: () => promise,
  };
}
