import type { BlobStore } from '@vigil/blob-store';
import {
  deadTopic,
  MalformedEvent,
  openEnvelope,
  placeOf,
  ReferenceEvent,
  type ReferenceKey,
  referenceKey,
  SliceCodes,
  TOPICS,
} from '@vigil/contracts';
import { type Database, liveReferences, markSliceLoaded } from '@vigil/database';
import type { EventLog, LogRecord } from '@vigil/event-log';
import type { Clock, Logger } from '@vigil/runtime';
import type { SimilarityIndex } from '@vigil/similarity';
import { unspilled } from './emit.ts';
import { indexedCodes } from './indexed-codes.ts';
import { countProtecting } from './stages/match-slice.ts';

/**
 * Keeps one replica of one index shard in step with the library: the log carries the codes, the database says which
 * versions are allowed. Every replica reads the whole topics by itself; the log's offsets are its only state.
 */
export interface Library {
  /** Sum of the offsets read: rises with everything that the index learned. */
  checkpoint(): number;
  /** Reads to the present end. */
  catchUp(): Promise<void>;
  /** Drops what the database no longer allows; the second way that a removal arrives. */
  reconcile(): Promise<void>;
  /** Keeps up until aborted. */
  follow(signal: AbortSignal): Promise<void>;
}

export interface LibraryDeps {
  log: EventLog;
  blobs: BlobStore;
  database: Database;
  index: SimilarityIndex;
  shard: { number: number; of: number };
  replica: string;
  clock: Clock;
  logger: Logger;
}

const POLL_MS = 100;
const RECONCILE_MS = 60_000;

export function createLibrary(deps: LibraryDeps): Library {
  const { log, blobs, database, index, shard, replica, clock, logger } = deps;
  const next = new Map<string, number>();
  const removed = new Set<string>();
  let total = 0;

  const mine = (id: string) => placeOf(id, shard.of) === shard.number;

  async function learn(record: LogRecord): Promise<void> {
    if (!record.value) return;
    const { event, codes } = openEnvelope(SliceCodes, await unspilled(record, blobs));
    const { owner, slice, slices, probe, outcome } = event.data;
    if (owner.type !== 'reference' || !mine(owner.id)) return;
    const key: ReferenceKey = { id: owner.id, version: owner.version };
    if (removed.has(referenceKey(key))) return;
    if (codes) index.add(key, slice, probe.kind, indexedCodes(codes));
    const usable = codes ? countProtecting(codes) : 0;
    const failed = outcome.status === 'failed' ? `${outcome.reason}: ${outcome.detail}` : null;
    await markSliceLoaded(database.postgres, {
      reference: key,
      slice,
      slices,
      shard: shard.number,
      replica,
      usable,
      failed,
    });
  }

  function change(record: LogRecord): void {
    if (!record.value) return;
    const { event } = openEnvelope(ReferenceEvent, record);
    const { action, reference } = event.data;
    if (action !== 'disabled') return;
    removed.add(referenceKey(reference));
    index.remove(reference.id, reference.version);
  }

  async function readTopic(topic: string, apply: (record: LogRecord) => Promise<void> | void): Promise<void> {
    for (const { partition, start, end } of await log.ends(topic)) {
      const place = `${topic}/${partition}`;
      const from = Math.max(next.get(place) ?? 0, start);
      if (from >= end) continue;
      let reached = from;
      for await (const record of log.read(topic, partition, from, end)) {
        try {
          await apply(record);
        } catch (error) {
          if (!(error instanceof MalformedEvent)) throw error;
          logger.error({ topic, offset: record.offset, error: error.message }, 'dead letter');
          const headers = { ...record.headers, vigil_reason: error.message, vigil_stage: 'library' };
          await log.append([{ topic: deadTopic(topic), key: record.key, headers, value: record.value }]);
        }
        reached = record.offset + 1;
        next.set(place, reached);
      }
      next.set(place, Math.max(reached, end));
      total += end - from;
    }
  }

  const library: Library = {
    checkpoint: () => total,
    async catchUp() {
      await readTopic(TOPICS.references.name, change);
      await readTopic(TOPICS.referenceCodes.name, learn);
    },
    async reconcile() {
      const allowed = new Set((await liveReferences(database.postgres)).map(referenceKey));
      for (const known of index.references()) {
        if (allowed.has(referenceKey(known))) continue;
        logger.info({ reference: referenceKey(known) }, 'no longer in the library');
        index.remove(known.id, known.version);
      }
    },
    async follow(signal) {
      let reconciled = clock.now();
      while (!signal.aborted) {
        await library.catchUp();
        if (clock.now() - reconciled > RECONCILE_MS) {
          await library.reconcile();
          reconciled = clock.now();
        }
        await Promise.allSettled([clock.sleep(POLL_MS, signal)]);
      }
    },
  };
  return library;
}
