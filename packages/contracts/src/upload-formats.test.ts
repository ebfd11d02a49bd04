import { describe, expect, test } from 'vitest';
import { type Envelope, jsonEnvelope, MalformedEvent } from './envelope.ts';
import { uploadId } from './ids.ts';
import { parseKeyPattern } from './key-pattern.ts';
import { readUpload } from './upload-formats.ts';
import {
  awsDeleteMarker,
  awsMultipart,
  awsPut,
  awsTestMessage,
  cloudEvent,
  eventBridgeCreated,
  eventBridgeDeleted,
  minioDelete,
  minioPut,
} from './upload-samples.ts';

const plain = (data: unknown, headers: Record<string, string> = {}): Envelope => ({
  key: 'uploads/some-key',
  headers,
  value: new TextEncoder().encode(typeof data === 'string' ? data : JSON.stringify(data)),
});
const byPattern = { keyPattern: parseKeyPattern('{account}/{visibility}/{file}') };
const bare = { keyPattern: null };
const ourOwn = (type: string, data: unknown) =>
  jsonEnvelope('k', { id: 'ev_1', type, source: 'platform', subject: 'k', time: 1, data });

describe('our CloudEvent', () => {
  test('in binary mode: the type says what happened, not the data', () => {
    const { events } = readUpload(ourOwn('vigil.upload.replaced', { ...cloudEvent, action: 'created' }), bare);
    expect(events).toEqual([{ ...cloudEvent, action: 'replaced' }]);
  });

  test('in structured mode', () => {
    const structured = {
      specversion: '1.0',
      id: 'e-17',
      type: 'vigil.upload.deleted',
      source: '/platform',
      time: '2026-03-01T12:00:00Z',
      datacontenttype: 'application/json',
      data: cloudEvent,
    };
    const envelope = plain(structured, { 'content-type': 'application/cloudevents+json; charset=UTF-8' });
    expect(readUpload(envelope, bare).events).toEqual([{ ...cloudEvent, action: 'deleted' }]);
  });

  test.each(['vigil.upload.renamed', 'com.example.upload', 'vigil.upload.created.v2'])(
    'of the type %s is none of ours',
    (type) => {
      expect(() => readUpload(ourOwn(type, cloudEvent), bare)).toThrow(/an upload is vigil\.upload\.created/);
    },
  );

  test('says what is missing', () => {
    expect(() => readUpload(ourOwn('vigil.upload.created', { media: { bucket: 'b' } }), bare)).toThrow(/media\.source/);
  });

  test('takes frames in order of time, within the limits', () => {
    const frames = (times: number[]) => ({
      ...cloudEvent,
      frames: { duration: 400, images: times.map((time) => ({ key: `f/${time}.jpg`, time })) },
    });
    const read = (times: number[]) => readUpload(ourOwn('vigil.upload.created', frames(times)), bare).events[0]?.frames;
    expect(read([0, 0.5, 1])?.images.map((f) => f.time)).toEqual([0, 0.5, 1]);
    expect(read(Array.from({ length: 600 }, (_, n) => n / 120))?.images.length).toBe(600);
    expect(() => read([])).toThrow(MalformedEvent);
    expect(() => read([1, 0.5])).toThrow(/in order of time/);
    expect(() => read(Array.from({ length: 600 }, (_, n) => n / 130))).toThrow(/more than 120 frames in a second/);
    expect(() => read(Array.from({ length: 20_001 }, (_, n) => n / 100))).toThrow(/20000/);
  });
});

describe('notifications of Amazon S3', () => {
  test('of a bucket that keeps versions', () => {
    expect(readUpload(plain(awsPut), byPattern).events).toEqual([
      {
        action: 'created',
        media: {
          source: 's3',
          bucket: 'platform-uploads',
          key: 'acc-17/public/my holiday+film (1).mp4',
          version: '096fKKXTRTtl3on89fVO.nfljtsv6qko',
        },
        account: 'acc-17',
        visibility: 'public',
        receivedAt: Date.parse('2026-03-01T12:00:00.123Z'),
        sequencer: '0055AED6DCD90281E5',
      },
    ]);
  });

  test('of a bucket that keeps none: the ETag is the version', () => {
    const [event] = readUpload(plain(awsMultipart), bare).events;
    expect(event?.media.version).toBe('4af981f98d22a0b9979da24b259e5e42-12');
    expect(event?.account).toBeUndefined();
    expect(event?.visibility).toBe('public');
  });

  test('each of several records is an upload; what concerns no bytes is passed over', () => {
    const [put] = awsPut.Records;
    const tagged = { ...put, eventName: 'ObjectTagging:Put' };
    const restored = { ...put, eventName: 'ObjectRestore:Completed' };
    const all = { Records: [put, tagged, ...awsMultipart.Records, restored, ...awsDeleteMarker.Records] };
    expect(readUpload(plain(all), bare).events.map((e) => e.action)).toEqual(['created', 'created', 'deleted']);
    expect(readUpload(plain({ Records: [tagged, restored] }), bare)).toEqual({
      events: [],
      nothing: 'ObjectTagging:Put, ObjectRestore:Completed',
    });
  });

  test('a delete marker hides all versions, a deletion of a version that one', () => {
    const [marker] = readUpload(plain(awsDeleteMarker), bare).events;
    expect(marker).toMatchObject({ action: 'deleted', media: { version: '' } });
    const [record] = awsDeleteMarker.Records;
    const removed = (eventName: string) => readUpload(plain({ Records: [{ ...record, eventName }] }), bare).events[0];
    expect(removed('ObjectRemoved:Delete')?.media.version).toBe('3rL4kqtJlcpXroDTDmJ_rmSpXd3dIbrHY');
    expect(removed('LifecycleExpiration:Delete')?.action).toBe('deleted');
  });

  test('the test message is nothing', () => {
    expect(readUpload(plain(awsTestMessage), bare)).toEqual({ events: [], nothing: 's3:TestEvent' });
  });

  test('by way of EventBridge it is the same upload as by notification', () => {
    const [event] = readUpload(plain(eventBridgeCreated), byPattern).events;
    expect(event).toMatchObject({ action: 'created', account: 'acc-17', sequencer: '617f08299329d189' });
    const [direct] = readUpload(plain(awsPut), byPattern).events;
    expect(uploadId(event!.media)).toBe(uploadId(direct!.media));
    const [gone] = readUpload(plain(eventBridgeDeleted), bare).events;
    expect(gone).toMatchObject({
      action: 'deleted',
      media: { key: 'acc-17/public/my holiday+film (1).mp4', version: '' },
    });
    expect(readUpload(plain({ ...eventBridgeCreated, 'detail-type': 'Object Tags Added' }), bare).events).toEqual([]);
  });
});

describe('notifications of MinIO', () => {
  test('carry what the uploader said, which outranks the key', () => {
    expect(readUpload(plain(minioPut), byPattern).events).toEqual([
      {
        action: 'created',
        media: {
          source: 's3',
          bucket: 'uploads',
          key: 'a/b/film & ton.mp4',
          version: 'a3410f4f8788b510d6f19c5067e60a90',
        },
        account: 'acc_42',
        visibility: 'unlisted',
        territory: 'DE',
        receivedAt: Date.parse('2026-03-01T12:00:01.500Z'),
      },
    ]);
  });

  test('of a removal mean all versions where none is named', () => {
    const [event] = readUpload(plain(minioDelete), bare).events;
    expect(event).toMatchObject({ action: 'deleted', media: { bucket: 'uploads', version: '' } });
    expect(event?.sequencer).toBeUndefined();
  });

  test('of a changed tag or retention are nothing', () => {
    const [record] = minioPut.Records;
    const tagged = { ...minioPut, Records: [{ ...record, eventName: 's3:ObjectCreated:PutRetention' }] };
    expect(readUpload(plain(tagged), bare).events).toEqual([]);
  });
});

describe('what cannot be understood', () => {
  const [put] = awsPut.Records;
  const withObject = (object: object) => ({ Records: [{ ...put, s3: { ...put!.s3, object } }] });
  test.each([
    ['no data', { key: 'k', headers: {}, value: null }, /no data/],
    ['no JSON', plain('<xml/>'), /not JSON/],
    ['no UTF-8', { key: 'k', headers: {}, value: new Uint8Array([0x22, 0xff, 0x22]) }, /not JSON in UTF-8/],
    ['a list', plain('[1]'), /not a JSON object/],
    ['another object', plain({ hello: 'world' }), /neither a CloudEvent nor a notification/],
    ['records that are none', plain({ Records: 'none' }), /notification: .*Records/s],
    ['a record without a bucket', plain({ Records: [{ ...put, s3: {} }] }), /Records\[0\]\.s3\.bucket/],
    [
      'a key that is not encoded',
      plain(withObject({ key: '%zz', eTag: 'x' })),
      /Records\[0\]: the key is not URL-encoded/,
    ],
    ['an object without a version', plain(withObject({ key: 'a' })), /neither versionId nor eTag/],
    ['a time that is none', plain({ Records: [{ ...put, eventTime: 'yesterday' }] }), /eventTime/],
  ])('%s', (_, envelope, message) => {
    const read = () => readUpload(envelope, bare);
    expect(read).toThrow(MalformedEvent);
    expect(read).toThrow(message);
  });
});

describe('key patterns', () => {
  test('read names, pass over others, and take all that follows in the last part', () => {
    const { read } = parseKeyPattern('media/{territory}/u-{account}.d/{day}/{visibility}');
    expect(read('media/DE/u-17.d/2026-03-01/public')).toEqual({ territory: 'DE', account: '17', visibility: 'public' });
    expect(read('media/DE/17/2026-03-01/public')).toEqual({});
    expect(parseKeyPattern('{account}/{file}').read('a/b/c/d.mp4')).toEqual({ account: 'a' });
    expect(parseKeyPattern('{account}.(x)').read('17.(x)')).toEqual({ account: '17' });
    expect(parseKeyPattern('{account}/{file}').read('__proto__/x')).toEqual({ account: '__proto__' });
  });

  test.each([
    ['{file}', /at least one of \{account\}/],
    ['{account}{visibility}', /one \{name\} between slashes/],
    ['{account}/{account}', /stands in it twice/],
    ['{account', /one \{name\}/],
    ['{1}/{account}', /one \{name\}/],
  ])('%s is refused', (text, message) => expect(() => parseKeyPattern(text)).toThrow(message));
});
