import { z } from 'zod';
import { Ground, StatementOfReasons } from './claims.ts';
import { Alignment, Evidence, ReferenceKey, Segment, Span } from './evidence.ts';
import { MediaKind, MediaLocation, Probe, Rejection, Text } from './media.ts';
import { Action, Decision } from './policy.ts';

const When = z.number().describe('milliseconds since 1970');

/** One step of an upload's way. Steps travel with the events they made, so that any log can tell the whole way. */
export const Step = z.object({
  stage: z.string(),
  startedAt: When,
  endedAt: When,
  outcome: z.string(),
  note: z.string().optional(),
});
export type Step = z.infer<typeof Step>;

/** Of an upload that is a list of frames: more of them are refused, and so are more in any one second. */
export const MAX_FRAMES = 20_000;
export const MAX_FRAMES_A_SECOND = 120;

/** One picture of a film that lies in the store as pictures. `bucket` is the upload's where it is not given. */
export const FrameObject = z.object({
  bucket: z.string().min(1).optional(),
  key: z.string().min(1),
  version: z.string().optional(),
  time: z.number().nonnegative().describe('seconds from the start'),
});
export type FrameObject = z.infer<typeof FrameObject>;

/** Frames in order of time. */
export const FrameList = z
  .object({
    duration: z.number().positive().describe('seconds'),
    images: z
      .array(FrameObject)
      .min(1)
      .max(MAX_FRAMES)
      .refine(
        (all) => all.every(({ time }, n) => n === 0 || all[n - 1]!.time <= time),
        'frames are given in order of time',
      )
      .refine(
        (all) =>
          all.every(({ time }, n) => (all[n + MAX_FRAMES_A_SECOND]?.time ?? Number.POSITIVE_INFINITY) >= time + 0.999),
        `more than ${MAX_FRAMES_A_SECOND} frames in a second`,
      ),
  })
  .refine(({ images, duration }) => (images.at(-1)?.time ?? 0) <= duration, 'a frame lies after the end');
export type FrameList = z.infer<typeof FrameList>;

/** Hexadecimal digits: Amazon S3's form. */
export const SEQUENCER: RegExp = /^[0-9a-fA-F]{1,64}$/;

/**
 * in: what the platform says of an upload. The CloudEvent's type repeats the action, and is what counts.
 * - created: judge it. Said again of the same media it changes nothing, unless they had been deleted meanwhile.
 * - replaced: judge it, and forget all earlier versions of the same object.
 * - deleted: forget it; of media without a version, all versions of the object.
 */
export const UploadEvent = z.object({
  action: z.enum(['created', 'replaced', 'deleted']).default('created'),
  media: MediaLocation,
  account: Text.optional(),
  visibility: Text.default('public'),
  territory: Text.optional(),
  receivedAt: When.int(),
  /** Of the object store: orders what happened to one object. Without it `receivedAt` does. */
  sequencer: z.string().regex(SEQUENCER).optional(),
  /** The upload is these pictures; `media` then only names it, and need not lie anywhere. */
  frames: FrameList.optional(),
});
export type UploadEvent = z.infer<typeof UploadEvent>;

/** Whom media belong to: an upload that is judged, or a version of a reference that is learned. */
export const Owner = z.discriminatedUnion('type', [
  z.object({ type: z.literal('upload'), id: z.string() }),
  z.object({ type: z.literal('reference'), id: z.string(), version: z.number().int().positive() }),
]);
export type Owner = z.infer<typeof Owner>;

/** What `decide` is to expect of an upload. */
export const Manifest = z.object({
  upload: z.string(),
  event: UploadEvent,
  outcome: z.discriminatedUnion('status', [
    z.object({
      status: z.literal('planned'),
      probe: Probe,
      slices: z.number().int().positive(),
      shards: z.number().int().positive(),
      /** Changes when the number of shards does. */
      epoch: z.number().int(),
    }),
    z.object({ status: z.literal('rejected'), reason: Rejection, detail: z.string() }),
  ]),
  deadline: When,
  steps: z.array(Step),
  /** The traceparent (W3C) that it was planned under: what is said of the upload later, by a timer say, belongs to that trace. */
  trace: z.string().optional(),
});
export type Manifest = z.infer<typeof Manifest>;

/** A bounded unit of work: one image, or about 30 s of a video. */
export const Slice = z.object({
  owner: Owner,
  media: MediaLocation,
  probe: Probe,
  /** Which part of the timeline, 0-based in time; `position` is its place in the order of visiting. */
  slice: z.number().int().nonnegative(),
  position: z.number().int().nonnegative(),
  slices: z.number().int().positive(),
  span: Span,
  shards: z.number().int().positive(),
  epoch: z.number().int(),
  receivedAt: When,
  /** Of the upload's event: what was removed before it is no reason to leave the slice. */
  sequencer: UploadEvent.shape.sequencer,
  steps: z.array(Step),
});
export type Slice = z.infer<typeof Slice>;

/** What travels in front of a slice's codes, which follow in binary (see payload.ts). */
export const SliceCodes = z.object({
  owner: Owner,
  media: MediaLocation,
  probe: Probe,
  /** From `slices` on (`leftOf`): what a closer look at an upload's slice found nothing in, read densely. */
  slice: z.number().int().nonnegative(),
  slices: z.number().int().positive(),
  span: Span,
  shards: z.number().int().positive(),
  epoch: z.number().int(),
  receivedAt: When,
  outcome: z.discriminatedUnion('status', [
    z.object({ status: z.literal('codes') }),
    z.object({ status: z.literal('failed'), reason: Rejection, detail: z.string() }),
  ]),
  steps: z.array(Step),
});
export type SliceCodes = z.infer<typeof SliceCodes>;

export const ReferenceEvent = z.object({
  action: z.enum(['registered', 'disabled', 'enabled']),
  reference: ReferenceKey,
  work: z.string(),
  holder: z.string(),
  media: MediaLocation,
  receivedAt: When,
});
export type ReferenceEvent = z.infer<typeof ReferenceEvent>;

/** What one shard of the index says of one slice: exactly one terminal result. */
export const SliceAlignments = z.object({
  upload: z.string(),
  slice: z.number().int().nonnegative(),
  /** Of so many shards this one: a layout of its own, whose results are never mixed with another's. */
  shards: z.number().int().positive(),
  shard: z.number().int().nonnegative(),
  span: Span,
  /**
   * How far the shard's index had read the library when it searched: the log's offsets at one moment, summed up. It never falls, in
   * whatever replica and after whatever restart. Later ones supersede earlier ones.
   */
  checkpoint: z.number().int(),
  outcome: z.discriminatedUnion('status', [
    z.object({
      status: z.literal('alignments'),
      alignments: z.array(Alignment),
      /** Id of the proposal whose evidence is to be waited for, if any was made. */
      proposal: z.string().nullable(),
    }),
    z.object({ status: z.literal('nothing'), why: z.string() }),
    z.object({ status: z.literal('failed'), reason: Rejection, detail: z.string() }),
  ]),
  /** Frames looked at, and those of them fit to be judged. */
  frames: z.object({ seen: z.number().int(), usable: z.number().int() }),
  steps: z.array(Step),
});
export type SliceAlignments = z.infer<typeof SliceAlignments>;

/** Look again, closely: these alignments of one slice. A dense fingerprint follows in binary where one was made already. */
export const Proposal = z.object({
  id: z.string(),
  upload: z.string(),
  media: MediaLocation,
  probe: Probe,
  slice: z.number().int().nonnegative(),
  slices: z.number().int().positive(),
  shards: z.number().int().positive(),
  shard: z.number().int().nonnegative(),
  span: Span,
  checkpoint: z.number().int(),
  alignments: z.array(Alignment),
  receivedAt: When,
  steps: z.array(Step),
});
export type Proposal = z.infer<typeof Proposal>;

/** A claim was opened: moments of the upload and of the reference are to be kept as pictures, side by side. */
export const Pictures = z.object({
  claim: z.string(),
  upload: z.string(),
  media: MediaLocation,
  probe: Probe,
  reference: ReferenceKey,
  /** Seconds in either; 0 of an image. */
  pairs: z.array(z.object({ upload: z.number().nonnegative(), reference: z.number().nonnegative() })).max(8),
});
export type Pictures = z.infer<typeof Pictures>;

export const SliceEvidence = z.object({
  proposal: z.string(),
  upload: z.string(),
  slice: z.number().int().nonnegative(),
  shards: z.number().int().positive(),
  shard: z.number().int().nonnegative(),
  checkpoint: z.number().int(),
  outcome: z.discriminatedUnion('status', [
    z.object({ status: z.literal('confirmed'), evidence: z.array(Evidence) }),
    z.object({ status: z.literal('nothing'), why: z.string() }),
    z.object({ status: z.literal('failed'), reason: Rejection, detail: z.string() }),
  ]),
  steps: z.array(Step),
});
export type SliceEvidence = z.infer<typeof SliceEvidence>;

export const CAUSES = [
  'first',
  'late',
  'redelivery',
  're-upload',
  'look-back',
  'replay',
  'dispute',
  'withdrawal',
  'policy',
  'notice',
  'review',
] as const;

/** A film of two days has thousands of slices, and an event has to stay small. */
export const MAX_FAILURES = 100;

/** out: what is said of an upload. Revision 1 is the first judgement; later ones say what they supersede. */
export const Verdict = z.object({
  upload: z.string(),
  media: MediaLocation,
  kind: MediaKind.nullable(),
  account: z.string().nullable(),
  revision: z.number().int().positive(),
  cause: z.enum(CAUSES),
  supersedes: z.number().int().nullable(),
  verdict: z.enum(['cleared', 'taken-down', 'in-review', 'rejected']),
  /** Of rejected, and of in-review when nothing was found but not all was seen. */
  reason: z.string().nullable(),
  /** Per reference, strictest first. */
  decisions: z.array(Decision),
  duration: z.number(),
  /** Seconds judged over all seconds. */
  coverage: z.number(),
  /** What of it could not be judged, in order of slices: at most MAX_FAILURES. */
  failures: z.array(z.object({ slice: z.number().int(), shard: z.number().int(), reason: z.string() })),
  /** How many failed in all, where `failures` names only the first of them. */
  failuresInAll: z.number().int().optional(),
  engine: z.string(),
  checkpoints: z.array(z.number().int()),
  receivedAt: When,
  decidedAt: When,
});
export type Verdict = z.infer<typeof Verdict>;

/**
 * out: media are to be disabled in `territories` ('*' is everywhere) and nowhere else, or may be shown again everywhere. The newest
 * action of an upload (highest epoch) says all: a takedown of fewer territories than the one before gives the others back. It
 * shows the strongest of the claims that hold the media back; those that rest on a notice by hand have no reference, no policy
 * and no segments.
 */
export const TakedownEvent = z.object({
  id: z.string(),
  action: z.enum(['takedown', 'restore']),
  upload: z.string(),
  media: MediaLocation,
  /** Null of media that could not be read, taken down on a notice. */
  kind: MediaKind.nullable(),
  account: z.string().nullable(),
  reference: ReferenceKey.nullable(),
  work: z.string(),
  holder: z.string(),
  case: z.string(),
  /** All that hold the media back; of a restoration those that did last. */
  claims: z.array(z.string()).default([]),
  territories: z.array(z.string()),
  segments: z.array(Segment),
  longest: z.number(),
  total: z.number(),
  share: z.object({ upload: z.number(), reference: z.number() }),
  altered: Evidence.shape.altered,
  codeKind: Evidence.shape.kind.nullable(),
  radius: z.number().int(),
  confidence: z.number(),
  manifest: z.boolean(),
  rule: z.string(),
  policy: z.object({ id: z.string(), version: z.number().int() }).nullable(),
  ground: Ground,
  /** For the uploader (DSA Art. 17), of a takedown. */
  statement: StatementOfReasons.nullable().default(null),
  /** Why the last claim fell, of a restoration: silence, accepted, appeal, complaint, court, put-back, holder, reference, policy. */
  why: z.string().nullable().default(null),
  automatedDetection: z.boolean(),
  automatedDecision: z.boolean(),
  epoch: z.number().int(),
  attempt: z.number().int().positive(),
  supersedes: z.string().nullable(),
  engine: z.string(),
  latency: z.object({ receivedAt: When, decidedAt: When }),
});
export type TakedownEvent = z.infer<typeof TakedownEvent>;

export const Alarm = z.object({
  kind: z.string(),
  subject: z.string(),
  message: z.string(),
  at: When,
});
export type Alarm = z.infer<typeof Alarm>;
export { Action };
