import {
  type Evidence,
  leftOf,
  type Manifest,
  Policy,
  type SliceAlignments,
  type SliceEvidence,
} from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { judge } from './judgement.ts';

const upload = 'up_1';
const manifest = (shards: number, slices = 2): Manifest => ({
  upload,
  event: {
    ...{ action: 'created', visibility: 'public', receivedAt: 1 },
    media: { source: 's', bucket: 'b', key: upload, version: '1' },
  },
  outcome: {
    ...{ status: 'planned', slices, shards, epoch: shards },
    probe: {
      ...{ kind: 'video', format: 'mp4', codec: 'h264', width: 640, height: 360, duration: 30 * slices },
      ...{ startTime: 0, frameRate: 25, size: 1, notes: [] },
    },
  },
  ...{ deadline: 9, steps: [] },
});
const result = (slice: number, [shard, shards]: [number, number], proposal?: string): SliceAlignments => ({
  ...{ upload, slice, shards, shard, span: [30 * slice, 30 * slice + 30], checkpoint: 10 * shards + shard, steps: [] },
  frames: { seen: 9, usable: 9 },
  outcome: proposal ? { status: 'alignments', alignments: [], proposal } : { status: 'nothing', why: 'nothing alike' },
});
const judged = (m: Manifest, alignments: SliceAlignments[], evidence: SliceEvidence[] = []) =>
  judge({ manifest: m, alignments, evidence, references: () => null });
const both = (shards: number, which: number[]) =>
  which.flatMap((shard) => [0, 1].map((slice) => result(slice, [shard, shards])));

describe('layouts in a judgement', () => {
  test('half of the library is no answer, whatever half of another layout says', () => {
    const mixed = judged(manifest(2), [...both(2, [0]), ...both(3, [0, 1])]);
    expect(mixed).toMatchObject({ complete: false, verdict: 'in-review', coverage: 0 });
    expect(judged(manifest(2), both(2, [0]))).toMatchObject({ complete: false, verdict: 'in-review', coverage: 0 });
  });

  test('the layout that it was planned for is enough, and so is another that has answered in full', () => {
    expect(judged(manifest(2), [...both(2, [0, 1]), ...both(3, [0])])).toMatchObject({
      ...{ complete: true, verdict: 'cleared', coverage: 1, checkpoints: [20, 21] },
    });
    expect(judged(manifest(2), [...both(2, [0]), ...both(3, [0, 1, 2])])).toMatchObject({
      ...{ complete: true, verdict: 'cleared', coverage: 1, checkpoints: [30, 31, 32] },
    });
    expect(judged(manifest(2), [...both(3, [0, 1, 2]), ...both(2, [0, 1])])).toMatchObject({ checkpoints: [20, 21] });
  });

  test('a slice is covered when each shard has answered, a proposal when it is confirmed', () => {
    const waits = [result(0, [0, 2], 'pr_1'), result(0, [1, 2]), ...both(2, [1]).slice(1), result(1, [0, 2])];
    expect(judged(manifest(2), waits)).toMatchObject({ complete: false, coverage: 0.5 });
    const confirmed: SliceEvidence = {
      ...{ proposal: 'pr_1', upload, slice: 0, shards: 2, shard: 0, checkpoint: 20, steps: [] },
      outcome: { status: 'nothing', why: 'it does not hold' },
    };
    expect(judged(manifest(2), waits, [confirmed])).toMatchObject({ complete: true, coverage: 1, verdict: 'cleared' });
  });
});

describe('what was left of a slice', () => {
  const left = leftOf(0, 2);
  test('is not waited for, and counts for no slice', () => {
    expect(judged(manifest(1), [result(0, [0, 1]), result(left, [0, 1])])).toMatchObject({
      ...{ complete: false, coverage: 0.5 },
    });
    const proposed = [...both(1, [0]), result(left, [0, 1], 'pr_left')];
    expect(judged(manifest(1), proposed)).toMatchObject({ complete: true, coverage: 1, verdict: 'cleared' });
  });

  test('adds what was found there; a failure is named, and takes nothing from what was seen', () => {
    const all = [...both(1, [0]), result(left, [0, 1], 'pr_left')];
    const said = (outcome: SliceEvidence['outcome']): SliceEvidence => ({
      ...{ proposal: 'pr_left', upload, slice: left, shards: 1, shard: 0, checkpoint: 10, steps: [] },
      outcome,
    });
    const evidence: Evidence = {
      ...{ reference: { id: 'second', version: 1 }, referenceMedia: 'video', kind: 'picture', altered: {} },
      segments: [
        {
          ...{ upload: [16, 28], reference: [40, 52], offset: 24, speed: 1, distinct: 8, timed: true },
          ...{ frames: { matched: 24, eligible: 24 }, distance: { mean: 10, worst: 20 } },
        },
      ],
      ...{ longest: 12, total: 12, share: { upload: 0.2, reference: 0.02 }, confidence: 0.99 },
    };
    const facts = { live: true, duration: 600, policy: Policy.parse({}) };
    const found = judge({
      ...{ manifest: manifest(1), alignments: all, evidence: [said({ status: 'confirmed', evidence: [evidence] })] },
      references: () => facts,
    });
    expect(found).toMatchObject({ complete: true, verdict: 'taken-down', coverage: 1 });
    expect(found.decisions.map((d) => d.evidence.reference.id)).toEqual(['second']);
    const again = [...both(1, [0]), { ...result(left, [0, 1], 'pr_again'), checkpoint: 99 }];
    const meanwhile = judge({
      ...{ manifest: manifest(1), alignments: again, evidence: [said({ status: 'confirmed', evidence: [evidence] })] },
      references: () => facts,
    });
    expect(meanwhile.decisions).toEqual(found.decisions);
    const failed = judged(manifest(1), all, [said({ status: 'failed', reason: 'too-slow', detail: 'x' })]);
    expect(failed).toMatchObject({ complete: true, verdict: 'cleared', coverage: 1 });
    expect(failed.failures).toEqual([{ slice: 0, shard: 0, reason: 'too-slow' }]);
  });
});
