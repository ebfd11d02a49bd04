import type { BlobStore } from '@vigil/blob-store';
import {
  ENGINE_VERSION,
  type Fingerprint,
  MalformedEvent,
  openEnvelope,
  placeOf,
  ReferenceEvent,
  type ReferenceKey,
  referenceKey,
  TOPICS,
} from '@vigil/contracts';
import {
  type CheckedSlice,
  type Database,
  type LibraryReference,
  type LoadedSlice,
  liveReferences,
  markSlicesLoaded,
  registerReplica,
  replicaSeen,
  uncheckedReferences,
} from '@vigil/database';
import type { EventLog, LogRecord, PartitionEnds } from '@vigil/event-log';
import { type Clock, createTurns, type Logger, type Metrics } from '@vigil/runtime';
import { createIndex, type SimilarityIndex } from '@vigil/similarity';
import { deadLetter } from './dead-letter.ts';
import { OWN_BUCKET } from './emit.ts';
import { indexedCodes } from './indexed-codes.ts';
import { readSlice } from './library-slice.ts';
import {
  digestOf,
  loadSnapshot,
  type Note,
  type Place,
  type Shard,
  SNAPSHOT_REACH_MS,
  saveSnapshot,
  snapshotKey,
} from './library-snapshot.ts';
import { overlapsOf } from './overlaps.ts';
import type { ReferenceCodes } from './reference-codes.ts';
import { isPlanted } from './self-check.ts';
import { countProtecting } from './stages/match-slice.ts';

/**
 * One replica of one index shard, kept in step with the library: the log carries the codes, the database says which versions are
 * allowed. It begins with a snapshot that it or a sibling wrote, and reads what came since.
 */
export interface Library extends AsyncDisposable {
  readonly index: SimilarityIndex;
  /**
   * The sum of the log's ends at one moment, all of which was read: whoever says a larger number, in whatever replica and after
   * whatever restart, has read all that was read here, and more.
   */
  checkpoint(): number;
  /** When the log was last read to its end; milliseconds since 1970. */
  readAt(): number;
  /** Reads to the present end. */
  catchUp(): Promise<void>;
  /** Drops what the database no longer allows, the second way that a removal arrives; takes in again what it allows again. */
  reconcile(): Promise<void>;
  /** Keeps up until aborted, and writes a snapshot now and then. */
  follow(signal: AbortSignal): Promise<void>;
  /** What it holds is not to be trusted: its snapshot is deleted and none is written, so that the next start reads the whole log. */
  distrust(): Promise<void>;
  /** Writes a snapshot now. @throws BlobStoreError */
  save(signal?: AbortSignal): Promise<void>;
}

export interface LibraryDeps {
  log: EventLog;
  blobs: BlobStore;
  database: Database;
  references: ReferenceCodes;
  shard: Shard;
  replica: string;
  /** That search the index beside this one. */
  threads: number;
  clock: Clock;
  logger: Logger;
  /** Where dead letters are counted. */
  metrics?: Pick<Metrics, 'add'>;
  /** Only looks: it is no replica that anything waits for, marks nothing, puts nothing away and writes no snapshot. */
  observer?: boolean;
}

/** Between looks at the log: the first after something new was found, and the most when nothing is. */
const POLL_MS = { least: 100, most: 500 };
const SEEN_MS = 2000;
const RECONCILE_MS = 60_000;
/** A snapshot is written when so much time has passed, or so many records were read, whichever is first. */
const SAVE_MS = 10 * 60_000;
const SAVE_RECORDS = 5000;
const SAVE_AT_MOST_MS = 60_000;
/** At the end, within the time that a drain may take; an index that is larger was written before, and reads a longer tail. */
const LAST_SAVE_MS = 4000;
const LAST_SAVE_BYTES = 512 * 2 ** 20;
const MARKED_AT_ONCE = 500;
/** References that a look at the database may bring back at once; the next look brings more. */
const BROUGHT_BACK = 1000;

/** What a library is made of; a checkpoint is the sum of its ends. */
export const READ = [TOPICS.references.name, TOPICS.referenceCodes.name];

/** Ready when it resolves: at the present end of the log, and reconciled. */
export async function openLibrary(deps: LibraryDeps): Promise<Library> {
  const { log, blobs, database, references, shard, threads, clock, logger, metrics, observer = false } = deps;
  const startedAt = clock.now();
  const replica = { shards: shard.of, shard: shard.number, replica: deps.replica };
  if (!observer) await registerReplica(database.postgres, replica);
  const snapshot = await loadSnapshot({ blobs, log, logger, shard, threads }, READ, clock.now());
  const index = snapshot?.index ?? createIndex({ threads });
  const places = new Map(snapshot?.note.places.map((p) => [placeName(p), p]));
  const removed = new Set(snapshot?.note.removed);
  /** Of references that are not live yet, by reference. */
  const waiting = new Map<string, LoadedSlice[]>();
  const lacking = new Set<string>();
  let unmarked: LoadedSlice[] = [...(snapshot?.note.waiting ?? [])];
  /** Slices of references that belong to other shards, to be compared with ours. */
  let foreign: CheckedSlice[] = [...(snapshot?.note.foreign ?? [])];
  /** Codes of both, until they were compared. */
  const held = new Map<string, Fingerprint>();
  let checkpoint = 0;
  /** What `checkpoint` will be when all is read that was there when this look at the log began. */
  let reading = 0;
  let readAt = 0;
  /** Records read since the last snapshot, how old it is, and when it was last looked whether another is due. */
  let fresh = 0;
  let savedAt = snapshot?.note.madeAt ?? 0;
  let lookedAt = savedAt;
  let saving: Promise<void> | null = null;
  let reconciledAt = 0;
  let distrusted = false;

  const mine = (id: string) => placeOf(id, shard.of) === shard.number;

  async function learn(record: LogRecord): Promise<void> {
    if (!record.value) return forget(record.key.slice(0, record.key.lastIndexOf('/')));
    const read = await readSlice(record, { blobs, db: database.postgres, references, logger });
    if (!read) return;
    const { reference, slice, slices, kind, codes, failed } = read;
    if (removed.has(referenceKey(reference))) return;
    if (codes) held.set(sliceName(reference, slice), codes);
    if (mine(reference.id)) {
      if (codes) index.add(reference, slice, kind, indexedCodes(codes));
      const usable = codes ? countProtecting(codes) : 0;
      unmarked.push({ reference, slice, slices, usable, failed });
    } else {
      foreign.push({ reference, slice, slices });
    }
    if (held.size >= MARKED_AT_ONCE || unmarked.length >= MARKED_AT_ONCE) await mark();
  }

  async function mark(): Promise<void> {
    const [batch, others] = [unmarked, foreign];
    if (batch.length + others.length === 0) return;
    if (observer) return letGo();
    // All of the batch is in the index by now: of two newcomers that show the same, whichever is marked second sees the first.
    const keys = [...batch, ...others].map((one) => one.reference);
    const unchecked = await uncheckedReferences(database.postgres, keys);
    const compared = async <T extends { reference: ReferenceKey; slice: number }>(one: T) => {
      if (!unchecked.has(referenceKey(one.reference))) return { ...one, overlaps: [] };
      const { reference, slice } = one;
      const codes = held.get(sliceName(reference, slice)) ?? (await references.slice(reference, slice));
      return { ...one, overlaps: codes ? await overlapsOf(reference, codes, index, references) : [] };
    };
    const [loaded, looked] = [[] as LoadedSlice[], [] as typeof others];
    for (const one of batch) loaded.push(await compared(one));
    for (const one of others) if (unchecked.has(referenceKey(one.reference))) looked.push(await compared(one));
    const states = await database.transaction((tx) => markSlicesLoaded(tx, replica, loaded, reading, looked));
    for (const one of batch) {
      const key = referenceKey(one.reference);
      const state = states.get(key);
      if (state !== 'received' && state !== 'fingerprinted' && state !== 'checked') waiting.delete(key);
      else waiting.set(key, [...(waiting.get(key) ?? []).filter((w) => w.slice !== one.slice), one]);
    }
    letGo();
  }

  function letGo(): void {
    [unmarked, foreign] = [[], []];
    held.clear();
  }

  async function change(record: LogRecord): Promise<void> {
    if (!record.value) return forget(record.key);
    const { action, reference } = openEnvelope(ReferenceEvent, record).event.data;
    if (!mine(reference.id)) return;
    if (action === 'disabled') forget(referenceKey(reference));
    if (action === 'enabled') {
      removed.delete(referenceKey(reference));
      reconciledAt = 0;
    }
  }

  /** `key` is an id, "@" and a version. */
  function forget(key: string): void {
    const at = key.lastIndexOf('@');
    const [id, version] = [key.slice(0, at), Number(key.slice(at + 1))];
    if (at < 1 || !mine(id)) return;
    removed.add(key);
    waiting.delete(key);
    unmarked = unmarked.filter((one) => referenceKey(one.reference) !== key);
    index.remove(id, version);
  }

  async function readTo({ topic, partition, start, end }: PartitionEnds): Promise<void> {
    const apply = topic === TOPICS.references.name ? change : learn;
    const place: Place = places.get(placeName({ topic, partition })) ?? { topic, partition, next: 0, last: null };
    const from = Math.max(place.next, start);
    let last: LogRecord | null = null;
    const records = from < end ? log.read(topic, partition, from, end) : [];
    for await (const record of records) {
      try {
        await apply(record);
      } catch (error) {
        if (!(error instanceof MalformedEvent)) throw error;
        metrics?.add('vigil_dead_letters_total', { topic });
        logger.error({ topic, offset: record.offset, error: error.message }, 'dead letter');
        if (!observer) await log.append([deadLetter(record, { reason: error.message, stage: 'library' })]);
        // Put away once: where a later record cannot be read yet, this stretch is begun again behind it.
        const read = { offset: record.offset, digest: digestOf(record) };
        places.set(placeName(place), { topic, partition, next: record.offset + 1, last: read });
      }
      last = record;
      fresh++;
    }
    const read = last ? { offset: last.offset, digest: digestOf(last) } : place.last;
    places.set(placeName(place), { topic, partition, next: Math.max(from, end), last: read });
  }

  async function bringBack(reference: LibraryReference): Promise<void> {
    for (let slice = 0; slice < (reference.slices ?? 0); slice++) {
      const codes = await references.slice(reference, slice);
      if (codes) index.add(reference, slice, reference.kind ?? 'video', indexedCodes(codes));
    }
    const key = referenceKey(reference);
    removed.delete(key);
    if (index.has(reference)) return logger.info({ reference: key }, 'in the library again');
    lacking.add(key);
    logger.error({ reference: key }, 'a live reference has no codes, neither in the log nor in the store: add it anew');
  }

  function noteNow(): Note {
    return {
      engine: ENGINE_VERSION,
      shards: shard.of,
      shard: shard.number,
      madeAt: readAt,
      places: [...places.values()],
      removed: [...removed],
      waiting: [...[...waiting.values()].flat(), ...unmarked],
      foreign: [...foreign],
    };
  }

  /** Another replica of the shard may just have written one that is as good. A store that says nothing in time says no. */
  async function isFresh(ms: number, signal: AbortSignal): Promise<boolean> {
    const given = Promise.withResolvers<null>();
    const giveUp = () => given.resolve(null);
    signal.addEventListener('abort', giveUp, { once: true });
    if (signal.aborted) giveUp();
    const asked = blobs.stat(OWN_BUCKET, snapshotKey(shard)).catch(() => null);
    const found = await Promise.race([asked, given.promise]);
    signal.removeEventListener('abort', giveUp);
    return found !== null && clock.now() - found.modifiedAt < ms;
  }

  /** A snapshot has an end, and a library in which nothing happens is to be found by the next start as well. */
  const expires = () => savedAt > 0 && clock.now() - savedAt > SNAPSHOT_REACH_MS / 2;

  async function saveIfDue(signal: AbortSignal): Promise<void> {
    const since = clock.now() - lookedAt;
    if (since < SAVE_AT_MOST_MS || (since < SAVE_MS && fresh < SAVE_RECORDS)) return;
    if (fresh === 0 && !expires()) return;
    lookedAt = clock.now();
    if (await isFresh(fresh < SAVE_RECORDS ? SAVE_MS / 2 : SAVE_AT_MOST_MS / 2, signal)) savedAt = lookedAt;
    else await library.save(signal);
  }

  const library: Library = {
    index,
    checkpoint: () => checkpoint,
    readAt: () => readAt,

    async catchUp() {
      const askedAt = clock.now();
      // The ends of one moment, all of them read before anything is said of it: so a larger sum has seen more.
      const ends = (await Promise.all(READ.map((topic) => log.ends(topic)))).flat();
      reading = ends.reduce((sum, { end }) => sum + end, 0);
      for (const end of ends) await readTo(end);
      await mark();
      checkpoint = reading;
      readAt = askedAt;
    },

    async reconcile() {
      reconciledAt = clock.now();
      // Whoever else works in this process is not kept waiting by a large library. Nothing is learned meanwhile: that is done in turn.
      const turns = createTurns();
      const allowed = new Map<string, LibraryReference>();
      for await (const some of liveReferences(database.postgres, shard)) {
        for (const one of some) allowed.set(referenceKey(one), one);
        if (turns.due()) await turns.rest();
      }
      for (const known of index.references()) {
        if (turns.due()) await turns.rest();
        if (allowed.has(referenceKey(known)) || isPlanted(known)) continue;
        logger.info({ reference: referenceKey(known) }, 'no longer in the library');
        index.remove(known.id, known.version);
      }
      for (const key of waiting.keys())
        if (!allowed.has(key) || allowed.get(key)!.state === 'live') waiting.delete(key);
      const missing: LibraryReference[] = [];
      for (const [key, one] of allowed) {
        if (turns.due()) await turns.rest();
        if (one.state === 'live' && !index.has(one) && !lacking.has(key)) missing.push(one);
      }
      for (const reference of missing.slice(0, BROUGHT_BACK)) await bringBack(reference);
    },

    async follow(signal) {
      let seen = 0;
      let pause = POLL_MS.least;
      while (!signal.aborted) {
        const before = checkpoint;
        await library.catchUp();
        pause = checkpoint > before ? POLL_MS.least : Math.min(POLL_MS.most, 2 * pause);
        if (clock.now() - seen > SEEN_MS) {
          await replicaSeen(database.postgres, replica, checkpoint, clock.now());
          seen = clock.now();
        }
        if (clock.now() - reconciledAt > RECONCILE_MS) await library.reconcile();
        saving ??= saveIfDue(signal)
          .catch((error: unknown) => {
            if (!signal.aborted) logger.warn({ error }, 'no snapshot of the index was written');
          })
          .finally(() => {
            saving = null;
          });
        await Promise.allSettled([clock.sleep(pause, signal)]);
      }
    },

    async distrust() {
      distrusted = true;
      await blobs.delete(OWN_BUCKET, snapshotKey(shard));
    },

    async save(signal = new AbortController().signal) {
      if (distrusted) return;
      signal.throwIfAborted();
      const [begun, read] = [clock.now(), fresh];
      const { bytes } = await saveSnapshot(blobs, index, noteNow(), signal);
      [savedAt, lookedAt] = [begun, begun];
      fresh -= read;
      logger.info({ bytes, ms: clock.now() - begun, checkpoint }, 'wrote a snapshot of the index');
    },

    /** What was learned since the last snapshot, the next start would have to read again. */
    async [Symbol.asyncDispose]() {
      await saving;
      const bytes = index.stats().reduce((sum, s) => sum + s.bytes, 0);
      const worth = !observer && (fresh > 0 || expires()) && bytes <= LAST_SAVE_BYTES;
      const late = AbortSignal.timeout(LAST_SAVE_MS);
      if (worth && !(await isFresh(SAVE_AT_MOST_MS / 2, late))) {
        await library.save(late).catch((error: unknown) => {
          logger.warn(
            { error },
            'no snapshot of the index was written at the end: the next start reads more of the log',
          );
        });
      }
      index[Symbol.dispose]();
    },
  };

  await library.catchUp();
  await library.reconcile();
  const codes = index.stats().reduce((sum, s) => sum + s.codes, 0);
  const about = { codes, checkpoint, snapshot: snapshot !== null, records: fresh, ms: clock.now() - startedAt };
  logger.info(about, 'the library is loaded');
  return library;
}

const sliceName = (reference: ReferenceKey, slice: number): string => `${referenceKey(reference)}/${slice}`;
const placeName = ({ topic, partition }: { topic: string; partition: number }) => `${topic}/${partition}`;
