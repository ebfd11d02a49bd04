import { EVENTS, type EventSpec, jsonSchemaOf } from './catalogue.ts';
import { deadSpec, TOPICS, type TopicName, type TopicSpec } from './topics.ts';

const KEYS: Record<TopicSpec['key'], string> = {
  upload: 'id of the upload; of what comes in, anything that is the same for all messages on one object',
  slice: 'id of the upload or reference, a slash, the number of the slice',
  reference: 'id of the reference, "@", its version',
  'reference-slice': 'id of the reference, "@", its version, a slash, the number of the slice',
  root: 'number of the root',
};

/** Topics that the platform writes: what could not be understood there is its concern. */
const READ_BACK: readonly TopicName[] = ['uploads', 'acknowledgements'];

/** An AsyncAPI 3.0 document of all topics, keys and messages, seen from Vigil: it receives `in`, and sends `out`. */
export function asyncApiDocument(version: string): Record<string, unknown> {
  const names = Object.keys(TOPICS) as TopicName[];
  const on = (topic: TopicName) => EVENTS.filter((e) => e.topics.includes(topic));
  const channels = Object.fromEntries([
    ...names.map((topic) => [topic, channel(TOPICS[topic], on(topic))] as const),
    ...READ_BACK.map((topic) => [`${topic}Dead`, deadChannel(TOPICS[topic], on(topic))] as const),
  ]);
  return {
    asyncapi: '3.0.0',
    info: {
      title: 'Vigil',
      version,
      description:
        'Finds copies of protected works among uploads and takes them down. CloudEvents 1.0, binary content mode.',
      license: { name: 'Apache-2.0' },
    },
    defaultContentType: 'application/json',
    channels,
    operations: Object.fromEntries(EVENTS.flatMap(operationsOf)),
    components: { messages: Object.fromEntries(EVENTS.map((e) => [e.name, message(e)])) },
  };
}

function channel(spec: TopicSpec, events: readonly EventSpec[]): Record<string, unknown> {
  const { name, partitions, cleanup, retentionMs, maxBytes } = spec;
  return {
    address: name,
    messages: Object.fromEntries(events.map((e) => [e.name, ref('components', 'messages', e.name)])),
    tags: [...new Set(events.map((e) => (e.direction === 'internal' ? 'internal' : 'platform')))].map((tag) => ({
      name: tag,
    })),
    bindings: {
      kafka: {
        topic: name,
        partitions,
        topicConfiguration: {
          'cleanup.policy': [cleanup],
          'retention.ms': retentionMs ?? -1,
          'max.message.bytes': maxBytes,
        },
        bindingVersion: '0.5.0',
      },
    },
  };
}

function deadChannel(spec: TopicSpec, events: readonly EventSpec[]): Record<string, unknown> {
  const description =
    'What could not be understood: key, headers and value as they came, and in the headers vigil_reason, vigil_stage and vigil_origin (topic/partition/offset). What did not fit is cut, and named in vigil_cut.';
  return { ...channel(deadSpec(spec), events), description };
}

function operationsOf({ name, direction, topics, about }: EventSpec): [string, Record<string, unknown>][] {
  const verbs = { in: ['receive'], out: ['send'], internal: ['send', 'receive'] } as const;
  return topics.flatMap((topic) =>
    verbs[direction].map((action): [string, Record<string, unknown>] => [
      `${action}-${name}${topics.length > 1 ? `-${topic}` : ''}`,
      {
        action,
        channel: ref('channels', topic),
        messages: [ref('channels', topic, 'messages', name)],
        summary: about,
      },
    ]),
  );
}

function message(spec: EventSpec): Record<string, unknown> {
  const { name, types, contentType, about, topics } = spec;
  const { $schema: _, ...payload } = jsonSchemaOf(spec, 'draft-7');
  return {
    name,
    title: name.replaceAll('-', ' '),
    summary: about,
    contentType,
    ...(types.length > 0 ? { headers: headers(types, contentType) } : {}),
    payload,
    bindings: {
      kafka: { key: { type: 'string', description: KEYS[TOPICS[topics[0]!].key] }, bindingVersion: '0.5.0' },
    },
  };
}

const headers = (types: readonly string[], contentType: string) => ({
  type: 'object',
  required: ['ce_specversion', 'ce_id', 'ce_type', 'ce_source'],
  properties: {
    ce_specversion: { const: '1.0' },
    ce_id: { type: 'string', minLength: 1 },
    ce_type: { enum: types },
    ce_source: { type: 'string', minLength: 1 },
    ce_subject: { type: 'string' },
    ce_time: { type: 'string', format: 'date-time' },
    // W3C Trace Context: an upload's goes on to its takedown and verdict; `ce_traceparent` is read as well.
    traceparent: { type: 'string' },
    tracestate: { type: 'string' },
    'content-type': { const: contentType },
  },
});

const ref = (...path: string[]) => ({ $ref: `#/${path.join('/')}` });
