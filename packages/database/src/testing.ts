import {
  type Decision,
  derivedId,
  type Manifest,
  NEW_PROCEDURE,
  type SliceAlignments,
  type SliceEvidence,
  type Verdict,
} from '@vigil/contracts';
import type { Queryable } from '@vigil/runtime';
import { caseId, lockCase } from './cases.ts';
import { type ClaimRow, insertClaim } from './claims.ts';
import type { OutboxEvent } from './outbox.ts';

/** Examples that this package's tests share. */

export const media = { source: 'test', bucket: 'uploads', key: 'a.mp4', version: 'v1' };

export const event = (id: string, topic = 'vigil.verdicts', key = 'up_1'): OutboxEvent => ({
  topic,
  key,
  headers: { ce_id: id, ce_type: 'vigil.test', ce_source: 'test' },
  value: new TextEncoder().encode(id),
});

export const manifest = (upload: string): Manifest => ({
  upload,
  event: { action: 'created', media, account: 'acc_1', visibility: 'public', receivedAt: 1000 },
  outcome: { status: 'rejected', reason: 'empty', detail: '0 bytes' },
  deadline: 2000,
  steps: [{ stage: 'plan', startedAt: 1000, endedAt: 1001, outcome: 'rejected' }],
});

export const alignments = (upload: string, slice: number, checkpoint: number, why = 'no hit'): SliceAlignments => ({
  upload,
  slice,
  shards: 1,
  shard: 0,
  span: [0, 30],
  checkpoint,
  outcome: { status: 'nothing', why },
  frames: { seen: 10, usable: 9 },
  steps: [],
});

export const evidence = (upload: string, slice: number, checkpoint: number, why = 'not so'): SliceEvidence => ({
  proposal: `p_${checkpoint}`,
  upload,
  slice,
  shards: 1,
  shard: 0,
  checkpoint,
  outcome: { status: 'nothing', why },
  steps: [],
});

export const decision = (reference: string, action: Decision['action'] = 'takedown'): Decision => ({
  action,
  manifest: true,
  rule: 'contiguous-seconds',
  trials: [],
  policy: { id: 'default', version: 1 },
  territories: ['*'],
  evidence: {
    reference: { id: reference, version: 1 },
    referenceMedia: 'video',
    kind: 'picture',
    altered: {},
    segments: [],
    longest: 10,
    total: 10,
    share: { upload: 1, reference: 0.1 },
    confidence: 1,
  },
});

export const verdict = (upload: string, revision: number): Verdict => ({
  upload,
  media,
  kind: 'video',
  account: null,
  revision,
  cause: 'first',
  supersedes: revision > 1 ? revision - 1 : null,
  verdict: 'cleared',
  reason: null,
  decisions: [],
  duration: 10,
  coverage: 1,
  failures: [],
  engine: '1',
  checkpoints: [5],
  receivedAt: 1000,
  decidedAt: 1500,
});

/** A claim that is open, with its case. */
export async function openClaim(
  tx: Queryable,
  about: { upload: string; account?: string | null; work?: string; reference?: string; now?: number },
): Promise<ClaimRow> {
  const { upload, account = 'acc', work = 'work_1', reference = 'ref_1', now = 1 } = about;
  const id = caseId(upload, account, work);
  await lockCase(tx, { id, account, work, holder: 'h', openedAt: now });
  const claim: ClaimRow = {
    id: derivedId('claim', upload, reference),
    case: id,
    upload,
    account,
    work,
    holder: 'h',
    reference,
    version: 1,
    notice: null,
    ground: 'rights-holder-rule',
    territories: ['*'],
    state: 'open',
    procedure: NEW_PROCEDURE,
    decision: decision(reference),
    openedAt: now,
    changedAt: now,
  };
  await insertClaim(tx, claim);
  return claim;
}
