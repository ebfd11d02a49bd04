import { createRequire } from 'node:module';
import { Ajv } from 'ajv';
import { Ajv2020 } from 'ajv/dist/2020.js';
import formats from 'ajv-formats';
import { describe, expect, test } from 'vitest';
import { asyncApiDocument } from './asyncapi.ts';
import { EVENTS, type EventSpec, jsonSchemaOf } from './catalogue.ts';
import { SAMPLES } from './event-samples.ts';
import { deadTopic, TOPICS } from './topics.ts';
import * as uploads from './upload-samples.ts';

const frames = {
  duration: 2,
  images: [
    { key: 'f/0.jpg', time: 0 },
    { bucket: 'b', key: 'f/1.jpg', version: 'v', time: 1 },
  ],
};
/** By the name of the event. */
const samples: Record<string, readonly unknown[]> = {
  ...Object.fromEntries(Object.entries(SAMPLES).map(([name, sample]) => [name, [sample]])),
  upload: [uploads.cloudEvent, { ...uploads.cloudEvent, sequencer: '0055AED6DCD90281E5', frames }],
  's3-notification': [
    uploads.awsPut,
    uploads.awsMultipart,
    uploads.awsDeleteMarker,
    uploads.minioPut,
    uploads.minioDelete,
  ],
  's3-test': [uploads.awsTestMessage],
  's3-eventbridge': [uploads.eventBridgeCreated, uploads.eventBridgeDeleted],
};

function validator<A extends Ajv>(ajv: A): A {
  formats.default(ajv);
  return ajv;
}
const modern = validator(new Ajv2020({ allErrors: true, strict: true, strictTuples: false }));
const draft7 = validator(new Ajv({ strict: false }));

describe('JSON Schemas', () => {
  test('there is one of each event, and a sample of each', () => {
    expect(Object.keys(samples).sort()).toEqual(EVENTS.map((e) => e.name).sort());
  });

  test.each(EVENTS.map((e) => [e.name, e] as const))(
    '%s: samples are valid for schema and reader alike',
    (name, spec) => {
      const valid = modern.compile(jsonSchemaOf(spec));
      for (const sample of samples[name]!) {
        expect(valid(sample), JSON.stringify(valid.errors)).toBe(true);
        expect(spec.data.safeParse(sample).error).toBeUndefined();
      }
    },
  );

  test.each(EVENTS.map((e) => [e.name, e] as const))(
    '%s: what is missing is missed by schema and reader alike',
    (name, spec) => {
      const valid = modern.compile(jsonSchemaOf(spec));
      const [sample] = samples[name] as [Record<string, unknown>];
      const required = jsonSchemaOf(spec).required as string[];
      expect(required.length).toBeGreaterThan(0);
      for (const field of required) {
        // Of what goes out, defaults are promised; a reader of ours fills them in.
        const { [field]: _, ...rest } = sample;
        expect(valid(rest), field).toBe(false);
        if (spec.direction === 'in') expect(spec.data.safeParse(rest).success, field).toBe(false);
      }
    },
  );

  test('forbid no field that may be added', () => {
    for (const spec of EVENTS) expect(JSON.stringify(jsonSchemaOf(spec))).not.toContain('"additionalProperties":false');
  });

  test('say of what comes in what a sender has to give', () => {
    const upload = EVENTS.find((e) => e.name === 'upload') as EventSpec;
    expect(jsonSchemaOf(upload).required).toEqual(['media', 'receivedAt']);
  });
});

describe('the AsyncAPI document', () => {
  const document = asyncApiDocument('1.2.3');
  const channels = document.channels as Record<string, { address: string; messages: Record<string, unknown> }>;

  test('is one of AsyncAPI 3.0', () => {
    const schema = createRequire(import.meta.url)('@asyncapi/specs/schemas/3.0.0-without-$id.json');
    const valid = draft7.compile(schema);
    expect(valid(document), JSON.stringify(valid.errors?.slice(0, 5))).toBe(true);
    expect(valid({ ...document, channels: { uploads: { address: 7 } } })).toBe(false);
  });

  test('names every topic and every event, and where to read what was refused', () => {
    const addresses = Object.values(channels).map((c) => c.address);
    const dead = [TOPICS.uploads, TOPICS.acknowledgements].map((t) => deadTopic(t.name));
    expect(addresses.sort()).toEqual([...Object.values(TOPICS).map((t) => t.name), ...dead].sort());
    const named = new Set(Object.values(channels).flatMap((c) => Object.keys(c.messages)));
    expect([...named].sort()).toEqual(EVENTS.map((e) => e.name).sort());
  });

  test('refers only to what is there', () => {
    const refs = [...JSON.stringify(document).matchAll(/"\$ref":"#\/([^"]+)"/g)].map((m) => m[1]!.split('/'));
    expect(refs.length).toBeGreaterThan(EVENTS.length * 2);
    for (const path of refs) {
      const found = path.reduce<unknown>((at, key) => (at as Record<string, unknown> | undefined)?.[key], document);
      expect(found, path.join('/')).toBeDefined();
    }
  });

  test('holds payloads that the samples are valid for', () => {
    const { messages } = document.components as { messages: Record<string, { payload: object }> };
    for (const [name, all] of Object.entries(samples)) {
      const valid = draft7.compile(messages[name]!.payload);
      for (const sample of all) expect(valid(sample), `${name} ${JSON.stringify(valid.errors)}`).toBe(true);
    }
  });
});
