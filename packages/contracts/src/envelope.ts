import { z } from 'zod';
import { decodeFingerprint, encodeFingerprint, type Fingerprint } from './fingerprint.ts';

/**
 * CloudEvents 1.0 in Kafka binary content mode: the attributes are headers, the value is the data and nothing else.
 * An event without data (a tombstone of a compacted topic) has the value null.
 */
export interface CloudEvent<T = unknown> {
  id: string;
  type: string;
  source: string;
  subject: string;
  /** milliseconds since 1970 */
  time: number;
  data: T;
}

export type Headers = Record<string, string>;

/** What a log carries, whatever the log. */
export interface Envelope {
  key: string;
  headers: Headers;
  value: Uint8Array | null;
}

export const JSON_TYPE = 'application/json';
/** u32 length of the JSON, little-endian; the JSON; the fingerprint, or nothing. */
export const CODES_TYPE = 'application/vnd.vigil.codes';

function headersOf(event: Omit<CloudEvent, 'data'>, contentType: string): Headers {
  return {
    ce_specversion: '1.0',
    ce_id: event.id,
    ce_type: event.type,
    ce_source: event.source,
    ce_subject: event.subject,
    ce_time: new Date(event.time).toISOString(),
    'content-type': contentType,
  };
}

export function jsonEnvelope(key: string, event: CloudEvent): Envelope {
  return { key, headers: headersOf(event, JSON_TYPE), value: new TextEncoder().encode(JSON.stringify(event.data)) };
}

export function codesEnvelope(key: string, event: CloudEvent, codes: Fingerprint | null): Envelope {
  const json = new TextEncoder().encode(JSON.stringify(event.data));
  const binary = codes ? encodeFingerprint(codes) : new Uint8Array(0);
  const value = new Uint8Array(4 + json.length + binary.length);
  new DataView(value.buffer).setUint32(0, json.length, true);
  value.set(json, 4);
  value.set(binary, 4 + json.length);
  return { key, headers: headersOf(event, CODES_TYPE), value };
}

/** The encoded fingerprint that follows an event's data; empty where there is none, or the event is of another type. */
export function codesOf({ headers, value }: Envelope): Uint8Array {
  if (headers['content-type'] !== CODES_TYPE || !value || value.length < 4) return new Uint8Array(0);
  const length = new DataView(value.buffer, value.byteOffset, value.byteLength).getUint32(0, true);
  return value.subarray(Math.min(value.length, 4 + length));
}

/** The event cannot be understood: it is the sender's mistake, and reading it again will not help. */
export class MalformedEvent extends Error {
  override name = 'MalformedEvent';
}

export interface Opened<T> {
  event: CloudEvent<T>;
  codes: Fingerprint | null;
}

/** Reads an envelope of either content type and checks its data. @throws MalformedEvent */
export function openEnvelope<T>(schema: z.ZodType<T>, envelope: Envelope): Opened<T> {
  const h = envelope.headers;
  const { ce_id: id, ce_type: type, ce_source: source } = h;
  if (!id || !type || !source) throw new MalformedEvent('headers ce_id, ce_type and ce_source are required');
  if (!envelope.value) throw new MalformedEvent('the event has no data');
  let json: Uint8Array = envelope.value;
  let codes: Fingerprint | null = null;
  try {
    if (h['content-type'] === CODES_TYPE) {
      const length = new DataView(json.buffer, json.byteOffset, json.byteLength).getUint32(0, true);
      const rest = json.subarray(4 + length);
      if (rest.length > 0) codes = decodeFingerprint(rest);
      json = json.subarray(4, 4 + length);
    }
    const data = schema.parse(JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(json)));
    const time = h.ce_time ? Date.parse(h.ce_time) : Number.NaN;
    return {
      event: { id, type, source, subject: h.ce_subject ?? envelope.key, time: Number.isNaN(time) ? 0 : time, data },
      codes,
    };
  } catch (cause) {
    const why =
      cause instanceof z.ZodError ? z.prettifyError(cause) : String(cause instanceof Error ? cause.message : cause);
    throw new MalformedEvent(`${type}: ${why}`, { cause });
  }
}
