import type { Envelope, TopicSpec } from '@vigil/contracts';

/** One event as it lies in a log. Offsets rise by one a partition as they become visible, and are never reused. */
export interface LogRecord extends Envelope {
  topic: string;
  partition: number;
  offset: number;
  /** When the log took it, milliseconds since 1970. */
  time: number;
}

/** To be appended; the key chooses the partition (`placeOf(key, partitions)`). */
export interface NewRecord extends Envelope {
  topic: string;
}

export interface Position {
  topic: string;
  partition: number;
  offset: number;
}

export interface ConsumeOptions {
  group: string;
  topics: readonly string[];
  /** Records in flight at once, over all partitions of all topics of this consumer. */
  concurrency: number;
  /**
   * Handles one record. Records of one key run one after another, others side by side; offsets are committed in order,
   * when all before them are handled. A rejection is a bug of the handler: the consumer stops, `done` rejects, and the
   * record is read again by whoever comes next. Two exceptions: a handler that waits for its turn says so with `alive`,
   * or it would count as one that hangs; and when the consumer's own `signal` is aborted, a rejection with its reason gives
   * the record back, to be read again, and is neither an error nor a death.
   */
  handle(record: LogRecord, signal: AbortSignal, alive: () => void): Promise<void>;
  /**
   * Consumers died three times at one offset, and then once more while this record ran with nothing beside it. It is
   * handled no more: whoever resolves this has put it away (dead-lettered it). Called in place of `handle`. A handler that
   * throws, or hangs, counts as a death of its consumer.
   */
  bury(record: LogRecord, deaths: number): Promise<void>;
  /** Aborting drains: nothing new is begun, what runs is awaited and committed. */
  signal: AbortSignal;
}

export interface Consumer {
  /** Settles when the consumer has stopped: resolves after a drain, rejects with the error that stopped it. */
  readonly done: Promise<void>;
  /** Partitions that this consumer owns now. */
  assignment(): readonly { topic: string; partition: number }[];
}

export interface PartitionEnds {
  topic: string;
  partition: number;
  /** First offset still kept, and the offset that the next record will get; on Kafka, where a transaction is open, that of its first. */
  start: number;
  end: number;
}

/** A transaction of the caller's that an append can join. What it is belongs to the adapter; others refuse it. */
export type JoinedTransaction = unknown;

export interface EventLog {
  /** Creates what is missing. @throws EventLogError (not retriable) when a topic exists with other settings. */
  ensureTopics(specs: readonly TopicSpec[]): Promise<void>;
  /** All or nothing within one call where the adapter can; visible when it resolves (or when the transaction commits). */
  append(records: readonly NewRecord[], transaction?: JoinedTransaction): Promise<Position[]>;
  consume(options: ConsumeOptions): Consumer;
  /**
   * Reads records of one partition from an offset on, to the end as it was when called; `to` is exclusive. When it ends, all that
   * there was has been given. @throws EventLogError (retriable) when the log does not give what it has
   */
  read(topic: string, partition: number, from: number, to?: number): AsyncIterable<LogRecord>;
  ends(topic: string): Promise<PartitionEnds[]>;
  /** First offset whose record was taken at or after the time; the end when there is none. */
  offsetAt(topic: string, partition: number, time: number): Promise<number>;
  /** Next offset to be read by the group, null where it never committed. */
  committed(group: string, topic: string): Promise<{ partition: number; offset: number | null }[]>;
  /** Retention and compaction; adapters whose server does that do nothing. */
  maintain(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/**
 * Not retriable: the record is condemned (too large, unknown topic, refused by the log's rules), or the settings are.
 * Retriable: the environment is broken (no connection, no leader, lost ownership); the same call may succeed later.
 */
export class EventLogError extends Error {
  override name = 'EventLogError';
  readonly retriable: boolean;
  constructor(message: string, options: { retriable: boolean; cause?: unknown }) {
    super(message, { cause: options.cause });
    this.retriable = options.retriable;
  }
}
