import type { BlobStore } from '@vigil/blob-store';
import {
  deadTopic,
  derivedId,
  isLeft,
  openEnvelope,
  Proposal,
  placeOf,
  type ReadUploads,
  Slice,
  SliceAlignments,
  SliceCodes,
  SliceEvidence,
  TOPICS,
  type TopicName,
  uploadId,
} from '@vigil/contracts';
import {
  canonical,
  confirmResults,
  type Database,
  findingsAmong,
  findUpload,
  type JudgedBefore,
  judgedBefore,
  type KnownUpload,
  knownUploads,
  newestSurfaces,
  type RunPlace,
  type RunRow,
} from '@vigil/database';
import type { EventLog, LogRecord } from '@vigil/event-log';
import { type Clock, isRetriable, type Logger } from '@vigil/runtime';
import { unspilled } from '../emit.ts';
import { cannotBeDone } from '../give-up.ts';
import { INCOMPLETE } from '../judgement.ts';
import type { Stage } from '../run-stage.ts';
import type { decideUpload } from '../stages/decide-upload.ts';
import { type Finding, findingOf, leftAlone, troubled } from './finding.ts';
import { goThrough, inParallel, type Note, noteFinding, type Piece, type RunProgress, type Worker } from './run.ts';
import { addTo, type Looked, nothing, type SecondLooks } from './second-look.ts';

/** Which records are judged again. All that is given must hold. */
export interface ReplayRequest extends JudgedBefore {
  /** `vigil.fingerprints` unless told otherwise: what was decoded is searched and judged again. Or any that `REPLAYED` names, or its dead topic. */
  topic?: string | undefined;
  /** By the log's time, milliseconds since 1970; `until` is exclusive. */
  since?: number | undefined;
  until?: number | undefined;
  /** `to` is exclusive. */
  offsets?: readonly { partition: number; from: number; to: number }[] | undefined;
  uploads?: readonly string[] | undefined;
  /** Of a letter's reason these words. */
  deadReason?: string | undefined;
  apply: boolean;
  /** In the words of whoever asked (`24h` ago is another time each time): by these a run that was not finished is known again. */
  asked?: unknown;
  restart?: boolean | undefined;
  /** Go on with a run that was begun in the same words, though by now they mean another time. */
  resume?: boolean | undefined;
  /** Records a second, at most. */
  rate?: number | undefined;
  concurrency?: number | undefined;
}

/** What can be judged again from: the ways into the route. Others go out, or are not about uploads. */
export const REPLAYED = [
  'uploads',
  'slicesFirst',
  'slicesRest',
  'slicesBatch',
  'fingerprints',
  'alignments',
  'proposals',
  'evidence',
] as const satisfies TopicName[];
type Replayed = (typeof REPLAYED)[number];

/** It cannot be done as it was asked for; the message says what can. */
export class ReplayRefused extends Error {
  override name = 'ReplayRefused';
  readonly retriable = false;
}

export interface ReplayDeps {
  database: Database;
  log: EventLog;
  blobs: BlobStore;
  clock: Clock;
  logger: Logger;
  looks: SecondLooks;
  /** How a message of the platform is read. */
  readUploads: Stage<ReadUploads>['schema'];
  again: ReturnType<typeof decideUpload>['again'];
  /** Waits while live traffic has more to do than it keeps up with. */
  liveFirst(signal: AbortSignal): Promise<void>;
}

/**
 * A takedown waits for the surfaces that its sender knows of: settings of a shell are easily not those of the fleet.
 * @throws ReplayRefused
 */
export async function checkSurfaces({ postgres }: Database, surfaces: readonly string[]): Promise<void> {
  const missing = (await newestSurfaces(postgres)).filter((s) => !surfaces.includes(s));
  if (missing.length === 0) return;
  throw new ReplayRefused(
    `takedowns are waited for by ${missing.join(', ')}, which VIGIL_SURFACES does not name here: set it as it is set where decide runs`,
  );
}

/** The full name of a topic that can be replayed, by any of its names. @throws ReplayRefused */
export function replayedTopic(given = TOPICS.fingerprints.name): { name: string; base: Replayed } {
  const full = given.startsWith('vigil.') ? given : `vigil.${given}`;
  const base = REPLAYED.find((name) => [TOPICS[name].name, deadTopic(TOPICS[name].name)].includes(full));
  if (base) return { name: full, base };
  const names = REPLAYED.map((name) => TOPICS[name].name).join(', ');
  throw new ReplayRefused(
    `${given} is not replayed: give one of ${names}, or the dead topic of one (${deadTopic(TOPICS.fingerprints.name)}); dead letters of other topics are tried again by \`vigil dead retry\``,
  );
}

/** A run's id is what it was asked for: asked again, it is gone on with. */
export function replayId({
  restart: _r,
  resume: _s,
  rate: _a,
  concurrency: _c,
  asked,
  ...spec
}: ReplayRequest): string {
  return derivedId('replay', String(spec.apply), canonical(JSON.parse(JSON.stringify(asked ?? spec))));
}

/**
 * Judges again what was judged, by the stages of the route and decide's own code. Dry, nothing is written but how far it is; else
 * what differs becomes further revisions, with their takedowns. Done twice it changes nothing more.
 * @throws ReplayRefused, RunInUse, the signal's reason
 */
export async function replay(
  deps: ReplayDeps,
  request: ReplayRequest,
  signal: AbortSignal,
  onProgress?: (progress: RunProgress) => void,
): Promise<RunRow> {
  const { name, base } = replayedTopic(request.topic);
  const { apply, restart = false } = request;
  const spec = { ...request, topic: name };
  const run = { id: replayId(spec), kind: 'replay' as const, spec, apply, restart };
  const places = () => placesOf(deps, name, request);
  const check = (begun: RunRow) => request.resume || checkTimes(request, begun);
  return goThrough(
    deps,
    { ...run, places, check },
    createWorker(deps, run.id, base, request, signal),
    signal,
    onProgress,
  );
}

/** Words like `24h ago` that still mean about the same. */
const SAME_MS = 3600_000;

/** What was begun covers the time that was asked for then: days later the same words ask for another one. @throws ReplayRefused */
function checkTimes(request: ReplayRequest, { spec, begunAt }: RunRow): void {
  const then = spec as Pick<ReplayRequest, 'since' | 'until'>;
  const moved = (['since', 'until'] as const).some((one) => Math.abs((request[one] ?? 0) - (then[one] ?? 0)) > SAME_MS);
  if (!moved) return;
  const [since, until, begun] = [then.since, then.until, begunAt].map((at) => at && new Date(at).toISOString());
  const range = [since && `from ${since}`, `to ${until ?? begun}`].filter(Boolean).join(' ');
  throw new ReplayRefused(
    `a replay in these words was begun at ${begun}, of what came ${range}, and has not ended: --resume goes on with it, --restart begins anew`,
  );
}

async function placesOf({ log, database }: ReplayDeps, topic: string, request: ReplayRequest): Promise<RunPlace[]> {
  const { since, until, offsets, uploads } = request;
  const ends = await log.ends(topic);
  for (const { partition } of offsets ?? []) {
    if (!ends.some((e) => e.partition === partition)) throw new ReplayRefused(`${topic} has no partition ${partition}`);
  }
  let from = since;
  if (uploads && since === undefined) {
    const rows = await Promise.all(uploads.map((id) => findUpload(database.postgres, id)));
    const times = rows.map((row) => row?.receivedAt ?? null);
    // Before an upload was received nothing was said of it; clocks may differ by a little.
    if (times.every((t) => t !== null)) from = Math.min(...times) - 60_000;
  }
  // Announcements of others have keys of their own.
  const byUpload = uploads && (topic === TOPICS.fingerprints.name || topic === TOPICS.proposals.name);
  const places: RunPlace[] = [];
  for (const { partition, start: first, end: last } of ends) {
    if (byUpload && !uploads.some((id) => placeOf(id, ends.length) === partition)) continue;
    const given = offsets?.filter((o) => o.partition === partition);
    if (given?.length === 0) continue;
    const least = from === undefined ? first : Math.max(first, await log.offsetAt(topic, partition, from));
    const most = until === undefined ? last : Math.min(last, await log.offsetAt(topic, partition, until));
    for (const o of given ?? [{ from: least, to: most }]) {
      const [start, end] = [Math.max(least, o.from), Math.min(most, o.to)];
      if (start < end) places.push({ topic, partition, start, end, next: start });
    }
  }
  return places;
}

/** Uploads whose slices are still coming; beyond this the oldest is judged by what there is. */
const OPEN_AT_MOST = 5000;
const TRIES = 5;

interface Item {
  upload: string;
  offset: number;
  look(known: KnownUpload | null): Promise<Looked>;
}

function createWorker(
  deps: ReplayDeps,
  run: string,
  base: Replayed,
  request: ReplayRequest,
  signal: AbortSignal,
): Worker {
  const { database, blobs, clock, looks, again, logger } = deps;
  const { apply, rate, concurrency = 2, uploads, deadReason } = request;
  const db = database.postgres;
  const wanted = uploads ? new Set(uploads) : null;
  const chooses = [request.engine, request.policy, request.checkpoint, request.reason].some((one) => one !== undefined);
  const open = new Map<string, { first: number; looked: Looked }>();
  const settled = new Set<string>();

  /** What a record is about, and how it is looked at again. @throws MalformedEvent, BlobStoreError */
  async function itemsOf(record: LogRecord): Promise<Item[]> {
    const { offset } = record;
    const envelope = await unspilled(record, blobs);
    if (base === 'uploads') {
      const { readUploads } = deps;
      const read = typeof readUploads === 'function' ? readUploads(envelope) : openEnvelope(readUploads, envelope);
      return read.event.data.events
        .filter((event) => event.action !== 'deleted')
        .map((event) => ({
          upload: uploadId(event.media),
          offset,
          async look(known) {
            const one = { ...read, event: { ...read.event, data: { events: [event] } } };
            return (await looks.ofUpload(one, async () => known, signal))[0]!.looked;
          },
        }));
    }
    if (base === 'fingerprints') {
      const opened = openEnvelope(SliceCodes, envelope);
      const { owner } = opened.event.data;
      if (owner.type !== 'upload') return [];
      return [{ upload: owner.id, offset, look: (known) => looks.ofCodes(opened, known, signal) }];
    }
    if (base === 'proposals') {
      const opened = openEnvelope(Proposal, envelope);
      return [{ upload: opened.event.data.upload, offset, look: (known) => looks.ofProposal(opened, known, signal) }];
    }
    if (base === 'alignments' || base === 'evidence') {
      const opened =
        base === 'evidence' ? openEnvelope(SliceEvidence, envelope) : openEnvelope(SliceAlignments, envelope);
      const { data } = opened.event;
      return [{ upload: data.upload, offset, look: async (known) => looks.ofResult(data, known) }];
    }
    const slice = openEnvelope(Slice, envelope).event.data;
    const { owner } = slice;
    if (owner.type !== 'upload') return [];
    return [{ upload: owner.id, offset, look: (known) => looks.ofSlice(slice, known, signal) }];
  }

  async function insist<T>(what: string, work: () => Promise<T>): Promise<T> {
    for (let tries = 1; ; tries++) {
      try {
        return await work();
      } catch (error) {
        if (!isRetriable(error) || tries >= TRIES || signal.aborted) throw error;
        logger.warn({ error, tries }, `${what}: will try again`);
        await clock.sleep(200 * 3 ** tries, signal);
      }
    }
  }

  /** Judges by what was seen. Where nothing differs and nothing was ever found, there is nothing to judge. */
  async function settle(upload: string, looked: Looked, known: KnownUpload | null): Promise<Finding> {
    const { results, trouble, manifest } = looked;
    if (known?.deleted) return leftAlone(upload, known.verdict, 'deleted');
    if (trouble) return troubled(upload, known?.verdict ?? null, trouble);
    const verdict = known?.verdict;
    const open = !verdict || verdict.reason?.startsWith(INCOMPLETE);
    const found = verdict?.decisions.length || known?.alignments.some((a) => a.outcome.status === 'alignments');
    if (results.length === 0 && !open && !found) return leftAlone(upload, verdict, 'unchanged');
    const note: Note = (tx, judged) => noteFinding(tx, run, findingOf(upload, judged));
    return findingOf(upload, await again(upload, { results, manifest, cause: 'replay', dry: !apply, note }));
  }

  async function settleAll(which: readonly (readonly [string, Looked])[]): Promise<Piece> {
    const piece: Piece = { findings: [], tally: {}, open: null };
    const ids = which.map(([upload]) => upload);
    const known = await knownUploads(db, ids);
    const told = await findingsAmong<Finding>(db, run, ids);
    await inParallel(concurrency, which, async ([upload, looked]) => {
      const finding =
        told.get(upload) ?? (await insist('could not judge', () => settle(upload, looked, known.get(upload) ?? null)));
      piece.findings.push(finding);
      piece.tally[finding.outcome] = (piece.tally[finding.outcome] ?? 0) + 1;
      open.delete(upload);
      if (settled.size < 1e6) settled.add(upload);
    });
    if (apply) {
      const written = new Set(piece.findings.filter((f) => f.outcome !== 'deleted').map((f) => f.upload));
      await confirmResults(
        db,
        which.flatMap(([upload, looked]) => (written.has(upload) ? looked.same : [])),
      );
    }
    return piece;
  }

  async function take(records: readonly LogRecord[]): Promise<Piece> {
    await deps.liveFirst(signal);
    const startedAt = clock.now();
    const unread: Record<string, number> = {};
    const items: Item[] = [];
    for (const record of records) {
      const { vigil_reason: reason = '' } = record.headers;
      if (!record.value || (deadReason && !reason.toLowerCase().includes(deadReason.toLowerCase()))) continue;
      try {
        const about = await insist('could not read', () => itemsOf(record));
        items.push(...about.filter(({ upload }) => (wanted?.has(upload) ?? true) && !settled.has(upload)));
      } catch (error) {
        if (!cannotBeDone(error)) throw error;
        const { topic, partition, offset } = record;
        logger.warn({ topic, partition, offset, error: error.message }, 'cannot be read, and is left out');
        unread.unreadable = (unread.unreadable ?? 0) + 1;
      }
    }
    const ids = [...new Set(items.map((i) => i.upload))];
    const chosen = chooses ? await judgedBefore(db, ids, request) : new Set(ids);
    const known = await knownUploads(db, [...chosen]);
    const due = items.filter(({ upload }) => chosen.has(upload));
    await inParallel(concurrency, due, async ({ upload, offset, look }) => {
      signal.throwIfAborted();
      const row = known.get(upload) ?? null;
      const looked = row?.deleted
        ? nothing(0)
        : await insist('could not look', () => look(row)).catch((error: unknown): Looked => {
            if (!cannotBeDone(error)) throw error;
            logger.warn({ upload, offset, error: error.message }, 'cannot be looked at again, and is left as it is');
            return { ...nothing(0), trouble: { kind: 'failed', detail: error.message } };
          });
      const before = open.get(upload);
      if (before) {
        // Several are looked at at once: the later one may be done first.
        before.first = Math.min(before.first, offset);
        addTo(before.looked, looked);
      } else open.set(upload, { first: offset, looked: { ...looked } });
    });
    const ready = [...open].filter(([upload, { looked }]) => {
      if (base !== 'fingerprints' || known.get(upload)?.deleted) return true;
      const seen = new Set(looked.seen);
      const whole = [...seen].filter((n) => !isLeft(n, looked.slices)).length;
      const lefts = (known.get(upload)?.alignments ?? []).filter((a) => isLeft(a.slice, looked.slices));
      return whole >= looked.slices && lefts.every((a) => seen.has(a.slice));
    });
    if (open.size - ready.length > OPEN_AT_MOST) ready.push(...[...open].slice(0, open.size - OPEN_AT_MOST));
    const piece = await settleAll([...new Map(ready)].map(([upload, { looked }]) => [upload, looked] as const));
    for (const [name, n] of Object.entries(unread)) piece.tally[name] = n;
    if (open.size > 0) piece.open = Math.min(...[...open.values()].map((o) => o.first));
    if (rate) {
      const left = (records.length / rate) * 1000 - (clock.now() - startedAt);
      if (left > 0) await Promise.allSettled([clock.sleep(left, signal)]);
    }
    return piece;
  }

  return {
    take,
    finish: () => settleAll([...open].map(([upload, { looked }]) => [upload, looked] as const)),
  };
}
