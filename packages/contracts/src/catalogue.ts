import { z } from 'zod';
import { Acknowledgement } from './acknowledgement.ts';
import { AuditRoot } from './claims.ts';
import { CODES_TYPE, JSON_TYPE } from './envelope.ts';
import {
  Alarm,
  Manifest,
  Pictures,
  Proposal,
  ReferenceEvent,
  Slice,
  SliceAlignments,
  SliceCodes,
  SliceEvidence,
  TakedownEvent,
  UploadEvent,
  Verdict,
} from './events.ts';
import type { TopicName } from './topics.ts';
import { EventBridge, S3Notification, S3TestMessage } from './upload-formats.ts';

/** in: the platform sends it. out: the platform reads it. internal: Vigil's parts say it to each other. */
export type Direction = 'in' | 'out' | 'internal';

/** Every message that may stand on a topic. */
export interface EventSpec {
  /** kebab-case */
  name: string;
  about: string;
  direction: Direction;
  topics: readonly TopicName[];
  /** `type` of the CloudEvent; none of messages that are no CloudEvents. */
  types: readonly string[];
  contentType: string;
  data: z.ZodType;
}

function event(
  name: string,
  direction: Direction,
  topics: TopicName | readonly TopicName[],
  types: readonly string[],
  data: z.ZodType,
  about: string,
  contentType: string = JSON_TYPE,
): EventSpec {
  return { name, direction, topics: typeof topics === 'string' ? [topics] : topics, types, data, about, contentType };
}

export const EVENTS: readonly EventSpec[] = [
  event(
    'upload',
    'in',
    'uploads',
    ['vigil.upload.created', 'vigil.upload.replaced', 'vigil.upload.deleted'],
    UploadEvent,
    'The platform has a new upload, has replaced one, or has deleted one. The type says which.',
  ),
  event('s3-notification', 'in', 'uploads', [], S3Notification, 'What Amazon S3 and MinIO say of objects.'),
  event(
    's3-test',
    'in',
    'uploads',
    [],
    S3TestMessage,
    'What Amazon S3 says when notifications are set up. Passed over.',
  ),
  event('s3-eventbridge', 'in', 'uploads', [], EventBridge, 'What Amazon S3 says of objects by way of EventBridge.'),
  event(
    'takedown',
    'out',
    'takedowns',
    ['vigil.media.takedown', 'vigil.media.restore'],
    TakedownEvent,
    'Media are to be disabled, or may be shown again. Told at least once: `data.id` is the same however often.',
  ),
  event(
    'verdict',
    'out',
    'verdicts',
    ['vigil.upload.judged'],
    Verdict,
    'What is said of an upload. Each has one of revision 1; later ones say what they supersede.',
  ),
  event('alarm', 'out', 'alarms', ['vigil.alarm'], Alarm, 'Something that a person should look at.'),
  event(
    'audit-root',
    'out',
    'audit',
    ['vigil.audit.rooted'],
    AuditRoot,
    'What was said and done in all cases until then, as one hash. Whoever keeps it can prove that nothing was rewritten.',
  ),
  event(
    'acknowledgement',
    'in',
    'acknowledgements',
    ['vigil.media.acknowledged'],
    Acknowledgement,
    'What a surface of the platform has done about a takedown or a restoration.',
  ),
  event(
    'reference',
    'internal',
    'references',
    ['vigil.reference.registered', 'vigil.reference.disabled', 'vigil.reference.enabled'],
    ReferenceEvent,
    'A protected work was registered, disabled or enabled.',
  ),
  event(
    'manifest',
    'internal',
    'manifests',
    ['vigil.upload.planned'],
    Manifest,
    'What is to be expected of an upload.',
  ),
  event(
    'slice',
    'internal',
    ['slicesFirst', 'slicesRest', 'slicesBatch'],
    ['vigil.slice.cut'],
    Slice,
    'A slice is to be fingerprinted.',
  ),
  event(
    'codes',
    'internal',
    ['fingerprints', 'referenceCodes'],
    ['vigil.slice.fingerprinted'],
    SliceCodes,
    'Codes of a slice. The schema is that of the JSON before them.',
    CODES_TYPE,
  ),
  event(
    'alignments',
    'internal',
    'alignments',
    ['vigil.slice.matched'],
    SliceAlignments,
    'What one shard of the library says of a slice.',
  ),
  event(
    'proposal',
    'internal',
    'proposals',
    ['vigil.match.proposed'],
    Proposal,
    'A slice is to be looked at again, closely. The schema is that of the JSON before the codes.',
    CODES_TYPE,
  ),
  event(
    'evidence',
    'internal',
    'evidence',
    ['vigil.slice.confirmed'],
    SliceEvidence,
    'What the closer look has shown.',
  ),
  event(
    'pictures',
    'internal',
    'pictures',
    ['vigil.pictures.wanted'],
    Pictures,
    'Frames of an upload and of what it copies are to be kept as pictures.',
  ),
];

/**
 * JSON Schema of an event's data. Of what comes in, what a sender has to give; of what goes out, what a reader may rely on: fields
 * may be added at any time, so that none is forbidden.
 */
export function jsonSchemaOf(
  { name, direction, data, about }: EventSpec,
  target: 'draft-2020-12' | 'draft-7' = 'draft-2020-12',
): Record<string, unknown> {
  const { $schema, ...schema } = z.toJSONSchema(data, {
    target,
    io: direction === 'in' ? 'input' : 'output',
    override: ({ jsonSchema }) => {
      if (jsonSchema.additionalProperties === false) delete jsonSchema.additionalProperties;
    },
  });
  return { $schema, title: name, description: about, ...schema };
}
