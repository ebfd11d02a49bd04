import { deadTopic, TOPICS } from '@vigil/contracts';
import { type LogRecord, MAX_HEADER_BYTES, MAX_KEY, type NewRecord } from '@vigil/event-log';
import { storable } from '@vigil/runtime';

export interface Death {
  reason: string;
  stage: string;
  group?: string;
}

/** Names what could not be kept as it was: `key`, `headers`, `value (of 3145728 bytes)`. What such a letter holds is not the event. */
export const CUT_HEADER = 'vigil_cut';
/** What a letter carries beside the event's own headers. */
export const LETTER_HEADERS = ['vigil_reason', 'vigil_stage', 'vigil_group', 'vigil_origin', CUT_HEADER];

/** Characters, of at most three bytes each. */
const MAX_REASON = 2000;
const MAX_NAME = 200;
const MAX_CUT_BYTES = 100;
/** Each costs a broker some bytes that our log does not count. */
const MAX_HEADERS = 500;

/**
 * A record as its dead topic takes it, always: brokers let others write keys, headers and (packed) values that our log refuses, and
 * a letter that is refused would end whoever writes it, for ever. `vigil_origin` says where the record itself lies.
 */
export function deadLetter(record: LogRecord, { reason, stage, group }: Death, maxBytes = limitOf(record)): NewRecord {
  const own = {
    vigil_reason: beginning(reason, MAX_REASON),
    vigil_stage: beginning(stage, MAX_NAME),
    ...(group === undefined ? {} : { vigil_group: beginning(group, MAX_NAME) }),
    vigil_origin: beginning(`${record.topic}/${record.partition}/${record.offset}`, MAX_NAME),
  };
  const key = beginning(record.key, MAX_KEY);
  const theirs = Object.entries(record.headers).filter(([name]) => !LETTER_HEADERS.includes(name));
  const kept = headersWithin(theirs, MAX_HEADER_BYTES - sizeOf(Object.entries(own)) - MAX_CUT_BYTES);
  const value = record.value && beginningOf(record.value, maxBytes);
  const cut = [
    key === record.key ? [] : 'key',
    kept.length === theirs.length && kept.every(([name, text]) => record.headers[name] === text) ? [] : 'headers',
    value?.length === record.value?.length ? [] : `value (of ${record.value?.length} bytes)`,
  ].flat();
  const headers = Object.fromEntries([
    ...kept,
    ...Object.entries(own),
    ...(cut.length > 0 ? [[CUT_HEADER, cut.join(', ')]] : []),
  ]);
  return { topic: deadTopic(record.topic), key, headers, value };
}

const beginning = (text: string, maxLength: number): string => storable(text.slice(0, maxLength));

const limitOf = ({ topic }: LogRecord): number => Object.values(TOPICS).find(({ name }) => name === topic)!.maxBytes;

type Header = [name: string, text: string];
const sizeOf = (headers: readonly Header[]): number =>
  headers.reduce((sum, [name, text]) => sum + Buffer.byteLength(name) + Buffer.byteLength(text), 0);

/** Each whole, or not at all. */
function headersWithin(headers: readonly Header[], bytes: number): Header[] {
  const kept: Header[] = [];
  let left = bytes;
  for (const [name, text] of headers) {
    const header: Header = [storable(name), storable(text)];
    if (kept.length === MAX_HEADERS || sizeOf([header]) > left) continue;
    kept.push(header);
    left -= sizeOf([header]);
  }
  return kept;
}

/** As much as is allowed, to be looked at; without half a character (of UTF-8) at its end. */
function beginningOf(value: Uint8Array, maxBytes: number): Uint8Array {
  if (value.length <= maxBytes) return value;
  let end = maxBytes;
  while (end > Math.max(0, maxBytes - 3) && (value[end]! & 0xc0) === 0x80) end--;
  return value.subarray(0, end);
}
