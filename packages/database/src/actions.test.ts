import { type Acknowledgement, actionId, attemptId, type TakedownEvent } from '@vigil/contracts';
import { openPostgres } from '@vigil/runtime';
import { afterAll, describe, expect, test } from 'vitest';
import { createEmptyDatabase, openTestDatabase } from '../../../test/support/postgres.ts';
import {
  acknowledgementsOf,
  actionsOf,
  addAction,
  closeAction,
  countAlarm,
  countAttempt,
  findAction,
  recordAcknowledgement,
  reopenAction,
} from './actions.ts';
import { MIGRATIONS, migrate } from './migrate.ts';
import { openDatabase } from './open-database.ts';
import { enqueue } from './outbox.ts';
import { takedownsAfter } from './reports.ts';
import { decision, event, media } from './testing.ts';
import { lockUpload } from './uploads.ts';

const takedown = (upload: string, epoch = 0, action: TakedownEvent['action'] = 'takedown'): TakedownEvent => {
  const { evidence, territories, rule, policy, manifest } = decision('ref_1');
  return {
    id: actionId(upload, media.version, action, epoch),
    action,
    upload,
    media,
    kind: 'video',
    account: null,
    reference: evidence.reference,
    work: 'w',
    holder: 'h',
    case: 'c',
    claims: [],
    territories,
    segments: evidence.segments,
    longest: evidence.longest,
    total: evidence.total,
    share: evidence.share,
    altered: evidence.altered,
    codeKind: evidence.kind,
    radius: 31,
    confidence: 1,
    manifest,
    rule,
    policy,
    ground: 'rights-holder-rule',
    statement: null,
    why: null,
    automatedDetection: true,
    automatedDecision: true,
    epoch,
    attempt: 1,
    supersedes: null,
    engine: '1',
    latency: { receivedAt: 1, decidedAt: 2 },
  };
};

describe('actions', async () => {
  const database = await openTestDatabase();
  afterAll(() => database[Symbol.asyncDispose]());
  const db = database.postgres;
  const add = async (event: TakedownEvent, surfaces = ['web', 'cdn']) => {
    await lockUpload(db, event.upload);
    return addAction(db, { event, surfaces, now: 100 });
  };

  test('an action is added once, and comes back as it was sent', async () => {
    const event = takedown('up_once');
    expect(await add(event)).toBe(true);
    expect(await add({ ...event, rule: 'another' })).toBe(false);
    expect(await findAction(db, event.id)).toEqual({
      id: event.id,
      upload: 'up_once',
      action: 'takedown',
      epoch: 0,
      event,
      surfaces: ['web', 'cdn'],
      attempts: 1,
      alarms: 0,
      sentAt: 100,
      lastSentAt: 100,
      closedAt: null,
      closedWhy: null,
    });
    expect(await findAction(db, 'act_none')).toBeNull();
    await expect(add({ ...event, id: 'act_other' })).rejects.toMatchObject({ code: '23505' });
  });

  test('it is closed with a reason, the first one, and may be opened again', async () => {
    const { id } = takedown('up_close');
    await add(takedown('up_close'));
    await closeAction(db, id, 'acknowledged', 200);
    await closeAction(db, id, 'superseded', 300);
    expect(await findAction(db, id)).toMatchObject({ closedAt: 200, closedWhy: 'acknowledged' });
    await reopenAction(db, id);
    expect(await findAction(db, id)).toMatchObject({ closedAt: null, closedWhy: null });
    expect([await countAttempt(db, id, 400), await countAttempt(db, id, 500), await countAlarm(db, id)]).toEqual([
      2, 3, 1,
    ]);
    expect(await findAction(db, id)).toMatchObject({ attempts: 3, alarms: 1, sentAt: 100, lastSentAt: 500 });
    await add(takedown('up_close', 1, 'restore'));
    expect((await actionsOf(db, 'up_close')).map((a) => [a.action, a.epoch])).toEqual([
      ['takedown', 0],
      ['restore', 1],
    ]);
  });

  test('the latest word of a surface holds, whatever the order in which its words come', async () => {
    const words: [Acknowledgement['status'], number][] = [
      ['failed', 10],
      ['done', 20],
      ['failed', 20],
      ['done', 5],
    ];
    for (const order of permutations([0, 1, 2, 3])) {
      const event = takedown(`up_words_${order.join('')}`);
      await add(event);
      const say = (n: number) => {
        const [status, at] = words[n]!;
        const said = { action: event.id, upload: event.upload, surface: 'web', status, at, note: `${n}` };
        return recordAcknowledgement(db, said, 700);
      };
      for (const n of order) await say(n);
      for (const n of order) expect(await say(n), `word ${n} once more, after ${order}`).toBe(false);
      expect(await acknowledgementsOf(db, event.id), `${order}`).toEqual([
        { action: event.id, surface: 'web', status: 'done', at: 20, note: '1', recordedAt: 700 },
      ]);
    }
  });

  test('a note of any content and a time with fractions are kept as far as they can be', async () => {
    const event = takedown('up_note');
    await add(event);
    const note = `\0\u{d800}\x1b ${'x'.repeat(5000)}`;
    const said = { action: event.id, upload: event.upload, surface: 'web', status: 'failed' as const, at: 1.6, note };
    expect(await recordAcknowledgement(db, said, 1)).toBe(true);
    const [kept] = await acknowledgementsOf(db, event.id);
    expect(kept).toMatchObject({ at: 2, status: 'failed' });
    expect(kept!.note).toMatch(/^\u{fffd}\u{fffd}\u{fffd} x{1996}$/u);
  });
});

test('an export passes by no takedown that is committed late, and goes on where it ended', async () => {
  await using database = await openTestDatabase();
  const { postgres } = database;
  const send = (upload: string, sentAt: number, hold: Promise<void> | null = null, action?: 'restore') =>
    database.transaction(async (tx) => {
      const sent = takedown(upload, action ? 1 : 0, action);
      await lockUpload(tx, upload);
      await addAction(tx, { event: sent, surfaces: [], now: sentAt });
      await enqueue(tx, event(sent.id, 'vigil.takedowns'));
      await hold;
    });
  const uploads = async (after: string | null, limit = 10) =>
    (await takedownsAfter(postgres, after, limit))?.map((t) => t.event.upload);
  const id = (upload: string) => takedown(upload).id;

  const { promise, resolve } = Promise.withResolvers<void>();
  const late = send('up_late', 100, promise);
  await send('up_a', 200);
  await send('up_a', 250, null, 'restore');
  await send('up_b', 300);
  expect(await uploads(null)).toEqual(['up_a', 'up_b']);
  resolve();
  await late;
  expect(await uploads(id('up_b'))).toEqual(['up_late']);
  expect(await uploads(null)).toEqual(['up_a', 'up_b', 'up_late']);
  expect([await uploads(null, 1), await uploads(id('up_a'), 1)]).toEqual([['up_a'], ['up_b']]);
  expect(await uploads(takedown('up_a', 1, 'restore').id)).toEqual(['up_b', 'up_late']);
  expect(await uploads(id('up_late'))).toEqual([]);
  expect(await uploads('act_none')).toBeUndefined();
  // Sent again, it stays where it was.
  await database.transaction((tx) => enqueue(tx, event(attemptId(id('up_a'), 2), 'vigil.takedowns')));
  await database.transaction((tx) => enqueue(tx, event(id('up_a'), 'vigil.takedowns')));
  expect(await uploads(null)).toEqual(['up_a', 'up_b', 'up_late']);
  await postgres.query('TRUNCATE outbox');
  expect(await uploads(id('up_b'))).toEqual(['up_late']);
});

test('takedowns of an earlier release are exported in the order in which they were sent, before all others', async () => {
  await using server = await createEmptyDatabase();
  await using postgres = openPostgres({ url: server.url, max: 1 });
  await migrate(
    postgres,
    MIGRATIONS.filter((m) => m.number < 15),
  );
  for (const [upload, sentAt] of Object.entries({ up_c: 30, up_a: 10, up_b: 20 })) {
    await lockUpload(postgres, upload);
    await addAction(postgres, { event: takedown(upload), surfaces: [], now: sentAt });
  }
  await using database = await openDatabase({ url: server.url, max: 2 });
  await database.transaction(async (tx) => {
    const sent = takedown('up_d');
    await lockUpload(tx, 'up_d');
    await addAction(tx, { event: sent, surfaces: [], now: 5 });
    await enqueue(tx, event(sent.id, 'vigil.takedowns'));
  });
  const all = (await takedownsAfter(database.postgres, null, 10))!.map((t) => t.event.upload);
  expect(all).toEqual(['up_a', 'up_b', 'up_c', 'up_d']);
});

test('takedowns sent by an earlier release are known after the migration, and wait for nobody', async () => {
  await using server = await createEmptyDatabase();
  await using postgres = openPostgres({ url: server.url, max: 1 });
  await migrate(postgres, MIGRATIONS.slice(0, 1));
  const event = takedown('up_old', 3);
  await postgres.query(`INSERT INTO uploads (id) VALUES ('up_old')`);
  await postgres.query(
    `INSERT INTO outbox (seq, event_id, topic, key, headers, value, created_at)
     VALUES (1, $1, 'vigil.takedowns', 'up_old', '{}', $2, 50), (2, 'v', 'vigil.verdicts', 'up_old', '{}', $2, 50)`,
    [event.id, new TextEncoder().encode(JSON.stringify(event))],
  );
  await migrate(postgres);
  expect(await actionsOf(postgres, 'up_old')).toMatchObject([
    { id: event.id, epoch: 3, event, surfaces: [], sentAt: 50, closedAt: 50, closedWhy: 'not-awaited' },
  ]);
});

function permutations<T>(items: T[]): T[][] {
  if (items.length < 2) return [items];
  return items.flatMap((item, i) => permutations(items.toSpliced(i, 1)).map((rest) => [item, ...rest]));
}
