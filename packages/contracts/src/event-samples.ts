/** One event of each kind, for tests of those who write or read them. Names and values are made up. */
import type { Acknowledgement } from './acknowledgement.ts';
import type { AuditRoot } from './claims.ts';
import type {
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
  Verdict,
} from './events.ts';
import type { Alignment, Evidence } from './evidence.ts';
import { uploadId } from './ids.ts';
import type { Probe } from './media.ts';
import type { Decision } from './policy.ts';
import { cloudEvent } from './upload-samples.ts';

const { media } = cloudEvent;
const upload = uploadId(media);
const reference = { id: 'ref_9Qv0', version: 1 };
const receivedAt = cloudEvent.receivedAt;
const step = { stage: 'plan', startedAt: receivedAt, endedAt: receivedAt + 40, outcome: 'planned' };
const steps = [step];

const probe: Probe = {
  kind: 'video',
  format: 'mp4',
  codec: 'h264',
  width: 1280,
  height: 720,
  duration: 61.5,
  startTime: 0,
  frameRate: 25,
  size: 7_340_032,
  notes: [],
};

const slice = {
  owner: { type: 'upload' as const, id: upload },
  media,
  probe,
  slice: 2,
  slices: 3,
  span: [60, 61.5] as [number, number],
  shards: 1,
  epoch: 1,
  receivedAt,
  steps,
};

const alignment: Alignment = {
  reference,
  kind: 'picture',
  referenceMedia: 'video',
  altered: { turn: 'mirror' },
  offset: 600,
  speed: 1,
  frames: 3,
  hits: [{ at: 12.5, ref: 612.5, distance: 14, quality: 100, code: 'd4'.repeat(32) }],
};

const evidence: Evidence = {
  reference,
  referenceMedia: 'video',
  kind: 'picture',
  altered: { turn: 'mirror', speed: 1.04, inset: [0.1, 0.1, 0.9, 0.9] },
  segments: [
    {
      upload: [2, 32],
      reference: [600, 631.2],
      offset: 597.9,
      speed: 1.04,
      frames: { matched: 59, eligible: 60 },
      distance: { mean: 9.5, worst: 26 },
      distinct: 12,
      timed: true,
    },
  ],
  longest: 30,
  total: 30,
  share: { upload: 0.49, reference: 0.005 },
  confidence: 0.999,
};

const decision: Decision = {
  action: 'takedown',
  manifest: true,
  rule: 'contiguous-seconds',
  trials: [{ rule: 'contiguous-seconds', fired: true, why: '30.0 of at least 4 seconds in one piece' }],
  policy: { id: 'default', version: 1 },
  territories: ['*'],
  evidence,
};

const takedown: TakedownEvent = {
  id: 'act_3fQyT0wD8mJxkqC5h1aZbg',
  action: 'takedown',
  upload,
  media,
  kind: 'video',
  account: 'acc-17',
  reference,
  work: 'work_1',
  holder: 'holder_1',
  case: 'case_1',
  claims: ['claim_1'],
  territories: ['*'],
  segments: evidence.segments,
  longest: 30,
  total: 30,
  share: evidence.share,
  altered: evidence.altered,
  codeKind: 'picture',
  radius: 31,
  confidence: 0.999,
  manifest: true,
  rule: 'contiguous-seconds',
  policy: { id: 'default', version: 1 },
  ground: 'rights-holder-rule',
  statement: {
    restriction: 'disabled',
    territories: ['*'],
    until: null,
    facts: '30.0 s of the upload are a copy of a registered work',
    ground: 'rights-holder-rule',
    groundText: 'a rule of the rights-holder',
    automatedDetection: true,
    automatedDecision: true,
    redress: [{ way: 'complaint', law: 'Regulation (EU) 2022/2065, Art. 20', until: receivedAt + 184 * 86_400_000 }],
  },
  why: null,
  automatedDetection: true,
  automatedDecision: true,
  epoch: 0,
  attempt: 1,
  supersedes: null,
  engine: '1',
  latency: { receivedAt, decidedAt: receivedAt + 900 },
};

const verdict: Verdict = {
  upload,
  media,
  kind: 'video',
  account: 'acc-17',
  revision: 1,
  cause: 'first',
  supersedes: null,
  verdict: 'taken-down',
  reason: null,
  decisions: [decision],
  duration: 61.5,
  coverage: 1,
  failures: [],
  engine: '1',
  checkpoints: [120],
  receivedAt,
  decidedAt: receivedAt + 1500,
};

const manifest: Manifest = {
  upload,
  event: cloudEvent,
  outcome: { status: 'planned', probe, slices: 3, shards: 1, epoch: 1 },
  deadline: receivedAt + 150_000,
  steps,
};

const alignments: SliceAlignments = {
  upload,
  slice: 2,
  shards: 1,
  shard: 0,
  span: [60, 61.5],
  checkpoint: 120,
  outcome: { status: 'alignments', alignments: [alignment], proposal: 'pr_1' },
  frames: { seen: 3, usable: 3 },
  steps,
};

const proposal: Proposal = {
  id: 'pr_1',
  upload,
  media,
  probe,
  slice: 2,
  slices: 3,
  shards: 1,
  shard: 0,
  span: [60, 61.5],
  checkpoint: 120,
  alignments: [alignment],
  receivedAt,
  steps,
};

/** By the name that it has in the catalogue. */
export const SAMPLES = {
  takedown,
  verdict,
  alarm: { kind: 'incomplete', subject: upload, message: 'not all was judged in time', at: receivedAt } satisfies Alarm,
  'audit-root': {
    number: 1,
    at: receivedAt,
    previous: '0'.repeat(64),
    root: 'ab'.repeat(32),
    heads: 3,
  } satisfies AuditRoot,
  acknowledgement: {
    action: takedown.id,
    upload,
    surface: 'web',
    status: 'done',
    at: receivedAt + 2000,
  } satisfies Acknowledgement,
  reference: {
    action: 'registered',
    reference,
    work: 'work_1',
    holder: 'holder_1',
    media: { source: 'intake', bucket: 'references', key: 'film.mkv', version: 'abc' },
    receivedAt,
  } satisfies ReferenceEvent,
  manifest,
  slice: { ...slice, position: 1 } satisfies Slice,
  codes: { ...slice, outcome: { status: 'codes' } } satisfies SliceCodes,
  alignments,
  proposal,
  pictures: {
    claim: 'claim_1',
    upload,
    media,
    probe,
    reference,
    pairs: [{ upload: 17, reference: 615.6 }],
  } satisfies Pictures,
  evidence: {
    proposal: 'pr_1',
    upload,
    slice: 2,
    shards: 1,
    shard: 0,
    checkpoint: 120,
    outcome: { status: 'confirmed', evidence: [evidence] },
    steps,
  } satisfies SliceEvidence,
};
