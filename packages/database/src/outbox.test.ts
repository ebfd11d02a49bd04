import { setTimeout as pause } from 'node:timers/promises';
import { afterAll, beforeEach, expect, test } from 'vitest';
import { openTestDatabase } from '../../../test/support/postgres.ts';
import type { Database } from './open-database.ts';
import {
  enqueue,
  OUTBOX_CHANNEL,
  type OutboxEvent,
  outboxLag,
  publishedEvents,
  purgeOutbox,
  relayBatch,
} from './outbox.ts';
import { event } from './testing.ts';

const database: Database = await openTestDatabase(12);
afterAll(() => database[Symbol.asyncDispose]());
beforeEach(async () => {
  await database.postgres.query('TRUNCATE outbox; UPDATE outbox_cursor SET seq = (SELECT seq FROM outbox_head)');
});

const idOf = (e: OutboxEvent) => e.headers.ce_id!;
const send = (...ids: string[]) =>
  database.transaction(async (tx) => {
    for (const id of ids) await enqueue(tx, event(id));
  });

async function drain(limit = 100): Promise<string[]> {
  const seen: string[] = [];
  const take = async (events: OutboxEvent[]) => void seen.push(...events.map(idOf));
  while ((await relayBatch(database, limit, take)) > 0);
  return seen;
}

test('a transaction sends what it enqueued if it commits, and nothing if it does not', async () => {
  await send('a', 'b');
  const failing = database.transaction(async (tx) => {
    await enqueue(tx, event('never'));
    throw new Error('rolled back');
  });
  await expect(failing).rejects.toThrow('rolled back');
  await send('c');
  expect(await drain()).toEqual(['a', 'b', 'c']);
  expect(await drain()).toEqual([]);
});

test('an event arrives as it was sent', async () => {
  const sent: OutboxEvent = {
    ...event('x'),
    headers: { ce_id: 'x', 'content-type': 'application/json' },
    value: Uint8Array.of(0, 1, 255),
  };
  const tombstone: OutboxEvent = { ...event('t'), value: null };
  await database.transaction(async (tx) => {
    await enqueue(tx, sent);
    await enqueue(tx, tombstone);
  });
  const got: OutboxEvent[] = [];
  await relayBatch(database, 10, async (events) => got.push(...events));
  expect(got).toEqual([sent, tombstone]);
});

test('the first write of an id wins', async () => {
  await send('same', 'other');
  await send('same');
  expect(await drain()).toEqual(['same', 'other']);
  await send('same', 'new');
  expect(await drain()).toEqual(['new']);
});

test('who began first but commits last comes last, and the reader does not pass him by', async () => {
  let release: (() => void) | undefined;
  const held = new Promise<void>((resolve) => {
    release = resolve;
  });
  const slow = database.transaction(async (tx) => {
    await enqueue(tx, event('slow'));
    await held;
  });
  await send('quick');
  expect(await drain()).toEqual(['quick']);
  release!();
  await slow;
  expect(await drain()).toEqual(['slow']);
});

test('many slow, concurrent and rolled back writers, and three relays: nothing is lost, nothing comes twice, in order of commits', async () => {
  const committed: string[] = [];
  const seen: string[] = [];
  let writing = true;
  const relay = async (limit: number) => {
    while (writing) {
      await relayBatch(database, limit, async (events) => void seen.push(...events.map(idOf)));
      await pause(1);
    }
  };
  const relays = [1, 3, 5].map(relay);
  const writer = async (w: number) => {
    for (let n = 0; n < 15; n++) {
      const ids = [`${w}-${n}-a`, `${w}-${n}-b`];
      const fails = (w + n) % 4 === 0;
      await database
        .transaction(async (tx) => {
          await enqueue(tx, event(ids[0]!));
          await tx.query('SELECT pg_sleep($1)', [((w * 7 + n) % 5) / 1000]);
          await enqueue(tx, event(ids[1]!));
          if (fails) throw new Error('rolled back');
          committed.push(...ids);
        })
        .catch((error: Error) => expect(error.message).toBe('rolled back'));
    }
  };
  await Promise.all(Array.from({ length: 8 }, (_, w) => writer(w)));
  writing = false;
  await Promise.all(relays);
  seen.push(...(await drain()));
  expect([...seen].sort()).toEqual([...committed].sort());
  for (let w = 0; w < 8; w++) {
    const own = (list: string[]) => list.filter((id) => id.startsWith(`${w}-`));
    expect(own(seen)).toEqual(own(committed));
  }
  const rows = await database.postgres.query<{ seq: number; id: string }>(
    'SELECT seq, event_id AS id FROM outbox ORDER BY seq',
  );
  expect(seen).toEqual(rows.map((r) => r.id));
  expect(rows.map((r) => r.seq - rows[0]!.seq)).toEqual(committed.map((_, i) => i));
});

test('a relay that fails sends the same again; two relays do not send side by side', async () => {
  await send('a', 'b');
  await expect(relayBatch(database, 10, () => Promise.reject(new Error('the log is away')))).rejects.toThrow('away');
  const inner: number[] = [];
  const seen: string[] = [];
  await relayBatch(database, 10, async (events) => {
    inner.push(await relayBatch(database, 10, async () => undefined));
    seen.push(...events.map(idOf));
  });
  expect(inner).toEqual([0]);
  expect(seen).toEqual(['a', 'b']);
});

test('listeners are woken at the commit', async () => {
  const woken = Promise.withResolvers<void>();
  await using _ = await database.postgres.listen(OUTBOX_CHANNEL, () => woken.resolve());
  await send('a');
  await woken.promise;
  expect(await drain()).toEqual(['a']);
});

test('what was published is known for its key, until it is purged', async () => {
  await send('a');
  expect(await outboxLag(database.postgres)).toEqual({ waiting: 1, oldest: expect.any(Number) });
  expect(await publishedEvents(database.postgres, 'up_1')).toMatchObject([
    { id: 'a', type: 'vigil.test', publishedAt: null },
  ]);
  expect(await purgeOutbox(database.postgres, Number.MAX_SAFE_INTEGER)).toBe(0);
  await drain();
  expect(await outboxLag(database.postgres)).toEqual({ waiting: 0, oldest: null });
  const [entry] = await publishedEvents(database.postgres, 'up_1');
  expect(entry!.publishedAt).toBeGreaterThanOrEqual(entry!.createdAt);
  expect(await purgeOutbox(database.postgres, entry!.publishedAt!)).toBe(0);
  expect(await purgeOutbox(database.postgres, entry!.publishedAt! + 1)).toBe(1);
});

test('where the outbox has lost its head nothing is committed without its events', async () => {
  const lost = database.transaction(async (tx) => {
    await tx.query('DELETE FROM outbox_head');
    await enqueue(tx, event('a'));
  });
  await expect(lost).rejects.toThrow('outbox_head has no row');
  await send('b');
  expect(await drain()).toEqual(['b']);
});

test('enqueue outside of a transaction is refused', async () => {
  await expect(enqueue(database.postgres, event('a'))).rejects.toThrow('inside of Database.transaction');
});
