import { codeToHex, type Evidence, Policy, type Segment } from '@vigil/contracts';
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { decideAll } from './decide.ts';
import { evidenceWith, key, randomCode, seeded, segmentAt } from './synthetic.ts';

const policy = Policy.parse({});
const LENGTH = 3700;

/** A slice's stretch along `offset`: as `confirm` makes them, with at most 16 pictures, each of its own time in the reference. */
function stretch(from: number, to: number, offset = 0, more: Partial<Segment> = {}): Segment {
  const n = Math.min(16, Math.ceil(to - from));
  const pictures = Array.from({ length: n }, (_, k) => {
    const at = from + ((k + 0.5) * (to - from)) / n;
    return { at, code: codeToHex(randomCode(seeded(Math.round(10 * (at + offset))))) };
  });
  return segmentAt(from, to, offset, { distinct: n, pictures, ...more });
}

const slice = (...segments: Segment[]): Evidence => evidenceWith(segments, { reference: key('r') });
/** Slices of 30 s that follow the reference from `from` to `to`. */
const slices = (from: number, to: number, more: Partial<Segment> = {}): Evidence[] =>
  Array.from({ length: Math.ceil((to - from) / 30) }, (_, k) =>
    slice(stretch(from + 30 * k, Math.min(to, from + 30 * k + 30), 0, more)),
  );

const parts = (...spans: [number, number][]) => spans.map((span) => ({ reference: 'r', span }));
function judged(found: Evidence[], p: Partial<Policy> = {}, duration = LENGTH) {
  const upload = { account: null, kind: 'video' as const, duration };
  const lengths = { upload: duration, reference: () => LENGTH };
  return decideAll(found, lengths, () => ({ ...policy, ...p }), upload)[0]!;
}

describe('a whole film of which parts do not count', () => {
  const film = slices(0, LENGTH);
  const whole = judged(film).decision;
  test('it is one stretch that carries 16 pictures', () => {
    expect(whole.evidence.segments).toHaveLength(1);
    expect(whole.evidence.segments[0]!.pictures).toHaveLength(16);
  });

  test.each<[string, Partial<Policy>]>([
    ['excluded', { excluded: parts([0, 3600]) }],
    ['contested', { contested: parts([0, 3600]) }],
    ['the one and the other', { excluded: parts([0, 2000]), contested: parts([1990, 3600]) }],
  ])('the last 100 s are a copy by themselves: %s', (_, p) => {
    const { decision, certain } = judged(film, p);
    expect([decision.rule, decision.action, certain]).toEqual(['film-contiguous', 'takedown', true]);
    // Early and late the same: what a last slice shows by itself is said of all of them as well.
    expect(judged(film.slice(-1), p)).toMatchObject({ certain: true, decision: { action: 'takedown' } });
  });

  test('what was left out is not in the evidence, whatever lies around it', () => {
    const gaps = [0, 1, 2, 3, 4, 5, 6].map((k): [number, number] => [600 * k + 100, 600 * k + 595]);
    const { decision } = judged(film, { excluded: parts(...gaps) });
    expect(decision.rule).toBe('film-contiguous');
    expect(decision.evidence.segments.map((s) => s.reference.map(Math.round))).toEqual([
      [0, 100],
      [595, 700],
      [1195, 1300],
      [1795, 1900],
      [2395, 2500],
      [2995, 3100],
      [3595, 3700],
    ]);
    expect(decision.evidence.total).toBeCloseTo(730, 5);
    expect(decision.evidence.share.upload).toBeCloseTo(730 / LENGTH, 5);
    for (const s of decision.evidence.segments) {
      expect(s.distinct).toBeGreaterThan(50);
      expect(s.pictures!.every((p) => p.at >= s.upload[0] && p.at <= s.upload[1])).toBe(true);
    }
  });

  test('all of it; and none of it', () => {
    expect(judged(film, { excluded: parts([0, LENGTH]) }).decision.rule).toBe('excluded');
    expect(judged(film, { contested: parts([0, LENGTH]) })).toMatchObject({
      ...{ certain: false, decision: { rule: 'contested', action: 'review' } },
    });
    expect(judged(film, { excluded: parts([4000, 5000]) }).decision.evidence).toEqual(whole.evidence);
  });

  test('a second in the middle is not joined over', () => {
    const { decision } = judged(slices(0, 60), { excluded: parts([29.5, 30.5]) });
    expect(decision.evidence.segments.map((s) => s.upload)).toEqual([
      [0, 29.5],
      [30.5, 60],
    ]);
  });
});

describe('what no longer counts proves nothing by its neighbours', () => {
  test('that an excluded scene moves does not give a time to the still background after it', () => {
    const background = slices(60, 120, { timed: false });
    const intro = slice(stretch(30, 60));
    expect(judged([intro, ...background]).certain).toBe(true);
    // Three seconds of the scene are left, which a takedown needs four of.
    const { decision, certain } = judged([intro, ...background], { excluded: parts([0, 57]) });
    expect([decision.action, certain]).toEqual(['review', false]);
    expect(decision.evidence.segments).toMatchObject([
      { upload: [57, 60], timed: true },
      { upload: [60, 120], timed: false },
    ]);
  });

  test('what is left of a scene goes on into one that moves as well', () => {
    const { decision } = judged(slices(30, 120), { excluded: parts([0, 57]) });
    expect(decision.evidence.segments.map((s) => s.upload)).toEqual([[57, 120]]);
  });

  test('an echo of an excluded scene stays one', () => {
    const scene = slice(stretch(0, 30, 0, { distance: { mean: 8, worst: 20 } }));
    const echo = slice(stretch(2, 28, 500, { distance: { mean: 40, worst: 70 }, distinct: 5 }));
    expect(judged([echo]).decision.action).toBe('takedown');
    expect(judged([echo, scene], { excluded: parts([0, 30]) }).decision.rule).toBe('excluded');
  });
});

describe('many stretches', () => {
  const lecture = Array.from({ length: 80 }, (_, k) =>
    slice(stretch(30 * k, 30 * k + 30, 100 + (k % 7), { distinct: 1, timed: false, pictures: [] })),
  );
  const excerpt = slice(stretch(1503, 1513, 400, { distance: { mean: 10, worst: 20 } }));

  test('a proof counts and is named among longer ones that prove nothing', () => {
    expect(judged(lecture)).toMatchObject({ certain: false, decision: { rule: 'film-static', action: 'review' } });
    const { decision, certain } = judged([...lecture, excerpt]);
    expect([decision.rule, decision.action, certain]).toEqual(['film-contiguous', 'takedown', true]);
    const { segments, total } = decision.evidence;
    expect([segments.length, total]).toEqual([64, 2400]);
    expect(segments.filter((s) => s.timed).map((s) => s.upload)).toEqual([[1503, 1513]]);
    expect(segments.map((s) => s.upload[0])).toEqual(segments.map((s) => s.upload[0]).sort((a, b) => a - b));
  });

  test('all proofs count, however many', () => {
    const shots = Array.from({ length: 100 }, (_, k) => slice(stretch(6 * k, 6 * k + 4, 100 + (k % 2 ? 40 : 0))));
    const { decision } = judged(shots, { minContiguousSeconds: 300 }, 600);
    expect(decision.rule).toBe('film-share');
    expect(decision.evidence.segments).toHaveLength(64);
    expect(decision.trials.find((t) => t.rule === 'film-share')!.why).toContain('400.0 s');
  });
});

test('whatever is excluded, what is certain stays so when more is found', () => {
  // Means too near each other for one line to be the echo of another: that is the one exception.
  const rows = fc.array(
    fc.record({
      slice: fc.integer({ min: 0, max: 11 }),
      from: fc.constantFrom(0, 4, 20),
      to: fc.constantFrom(6, 24, 30),
      offset: fc.constantFrom(0, 0.4, 1000),
      mean: fc.constantFrom(36, 44, 50),
      timed: fc.boolean(),
    }),
    { maxLength: 14 },
  );
  const build = (list: Parameters<Parameters<typeof rows.map>[0]>[0]) =>
    list.map((r) => {
      const [from, to] = [30 * r.slice + Math.min(r.from, r.to - 1), 30 * r.slice + r.to];
      return slice(stretch(from, to, r.offset, { distance: { mean: r.mean, worst: 70 }, timed: r.timed }));
    });
  const spans = fc.array(
    fc
      .tuple(fc.integer({ min: 0, max: 380 }), fc.integer({ min: 1, max: 80 }))
      .map(([a, n]): [number, number] => [a, a + n]),
    { maxLength: 3 },
  );
  fc.assert(
    fc.property(rows, rows, spans, spans, (some, more, excluded, contested) => {
      const p = { excluded: parts(...excluded), contested: parts(...contested) };
      const early = build(some);
      if (early.length === 0 || !judged(early, p, 360).certain) return;
      expect(judged([...early, ...build(more)], p, 360)).toMatchObject({
        certain: true,
        decision: { action: 'takedown' },
      });
    }),
    { numRuns: 2000 },
  );
});
