import { EventLogError } from './event-log.ts';

interface KafkaError {
  name?: unknown;
  type?: unknown;
  retriable?: unknown;
  cause?: unknown;
}

/** The protocol's own name of an error, wherever it hides in the chain of causes. */
export function typeOf(error: unknown): string | undefined {
  for (let at = error as KafkaError | undefined, depth = 0; at && depth < 8; at = at.cause as KafkaError, depth++)
    if (typeof at.type === 'string') return at.type;
  return undefined;
}

/** The group does not know us any more: what we owned belongs to others now. */
export const isEvicted = (error: unknown): boolean => typeOf(error) === 'UNKNOWN_MEMBER_ID';

/** Of these, kafkajs says that trying again is of no use; within a moment it is. */
const PASSING = [
  'REBALANCE_IN_PROGRESS',
  'UNKNOWN_MEMBER_ID',
  'ILLEGAL_GENERATION',
  'BROKER_NOT_AVAILABLE',
  'STALE_CONTROLLER_EPOCH',
];
/** The record, the settings or the permissions are to blame, however often kafkajs has tried. */
const CONDEMNED =
  /^(MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_|TOPIC_AUTHORIZATION|GROUP_AUTHORIZATION|CLUSTER_AUTHORIZATION|UNSUPPORTED_|SASL_|POLICY_VIOLATION|SECURITY_DISABLED|OFFSET_METADATA_TOO_LARGE)/;

/** kafkajs's errors as the port's. */
export function translated(error: unknown): unknown {
  if (error instanceof EventLogError || !(error instanceof Error)) return error;
  if (!/^KafkaJS/.test(error.name)) return error;
  const type = typeOf(error);
  const text = `kafka: ${error.message}${type && !error.message.includes(type) ? ` (${type})` : ''}`;
  return new EventLogError(text, { retriable: isPassing(error, type), cause: error });
}

function isPassing(error: Error, type: string | undefined): boolean {
  if (type && CONDEMNED.test(type)) return false;
  if (type && PASSING.includes(type)) return true;
  if (error.name === 'KafkaJSNumberOfRetriesExceeded') return true;
  for (let at: KafkaError | undefined = error as KafkaError; at; at = at.cause as KafkaError | undefined)
    if (at.retriable === true) return true;
  return false;
}

export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translated(error);
  }
}

/** False when it took longer; it goes on, and its rejection is nobody's any more. */
export async function within(work: Promise<unknown>, ms: number): Promise<boolean> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<false>((resolve) => {
    timer = setTimeout(resolve, ms, false);
  });
  try {
    return await Promise.race([work.then(() => true), late]);
  } finally {
    clearTimeout(timer);
    work.catch(() => undefined);
  }
}
