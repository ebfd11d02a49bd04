/**
 * What may stand on the topic of uploads, told apart by its content:
 * - our own CloudEvent, in binary or structured content mode; its type says what happened;
 * - notifications as Amazon S3 sends them (`Records`), MinIO's (the same, with `EventName` and `Key` before it), and S3's by
 *   way of EventBridge. Several uploads may stand in one.
 * Fields: "Event message structure" and "EventBridge event message structure" in the Amazon S3 user guide, and
 * `internal/event` of MinIO.
 */
import { z } from 'zod';
import { type Envelope, MalformedEvent, type Opened, openEnvelope } from './envelope.ts';
import { SEQUENCER, UploadEvent } from './events.ts';
import type { KeyPattern } from './key-pattern.ts';

/** What notifications do not say of themselves. */
export interface UploadMapping {
  /** Finds account, visibility and territory in an object's key. */
  keyPattern: KeyPattern | null;
}

export interface ReadUploads {
  events: UploadEvent[];
  /** Why there are none: a notification that concerns no upload. */
  nothing?: string;
}

/** Whoever announces an object of a store, it is the same upload. */
const NOTIFICATION_SOURCE = 's3';
/** Objects in one notification; AWS and MinIO send one. */
const MAX_RECORDS = 100;

/**
 * Reads one message: one upload of a CloudEvent, any number of a notification.
 * @throws MalformedEvent that says what could not be understood; all of the message is refused then.
 */
export function readUpload(envelope: Envelope, mapping: UploadMapping): ReadUploads {
  if (envelope.headers.ce_type) return { events: [ofCloudEvent(openEnvelope(UploadEvent, asTyped(envelope)))] };
  const json = jsonOf(envelope.value);
  if ('specversion' in json) return { events: [ofCloudEvent(openEnvelope(UploadEvent, unstructured(json, envelope)))] };
  if ('Records' in json) return ofRecords(json, mapping);
  if (json.source === 'aws.s3') return ofEventBridge(json, mapping);
  if (S3TestMessage.safeParse(json).success) return { events: [], nothing: 's3:TestEvent' };
  throw new MalformedEvent('neither a CloudEvent nor a notification of an object store');
}

const TYPE = /^vigil\.upload\.(created|replaced|deleted)$/;

/** The type decides what happened, whatever the data say. */
function asTyped(envelope: Envelope): Envelope {
  const { ce_type: type = '' } = envelope.headers;
  if (!TYPE.test(type)) {
    throw new MalformedEvent(
      `${type}: an upload is vigil.upload.created, vigil.upload.replaced or vigil.upload.deleted`,
    );
  }
  return envelope;
}

function ofCloudEvent({ event }: Opened<UploadEvent>): UploadEvent {
  return { ...event.data, action: TYPE.exec(event.type)![1] as UploadEvent['action'] };
}

const Structured = z.object({
  specversion: z.literal('1.0'),
  id: z.string().min(1),
  type: z.string(),
  source: z.string().min(1),
  time: z.string().optional(),
  data: z.unknown(),
});

function unstructured(json: object, { key }: Envelope): Envelope {
  const { id, type, source, time, data } = parse(Structured, json, 'CloudEvent');
  const headers = { ce_id: id, ce_type: type, ce_source: source, ...(time ? { ce_time: time } : {}) };
  return asTyped({ key, headers, value: new TextEncoder().encode(JSON.stringify(data ?? null)) });
}

const text = z.string().optional().nullable();
const When = z.iso.datetime({ offset: true }).transform((t) => Date.parse(t));

const S3Record = z.object({
  eventSource: z.string(),
  eventTime: When,
  eventName: z.string(),
  s3: z.object({
    bucket: z.object({ name: z.string().min(1) }),
    object: z.object({
      key: z.string().min(1),
      eTag: text,
      versionId: text,
      sequencer: text,
      userMetadata: z.record(z.string(), z.string()).optional().nullable(),
    }),
  }),
});
/** `Records`, of Amazon S3; MinIO's have `EventName` and `Key` beside it. */
export const S3Notification = z.object({ Records: z.array(S3Record).max(MAX_RECORDS) });

export const S3TestMessage = z.object({ Service: z.string(), Event: z.literal('s3:TestEvent') });

function ofRecords(json: object, mapping: UploadMapping): ReadUploads {
  const { Records } = parse(S3Notification, json, 'notification');
  const read = Records.map(({ eventSource, eventTime, eventName, s3 }, n) => {
    const action = actionOf(eventName);
    if (action === null) return null;
    const { object, bucket } = s3;
    const key = decodeKey(object.key, n);
    // MinIO's sequencer is the object's time of change, which a removal does not alter.
    const sequencer = eventSource === 'aws:s3' ? object.sequencer : null;
    return announced({ ...object, action, bucket: bucket.name, key, sequencer, at: eventTime }, mapping);
  });
  const events = read.filter((event) => event !== null);
  if (events.length > 0) return { events };
  return { events, nothing: [...new Set(Records.map((r) => r.eventName))].join(', ') || 'no records' };
}

type Happening = 'created' | 'deleted' | 'hidden';

/** Names with and without `s3:`. Null: nothing about the bytes of an object. `hidden`: gone, though versions of it are kept. */
function actionOf(name: string): Happening | null {
  const [, what = '', how = ''] = /^(?:s3:)?(\w+):(\w+)$/.exec(name) ?? [];
  if (what === 'ObjectCreated')
    return /^(PutRetention|PutLegalHold|PutTagging|DeleteTagging)$/.test(how) ? null : 'created';
  if (what !== 'ObjectRemoved' && what !== 'LifecycleExpiration') return null;
  if (how === 'NoOP') return null;
  return how === 'DeleteMarkerCreated' ? 'hidden' : 'deleted';
}

/** Keys of `Records` are encoded as a form's fields are. */
function decodeKey(key: string, record: number): string {
  try {
    return decodeURIComponent(key.replaceAll('+', ' '));
  } catch (cause) {
    throw new MalformedEvent(`Records[${record}]: the key is not URL-encoded UTF-8`, { cause });
  }
}

export const EventBridge = z.object({
  source: z.literal('aws.s3'),
  'detail-type': z.string(),
  time: When,
  detail: z.object({
    bucket: z.object({ name: z.string().min(1) }),
    object: z.object({ key: z.string().min(1), etag: text, 'version-id': text, sequencer: text }),
    'deletion-type': text,
  }),
});

/** Keys are given as they are here. */
function ofEventBridge(json: object, mapping: UploadMapping): ReadUploads {
  const { 'detail-type': type, time: at, detail } = parse(EventBridge, json, 'EventBridge event');
  const removed = detail['deletion-type'] === 'Delete Marker Created' ? 'hidden' : 'deleted';
  const action = { 'Object Created': 'created', 'Object Deleted': removed }[type] as Happening | undefined;
  if (!action) return { events: [], nothing: type };
  const { key, etag: eTag, 'version-id': versionId, sequencer } = detail.object;
  return { events: [announced({ action, bucket: detail.bucket.name, key, eTag, versionId, sequencer, at }, mapping)] };
}

interface Announcement {
  action: Happening;
  bucket: string;
  key: string;
  eTag?: string | null | undefined;
  versionId?: string | null | undefined;
  sequencer?: string | null | undefined;
  userMetadata?: Record<string, string> | null | undefined;
  /** milliseconds since 1970 */
  at: number;
}

/**
 * The version is the store's own, or the ETag where none are kept, which is how the blob store names it too. What is gone has no
 * ETag any more, and the version of a delete marker is not that of any media: without one, all versions are meant.
 */
function announced(one: Announcement, { keyPattern }: UploadMapping): UploadEvent {
  const { action, bucket, key, sequencer, at } = one;
  const versionId = one.versionId && one.versionId !== 'null' ? one.versionId : null;
  const version = { created: versionId ?? one.eTag ?? '', deleted: versionId ?? '', hidden: '' }[action];
  if (action === 'created' && version === '') throw new MalformedEvent(`${bucket}/${key}: neither versionId nor eTag`);
  return {
    action: action === 'created' ? 'created' : 'deleted',
    media: { source: NOTIFICATION_SOURCE, bucket, key, version },
    visibility: 'public',
    ...keyPattern?.read(key),
    ...metadataOf(one.userMetadata ?? {}),
    receivedAt: at,
    ...(sequencer && SEQUENCER.test(sequencer) ? { sequencer } : {}),
  };
}

const TOLD = {
  'x-amz-meta-account': 'account',
  'x-amz-meta-visibility': 'visibility',
  'x-amz-meta-territory': 'territory',
};

function metadataOf(metadata: Record<string, string>): Partial<UploadEvent> {
  const about: Record<string, string> = {};
  for (const [name, value] of Object.entries(metadata)) {
    const lower = name.toLowerCase();
    if (Object.hasOwn(TOLD, lower) && value !== '') about[TOLD[lower as keyof typeof TOLD]] = value;
  }
  return about;
}

function jsonOf(value: Uint8Array | null): Record<string, unknown> {
  if (!value) throw new MalformedEvent('the event has no data');
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(value));
  } catch (cause) {
    throw new MalformedEvent(`not JSON in UTF-8: ${cause instanceof Error ? cause.message : cause}`, { cause });
  }
  if (typeof json !== 'object' || json === null || Array.isArray(json)) throw new MalformedEvent('not a JSON object');
  return json as Record<string, unknown>;
}

function parse<T>(schema: z.ZodType<T>, json: unknown, what: string): T {
  const read = schema.safeParse(json);
  if (!read.success) throw new MalformedEvent(`${what}: ${z.prettifyError(read.error)}`, { cause: read.error });
  return read.data;
}
