import { tmpdir } from 'node:os';
import type { BlobStore, FileBlobStore } from '@vigil/blob-store';
import { derivedId, RELEASE } from '@vigil/contracts';
import {
  CONFLICT_DUE,
  currentShards,
  type Database,
  OUTBOX_CHANNEL,
  purgeBrakes,
  purgeDeadLetters,
  purgeDeliveries,
  purgeOutbox,
  purgeResults,
  purgeRuns,
  settleConflict,
} from '@vigil/database';
import type { EventLog } from '@vigil/event-log';
import { checkKernels, openFingerprinter } from '@vigil/fingerprint';
import {
  type Config,
  createMetrics,
  isRetriable,
  type Logger,
  type Metrics,
  openTracer,
  type Queryable,
  ROLES,
  type Role,
  realClock,
} from '@vigil/runtime';
import { createIndex, type SimilarityIndex } from '@vigil/similarity';
import { createDeadLetters } from './again/dead-letters.ts';
import { followLookBack } from './again/follow-look-back.ts';
import { createActions } from './claims/actions.ts';
import { copyRoots, createAudit, rootsFile } from './claims/audit.ts';
import { type Brakes, createBrakes } from './claims/brakes.ts';
import { type Cases, createCases } from './claims/cases.ts';
import { createLedger, termsOf } from './claims/ledger.ts';
import { createReviews, type Reviews } from './claims/reviews.ts';
import { runWebhooks } from './claims/webhooks.ts';
import { createEnvironment } from './environment.ts';
import { createInspect, type Inspect } from './inspect.ts';
import { createIntake, type Intake } from './intake.ts';
import { createLanes } from './lanes.ts';
import { createLayout } from './layout.ts';
import { createLayouts, type Layouts } from './layouts.ts';
import { type Library, openLibrary } from './library.ts';
import { createMedia } from './media.ts';
import { lagOfAll } from './readers.ts';
import { createReferenceCodes } from './reference-codes.ts';
import { runRelay } from './relay.ts';
import { route } from './route.ts';
import { runStage } from './run-stage.ts';
import { sendAlarm } from './send-output.ts';
import { confirmProposal } from './stages/confirm-proposal.ts';
import { decideUpload } from './stages/decide-upload.ts';
import { recordAcknowledgement } from './stages/record-acknowledgement.ts';
import { openStores } from './stores.ts';
import { runTimers } from './timers.ts';
import { createDisks, guardBlobs, type Statfs } from './watching/disks.ts';
import { gatherGauges } from './watching/gauges.ts';
import { watchIndex } from './watching/index-watch.ts';
import { createStatus, type StatusReader } from './watching/status.ts';
import { createWitnesses, type Witnesses } from './watching/witnesses.ts';

/** A whole pipeline in this process, running. */
export interface Instance {
  readonly database: Database;
  readonly log: EventLog;
  readonly blobs: BlobStore;
  readonly index: SimilarityIndex;
  /** null where nothing is matched. */
  readonly library: Library | null;
  readonly intake: Intake;
  readonly inspect: Inspect;
  /** Serves the addresses that `blobs.presign` gives, where the store has no server of its own; their host is whoever serves. */
  readonly serveBlobs: FileBlobStore['handle'] | null;
  readonly cases: Cases;
  readonly reviews: Reviews;
  /** Buckets that events may name: nothing of any other is shown to anybody. */
  readonly buckets: readonly string[];
  readonly layouts: Layouts;
  readonly brakes: Brakes;
  readonly witnesses: Witnesses;
  readonly metrics: Metrics;
  readonly status: StatusReader;
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
  /** And between it and its disks. */
  statfs?: Statfs;
}

/** Most threads that search; a slice's codes are searched in a tenth of the time that they take to be made. */
const SEARCH_THREADS = 16;
const BUILD_KERNELS = 'npm run build:wasm';
const MAINTENANCE_MS = 60_000;
const PURGE_MS = 3600_000;
/** From one look at the dead topics to the next. */
const DEAD_LETTERS_MS = 10_000;
/** An index that has not seen the end of the log for so long is not ready: it may not know what was added, or taken away. */
const STALE_MS = 15_000;
/** How long an id that was sent is refused a second time. */
const DAY_MS = 24 * 3600 * 1000;
const OUTBOX_KEPT_MS = 30 * DAY_MS;

/** @throws when the data folder is in use, or a part cannot be opened. */
export async function openInstance({ config, logger, ffmpeg, wrapLog, statfs }: InstanceOptions): Promise<Instance> {
  const stack = new AsyncDisposableStack();
  try {
    const clock = realClock;
    const metrics = createMetrics();
    const service = `vigil-${config.roles.length === ROLES.length ? 'all' : config.roles.join('-')}`;
    const tracer = stack.use(await openTracer(config.watching.otlpEndpoint, { service, version: RELEASE, logger }));
    const has = (...roles: Role[]) => roles.some((role) => config.roles.includes(role));
    const stores = await openStores(config, logger, stack);
    const { database, blobs, buckets } = stores;
    const log = wrapLog ? wrapLog(stores.log) : stores.log;
    const environment = createEnvironment({ database, log, blobs, buckets, clock, logger });
    const decoding = has('plan', 'fingerprint', 'confirm');
    const wrong = decoding ? checkKernels() : null;
    if (wrong === 'missing') logger.warn({ todo: BUILD_KERNELS }, 'the WebAssembly kernels are not built: it is slow');
    else if (wrong) throw new Error(`${wrong}; it was built from other sources: ${BUILD_KERNELS}`);
    // One thread more than slices of film are decoded at once: images never wait for those. See lanes.ts.
    const fingerprinter = decoding
      ? stack.use(await openFingerprinter({ threads: config.concurrency + 1, limits: config.limits, ffmpeg }))
      : null;
    const shard = { number: config.shard, of: config.shards };
    const { replica } = config;
    const threads = Math.min(config.concurrency, SEARCH_THREADS);
    const references = createReferenceCodes(blobs, database.postgres, { logger, metrics });
    const library = has('match')
      ? stack.use(
          await openLibrary({ log, blobs, database, references, shard, replica, threads, clock, logger, metrics }),
        )
      : null;
    const watching = config.watching;
    const paths = { data: config.dataFolder, temp: tmpdir() };
    const disks = createDisks({
      paths,
      reserveBytes: watching.diskReserveBytes,
      clock,
      logger,
      ...(statfs ? { stat: statfs } : {}),
    });
    await disks.look();
    const index = library?.index ?? stack.use(createIndex());
    const layout = createLayout(database, clock, config.shards);
    if (has('plan') && (await layout()) !== config.shards) {
      const about = { shards: await layout(), setting: 'VIGIL_SHARDS', given: config.shards };
      logger.warn(about, 'uploads are planned for the shards that `vigil shards` tells of, not for the setting');
    }

    const wake = createWake();
    if (has('decide')) stack.use(await database.postgres.listen(OUTBOX_CHANNEL, wake.now));
    const actions = createActions({ clock, settings: config.acknowledgements });
    if (has('decide') && config.acknowledgements.surfaces.length === 0) {
      logger.info({ setting: 'VIGIL_SURFACES' }, 'no surfaces are configured: no acknowledgement is waited for');
    }
    const terms = termsOf(config.cases);
    const ledger = createLedger({ now: clock.now, terms });
    const cases = createCases({ database, actions, ledger, clock, terms });
    const audit = createAudit({ database, clock });
    if (has('decide')) await audit.start();
    const brakes = createBrakes({ database, clock, limits: config.brakes });
    const witnesses = createWitnesses({ database, brakes, clock });
    const decide = decideUpload({ database, actions, ledger, brakes, clock, concurrency: 8 });
    if (has('plan')) logger.info(mappingNote(config.keyPattern), 'uploads told by notifications of an object store');
    const media = fingerprinter && createMedia(blobs, fingerprinter, stores.buckets);
    const lanes = createLanes(config.concurrency);
    const stages = route({
      mapping: { keyPattern: config.keyPattern },
      media,
      blobs,
      database,
      library,
      references,
      lanes,
      clock,
      ledger,
      decide,
      acknowledge: recordAcknowledgement({ database, actions, ledger, clock, concurrency: 8 }),
      shard,
      layout,
      decoders: config.concurrency,
      has,
    });

    const layouts = createLayouts({ database, log, blobs, clock });
    const ackSeconds = config.acknowledgements.deadlineSeconds;
    const seen = { log, database, environment, disks, clock, ackSeconds, watch: brakes };
    const status = createStatus({ ...seen, layouts, index: library?.index ?? null });
    const about = { version: RELEASE, roles: config.roles.join() };
    gatherGauges({ ...seen, metrics, lanes, library, readers: stages, status, tellsWhole: has('decide'), about });
    const fullDisk = async (message: string) => {
      const at = clock.now();
      const alarm = { kind: 'intake-stopped' as const, subject: replica, message, at };
      await database.transaction((tx) => sendAlarm(tx, derivedId('ev', 'intake-stopped', replica, at), alarm));
    };

    const stop = new AbortController();
    const { signal } = stop;
    const handlers = {
      ...actions.handlers,
      ...cases.handlers,
      ...audit.handlers,
      ...decide.handlers,
      ...witnesses.handlers,
      [CONFLICT_DUE]: async (tx: Queryable, { conflict }: { conflict: string }) => {
        await settleConflict(tx, conflict, { outcome: 'earlier', by: 'silence', now: clock.now() });
      },
    };
    const rideOut = (part: string, work: () => Promise<void>) => environment.rideOut(part, signal, work);
    const staged = { log, blobs, clock, logger, metrics, tracer, intake: disks, environment };
    const name = `${config.shard}-of-${config.shards}@${replica}`;
    const indexWatch = library && watchIndex({ library, references, witnesses, environment, name, clock, logger });
    await indexWatch?.look();
    const matching = indexWatch ? AbortSignal.any([signal, indexWatch.out]) : signal;
    const parts = stages.map((stage) => runStage(stage, staged, stage.name === 'match' ? matching : signal).done);
    if (library && indexWatch) {
      parts.push(rideOut('self-check', () => indexWatch.run(signal)));
      environment.add('library', () => {
        const behind = clock.now() - library.readAt();
        if (behind > STALE_MS) throw new Error(`the index has not read the log for ${Math.round(behind / 1000)} s`);
      });
      parts.push(rideOut('library', () => library.follow(signal)));
    }
    if (has('confirm') && media && config.lookBackSeconds > 0) {
      const shards = () => currentShards(database.postgres, config.shards, clock.now());
      const confirm = confirmProposal({ media, references, lanes, clock, concurrency: 1, lane: 'batch' });
      const shared = { database, log, blobs, clock, logger, metrics, environment };
      const deps = {
        ...shared,
        references,
        confirm,
        again: decide.again,
        shards,
        delayMs: config.lookBackSeconds * 1000,
        surfaces: config.acknowledgements.surfaces,
      };
      parts.push(rideOut('look-back', () => followLookBack(deps, signal)));
    }
    if (has('decide')) {
      const deadLetters = createDeadLetters({ database, log, clock });
      parts.push(rideOut('dead-letters', () => repeat(DEAD_LETTERS_MS, signal, () => deadLetters.catchUp())));
      const webhooks = { database, clock, logger, allowPrivate: config.privateWebhooks };
      const timed = { database, clock, logger, handlers };
      parts.push(
        rideOut('relay', () => runRelay({ database, log, clock, metrics, woken: wake.next }, signal)),
        rideOut('timers', () => runTimers(timed, signal)),
        rideOut('webhooks', () => runWebhooks(webhooks, signal)),
        rideOut('maintenance', () => repeat(MAINTENANCE_MS, signal, () => log.maintain())),
        rideOut('purges', () =>
          repeat(PURGE_MS, signal, async () => {
            const db = database.postgres;
            const [now, kept] = [clock.now(), config.keepDays * DAY_MS];
            await untilNone(signal, () => purgeOutbox(db, now - OUTBOX_KEPT_MS));
            await untilNone(signal, () => purgeResults(db, now - kept));
            await purgeBrakes(db, now);
            await untilNone(signal, () => purgeDeliveries(db, now - OUTBOX_KEPT_MS));
            await purgeDeadLetters(db, now - OUTBOX_KEPT_MS);
            await purgeRuns(db, now - OUTBOX_KEPT_MS);
            // A file that cannot be read or written is a person's to see to: verdicts go on meanwhile.
            await copyRoots(db, rootsFile(config.dataFolder), logger).catch((error: unknown) => {
              if (isRetriable(error)) throw error;
              logger.error({ error }, 'the copy of the audit roots is not kept up');
            });
          }),
        ),
      );
    }
    parts.push(rideOut('disks', () => disks.watch(signal, fullDisk)));
    // However few parts a role has, it lasts until it is told to stop.
    parts.push(new Promise<void>((resolve) => signal.addEventListener('abort', () => resolve(), { once: true })));
    const failed = Promise.all([...parts, stores.gone]).then(() => undefined);
    failed.catch(() => undefined);
    stack.defer(async () => {
      stop.abort(new Error('draining'));
      wake.now();
      await Promise.allSettled(parts);
    });
    const running = stack.move();
    return {
      database,
      log,
      blobs,
      index,
      library,
      intake: createIntake({ blobs, log, database, disks, clock, shards: config.shards }),
      serveBlobs: stores.serveBlobs && guardBlobs(stores.serveBlobs, disks),
      inspect: createInspect({ database, environment, index, clock }),
      cases,
      reviews: createReviews({ database, cases, ledger, clock }),
      buckets: stores.buckets,
      layouts,
      brakes,
      witnesses,
      metrics,
      status,
      lag: () => lagOfAll(log, stages),
      failed,
      [Symbol.asyncDispose]: () => running.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** Whose an upload is, notifications do not say by themselves. */
const mappingNote = (pattern: Config['keyPattern']) =>
  pattern === null
    ? {
        setting: 'VIGIL_KEY_PATTERN',
        accounts: 'of object metadata where there are any; else each upload is a case of its own',
      }
    : { pattern: pattern.text, accounts: 'of object metadata or the key' };

async function repeat(everyMs: number, signal: AbortSignal, work: () => Promise<unknown>): Promise<void> {
  while (!signal.aborted) {
    await work();
    await Promise.allSettled([realClock.sleep(everyMs, signal)]);
  }
}

/** What is done a bounded number at a time, until nothing of it is left. */
async function untilNone(signal: AbortSignal, some: () => Promise<number>): Promise<void> {
  while (!signal.aborted && (await some()) > 0);
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
