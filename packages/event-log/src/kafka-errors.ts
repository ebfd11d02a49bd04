import { isRetriable, retry } from '@vigil/runtime';
import { EventLogError } from './event-log.ts';

interface KafkaError {
  name?: unknown;
  type?: unknown;
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

/** The record, the settings or the permissions are to blame, however often kafkajs has tried. */
const CONDEMNED =
  /^(MESSAGE_TOO_LARGE|RECORD_LIST_TOO_LARGE|INVALID_|TOPIC_AUTHORIZATION|GROUP_AUTHORIZATION|CLUSTER_AUTHORIZATION|UNSUPPORTED_|SASL_|POLICY_VIOLATION|SECURITY_DISABLED|OFFSET_METADATA_TOO_LARGE)/;

const UNFIT = ['KafkaJSSASLAuthenticationError', 'KafkaJSNotImplemented', 'KafkaJSServerDoesNotSupportApiKey'];

/**
 * kafkajs's errors as the port's. What kafkajs calls retriable is no guide: a coordinator that cannot be found and a group
 * that changes hands are not, for it, and are over in a moment. So everything is, but what is known to be for good.
 */
export function translated(error: unknown): unknown {
  if (error instanceof EventLogError || !(error instanceof Error)) return error;
  if (!error.name.startsWith('KafkaJS')) return error;
  const type = typeOf(error);
  const text = `kafka: ${error.message}${type && !error.message.includes(type) ? ` (${type})` : ''}`;
  const condemned = (type !== undefined && CONDEMNED.test(type)) || UNFIT.some((name) => isNamed(error, name));
  return new EventLogError(text, { retriable: !condemned, cause: error });
}

function isNamed(error: unknown, name: string): boolean {
  for (let at = error as KafkaError | undefined, depth = 0; at && depth < 8; at = at.cause as KafkaError, depth++)
    if (at.name === name) return true;
  return false;
}

export async function guarded<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    throw translated(error);
  }
}

/** For questions: kafkajs tries again after some errors, of others (a coordinator that is loading) it hears once and gives up. */
export const asked = <T>(work: () => Promise<T>): Promise<T> =>
  retry(() => guarded(work), {
    attempts: 8,
    maxMs: 1000,
    when: (error) => isRetriable(error) && !(error instanceof EventLogError && triedBefore(error.cause)),
  });

const triedBefore = (cause: unknown) => (cause as KafkaError | undefined)?.name === 'KafkaJSNumberOfRetriesExceeded';

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
