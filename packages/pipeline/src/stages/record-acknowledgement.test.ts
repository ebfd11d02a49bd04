import { type Acknowledgement, attemptId, deadSpec, deadTopic, type TakedownEvent, TOPICS } from '@vigil/contracts';
import { acknowledgementsOf, actionsOf, type Database, findAction, findUpload } from '@vigil/database';
import { openPostgresEventLog } from '@vigil/event-log';
import { type AcknowledgementSettings, createFakeClock, createLogger, realClock } from '@vigil/runtime';
import { afterAll, beforeAll, beforeEach, describe, expect, test, vi } from 'vitest';
import { openTestDatabase } from '../../../../test/support/postgres.ts';
import { ALARM_AGAIN_MS, createActions } from '../claims/actions.ts';
import { recordOf } from '../emit.ts';
import { createInspect } from '../inspect.ts';
import { runStage } from '../run-stage.ts';
import { acknowledgement, actionEvent, ledgerFor, sendAction, takeSent, unwatched } from '../testing.ts';
import { runTimers, takeTimers } from '../timers.ts';
import { recordAcknowledgement } from './record-acknowledgement.ts';

const SETTINGS: AcknowledgementSettings = {
  surfaces: ['web', 'mobile', 'cdn'],
  deadlineSeconds: 600,
  resendSeconds: [30, 60, 120, 300],
};
const S = 1000;

/** Real: the database, timers and outbox; in the last test the log too. Faked: time, and the surfaces. */
describe('acknowledgements', () => {
  let database: Database;
  let event: TakedownEvent;
  let n = 0;
  const clock = createFakeClock();
  const logger = createLogger({ level: 'silent' });
  const never = new AbortController().signal;

  /** An instance of Vigil that was started with these settings. */
  function instance(settings: Partial<AcknowledgementSettings> = {}) {
    const actions = createActions({ clock, settings: { ...SETTINGS, ...settings } });
    const stage = recordAcknowledgement({ database, actions, ledger: ledgerFor(clock), clock, concurrency: 1 });
    const timers = { database, clock, logger, handlers: actions.handlers };
    return {
      actions,
      stage,
      timers,
      send: (what = event) => sendAction(database, actions, what),
      say: (data: Acknowledgement) =>
        stage.run(
          { event: { id: 'ev', type: 't', source: 's', subject: data.upload, time: 0, data }, codes: null },
          never,
          () => undefined,
        ),
      done: (surface: string, about = event) => running.say(acknowledgement(about, surface, clock.now())),
      failed: (surface: string, about = event) => running.say(acknowledgement(about, surface, clock.now(), 'failed')),
      /** Lets time pass, and looks for what is due every `step` seconds. */
      async wait(seconds: number, step = 10) {
        for (let left = seconds; left > 0; left -= step) {
          await clock.advance(Math.min(left, step) * S);
          while ((await takeTimers(timers)) > 0);
        }
      },
    };
  }
  let running: ReturnType<typeof instance>;

  const row = (about = event) => findAction(database.postgres, about.id);
  const attempts = async () => (await takeSent(database)).actions.map((a) => [a.event.id, a.event.attempt]);

  beforeAll(async () => {
    database = await openTestDatabase();
  });
  afterAll(() => database[Symbol.asyncDispose]());
  beforeEach(async () => {
    // What the test before has left open is none of ours.
    await database.postgres.query('DELETE FROM timers');
    await takeSent(database);
    running = instance();
    event = actionEvent(`up_${++n}`);
  });

  test('without surfaces a takedown is sent once, and nothing is waited for', async () => {
    running = instance({ surfaces: [] });
    await running.send();
    await running.wait(3600);
    const sent = await takeSent(database);
    expect(sent).toEqual({ actions: [{ ceId: event.id, event }], alarms: [] });
    expect(await row()).toMatchObject({ attempts: 1, surfaces: [], closedWhy: 'not-awaited' });
    expect(await running.done('web')).toEqual({
      kind: 'rejected',
      reason: 'no surface is called web: there are none (VIGIL_SURFACES)',
      outputs: [],
    });
  });

  test('when all have acknowledged it is closed, and sent no more', async () => {
    await running.send();
    for (const surface of ['web', 'cdn']) {
      expect(await running.done(surface)).toEqual({ kind: 'done', outputs: [] });
      expect(await row()).toMatchObject({ closedAt: null });
    }
    await clock.advance(5 * S);
    await running.done('mobile');
    expect(await row()).toMatchObject({ closedAt: clock.now(), closedWhy: 'acknowledged', attempts: 1 });
    expect(await database.postgres.query('SELECT id FROM timers')).toEqual([]);
    await running.wait(3600);
    expect(await takeSent(database)).toEqual({ actions: [{ ceId: event.id, event }], alarms: [] });
  });

  test('while one is missing it is sent again under the same id, ever more seldom, then there is one alarm', async () => {
    await running.send();
    await running.done('web');
    await running.done('mobile');
    const startedAt = clock.now();
    const when: [number, number][] = [];
    let alarms = 0;
    for (let second = 10; second <= 900; second += 10) {
      await running.wait(10);
      const sent = await takeSent(database);
      for (const { event: again, ceId } of sent.actions.filter((a) => a.event.attempt > 1)) {
        when.push([again.attempt, (clock.now() - startedAt) / S]);
        expect(ceId).toBe(attemptId(event.id, again.attempt));
        expect(again).toEqual({ ...event, attempt: again.attempt });
      }
      for (const { alarm } of sent.alarms) {
        alarms++;
        expect(second).toBe(600);
        expect(alarm).toEqual({
          kind: 'takedown-unacknowledged',
          subject: event.upload,
          message: `takedown ${event.id} was sent 5 times in 10 minutes, and is not done by cdn`,
          at: clock.now(),
        });
      }
    }
    expect(when).toEqual([
      [2, 30],
      [3, 90],
      [4, 210],
      [5, 510],
      [6, 810],
    ]);
    expect(alarms).toBe(1);
    await running.done('cdn');
    expect(await row()).toMatchObject({ closedWhy: 'acknowledged', attempts: 6, alarms: 1 });
    await running.wait(900);
    expect(await takeSent(database)).toEqual({ actions: [], alarms: [] });
  });

  test('the alarm comes again at long intervals, each under an id of its own', async () => {
    running = instance({ resendSeconds: [86_400] });
    await running.send();
    await running.wait(600);
    await running.wait(ALARM_AGAIN_MS / S - 10, 600);
    expect((await takeSent(database)).alarms).toHaveLength(1);
    await running.wait(10);
    await running.wait(ALARM_AGAIN_MS / S, 600);
    const { alarms } = await takeSent(database);
    expect(new Set(alarms.map((a) => a.ceId)).size).toBe(2);
    expect(alarms[1]!.alarm.message).toContain('is not done by web, mobile, cdn');
  });

  test('what failed is sent again; the alarm says what the surface said; done is done', async () => {
    running = instance({ surfaces: ['cdn'] });
    await running.send();
    await running.say({ ...acknowledgement(event, 'cdn', clock.now(), 'failed'), note: 'purge refused' });
    expect(await row()).toMatchObject({ closedAt: null });
    await running.wait(30);
    expect(await attempts()).toEqual([
      [event.id, 1],
      [event.id, 2],
    ]);
    await running.wait(570);
    expect((await takeSent(database)).alarms[0]!.alarm.message).toMatch(/not done by cdn \(failed: purge refused\)$/);
    await running.done('cdn');
    expect(await row()).toMatchObject({ closedWhy: 'acknowledged' });
  });

  test('a word that comes again, or late, changes nothing', async () => {
    running = instance({ surfaces: ['web', 'cdn'] });
    await running.send();
    const early = acknowledgement(event, 'web', clock.now(), 'failed');
    await clock.advance(S);
    const done = acknowledgement(event, 'web', clock.now());
    expect(await running.say(done)).toMatchObject({ kind: 'done' });
    for (const word of [done, early, done]) {
      expect(await running.say(word)).toEqual({ kind: 'skipped', reason: 'known already' });
    }
    await running.done('cdn');
    const closed = await row();
    expect(closed).toMatchObject({ closedWhy: 'acknowledged' });
    await clock.advance(S);
    await running.say(done);
    await running.say(early);
    await running.done('web');
    expect(await row()).toEqual(closed);
    expect(await acknowledgementsOf(database.postgres, event.id)).toHaveLength(2);
  });

  test('a surface that finds out later that it has failed opens the action again', async () => {
    running = instance({ surfaces: ['cdn'] });
    await running.send();
    await running.done('cdn');
    await running.wait(3600);
    await running.failed('cdn');
    expect(await row()).toMatchObject({ closedAt: null, closedWhy: null });
    await running.wait(30);
    expect(await attempts()).toEqual([
      [event.id, 1],
      [event.id, 2],
    ]);
    await running.done('cdn');
    expect(await row()).toMatchObject({ closedWhy: 'acknowledged', attempts: 2 });
  });

  test('what cannot be right is rejected with the reason, and leaves no trace', async () => {
    await running.send();
    const stranger = actionEvent('up_stranger');
    expect(await running.done('web', stranger)).toMatchObject({
      kind: 'rejected',
      reason: `no action ${stranger.id} was ever sent`,
    });
    expect(await findUpload(database.postgres, 'up_stranger')).toBeNull();
    expect(await running.done('web', { ...event, upload: 'up_stranger' })).toMatchObject({
      kind: 'rejected',
      reason: `action ${event.id} is about ${event.upload}, not up_stranger`,
    });
    expect(await running.done('tv')).toMatchObject({
      kind: 'rejected',
      reason: 'no surface is called tv: there are web, mobile, cdn (VIGIL_SURFACES)',
    });
    expect(await running.say(acknowledgement(event, 'web', clock.now() * 1000))).toMatchObject({
      kind: 'rejected',
      reason: expect.stringContaining('lies in the future: milliseconds since 1970 are meant'),
    });
    expect(await acknowledgementsOf(database.postgres, event.id)).toEqual([]);
  });

  test('a reversal ends what it reverses: that is sent no more, and its late acknowledgements do not close the newer', async () => {
    running = instance({ surfaces: ['web'] });
    await running.send();
    const restore = actionEvent(event.upload, 'restore', 1);
    await running.send(restore);
    expect(await running.done('web')).toEqual({ kind: 'skipped', reason: 'the action is over: superseded' });
    expect(await acknowledgementsOf(database.postgres, event.id)).toHaveLength(1);
    expect(await row()).toMatchObject({ closedWhy: 'superseded' });
    expect(await row(restore)).toMatchObject({ closedAt: null });
    await running.failed('web');
    await running.wait(600);
    const sent = await takeSent(database);
    expect(sent.actions.map((a) => [a.event.action, a.event.attempt])).toEqual([
      ['takedown', 1],
      ['restore', 1],
      ['restore', 2],
      ['restore', 3],
      ['restore', 4],
      ['restore', 5],
    ]);
    expect(sent.alarms.map((a) => a.alarm.kind)).toEqual(['restore-unacknowledged']);
    await running.done('web', restore);
    expect(await row(restore)).toMatchObject({ closedWhy: 'acknowledged' });
  });

  test('an action that is sent twice is sent once', async () => {
    await running.send();
    await running.done('web');
    await running.send();
    expect(await attempts()).toEqual([[event.id, 1]]);
    expect(await actionsOf(database.postgres, event.upload)).toHaveLength(1);
  });

  test('a surface that was taken out of the settings is waited for no more, one that came later not yet', async () => {
    running = instance({ surfaces: ['web', 'cdn'] });
    await running.send();
    await running.done('web');
    running = instance({ surfaces: ['web', 'tv'] });
    await running.wait(30);
    expect(await row()).toMatchObject({ closedWhy: 'not-awaited', attempts: 1 });
    expect(await running.done('tv')).toMatchObject({ kind: 'done' });
    expect(await running.done('cdn')).toMatchObject({ kind: 'done' });
    expect(await row()).toMatchObject({ closedWhy: 'not-awaited' });
  });

  test('of an upload that the platform has deleted nothing is waited for', async () => {
    await running.send();
    await database.postgres.query('UPDATE uploads SET deleted = true WHERE id = $1', [event.upload]);
    await running.wait(30);
    expect(await row()).toMatchObject({ closedWhy: 'deleted', attempts: 1 });
    expect(await database.postgres.query('SELECT id FROM timers')).toEqual([]);
  });

  test('the trace of an upload says who has acknowledged what, who has not, and how it ended', async () => {
    running = instance({ surfaces: ['web', 'cdn'] });
    const inspect = createInspect({ database, clock, environment: null as never, index: null as never });
    const told = async () =>
      (await inspect.trace(event.upload))!.steps
        .filter((s) => s.stage === 'acknowledge')
        .map((s) => [s.part, s.outcome, s.note]);
    await running.send();
    await running.wait(30);
    const at = new Date(clock.now()).toISOString();
    await running.say({ ...acknowledgement(event, 'cdn', clock.now(), 'failed'), note: 'purge refused' });
    expect(await told()).toEqual([
      ['', 'waits for web, cdn', `takedown ${event.id}, sent 2 times`],
      ['cdn', 'failed', `purge refused; by its own clock ${at}`],
    ]);
    await running.done('web');
    await clock.advance(S);
    await running.done('cdn');
    expect(await told()).toEqual([
      ['', 'closed (acknowledged)', `takedown ${event.id}, sent 2 times`],
      ['web', 'done', `by its own clock ${at}`],
      ['cdn', 'done', `by its own clock ${new Date(clock.now()).toISOString()}`],
    ]);
  });

  test('two instances send each of many again once', async () => {
    const many = Array.from({ length: 120 }, (_, i) => actionEvent(`up_${n}_${i}`));
    for (const one of many) await running.send(one);
    await takeSent(database);
    await clock.advance(30 * S);
    const stop = new AbortController();
    const before = clock.sleepers;
    const loops = [instance(), instance()].map(({ timers }) => runTimers(timers, stop.signal));
    await vi.waitFor(() => expect(clock.sleepers).toBe(before + 2), { timeout: 20_000 });
    stop.abort();
    await Promise.all(loops);
    expect((await attempts()).sort()).toEqual(many.map(({ id }) => [id, 2]).sort());
  });

  test('acknowledgements and timers that meet on the same uploads leave each closed, and none sent after that', async () => {
    running = instance({ surfaces: ['web', 'cdn'] });
    const many = Array.from({ length: 60 }, (_, i) => actionEvent(`up_${n}_${i}`));
    for (const one of many) await running.send(one);
    for (const one of many.slice(0, 20)) for (const surface of ['web', 'cdn']) await running.done(surface, one);
    await clock.advance(30 * S);
    const other = instance({ surfaces: ['web', 'cdn'] });
    const words = many.flatMap((one, i) => [
      running.failed('cdn', one),
      ...(i % 2
        ? [running.done('web', one), running.done('cdn', one)]
        : [running.done('cdn', one), running.done('web', one)]),
    ]);
    await Promise.all([...words, takeTimers(running.timers), takeTimers(other.timers)]);
    while ((await takeTimers(other.timers)) > 0);
    const rows = await Promise.all(many.map((one) => row(one)));
    expect(new Set(rows.map((r) => r!.closedWhy))).toEqual(new Set(['acknowledged']));
    await running.wait(3600, 600);
    const sent = await takeSent(database);
    expect(sent.alarms).toEqual([]);
    const counts = new Map<string, number>();
    for (const { event: one } of sent.actions) counts.set(one.id, Math.max(counts.get(one.id) ?? 0, one.attempt));
    expect(many.map(({ id }) => counts.get(id))).toEqual(rows.map((r) => r!.attempts));
    expect(sent.actions.length).toBe(rows.reduce((sum, r) => sum + r!.attempts, 0));
  }, 60_000);

  test('an instance that dies in the middle has sent nothing: the next one does', async () => {
    await running.send();
    await takeSent(database);
    await clock.advance(30 * S);
    const dying = {
      ...running.actions.handlers,
      'action-resend': async (...given: Parameters<(typeof running.actions.handlers)['action-resend']>) => {
        await running.actions.handlers['action-resend'](...given);
        throw new Error('killed');
      },
    };
    await expect(takeTimers({ ...running.timers, handlers: dying })).rejects.toThrow('killed');
    expect(await attempts()).toEqual([]);
    expect(await row()).toMatchObject({ attempts: 1 });
    await takeTimers(running.timers);
    expect(await attempts()).toEqual([[event.id, 2]]);
  });

  test('from the log: what is understood closes the action, the rest goes to the dead topic and stops nothing', async () => {
    running = instance({ surfaces: ['web'] });
    await running.send();
    await using log = await openPostgresEventLog({ postgres: database.postgres, logger });
    await log.ensureTopics([TOPICS.acknowledgements, deadSpec(TOPICS.acknowledgements)]);
    const key = event.upload;
    const said = (data: unknown, id: string) =>
      recordOf({ to: 'acknowledgements', key, id, type: 'vigil.media.acknowledged', data }, clock.now(), null as never);
    const good = acknowledgement(event, 'web', clock.now());
    await log.append(
      await Promise.all([
        said({ ...good, status: 'perhaps' }, 'a'),
        said({ ...good, action: 'act_unknown' }, 'b'),
        said(good, 'c'),
        said(good, 'c'),
      ]),
    );
    const stop = new AbortController();
    const environment = { isBroken: async () => false };
    const deps = { log, blobs: null as never, clock: realClock, logger, environment, ...unwatched() };
    const consumer = runStage(running.stage, deps, stop.signal);
    await vi.waitFor(async () => expect(await row()).toMatchObject({ closedWhy: 'acknowledged' }), { timeout: 20_000 });
    stop.abort();
    await consumer.done;
    const reasons: string[] = [];
    const dead = deadTopic(TOPICS.acknowledgements.name);
    for (const { partition, start, end } of await log.ends(dead)) {
      for await (const { headers } of log.read(dead, partition, start, end)) reasons.push(headers.vigil_reason ?? '');
    }
    expect(reasons).toEqual([expect.stringMatching(/status/), 'no action act_unknown was ever sent']);
  });
});
