import type { Decision, Verdict } from '@vigil/contracts';
import { describe, expect, test } from 'vitest';
import { causeOf } from './dead-letters.ts';
import { changesOf, findingOf } from './finding.ts';
import { replayedTopic, replayId } from './replay.ts';

const decision = (id: string, action: Decision['action']): Decision => ({
  ...{
    action,
    manifest: true,
    rule: 'contiguous-seconds',
    trials: [],
    policy: { id: 'p', version: 2 },
    territories: ['*'],
  },
  evidence: {
    ...{ reference: { id, version: 1 }, referenceMedia: 'video', kind: 'picture', altered: {}, segments: [] },
    ...{ longest: 12, total: 12, share: { upload: 0.5, reference: 0.1 }, confidence: 1 },
  },
});
const verdict = (revision: number, said: Verdict['verdict'], decisions: Decision[]): Verdict => ({
  ...{ upload: 'up', media: { source: 's', bucket: 'b', key: 'k', version: 'v' }, kind: 'video', account: null },
  ...{ revision, cause: 'first', supersedes: null, verdict: said, reason: null, decisions, duration: 10, coverage: 1 },
  ...{ failures: [], engine: '1', checkpoints: [1], receivedAt: 1, decidedAt: 2 },
});

describe('what a second look says', () => {
  test('names what is new, gone and changed, each with why', () => {
    const changes = changesOf(
      [decision('a', 'review'), decision('b', 'takedown'), decision('c', 'takedown')],
      [decision('a', 'takedown'), decision('c', 'takedown'), decision('d', 'review')],
    );
    expect(changes.map((c) => [c.reference, c.change, c.before, c.after])).toEqual([
      ['a@1', 'changed', 'review', 'takedown'],
      ['d@1', 'new', null, 'review'],
      ['b@1', 'gone', 'takedown', null],
    ]);
    expect(changes.map((c) => c.why)).toEqual([
      expect.stringMatching(/^contiguous-seconds \(12\.0 s, 50 % of the upload, policy p version 2\); before: /),
      expect.stringMatching(/^contiguous-seconds/),
      expect.stringMatching(/^not found again/),
    ]);
  });

  test('ends in one outcome', () => {
    const before = verdict(1, 'cleared', []);
    const after = verdict(2, 'taken-down', [decision('a', 'takedown')]);
    const outcome = (
      b: Verdict | null,
      a: Verdict | null,
      settled: Parameters<typeof findingOf>[1]['settled'] = 'judged',
    ) => findingOf('up', { before: b, after: a, settled }).outcome;
    expect(outcome(before, after)).toBe('changed');
    expect(outcome(before, before)).toBe('unchanged');
    expect(outcome(null, after)).toBe('first');
    expect(outcome(null, null, 'incomplete')).toBe('incomplete');
    expect(outcome(before, before, 'deleted')).toBe('deleted');
    expect(outcome(null, null, 'unknown')).toBe('unknown');
  });
});

describe('a run', () => {
  test('is known again by what was asked for, in the words of whoever asked', () => {
    const asked = { since: '24h' };
    expect(replayId({ apply: true, since: 1, asked })).toBe(
      replayId({ apply: true, since: 2, asked, rate: 5, restart: true }),
    );
    expect(replayId({ apply: true, asked })).not.toBe(replayId({ apply: false, asked }));
    expect(replayId({ apply: true, since: 1 })).not.toBe(replayId({ apply: true, since: 2 }));
  });

  test('begins at any way into the route, or its dead topic; at nothing else', () => {
    expect(replayedTopic()).toEqual({ name: 'vigil.fingerprints', base: 'fingerprints' });
    expect(replayedTopic('slices.first.dead')).toEqual({ name: 'vigil.slices.first.dead', base: 'slicesFirst' });
    for (const topic of ['vigil.takedowns', 'verdicts', 'nonsense', 'fingerprints.dead.dead'])
      expect(() => replayedTopic(topic)).toThrow(/is not replayed: give one of vigil\.uploads, /);
  });
});

describe('a cause of death', () => {
  const of = (reason: string) => causeOf('t', 's', reason);
  test('is the same whatever the letter was about', () => {
    expect(of('no blob spilled/0a1b2c3d4e5f67890a1b2c3d4e5f6789 in vigil')).toBe(
      of('no blob spilled/ffffffffffffffffffffffffffffffff in vigil'),
    );
    expect(of('codes of up_3VSLLl8FHhEMugjn12KMR-/4 are missing')).toBe(
      of('codes of up_47BFyf1ndHeXD60Om2FrZx/17 are missing'),
    );
    expect(of('its handler died 4 times')).toBe(of('its handler died 5 times'));
  });
  test('is another for another reason, stage or topic', () => {
    const all = [
      of('too large'),
      of('too old'),
      causeOf('t', 'other', 'too large'),
      causeOf('other', 's', 'too large'),
    ];
    expect(new Set(all).size).toBe(4);
  });
});
