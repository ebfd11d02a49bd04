import { type CodeKind, codeToHex, type Evidence, Policy, type Segment } from '@vigil/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decide, manifestAlready, type Upload } from './decide.ts';
import { join } from './join.ts';
import { key, randomCode, seeded } from './synthetic.ts';

const policy = Policy.parse({});
const lengths = { upload: 60, reference: () => 240 };
const about: Upload = { account: null, kind: 'video', duration: 60 };
const codes = Array.from({ length: 8 }, (_, k) => codeToHex(randomCode(seeded(k + 1))));

interface Row {
  from: number;
  length: number;
  offset: number;
  mean: number;
  distinct: number;
  timed: boolean;
  /** 0: of whole pictures. */
  inliers: number;
}

function evidence(r: Row): Evidence {
  const to = r.from + r.length;
  const kind: CodeKind = r.inliers > 0 ? 'patch' : 'picture';
  const segment: Segment = {
    upload: [r.from, to],
    reference: [r.offset + r.from, r.offset + to],
    offset: r.offset,
    speed: 1,
    frames: { matched: 2 * r.length, eligible: 2 * r.length },
    distance: { mean: r.mean, worst: 60 },
    distinct: r.distinct,
    pictures: codes.slice(0, r.distinct).map((code, k) => ({ at: r.from + k / 8, code })),
    timed: r.timed,
    ...(kind === 'patch' && { inliers: r.inliers, cells: 10, correlation: 0.9 }),
  };
  return {
    reference: key('a'),
    referenceMedia: 'video',
    kind,
    altered: kind === 'patch' ? { affine: [0.7, 0, 0.1, 0, 0.7, 0.1] } : {},
    segments: [segment],
    longest: r.length,
    total: r.length,
    share: { upload: 1, reference: 1 },
    confidence: 0.5,
  };
}
const row = (more: Partial<Row>): Row => ({
  from: 0,
  length: 10,
  offset: 50,
  mean: 16,
  distinct: 5,
  timed: true,
  inliers: 0,
  ...more,
});
const joined = (...rows: Partial<Row>[]) =>
  join(
    rows.map((r) => evidence(row(r))),
    lengths,
  );

describe('one reference, found by pictures and by patches', () => {
  test('the same seconds count once', () => {
    const [e, ...others] = joined({ from: 0, length: 12 }, { from: 4, length: 14, inliers: 30, mean: 20 });
    expect(others).toEqual([]);
    expect(e!.segments.map((s) => s.upload)).toEqual([[0, 18]]);
    expect(e).toMatchObject({ kind: 'patch', longest: 18, total: 18 });
    // 24 frames of the nearer kind, and of the other what it adds.
    expect(e!.segments[0]!.frames.matched).toBe(36);
    expect(e!.segments[0]).toMatchObject({ inliers: 30, cells: 10 });
  });

  test('each names how its own part was altered', () => {
    const [whole] = joined({ length: 20 }, { from: 30, length: 8, offset: 90, inliers: 30 });
    expect(whole).toMatchObject({ kind: 'picture', altered: {} });
    expect(whole!.segments).toHaveLength(2);
  });

  test('few places do not become solid by a neighbour that is', () => {
    const [e] = joined({ from: 0, length: 3 }, { from: 3, length: 4, inliers: 9, mean: 40 });
    expect(e!.segments).toHaveLength(2);
    expect(decide(e!, policy, about).action).toBe('review');
    const [alone] = joined({ from: 0, length: 3 }, { from: 3, length: 4, inliers: 20 });
    expect(decide(alone!, policy, about)).toMatchObject({ action: 'takedown', rule: 'film-contiguous' });
  });

  test('few places over two slices are long agreement', () => {
    expect(manifestAlready(joined({ length: 5, inliers: 9, mean: 40 })[0]!, policy)).toBe(false);
    expect(
      manifestAlready(
        joined({ length: 5, inliers: 9, mean: 40 }, { from: 5, length: 5, inliers: 8, mean: 40 })[0]!,
        policy,
      ),
    ).toBe(true);
  });
});

test('what is manifest stays manifest, whatever else is found of either kind', () => {
  const rows = fc.array(
    fc.record({
      from: fc.integer({ min: 0, max: 30 }),
      length: fc.integer({ min: 1, max: 12 }),
      offset: fc.constantFrom(50, 50.25, 80),
      mean: fc.constantFrom(10, 30, 32, 44, 50),
      distinct: fc.integer({ min: 0, max: 6 }),
      timed: fc.boolean(),
      inliers: fc.constantFrom(0, 0, 6, 9, 14, 40),
    }),
    { minLength: 1, maxLength: 8 },
  );
  fc.assert(
    fc.property(rows, rows, (some, more) => {
      const [before] = joined(...some);
      const [after] = joined(...some, ...more);
      if (manifestAlready(before!, policy, about)) expect(manifestAlready(after!, policy, about)).toBe(true);
      expect(after!.total).toBeGreaterThanOrEqual(before!.total);
    }),
    { numRuns: 500 },
  );
});

test('the order does not matter', () => {
  const rows: Partial<Row>[] = [
    { inliers: 9 },
    { inliers: 12 },
    { inliers: 30, from: 5 },
    {},
    { from: 8, mean: 50, inliers: 9 },
  ];
  expect(joined(...rows.toReversed())).toEqual(joined(...rows));
});
