import type { BlobStore } from '@vigil/blob-store';
import { currentShards, type Database, openDatabase } from '@vigil/database';
import type { EventLog } from '@vigil/event-log';
import { openFingerprinter } from '@vigil/fingerprint';
import { type Clock, type Config, type Logger, realClock } from '@vigil/runtime';
import { createActions } from '../claims/actions.ts';
import { createBrakes } from '../claims/brakes.ts';
import { createLedger, termsOf } from '../claims/ledger.ts';
import { OWN_BUCKET } from '../emit.ts';
import { createEnvironment } from '../environment.ts';
import { createFrameLists } from '../frame-lists.ts';
import { REFERENCE_BUCKET, UPLOAD_BUCKET } from '../intake.ts';
import { createLanes } from '../lanes.ts';
import { openLibrary } from '../library.ts';
import { createMedia } from '../media.ts';
import { lagOfAll, matcher, READERS, type Reader } from '../readers.ts';
import { createReferenceCodes } from '../reference-codes.ts';
import { confirmProposal } from '../stages/confirm-proposal.ts';
import { decideUpload } from '../stages/decide-upload.ts';
import { fingerprintSlice } from '../stages/fingerprint-slice.ts';
import { planUpload } from '../stages/plan-upload.ts';
import { findDatabase, openBlobs, openLog } from '../stores.ts';
import type { LookBackDeps } from './look-back.ts';
import { checkSurfaces, type ReplayDeps } from './replay.ts';
import { createSecondLooks } from './second-look.ts';

/** The stores of an installation, opened beside those who run it. */
export interface Beside extends AsyncDisposable {
  database: Database;
  log: EventLog;
  blobs: BlobStore;
  buckets: string[];
}

/**
 * The stores that the settings name, or those in the data folder, whether an instance is running there or not.
 * @throws NoDatabase where there are none
 */
export async function openBeside(config: Config, logger: Logger): Promise<Beside> {
  const stack = new AsyncDisposableStack();
  try {
    const { url } = await findDatabase(config, stack);
    const database = stack.use(await openDatabase({ url, max: 8, applicationName: 'vigil-again' }));
    const log = stack.use(await openLog(config, database, logger));
    const buckets = [...new Set([UPLOAD_BUCKET, REFERENCE_BUCKET, ...config.buckets])].filter((b) => b !== OWN_BUCKET);
    const { blobs } = await openBlobs(config, logger, [...buckets, OWN_BUCKET]);
    stack.use(blobs);
    const opened = stack.move();
    return { database, log, blobs, buckets, [Symbol.asyncDispose]: () => opened.disposeAsync() };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

export interface Tools extends AsyncDisposable {
  replay: ReplayDeps;
  lookBack: LookBackDeps;
}

/**
 * What judging again needs, in a process of its own beside those that run: their stages and their decide, a decoder for one slice at
 * a time, and, `withLibrary`, the whole library in memory, of which it is no replica.
 * @throws ReplayRefused when takedowns would be sent that no surface is waited for, though elsewhere they are; NoDatabase
 */
export async function openTools(
  config: Config,
  options: {
    logger: Logger;
    ffmpeg: Parameters<typeof openFingerprinter>[0]['ffmpeg'];
    withLibrary: boolean;
    clock?: Clock;
  },
): Promise<Tools> {
  const { logger, ffmpeg, withLibrary, clock = realClock } = options;
  const stack = new AsyncDisposableStack();
  try {
    const { database, log, blobs, buckets } = stack.use(await openBeside(config, logger));
    await checkSurfaces(database, config.acknowledgements.surfaces);
    const fingerprinter = stack.use(await openFingerprinter({ threads: 1, limits: config.limits, ffmpeg }));
    const shards = await currentShards(database.postgres, config.shards, clock.now());
    const references = createReferenceCodes(blobs, database.postgres, { logger });
    const libraries = [];
    for (let number = 0; withLibrary && number < shards; number++) {
      const shard = { number, of: shards };
      const about = { log, blobs, database, references, shard, replica: 'observer', threads: 0, clock, logger };
      libraries.push(stack.use(await openLibrary({ ...about, observer: true })));
    }
    const media = createMedia(blobs, fingerprinter, buckets);
    const frames = createFrameLists(blobs, media);
    const lanes = createLanes(1);
    const mapping = { keyPattern: config.keyPattern };
    const plan = planUpload({ media, frames, mapping, clock, layout: async () => shards, concurrency: 1 });
    const confirm = confirmProposal({ media, references, lanes, clock, concurrency: 1 });
    const fingerprint = fingerprintSlice({
      ...{ media, frames, blobs, lanes, clock, from: 'slicesBatch', concurrency: 1 },
      isGone: async () => false,
    });
    const actions = createActions({ clock, settings: config.acknowledgements });
    const ledger = createLedger({ now: clock.now, terms: termsOf(config.cases) });
    const brakes = createBrakes({ database, clock, limits: config.brakes });
    const decide = decideUpload({ database, actions, ledger, brakes, clock, concurrency: 1 });
    const environment = createEnvironment({ database, log, blobs, buckets, clock, logger });
    const shared = { database, log, blobs, clock, logger, environment, again: decide.again };
    const looks = createSecondLooks({ libraries, plan, fingerprint, confirm, ...shared });
    const liveFirst = createLiveFirst(log, shards, clock);
    const opened = stack.move();
    return {
      replay: { ...shared, looks, readUploads: plan.schema, liveFirst },
      lookBack: { ...shared, references, confirm, shards: async () => shards },
      [Symbol.asyncDispose]: () => opened.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

/** So many events may wait in front of matchers and decide before a replay makes room. */
const BUSY = 500;
const LOOK_MS = 1000;
/** Where what waits does not get less, nobody is at it: then waiting helps nobody. */
const STUCK_MS = 30_000;

/** Waits while live traffic has more to do than `BUSY`, as long as it gets on. */
function createLiveFirst(log: EventLog, shards: number, clock: Clock): ReplayDeps['liveFirst'] {
  const matchers = Array.from({ length: shards }, (_, number) => matcher({ number, of: shards }));
  const readers: Reader[] = [...matchers, READERS.alignments, READERS.confirm];
  let lookedAt = Number.NEGATIVE_INFINITY;
  /** How much waited when nobody was at it: until it is less, nobody is. */
  let abandoned = Number.POSITIVE_INFINITY;
  return async (signal) => {
    if (clock.now() - lookedAt < LOOK_MS) return;
    let [least, fellAt] = [Number.POSITIVE_INFINITY, clock.now()];
    for (;;) {
      signal.throwIfAborted();
      const waiting = await lagOfAll(log, readers);
      lookedAt = clock.now();
      if (waiting <= BUSY || waiting >= abandoned) return;
      if (waiting < least) [least, fellAt] = [waiting, lookedAt];
      if (lookedAt - fellAt > STUCK_MS) {
        abandoned = waiting;
        return;
      }
      await clock.sleep(LOOK_MS, signal);
    }
  };
}
