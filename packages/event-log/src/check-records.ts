import type { TopicSpec } from '@vigil/contracts';
import { EventLogError, type NewRecord } from './event-log.ts';

/** Characters. Longer keys are a mistake, and would not fit an index. */
export const MAX_KEY = 1024;
export const MAX_HEADER_BYTES = 16 * 1024;

/**
 * The rules that a record must keep whatever the log. `maxBytes` bounds the value; headers have a bound of their own.
 * @throws EventLogError, not retriable: the record is condemned
 */
export function checkRecord(record: NewRecord, spec: Pick<TopicSpec, 'maxBytes'>): void {
  const refuse = (why: string): never => {
    throw new EventLogError(`${record.topic}: ${why}`, { retriable: false });
  };
  const size = record.value?.length ?? 0;
  if (size > spec.maxBytes) refuse(`a value of ${size} bytes is larger than the ${spec.maxBytes} allowed`);
  if (record.key.length > MAX_KEY) refuse(`a key of ${record.key.length} characters is longer than ${MAX_KEY}`);
  if (!isText(record.key)) refuse('the key is not well-formed text, or contains NUL');
  let headers = 0;
  for (const [name, value] of Object.entries(record.headers)) {
    headers += Buffer.byteLength(name) + Buffer.byteLength(value);
    if (!isText(name) || !isText(value))
      refuse(`header ${JSON.stringify(name)} is not well-formed text, or contains NUL`);
  }
  if (headers > MAX_HEADER_BYTES) refuse(`${headers} bytes of headers are more than the ${MAX_HEADER_BYTES} allowed`);
}

const isText = (text: string) => text.isWellFormed() && !text.includes('\0');
