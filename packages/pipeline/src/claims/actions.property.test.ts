import type { TakedownEvent } from '@vigil/contracts';
import { findAction, lockUpload } from '@vigil/database';
import { createFakeClock, createLogger } from '@vigil/runtime';
import fc from 'fast-check';
import { afterAll, expect, test } from 'vitest';
import { openTestDatabase } from '../../../../test/support/postgres.ts';
import { recordAcknowledgement } from '../stages/record-acknowledgement.ts';
import { acknowledgement, actionEvent, ledgerFor, sendAction, takeSent } from '../testing.ts';
import { takeTimers } from '../timers.ts';
import { ALARM_AGAIN_MS, createActions } from './actions.ts';

/** Real: the database. Faked: time. The oracle below holds in memory what the rows and timers are to say. */
const SEED = 20261121;
const SURFACES = ['web', 'cdn'];
const RESEND = [30, 60, 120];
const DEADLINE = 300;
const START = 1_700_000_000_000;

interface Model {
  event: TakedownEvent;
  words: Map<string, { status: 'done' | 'failed'; at: number }>;
  closed: 'acknowledged' | 'superseded' | 'deleted' | null;
  attempts: number;
  alarms: number;
  resendAt: number;
  alarmAt: number;
}

/** Reversals and deletions are rare, so that much can happen between them. */
const steps = fc.array(
  fc.oneof(
    {
      weight: 16,
      arbitrary: fc.record({
        do: fc.constant('say' as const),
        // How many actions back: acknowledgements of what was reversed come late.
        back: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, { weight: 1, arbitrary: fc.nat(2) }),
        surface: fc.nat(SURFACES.length - 1),
        status: fc.constantFrom('done' as const, 'done' as const, 'failed' as const),
        ago: fc.constantFrom(0, 0, 0, 20_000, 60_000),
      }),
    },
    {
      weight: 12,
      arbitrary: fc.record({
        do: fc.constant('wait' as const),
        seconds: fc.constantFrom(1, 29, 30, 90, 300, 21_600),
      }),
    },
    { weight: 3, arbitrary: fc.record({ do: fc.constant('again' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('reverse' as const) }) },
    { weight: 1, arbitrary: fc.record({ do: fc.constant('delete' as const) }) },
  ),
  { minLength: 1, maxLength: 40, size: 'max' },
);

const database = await openTestDatabase();
afterAll(() => database[Symbol.asyncDispose]());

test('any order of words, repetitions, pauses and reversals ends as the oracle says', async () => {
  let n = 0;
  const settings = { surfaces: SURFACES, deadlineSeconds: DEADLINE, resendSeconds: RESEND };
  const check = fc.asyncProperty(steps, async (list) => {
    const upload = `up_${n++}`;
    const clock = createFakeClock(START);
    const actions = createActions({ clock, settings });
    const stage = recordAcknowledgement({ database, actions, ledger: ledgerFor(clock), clock, concurrency: 1 });
    const timers = {
      database,
      clock,
      logger: createLogger({ level: 'silent' }),
      handlers: actions.handlers,
    };
    await database.postgres.query('DELETE FROM timers');
    await takeSent(database);

    const all: Model[] = [];
    const said: { model: Model; run: () => Promise<unknown>; word: Parameters<typeof hear>[1] }[] = [];
    let deleted = false;
    const interval = (attempts: number) => RESEND[Math.min(attempts - 1, RESEND.length - 1)]! * 1000;

    async function begin(): Promise<void> {
      const epoch = all.length;
      const event = actionEvent(upload, epoch % 2 === 0 ? 'takedown' : 'restore', epoch);
      await sendAction(database, actions, event);
      const now = clock.now();
      for (const model of all) model.closed ??= 'superseded';
      const resendAt = now + interval(1);
      const alarmAt = now + DEADLINE * 1000;
      all.push({ event, words: new Map(), closed: null, attempts: 1, alarms: 0, resendAt, alarmAt });
    }

    function hear(model: Model, word: { surface: string; status: 'done' | 'failed'; at: number }): void {
      const known = model.words.get(word.surface);
      const newer =
        !known || known.at < word.at || (known.at === word.at && known.status === 'failed' && word.status === 'done');
      if (!newer) return;
      model.words.set(word.surface, word);
      if (model.closed === 'superseded' || model.closed === 'deleted') return;
      const complete = SURFACES.every((s) => model.words.get(s)?.status === 'done');
      if (model.closed === 'acknowledged' && !complete) {
        model.closed = null;
        model.resendAt = clock.now() + RESEND[0]! * 1000;
        model.alarmAt = clock.now() + DEADLINE * 1000;
      } else if (complete) model.closed = 'acknowledged';
    }

    async function pass(seconds: number): Promise<void> {
      await clock.advance(seconds * 1000);
      await takeTimers(timers);
      const now = clock.now();
      for (const model of all) {
        if (model.closed) continue;
        if (model.resendAt <= now) {
          model.attempts++;
          model.resendAt = now + interval(model.attempts);
        }
        if (model.alarmAt <= now) {
          model.alarms++;
          model.alarmAt = now + ALARM_AGAIN_MS;
        }
      }
    }

    await begin();
    for (const step of list) {
      if (step.do === 'wait') await pass(step.seconds);
      else if (step.do === 'reverse' && !deleted) await begin();
      else if (step.do === 'delete' && !deleted) {
        deleted = true;
        await database.transaction(async (tx) => {
          await lockUpload(tx, upload);
          await actions.close(tx, upload, 'deleted');
        });
        for (const model of all) model.closed ??= 'deleted';
      } else if (step.do === 'say') {
        const model = all[Math.max(0, all.length - 1 - step.back)]!;
        const word = { surface: SURFACES[step.surface]!, status: step.status, at: clock.now() - step.ago };
        const data = acknowledgement(model.event, word.surface, word.at, word.status);
        const event = { id: 'ev', type: 't', source: 's', subject: upload, time: 0, data };
        const run = () => stage.run({ event, codes: null }, new AbortController().signal, () => undefined);
        said.push({ model, run, word });
        await run();
        hear(model, word);
      } else if (step.do === 'again' && said.length > 0) {
        // Everything that was said is delivered once more, the last first.
        for (const { model, run, word } of said.toReversed()) {
          await run();
          hear(model, word);
        }
      }
      for (const model of all) {
        const row = (await findAction(database.postgres, model.event.id))!;
        expect({ closed: row.closedWhy, attempts: row.attempts, alarms: row.alarms }).toEqual({
          closed: model.closed,
          attempts: model.attempts,
          alarms: model.alarms,
        });
      }
    }

    const sent = await takeSent(database);
    const expected = all.flatMap(({ event, attempts }) =>
      Array.from({ length: attempts }, (_, i) => `${event.id} ${i + 1}`),
    );
    expect(sent.actions.map(({ event }) => `${event.id} ${event.attempt}`).sort()).toEqual(expected.sort());
    expect(new Set(sent.actions.map((a) => a.ceId)).size).toBe(expected.length);
    expect(sent.alarms.length).toBe(all.reduce((sum, model) => sum + model.alarms, 0));
  });
  await fc.assert(check, { seed: SEED, numRuns: 50, endOnFailure: false });
}, 120_000);
