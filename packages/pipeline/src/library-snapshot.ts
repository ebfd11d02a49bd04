import { createHash } from 'node:crypto';
import { Readable } from 'node:stream';
import { type BlobStore, BlobStoreError } from '@vigil/blob-store';
import { ENGINE_VERSION } from '@vigil/contracts';
import type { EventLog, LogRecord, PartitionEnds } from '@vigil/event-log';
import type { Logger } from '@vigil/runtime';
import { type Index, restoreIndex } from '@vigil/similarity';
import { z } from 'zod';
import { OWN_BUCKET } from './emit.ts';

/** How far one partition has been read, and by which record that can be told from another log's. */
const Place = z.object({
  topic: z.string(),
  partition: z.number().int(),
  next: z.number().int(),
  /** The last record that was read, and a digest of it; null before the first. */
  last: z.object({ offset: z.number().int(), digest: z.string() }).nullable(),
});
export type Place = z.infer<typeof Place>;

const SliceName = z.object({
  reference: z.object({ id: z.string(), version: z.number().int() }),
  slice: z.number().int(),
  slices: z.number().int(),
});

/** What an index was made of; it lies in the snapshot, under the snapshot's checksum. */
const Note = z.object({
  engine: z.string(),
  shards: z.number().int(),
  shard: z.number().int(),
  /** By the writer's clock, when it had last begun to read the log to its end: all that was removed before is in it. */
  madeAt: z.number(),
  places: z.array(Place),
  /** Versions that were removed: codes of theirs that come later are not learned. */
  removed: z.array(z.string()),
  /** Slices of references that are not live yet, which a replica that reads this has loaded as well. */
  waiting: z.array(SliceName.extend({ usable: z.number().int(), failed: z.string().nullable() })),
  /** Slices of other shards' references that were read, and not compared with ours yet. */
  foreign: z.array(SliceName),
});
export type Note = z.infer<typeof Note>;

export interface Shard {
  number: number;
  of: number;
}

/**
 * A removal whose tombstone is gone from the log cannot be read after a snapshot that is older. Both logs keep tombstones for a day
 * (Kafka's `delete.retention.ms`); an hour of it is for clocks that differ.
 */
export const SNAPSHOT_REACH_MS = 23 * 3600 * 1000;

/** One object a shard, which every replica of it writes and reads, on whatever machine. */
export const snapshotKey = ({ number, of }: Shard): string => `index/${of}/${number}`;

/** Why a snapshot is not used. */
class Refused extends Error {
  override name = 'Refused';
}

interface SnapshotDeps {
  blobs: BlobStore;
  log: EventLog;
  logger: Logger;
  shard: Shard;
  /** That search the index beside this one. */
  threads: number;
}

/** Null, with the reason in the log, when there is none that can be trusted: then the library is read from the log's beginning. */
export async function loadSnapshot(
  { blobs, log, logger, shard, threads }: SnapshotDeps,
  topics: readonly string[],
  now: number,
): Promise<{ index: Index; note: Note } | null> {
  let restored: Awaited<ReturnType<typeof restoreIndex>>;
  let note: Note;
  try {
    restored = await restoreIndex(await blobs.get(OWN_BUCKET, snapshotKey(shard)), { threads });
    note = Note.parse(JSON.parse(restored.note));
  } catch (error) {
    const missing = error instanceof BlobStoreError && error.code === 'missing';
    if (missing) logger.info({ key: snapshotKey(shard) }, 'there is no snapshot of the index: the whole log is read');
    else logger.warn({ key: snapshotKey(shard), error }, 'the snapshot of the index is refused: the whole log is read');
    return null;
  }
  try {
    checkOrigin(note, shard, now);
    for (const topic of topics) {
      const places = note.places.filter((p) => p.topic === topic);
      await checkPlaces(log, places, await log.ends(topic));
    }
  } catch (error) {
    restored.index[Symbol.dispose]();
    if (!(error instanceof Refused)) throw error;
    const reason = error.message;
    logger.warn({ key: snapshotKey(shard), reason }, 'the snapshot of the index is refused: the whole log is read');
    return null;
  }
  return { index: restored.index, note };
}

function checkOrigin(note: Note, { number, of }: Shard, now: number): void {
  if (note.shards !== of || note.shard !== number)
    throw new Refused(`it is of shard ${note.shard} of ${note.shards}, not of shard ${number} of ${of}`);
  if (note.engine !== ENGINE_VERSION) throw new Refused(`it was made by engine ${note.engine}, not ${ENGINE_VERSION}`);
  if (now - note.madeAt > SNAPSHOT_REACH_MS) {
    const hours = Math.floor((now - note.madeAt) / 3_600_000);
    throw new Refused(`it is ${hours} hours old: removals since then may be gone from the log`);
  }
}

async function checkPlaces(log: EventLog, places: readonly Place[], ends: readonly PartitionEnds[]): Promise<void> {
  if (places.length !== ends.length) throw new Refused(`the topic has ${ends.length} partitions, not ${places.length}`);
  for (const { topic, partition, start, end } of ends) {
    const place = places.find((p) => p.partition === partition);
    const at = `${topic}/${partition}`;
    if (!place) throw new Refused(`it says nothing of ${at}`);
    if (place.next > end) throw new Refused(`${at} ends at ${end}, before ${place.next}: it is another log's`);
    if (place.next < start) throw new Refused(`${at} begins at ${start}, after ${place.next}`);
    if (!place.last) continue;
    // One that was compacted away says nothing; one that is another says that the log is.
    for await (const record of log.read(topic, partition, place.last.offset, place.last.offset + 1)) {
      if (record.offset !== place.last.offset || digestOf(record) === place.last.digest) continue;
      throw new Refused(`${at} holds another record at ${record.offset}: it is another log's`);
    }
  }
}

export function digestOf({ key, time, headers }: LogRecord): string {
  return createHash('sha256')
    .update(JSON.stringify([key, time, headers.ce_id ?? null]))
    .digest('base64url')
    .slice(0, 22);
}

/** Replaces the shard's snapshot, whole or not at all; a megabyte at a time is in memory. @throws BlobStoreError */
export async function saveSnapshot(
  blobs: BlobStore,
  index: Index,
  note: Note,
  signal: AbortSignal,
): Promise<{ bytes: number }> {
  const key = snapshotKey({ number: note.shard, of: note.shards });
  const pieces = Readable.from(index.snapshot(JSON.stringify(note)), { objectMode: false });
  const { size } = await blobs.put(OWN_BUCKET, key, pieces, { signal });
  return { bytes: size };
}
