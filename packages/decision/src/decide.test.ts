import { codeToHex, type Evidence, Policy, type Segment } from '@vigil/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide, isCertain, manifestAlready } from './decide.ts';
import { joined } from './join.ts';
import { evidenceWith, key, randomCode, seeded, segmentAt } from './synthetic.ts';
import { verdictOf } from './verdict.ts';

const policy = Policy.parse({});
const film = { account: 'someone', kind: 'video' as const, duration: 600 };
const image = { account: 'someone', kind: 'image' as const, duration: 0 };
const random = seeded(1);

const segment = (from: number, to: number, more: Partial<Segment> = {}): Segment =>
  segmentAt(from, to, 100, { distinct: 3, ...more });

function evidence(segments: Segment[], more: Partial<Evidence> = {}): Evidence {
  const made = evidenceWith(segments, { reference: key('r'), confidence: 0.9 });
  return { ...made, share: { upload: made.total / film.duration, reference: 0.1 }, ...more };
}

const picture = (correlation?: number): Evidence =>
  evidence(
    [
      segment(0, 0, {
        reference: [0, 0],
        distinct: 1,
        timed: false,
        ...(correlation !== undefined && { correlation }),
      }),
    ],
    { referenceMedia: 'image', share: { upload: 1, reference: 1 } },
  );

const outcome = (e: Evidence, p = policy, u: Parameters<typeof decide>[2] = film) => {
  const d = decide(e, p, u);
  return [d.rule, d.action, d.manifest];
};

describe('who is allowed', () => {
  test('an account on the list, whatever was found', () => {
    const p = { ...policy, allowlist: ['someone'] };
    const d = decide(evidence([segment(0, 60)]), p, film);
    expect(d).toMatchObject({ rule: 'allowlisted', action: 'none', manifest: false });
    expect(d.trials).toHaveLength(1);
    expect(manifestAlready(evidence([segment(0, 60)]), p, film)).toBe(false);
  });
  test('not another, nor an unknown one', () => {
    const p = { ...policy, allowlist: ['other'] };
    expect(outcome(evidence([segment(0, 60)]), p)).toEqual(['film-contiguous', 'takedown', true]);
    expect(outcome(evidence([segment(0, 60)]), p, { ...film, account: null })[1]).toBe('takedown');
  });
});

describe('parts that another holder claims as well', () => {
  const contested = (from: number, to: number, more: Partial<Policy> = {}): Policy => ({
    ...policy,
    contested: [{ reference: 'r', span: [from, to] }],
    ...more,
  });
  const code = () => codeToHex(randomCode(random));
  const pictures = Array.from({ length: 8 }, (_, n) => ({ at: 2.5 * n, code: code() }));
  const whole = evidence([segment(0, 20, { distinct: 8, pictures })]);

  test('all of it goes to a person, whatever would be done else', () => {
    const d = decide(whole, contested(90, 130), film);
    expect(d).toMatchObject({ rule: 'contested', action: 'review', manifest: false });
    expect(d.evidence.total).toBe(20);
    expect(manifestAlready(whole, contested(90, 130), film)).toBe(false);
    expect(outcome(whole, contested(90, 130, { onManifest: 'monitor' }))[1]).toBe('monitor');
  });
  test('a part of it: the rest decides', () => {
    const d = decide(whole, contested(110, 130), film);
    expect(d).toMatchObject({ rule: 'film-contiguous', action: 'takedown', manifest: true });
    expect(d.trials.at(-1)).toMatchObject({ rule: 'contested', fired: false });
    expect(manifestAlready(whole, contested(110, 130), film)).toBe(true);
    expect(outcome(whole, contested(102, 130))[1]).toBe('review');
  });
  test('elsewhere, or of another reference: nothing changes', () => {
    expect(outcome(whole, contested(200, 230))).toEqual(['film-contiguous', 'takedown', true]);
    expect(outcome(whole, { ...policy, contested: [{ reference: 'other', span: [0, 500] }] })[1]).toBe('takedown');
  });
});

describe('excluded parts', () => {
  const excluding = (from: number, to: number, reference = 'r'): Policy => ({
    ...policy,
    excluded: [{ reference, span: [from, to] }],
  });
  const code = () => codeToHex(randomCode(random));
  const whole = evidence([
    segment(0, 20, { distinct: 4, pictures: [1, 2, 3, 18].map((at) => ({ at, code: code() })) }),
  ]);

  test('all of it: nothing is left', () => {
    expect(outcome(whole, excluding(90, 130))).toEqual(['excluded', 'none', false]);
    expect(manifestAlready(whole, excluding(90, 130))).toBe(false);
  });
  test('the start: judged by the rest, whose pictures are few', () => {
    const d = decide(whole, excluding(0, 110), film);
    expect(d.evidence.segments).toMatchObject([{ upload: [10, 20], reference: [110, 120], distinct: 1 }]);
    expect(d).toMatchObject({ rule: 'film-static', action: 'review' });
    expect(d.trials.find((t) => t.rule === 'excluded')!.why).toContain('10.0 s');
  });
  test('the end: three pictures are left, ten seconds', () => {
    expect(outcome(whole, excluding(110, 400))).toEqual(['film-contiguous', 'takedown', true]);
  });
  test('the middle: two stretches', () => {
    const d = decide(whole, excluding(108, 112), film);
    expect(d.evidence.segments.map((s) => s.upload)).toEqual([
      [0, 8],
      [12, 20],
    ]);
    expect(d.evidence).toMatchObject({ total: 16, longest: 8 });
    expect(d.evidence.share.upload).toBeCloseTo(16 / 600, 5);
  });
  test('of another reference: no matter', () => {
    expect(outcome(whole, excluding(0, 400, 'other'))).toEqual(['film-contiguous', 'takedown', true]);
  });
  test('a still of an excluded part', () => {
    const still = evidence([segment(0, 0, { reference: [105, 105], distinct: 1, timed: false })]);
    expect(outcome(still, excluding(100, 110), image)[0]).toBe('excluded');
    expect(outcome(still, excluding(106, 110), image)[0]).toBe('still-of-film');
  });
});

describe('film in film', () => {
  test.each([
    [3.9, 'film-short', 'review', false],
    [4, 'film-contiguous', 'takedown', true],
    [60, 'film-contiguous', 'takedown', true],
  ])('%f s in one piece: %s', (length, ...expected) => {
    expect(outcome(evidence([segment(0, length)]))).toEqual(expected);
  });

  test.each([
    [45, 'film-contiguous', 'takedown'],
    [45.1, 'film-short', 'review'],
  ])('mean distance %f: %s', (mean, rule, action) => {
    expect(outcome(evidence([segment(0, 30, { distance: { mean, worst: 70 } })])).slice(0, 2)).toEqual([rule, action]);
  });

  test.each([
    [3, 'film-contiguous', 'takedown'],
    [2, 'film-static', 'review'],
    [0, 'film-static', 'review'],
  ])('%i pictures that differ: %s', (distinct, rule, action) => {
    expect(outcome(evidence([segment(0, 30, { distinct })])).slice(0, 2)).toEqual([rule, action]);
  });

  test('a time that is a guess carries no takedown', () => {
    expect(outcome(evidence([segment(0, 30, { timed: false })]))).toEqual(['film-static', 'review', false]);
  });
  test('a still background for a short while is only noted', () => {
    expect(outcome(evidence([segment(0, 3, { distinct: 1 })]))).toEqual(['film-static', 'monitor', false]);
    const lax = { ...policy, onPossible: 'none' as const };
    expect(outcome(evidence([segment(0, 3, { distinct: 1 })]), lax)[1]).toBe('none');
  });
  test('less than two seconds are only noted, whatever the policy asks for', () => {
    const eager = { ...policy, minContiguousSeconds: 0, minUploadShare: 0 };
    expect(outcome(evidence([segment(0, 1.9)]), eager)).toEqual(['film-short', 'monitor', false]);
    expect(outcome(evidence([segment(0, 2)]), eager)).toEqual(['film-contiguous', 'takedown', true]);
  });

  test.each([
    [5, 3, 'film-share', 'takedown'],
    [5.1, 3, 'film-short', 'review'],
    [3, 1.9, 'film-short', 'monitor'],
    [3.3, 2, 'film-share', 'takedown'],
  ])('an upload of %f s, %f s of them copied: %s', (duration, copied, rule, action) => {
    expect(outcome(evidence([segment(0, copied)]), policy, { ...film, duration }).slice(0, 2)).toEqual([rule, action]);
  });

  test('scattered shots: two and eight seconds together', () => {
    expect(outcome(evidence([segment(0, 3), segment(10, 13)]))).toEqual(['film-short', 'review', false]);
    expect(outcome(evidence([segment(0, 3), segment(10, 13), segment(20, 22)]))).toEqual([
      'film-scattered',
      'takedown',
      true,
    ]);
    const dull = [segment(0, 3), segment(10, 13, { distinct: 2 }), segment(20, 22)];
    expect(outcome(evidence(dull))).toEqual(['film-short', 'review', false]);
  });

  test('the policy says what is done', () => {
    const p = { ...policy, minContiguousSeconds: 30, onManifest: 'monitor' as const, onPossible: 'none' as const };
    expect(outcome(evidence([segment(0, 30)]), p)).toEqual(['film-contiguous', 'monitor', true]);
    expect(outcome(evidence([segment(0, 29)]), p)).toEqual(['film-short', 'none', false]);
  });
});

describe('images', () => {
  test.each([
    [0.7, 'same-image', 'takedown', true],
    [0.69, 'image-alike', 'review', false],
  ])('correlation %f: %s', (correlation, ...expected) => {
    expect(outcome(picture(correlation), policy, image)).toEqual(expected);
  });
  test('without a second look: for a person', () => {
    expect(outcome(picture(), policy, image)).toEqual(['image-alike', 'review', false]);
  });
  test('a still of a film, and a picture in a film', () => {
    const still = evidence([segment(0, 0, { reference: [105, 105], distinct: 1, timed: false })]);
    expect(outcome(still, policy, image)).toEqual(['still-of-film', 'monitor', false]);
    expect(outcome({ ...picture(0.9), segments: [segment(3, 9, { reference: [0, 0] })] }, policy, film)).toEqual([
      'picture-in-film',
      'monitor',
      false,
    ]);
    expect(outcome(still, { ...policy, onStill: 'takedown' }, image)[1]).toBe('takedown');
  });
});

test('every rule that was looked at says why, in order, up to the one that fired', () => {
  const d = decide(evidence([segment(0, 3)]), policy, film);
  expect(d.trials.map((t) => t.rule)).toEqual([
    'allowlisted',
    'excluded',
    'film-contiguous',
    'film-share',
    'film-scattered',
    'same-image',
    'still-of-film',
    'picture-in-film',
    'image-alike',
    'film-static',
    'film-short',
  ]);
  expect(d.trials.map((t) => t.fired)).toEqual([...Array(10).fill(false), true]);
  for (const t of d.trials) expect(t.why.length).toBeGreaterThan(20);
  expect(d.trials[2]!.why).toBe('3.0 s in one piece follow the reference frame by frame; 4.0 s are needed');
  expect(d).toMatchObject({ policy: { id: 'default', version: 1 }, territories: ['*'] });
});

describe('already manifest', () => {
  test('says what decide would say of film and images', () => {
    for (const e of [
      evidence([segment(0, 4)]),
      evidence([segment(0, 3.9)]),
      evidence([segment(0, 30, { distinct: 2 })]),
    ])
      expect(manifestAlready(e, policy)).toBe(decide(e, policy, film).manifest);
    expect(manifestAlready(picture(0.7), policy)).toBe(true);
    expect(manifestAlready(picture(0.6), policy)).toBe(false);
  });

  test('knows the share without being told the length', () => {
    const half = evidence([segment(0, 3)], { share: { upload: 0.6, reference: 0.1 } });
    expect(manifestAlready(half, policy)).toBe(true);
    expect(manifestAlready({ ...half, share: { upload: 0.59, reference: 0.1 } }, policy)).toBe(false);
  });

  test('stays true whatever else is found', () => {
    const arbitrary = fc.array(
      fc.record({
        slice: fc.integer({ min: 0, max: 19 }),
        from: fc.integer({ min: 0, max: 25 }),
        length: fc.integer({ min: 1, max: 5 }),
        offset: fc.constantFrom(100, 100.4, 130),
        mean: fc.constantFrom(10, 44, 50),
        distinct: fc.integer({ min: 0, max: 4 }),
        timed: fc.boolean(),
      }),
      { maxLength: 12 },
    );
    const lengths = { upload: 600, reference: () => 900 };
    fc.assert(
      fc.property(arbitrary, arbitrary, fc.boolean(), (some, more, exclude) => {
        const build = (rows: typeof some) =>
          rows.map((r) => {
            const from = 30 * r.slice + r.from;
            return evidence([
              segment(from, from + r.length, {
                offset: r.offset,
                reference: [r.offset + from, r.offset + from + r.length],
                distance: { mean: r.mean, worst: 70 },
                distinct: r.distinct,
                timed: r.timed,
                pictures: Array.from({ length: r.distinct }, (_, k) => ({
                  at: from + (k * r.length) / 5,
                  code: codeToHex(randomCode(seeded(1000 * from + 10 * k + r.distinct))),
                })),
              }),
            ]);
          });
        const p: Policy = { ...policy, excluded: exclude ? [{ reference: 'r', span: [150, 170] }] : [] };
        const [before] = joined(build(some), lengths);
        if (!before || !isCertain(before, p, film)) return;
        const [after] = joined(build([...some, ...more]), lengths);
        expect(isCertain(after!, p, film)).toBe(true);
      }),
      { numRuns: 500 },
    );
  });
});

describe('the verdict', () => {
  const takedown = decide(evidence([segment(0, 30)]), policy, film);
  const review = decide(evidence([segment(0, 3)]), policy, film);
  const monitor = decide(evidence([segment(0, 1)]), policy, film);

  test('the strictest decision wins', () => {
    expect(verdictOf([monitor, review, takedown], 1, 0.9)).toEqual({ verdict: 'taken-down', reason: null });
    expect(verdictOf([monitor, review], 1, 0.9)).toEqual({ verdict: 'in-review', reason: null });
    expect(verdictOf([monitor], 1, 0.9)).toEqual({ verdict: 'cleared', reason: null });
    expect(verdictOf([], 1, 0.9)).toEqual({ verdict: 'cleared', reason: null });
  });
  test('below the least coverage nothing is cleared, but what was found stands', () => {
    expect(verdictOf([], 0.9, 0.9).verdict).toBe('cleared');
    expect(verdictOf([], 0.899, 0.9, [{ reason: 'too-slow' }, { reason: 'too-slow' }, { reason: 'corrupt' }])).toEqual({
      verdict: 'in-review',
      reason: 'incomplete: 89 % was judged (corrupt, too-slow)',
    });
    expect(verdictOf([], 0, 0.9).reason).toBe('incomplete: 0 % was judged');
    expect(verdictOf([takedown], 0.1, 0.9).verdict).toBe('taken-down');
  });
});
