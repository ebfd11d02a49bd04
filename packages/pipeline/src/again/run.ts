import { beginRun, type Database, findRun, type RunPlace, type RunRow, saveFindings, saveRun } from '@vigil/database';
import type { EventLog, LogRecord } from '@vigil/event-log';
import type { Clock, Queryable } from '@vigil/runtime';
import type { Rejudged } from '../stages/decide-upload.ts';
import { type Finding, isQuiet } from './finding.ts';

/** Somebody else goes through the same run at this moment. */
export class RunInUse extends Error {
  override name = 'RunInUse';
  readonly retriable = false;
}

export interface RunProgress {
  run: string;
  /** Records read, of so many. */
  done: number;
  all: number;
  tally: Readonly<Record<string, number>>;
  /** When it was begun, milliseconds since 1970, where an earlier one that did not end is gone on with; else null. */
  goesOn: number | null;
}

export interface RunSpec {
  id: string;
  kind: RunRow['kind'];
  spec: unknown;
  apply: boolean;
  /** Where it is to go, asked only when the run begins. */
  places(): Promise<RunPlace[]>;
  /** Goes on where an earlier process has stopped, unless it is to begin anew. */
  restart?: boolean;
  /** Throws where what was begun is not what is asked for now. */
  check?(begun: RunRow): void;
}

/** What a piece of work is given and gives back. Records come in order, place by place. */
export interface Worker {
  /**
   * @returns what was found, what was counted, and the first offset that is not done yet, because something begun there waits for
   * records to come; null when all that was given is done
   */
  take(records: readonly LogRecord[]): Promise<Piece>;
  /** The place is at its end: what waits is done with what there is. */
  finish(): Promise<Piece>;
}
export interface Piece {
  findings: Finding[];
  tally: Record<string, number>;
  open: number | null;
}

export interface RunDeps {
  database: Database;
  log: EventLog;
  clock: Clock;
}

/** Records that are taken at once. */
const AT_ONCE = 200;

/**
 * Goes through pieces of the log, in steps; after each step it is written down how far it is, so that whoever comes after this process
 * (Ctrl-C, SIGKILL) goes on from there. What a process did after its last note is done again, which changes nothing. One process
 * at a time.
 * @throws RunInUse; the signal's reason, when all that was done is written down
 */
export async function goThrough(
  { database, log, clock }: RunDeps,
  { id, kind, spec, apply, places, restart = false, check }: RunSpec,
  worker: Worker,
  signal: AbortSignal,
  onProgress: (progress: RunProgress) => void = () => undefined,
): Promise<RunRow> {
  await using session = await database.postgres.session();
  const [lock] = await session.query<{ held: boolean }>(
    'SELECT pg_try_advisory_lock(hashtextextended($1, 7)) AS held',
    [id],
  );
  if (!lock!.held) throw new RunInUse(`${id} is being gone through by another process at this moment`);
  const begun = await findRun(database.postgres, id);
  let run: RunRow;
  const goesOn = begun && begun.state === 'running' && !restart ? begun.begunAt : null;
  if (begun && goesOn !== null) {
    check?.(begun);
    run = begun;
  } else {
    const now = clock.now();
    const row = { id, kind, spec, apply, places: await places(), tally: {}, begunAt: now };
    await database.transaction((tx) => beginRun(tx, row));
    run = { ...row, state: 'running', changedAt: now };
  }
  const all = run.places.reduce((sum, p) => sum + Math.max(0, p.end - p.start), 0);
  const tell = () => {
    const done = run.places.reduce((sum, p) => sum + Math.max(0, p.next - p.start), 0);
    onProgress({ run: id, done, all, tally: run.tally, goesOn });
  };
  const note = async (piece: Piece, place: RunPlace, next: number, state: RunRow['state']) => {
    session.lost.throwIfAborted();
    place.next = piece.open ?? next;
    for (const [name, n] of Object.entries(piece.tally)) run.tally[name] = (run.tally[name] ?? 0) + n;
    const told = piece.findings.filter((f) => !isQuiet(f)).map((finding) => ({ upload: finding.upload, finding }));
    run = { ...run, state, changedAt: clock.now() };
    await database.transaction((tx) => saveRun(tx, run, told, clock.now()));
    tell();
  };
  tell();
  for (const place of run.places) {
    let at = place.next;
    let batch: LogRecord[] = [];
    const step = async () => {
      signal.throwIfAborted();
      const piece = await worker.take(batch);
      await note(piece, place, at, 'running');
      batch = [];
    };
    if (at < place.end) {
      for await (const record of log.read(place.topic, place.partition, at, place.end)) {
        at = record.offset + 1;
        batch.push(record);
        if (batch.length >= AT_ONCE) await step();
      }
      if (batch.length > 0) await step();
    }
    await note(await worker.finish(), place, place.end, 'running');
  }
  run = { ...run, state: 'done' };
  await database.transaction((tx) => saveRun(tx, run, [], clock.now()));
  return run;
}

/** By the transaction that judges. */
export async function noteFinding(tx: Queryable, run: string, finding: Finding): Promise<void> {
  if (!isQuiet(finding)) await saveFindings(tx, run, [{ upload: finding.upload, finding }]);
}
export type Note = (tx: Queryable, judged: Rejudged) => Promise<void>;

/** So many at once; the first failure ends it when those that run are done. */
export async function inParallel<T>(n: number, items: readonly T[], work: (item: T) => Promise<void>): Promise<void> {
  let next = 0;
  const hands = Array.from({ length: Math.min(n, items.length) }, async () => {
    while (next < items.length) await work(items[next++]!);
  });
  const ended = await Promise.allSettled(hands);
  const failed = ended.find((e) => e.status === 'rejected');
  if (failed) throw failed.reason;
}
