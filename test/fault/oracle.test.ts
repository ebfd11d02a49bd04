import { actionId, TakedownEvent, Verdict } from '@vigil/contracts';
import { SAMPLES } from '@vigil/contracts/event-samples';
import { describe, expect, test } from 'vitest';
import { type Expected, examine, type Observed, type Planted } from './oracle.ts';

/** The judge of the fault test is judged: each kind of loss and excess has to be found, one at a time. */
const DEADLINE = 1000;
const upload = (name: string, more: Partial<Expected> = {}): Expected => ({
  ...{ upload: name, name, version: 'v', verdicts: ['cleared'], reference: null, late: false },
  ...more,
});
const COPY = upload('copy', { verdicts: ['taken-down'], reference: 'ref' });
const LATE = upload('late', { verdicts: ['taken-down'], reference: 'ref', late: true });
const CLEAN = upload('clean');
const EXPECTED = [COPY, LATE, CLEAN];
const PLANTED: Planted[] = [{ topic: 'vigil.uploads.dead', key: 'bad', group: 'plan' }];

const verdict = (of: string, said: Verdict['verdict'], revision = 1, decidedAt = 10) => ({
  id: `${of}/${revision}`,
  data: {
    ...Verdict.parse(SAMPLES.verdict),
    ...{ upload: of, verdict: said, revision, decidedAt, supersedes: revision > 1 ? revision - 1 : null },
  },
});
const takedown = (of: string, more: Partial<TakedownEvent> = {}) => {
  const id = actionId(of, 'v', 'takedown', 0);
  const reference = { id: 'ref', version: 1 };
  return { id, data: { ...TakedownEvent.parse(SAMPLES.takedown), id, upload: of, reference, attempt: 1, ...more } };
};
/** As it must be, some of it said twice. */
const good = (): Observed & { [K in keyof Observed]: Observed[K] } => ({
  verdicts: [
    verdict('copy', 'taken-down'),
    verdict('copy', 'taken-down'),
    verdict('late', 'cleared'),
    verdict('late', 'taken-down', 2, 20),
    verdict('clean', 'cleared'),
  ],
  takedowns: [takedown('copy'), takedown('late'), takedown('late')],
  dead: [{ ...PLANTED[0]!, reason: 'bad' }],
  deadlines: new Map(EXPECTED.map((e) => [e.upload, DEADLINE])),
});
const wrong = (change: (o: ReturnType<typeof good>) => Partial<Observed>): string[] => {
  const observed = good();
  return examine(EXPECTED, PLANTED, { ...observed, ...change(observed) }).wrong;
};

describe('the oracle of the fault test', () => {
  test('has nothing to say when all is as it must be', () => {
    expect(examine(EXPECTED, PLANTED, good())).toEqual({
      ...{ wrong: [], uploads: 3, takedowns: 2, incomplete: 0, revisions: 1, dead: 1 },
    });
  });

  test.each<[string, (o: ReturnType<typeof good>) => Partial<Observed>, RegExp]>([
    ['a lost verdict', (o) => ({ verdicts: o.verdicts.filter((v) => v.data.upload !== 'clean') }), /clean: no verdict/],
    ['a lost revision', (o) => ({ verdicts: o.verdicts.filter((v) => v.id !== 'late/2') }), /late: cleared instead of/],
    ['a lost first verdict', (o) => ({ verdicts: o.verdicts.filter((v) => v.id !== 'late/1') }), /late: revisions 2/],
    [
      'a second first verdict',
      (o) => ({ verdicts: [...o.verdicts, { ...verdict('clean', 'cleared'), id: 'another' }] }),
      /clean: revisions 1 \(of null\), 1/,
    ],
    [
      'a revision without a reason',
      (o) => ({ verdicts: [...o.verdicts, verdict('clean', 'cleared', 2)] }),
      /clean: 2 verdicts, of which 1 had a reason/,
    ],
    [
      'a wrong verdict',
      () => ({ verdicts: [...good().verdicts.slice(0, 4), verdict('clean', 'in-review')] }),
      /clean: in-review instead of cleared/,
    ],
    [
      'a verdict on what was never sent',
      (o) => ({ verdicts: [...o.verdicts, verdict('stranger', 'cleared')] }),
      /stranger was never sent/,
    ],
    [
      'one id that says two things',
      (o) => ({ verdicts: [...o.verdicts, { id: 'clean/1', data: verdict('clean', 'in-review').data }] }),
      /clean\/1 says two different things/,
    ],
    ['a lost takedown', (o) => ({ takedowns: o.takedowns.slice(1) }), /copy: its takedown \S+ is missing/],
    ['a takedown too many', (o) => ({ takedowns: [...o.takedowns, takedown('clean')] }), /of clean .* should not be/],
    [
      'a second id',
      (o) => ({ takedowns: [...o.takedowns, { id: 'act_2', data: { ...takedown('copy').data, id: 'act_2' } }] }),
      /takedown act_2 of copy/,
    ],
    [
      'the wrong work',
      (o) => ({ takedowns: [takedown('copy', { reference: { id: 'other', version: 1 } }), ...o.takedowns.slice(1)] }),
      /copy: taken down for other/,
    ],
    ['a planted event that is nowhere', () => ({ dead: [] }), /planted, and not found dead/],
    [
      'a dead letter that nobody planted',
      (o) => ({ dead: [...o.dead, { topic: 'vigil.slices.first.dead', key: 'up/0', group: 'g', reason: 'why' }] }),
      /dead, and not planted: .*why/,
    ],
  ])('finds %s', (_, change, message) => {
    const found = wrong(change);
    expect(found.join('\n')).toMatch(message);
  });

  test('lets a verdict be revised that was given because its time was up, and no other', () => {
    const twice = (decidedAt: number): Observed => ({
      ...good(),
      verdicts: [
        ...good().verdicts.slice(0, 4),
        verdict('clean', 'in-review', 1, decidedAt),
        verdict('clean', 'cleared', 2, 2000),
      ],
    });
    expect(examine(EXPECTED, PLANTED, twice(DEADLINE))).toMatchObject({ wrong: [], incomplete: 1, revisions: 2 });
    expect(examine(EXPECTED, PLANTED, twice(DEADLINE - 1)).wrong).toEqual([
      expect.stringMatching(/clean: 2 verdicts, of which 1 had a reason/),
    ]);
  });
});
