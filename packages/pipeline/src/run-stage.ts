import { type BlobStore, BlobStoreError } from '@vigil/blob-store';
import { type Envelope, MalformedEvent, type Opened, openEnvelope, TOPICS } from '@vigil/contracts';
import type { Consumer, EventLog, LogRecord } from '@vigil/event-log';
import {
  beginTrace,
  type Clock,
  isRetriable,
  type Logger,
  type Metrics,
  redactText,
  type SpanAttributes,
  storable,
  type Tracer,
  traceOf,
} from '@vigil/runtime';
import type { z } from 'zod';
import { deadLetter } from './dead-letter.ts';
import { recordOf, unspilled } from './emit.ts';
import type { Environment } from './environment.ts';
import { cannotBeDone, MAX_TRIES, pauseAfter } from './give-up.ts';
import type { Outcome, Output } from './outcome.ts';
import type { Reader } from './readers.ts';
import type { Disks } from './watching/disks.ts';

/** One verb of the route. `run` turns one event into one outcome; a throw is a bug, or says `retriable`. */
export interface Stage<I> extends Reader {
  /** It writes what is new, and waits while there is no room for that. */
  takesIn?: boolean;
  concurrency: number;
  /** What the events' data are; or, where others write what they like, how a message is read. @throws MalformedEvent */
  schema: z.ZodType<I> | ((envelope: Envelope) => Opened<I>);
  /** `alive` is for those who wait for their turn: what is silent for too long has hung. */
  run(input: Opened<I>, signal: AbortSignal, alive?: () => void): Promise<Outcome>;
  /** Terminal results that others wait for, when the event had to be put away unhandled. */
  giveUp?(input: Opened<I>, reason: string): Output[] | Promise<Output[]>;
}

export interface StageDeps {
  log: EventLog;
  blobs: BlobStore;
  clock: Clock;
  logger: Logger;
  metrics: Metrics;
  tracer: Pick<Tracer, 'span'>;
  /** Stages that take in something new wait here while a disk is nearly full. */
  intake: Pick<Disks, 'whenOpen'>;
  environment: Pick<Environment, 'isBroken'>;
}

/** The only loop: takes events from the log, runs the stage, sends what it says, and accounts for each. */
export function runStage<I>(stage: Stage<I>, deps: StageDeps, signal: AbortSignal): Consumer {
  const { log, blobs, clock, metrics, tracer, intake, environment } = deps;
  const logger = deps.logger.child({ stage: stage.name });

  async function read(record: LogRecord): Promise<Opened<I>> {
    const envelope = await unspilled(record, blobs);
    return typeof stage.schema === 'function' ? stage.schema(envelope) : openEnvelope(stage.schema, envelope);
  }

  const pause = (tries: number, sig: AbortSignal) => clock.sleep(pauseAfter(tries), sig);

  /** What has to be said is said, however long the log (or the store of what is large) stays away. */
  async function insist<T>(what: string, work: () => Promise<T>, { sig, alive }: Turn): Promise<T> {
    for (let tries = 1; ; tries++) {
      alive();
      try {
        return await work();
      } catch (error) {
        if (!isRetriable(error)) throw error;
        logger.warn({ tries, error }, `${what}: will try again`);
        await pause(tries, sig);
      }
    }
  }

  async function send(outputs: readonly Output[], turn: Turn): Promise<void> {
    if (outputs.length === 0) return;
    const now = clock.now();
    const append = async () => log.append(await Promise.all(outputs.map((o) => recordOf(o, now, blobs))));
    await insist('could not send', append, turn);
  }

  /** Media that could not be read, as the results say. */
  function countFailures(outputs: readonly Output[]): void {
    for (const { data } of outputs) {
      const { status, reason } = (data as { outcome?: { status?: string; reason?: string } }).outcome ?? {};
      if ((status === 'failed' || status === 'rejected') && reason !== undefined && reason !== 'deleted')
        metrics.add('vigil_decode_failures_total', { stage: stage.name, reason });
    }
  }

  async function bury(record: LogRecord, reason: string, turn: Turn): Promise<void> {
    metrics.add('vigil_dead_letters_total', { topic: record.topic });
    const { topic, partition, offset } = record;
    logger.error({ topic, partition, offset, key: keyOf(record), reason }, 'dead letter');
    const dead = deadLetter(record, { reason, stage: stage.name, group: stage.group });
    await insist('could not put away', () => log.append([dead]), turn);
  }

  async function once(record: LogRecord, { sig, alive }: Turn): Promise<Outcome> {
    try {
      return await stage.run(await read(record), sig, alive);
    } catch (error) {
      metrics.add('vigil_stage_errors_total', { stage: stage.name, kind: kindOf(error) });
      if (cannotBeDone(error)) return { kind: 'rejected', reason: error.message, outputs: [] };
      if (isRetriable(error)) return { kind: 'retry', reason: String(error) };
      throw error;
    }
  }

  /** A drain calls off what waits and what decodes: whoever comes next reads the record again. */
  async function handle(record: LogRecord, owned: AbortSignal, alive: () => void): Promise<void> {
    try {
      const turn = { sig: AbortSignal.any([owned, signal]), alive };
      const place = `${record.topic}/${record.partition}/${record.offset}`;
      const parent = traceOf(record.headers) ?? beginTrace(place);
      const about = { 'messaging.destination.name': record.topic, 'vigil.record': place, 'vigil.key': keyOf(record) };
      await tracer.span(stage.name, parent, about, (note) => finish(record, turn, note));
    } catch (error) {
      signal.throwIfAborted();
      throw error;
    }
  }

  async function finish(record: LogRecord, turn: Turn, note: (more: SpanAttributes) => void): Promise<void> {
    for (let tries = 1, counted = 1; ; tries++) {
      turn.alive();
      if (stage.takesIn) await intake.whenOpen(turn.sig, turn.alive);
      const startedAt = clock.now();
      let outcome = await once(record, turn);
      metrics.add('vigil_stage_events_total', { stage: stage.name, outcome: outcome.kind });
      metrics.observe('vigil_stage_seconds', { stage: stage.name }, (clock.now() - startedAt) / 1000);
      if (outcome.kind === 'retry' && !(await environment.isBroken()) && ++counted > MAX_TRIES) {
        outcome = { kind: 'rejected', reason: `gave up after ${tries} tries: ${outcome.reason}`, outputs: [] };
      }
      if (outcome.kind === 'retry') {
        logger.warn({ key: keyOf(record), tries, reason: outcome.reason }, 'will try again');
        await pause(tries, turn.sig);
        continue;
      }
      note({ 'vigil.outcome': outcome.kind, 'vigil.tries': tries, ...reasonOf(outcome) });
      if (outcome.kind === 'skipped') logger.debug({ key: keyOf(record), reason: outcome.reason }, 'skipped');
      if (outcome.kind === 'rejected') {
        await bury(record, outcome.reason, turn);
        const owed = outcome.outputs.length > 0 ? outcome.outputs : await resultsOf(record, outcome.reason, turn);
        await send(owed, turn);
      }
      if (outcome.kind === 'done') await send(outcome.outputs, turn);
      if (outcome.kind === 'done' || outcome.kind === 'rejected') countFailures(outcome.outputs);
      return;
    }
  }

  /** What a dead event owes to those who wait for its result; nothing when it cannot even be read. */
  async function resultsOf(record: LogRecord, reason: string, turn: Turn): Promise<Output[]> {
    const { giveUp } = stage;
    if (!giveUp) return [];
    const input = await insist('could not read', () => read(record), turn).catch((error: unknown) => {
      turn.sig.throwIfAborted();
      // Where it is the reading that kills, it must not kill again.
      if (!(error instanceof MalformedEvent) && !(error instanceof BlobStoreError))
        logger.error({ key: keyOf(record), error }, 'cannot be read: nobody hears what became of it');
      return null;
    });
    if (!input) return [];
    try {
      return await insist('could not give up', async () => giveUp(input, storable(reason)), turn);
    } catch (error) {
      if (error instanceof MalformedEvent || error instanceof BlobStoreError) return [];
      throw error;
    }
  }

  return log.consume({
    group: stage.group,
    topics: stage.consumes.map((name) => TOPICS[name].name),
    concurrency: stage.concurrency,
    signal,
    handle,
    async bury(record, deaths) {
      const reason = `its handler died ${deaths} times`;
      const turn = { sig: signal, alive: () => undefined };
      await bury(record, reason, turn);
      await send(await resultsOf(record, reason, turn), turn);
    },
  });
}

/** Keys of others' events may say whose they are (`uploads/<account>/...`): those are told by their place alone. */
const keyOf = ({ topic, key }: LogRecord): string => (topic === TOPICS.uploads.name ? '' : key);

const reasonOf = (outcome: Outcome): SpanAttributes =>
  'reason' in outcome ? { 'vigil.reason': redactText(outcome.reason) } : {};

/** Which port an error came from. */
const KINDS: Readonly<Record<string, string>> = {
  MalformedEvent: 'malformed',
  BlobStoreError: 'blob-store',
  SourceStalled: 'blob-store',
  EventLogError: 'event-log',
  PostgresError: 'database',
};
const kindOf = (error: unknown): string => KINDS[(error as Error | null)?.name ?? ''] ?? 'other';

/** One record's time with its handler. */
interface Turn {
  /** The record is somebody else's now, or given back. */
  sig: AbortSignal;
  alive: () => void;
}
