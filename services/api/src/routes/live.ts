import { Readable } from 'node:stream';
import { findKey, sessionLives } from '@vigil/database';
import { z } from 'zod';
import { opensAt } from '../credentials.ts';
import type { Deps } from '../deps.ts';
import type { Told } from '../live-feed.ts';
import { type Principal, seatOf } from '../principal.ts';
import { Problem } from '../problem.ts';
import { type Route, route } from '../route.ts';
import { When } from '../schemas.ts';

const STATUS_MS = 2000;
const HEARTBEAT_MS = 15_000;
/** Then the browser comes again by itself, and is looked at again. */
const LONGEST_MS = 3600_000;
/** Whoever does not read is cut off, and comes back for what was missed. */
const MOST_UNREAD = 512 * 1024;
const MOST_OF_ONE = 20;
const MOST_IN_ALL = 2000;

const Rate = z.number().int().nullable().describe('null where it is not told');
const Counts = z.array(z.number().int());
export const Status = z
  .object({
    at: When,
    rates: z.object({ uploads: Rate, verdicts: Rate, takedowns: Rate }).describe('in the last minute'),
    takedown: z
      .object({ p50: z.number().nullable(), p95: z.number().nullable(), count: z.number().int() })
      .describe('milliseconds from upload event to takedown, over a quarter of an hour'),
    minutes: z.object({ from: When, uploads: Counts, verdicts: Counts, takedowns: Counts }),
    cases: z.object({ open: z.number().int(), contested: z.number().int() }),
    queues: z
      .object({
        ...{ lag: z.number().int().nullable(), review: z.number().int(), held: z.number().int() },
        ...{ unacknowledged: z.number().int(), deadLetters: z.number().int().nullable() },
      })
      .nullable(),
    canary: z.looseObject({}).nullable(),
    brakes: z.array(z.looseObject({})).nullable(),
    health: z.object({ ready: z.boolean(), checks: z.record(z.string(), z.string()) }).nullable(),
  })
  .meta({ id: 'LiveStatus' });

/** What happens, as it happens. */
export function liveRoutes({ database, live }: Deps): Route[] {
  const db = database.postgres;
  const streams = new Map<string, number>();

  async function stillOpens(who: Principal): Promise<boolean> {
    if (who.session) return sessionLives(db, who.session, Date.now());
    if (!who.id.startsWith('key_')) return true;
    const key = await findKey(db, who.id);
    return key !== null && opensAt(key, Date.now());
  }

  async function open(who: Principal, since: string | undefined): Promise<Readable> {
    const seat = seatOf(who);
    const mine = streams.get(seat) ?? 0;
    const all = [...streams.values()].reduce((sum, n) => sum + n, 0);
    if (mine >= MOST_OF_ONE || all >= MOST_IN_ALL)
      throw new Problem('too-many-requests', 'too many live views are open', {}, { 'retry-after': '10' });
    // Before anything is waited for: those that come meanwhile are counted as well.
    streams.set(seat, mine + 1);
    const leave = () => {
      const left = streams.get(seat)! - 1;
      if (left > 0) streams.set(seat, left);
      else streams.delete(seat);
    };
    const stream = new Readable({ read: () => undefined });
    const write = (text: string) => {
      if (stream.destroyed) return;
      stream.push(text);
      if (stream.readableLength > MOST_UNREAD) stream.destroy();
    };
    const say = (type: string, data: unknown, id?: string) =>
      write(`${id ? `id: ${id}\n` : ''}event: ${type}\ndata: ${JSON.stringify(data)}\n\n`);
    const tell = ({ id, type, data }: Told) => say(type, data, id);

    // What happens while the past is looked up comes after it, once.
    const during: Told[] = [];
    let begun = false;
    const watching = live.feed.watch(who, (told) => (begun ? tell(told) : void during.push(told)));
    const stop = await watching.catch((error: unknown) => {
      leave();
      throw error;
    });
    const missed = since === undefined ? [] : live.feed.missed(who, since);
    say('hello', { now: Date.now(), resumed: since !== undefined && missed !== null });
    if (missed === null) say('reset', {});
    for (const told of missed ?? []) tell(told);
    const last = missed?.at(-1)?.id;
    begun = true;
    for (const told of last ? [] : during) tell(told);

    let queue = '';
    const status = async () => {
      const now = await live.status(who);
      say('status', now);
      const { review, held } = now.queues ?? {};
      if (now.queues && queue !== `${review}/${held}`) say('queue', { at: now.at, open: review, held });
      queue = `${review}/${held}`;
    };
    let busy = false;
    const ticks = setInterval(() => {
      if (busy) return;
      busy = true;
      // Away for a while: the next look may find it again.
      void status()
        .catch(() => undefined)
        .finally(() => {
          busy = false;
        });
    }, STATUS_MS);
    const beats = setInterval(() => {
      write(': still here\n\n');
      stillOpens(who).then(
        (opens) => opens || stream.push(null),
        () => undefined,
      );
    }, HEARTBEAT_MS);
    const end = setTimeout(() => stream.push(null), LONGEST_MS);
    stream.once('close', () => {
      stop();
      leave();
      clearInterval(ticks);
      clearInterval(beats);
      clearTimeout(end);
    });
    void status().catch(() => undefined);
    return stream;
  }

  return [
    route({
      method: 'GET',
      path: '/v1/live/now',
      tag: 'live',
      summary: 'Show how all goes: uploads, verdicts, takedowns a minute, time to takedown, queues',
      verb: 'live:read',
      answer: { status: 200, describe: 'Of a holder: what is its own', schema: Status },
      run: async (_, { who }) => ({ body: await live.status(who) }),
    }),
    route({
      method: 'GET',
      path: '/v1/live',
      tag: 'live',
      summary: 'Hear what happens as it happens (server-sent events)',
      details:
        'Events: hello, status, queue, verdict, takedown, case, reference, alarm, reset. With `last-event-id` it goes on where it was; `reset` says that it cannot.',
      verb: 'live:read',
      answer: { status: 200, describe: 'A stream that does not end', type: 'text/event-stream' },
      async run(_, { who, header }) {
        const since = header('last-event-id');
        return { body: await open(who, since), headers: { 'x-accel-buffering': 'no' } };
      },
    }),
  ];
}
