import { EventLogError, type LogRecord } from './event-log.ts';
import type { KafkaMessage } from './kafka-client.ts';

/** Offsets are 64 bits in Kafka and numbers with us: 2^53 records of one partition are some centuries. */
export function toOffset(text: string): number {
  const offset = Number(text);
  if (!Number.isSafeInteger(offset))
    throw new EventLogError(`offset ${text} is beyond what can be counted`, { retriable: false });
  return offset;
}

export const fromOffset = (offset: number): string => BigInt(offset).toString();

/**
 * Copies the value: as it comes it is a window on the whole answer of the broker, which would be kept as long as the
 * smallest record of it. Headers that come several times count once, the last one.
 */
export function toRecord(topic: string, partition: number, message: KafkaMessage): LogRecord {
  const headers: Record<string, string> = {};
  for (const [name, value] of Object.entries(message.headers ?? {})) {
    const last = Array.isArray(value) ? value.at(-1) : value;
    if (last !== undefined && last !== null) headers[name] = last.toString();
  }
  return {
    topic,
    partition,
    offset: toOffset(message.offset),
    time: Number(message.timestamp),
    key: message.key?.toString() ?? '',
    headers,
    value: message.value && new Uint8Array(message.value),
  };
}
