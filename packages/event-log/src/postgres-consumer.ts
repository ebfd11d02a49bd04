import { randomUUID } from 'node:crypto';
import { isRetriable, type Logger, type Postgres } from '@vigil/runtime';
import { type ConsumeOptions, type Consumer, EventLogError } from './event-log.ts';
import type { Gate } from './gate.ts';
import { createPartitionWork, type Owned, type WorkLimits } from './partition-work.ts';
import { translated } from './postgres-errors.ts';
import { type Beat, beat, join, leave, type Seat, writeProgress } from './postgres-group.ts';
import { fetchRecords } from './postgres-read.ts';
import type { Topics } from './postgres-topics.ts';
import type { Wake } from './postgres-wake.ts';

export interface ConsumerSettings extends WorkLimits {
  /** A member that has not been heard of for so long loses its partitions. */
  leaseMs: number;
  /** Without any notification, new records are found after this time. */
  pollMs: number;
  /** How long records that run are awaited when draining. */
  drainMs: number;
  /** How long the database may stay away before the consumer stops. */
  patienceMs: number;
}

export interface ConsumerParts {
  postgres: Postgres;
  topics: Topics;
  wake: Wake;
  gate: Gate;
  settings: ConsumerSettings;
  logger: Logger;
}

/** Three activities side by side: a heart that beats, a fetcher that sleeps until woken, and the work itself. */
export function startConsumer(parts: ConsumerParts, options: ConsumeOptions): Consumer {
  const { postgres, wake, settings } = parts;
  const { group, signal } = options;
  const logger = parts.logger.child({ group });
  const member = randomUUID();
  const hungry = new Set<Owned>();
  const heart = createSleeper();
  const fetcher = createSleeper();
  let seat: Seat | undefined;
  let leaseEnd = Number.NEGATIVE_INFINITY;
  let failure: { error: unknown } | undefined;
  let stopping = false;
  let over = false;
  let stop: () => void = () => undefined;
  const stopped = new Promise<void>((resolve) => {
    stop = () => {
      stopping = true;
      for (const owned of work.owned) void work.settle(owned);
      resolve();
    };
  });
  const fail = (error: unknown) => {
    failure ??= { error };
    stop();
  };
  const failFor = (error: unknown) => fail(translated(error));

  const work = createPartitionWork({
    consume: options,
    limits: settings,
    gate: parts.gate,
    mayBegin: () => performance.now() < leaseEnd,
    write: (entries, durable) => writeProgress(postgres, seat!, entries, durable ? 'durable' : 'soon'),
    fail,
    onRoom: fetcher.wake,
    onLost(owned) {
      hungry.delete(owned);
      logger.warn({ topic: owned.topic, partition: owned.partition }, 'lost a partition to another consumer');
    },
  });

  const heed = ({ lost, surplus, claimed }: Beat) => {
    for (const owned of lost) work.lose(owned);
    for (const { progress, plan, ...place } of claimed) {
      if (plan.kind !== 'together') logger.warn({ ...place, ...progress.deaths, plan: plan.kind }, 'records run alone');
      const owned = work.assign(place, progress, plan);
      // Claimed by a beat that was under way when we stopped: only to be given back in good order.
      if (stopping) void work.settle(owned);
      else hungry.add(owned);
    }
    if (claimed.length > 0) fetcher.wake();
    for (const owned of surplus) void giveBack(owned);
  };
  const returning = new Set<Owned>();
  const giveBack = async (owned: Owned) => {
    if (returning.has(owned)) return;
    returning.add(owned);
    await work.settle(owned);
    // What was completed last may be on its way; it must not come after the farewell.
    await work.flush().catch(() => undefined);
    // While draining, the farewell of all partitions takes care of this one too.
    if (!over && !owned.lost) {
      const entry = { owned, progress: work.farewell(owned) };
      await writeProgress(postgres, seat!, [entry], 'leave').then(
        () => {
          work.forget(owned);
          hungry.delete(owned);
          wake.members(group);
        },
        (error) => {
          // The next beat finds that the table still says that it is ours, and mends that.
          logger.warn({ error }, 'could not give a partition back');
          work.lose(owned);
        },
      );
    }
    returning.delete(owned);
  };

  const liveOn = async () => {
    let members = '';
    let troubleSince: number | undefined;
    let joined = false;
    while (!over) {
      const began = performance.now();
      try {
        seat ??= await takeSeat();
        if (!joined) await join(postgres, seat);
        joined = true;
        const heard = await beat(postgres, seat, work.owned, !stopping);
        leaseEnd = began + settings.leaseMs;
        troubleSince = undefined;
        heed(heard);
        if (members !== heard.members) wake.members(group);
        members = heard.members;
      } catch (error) {
        troubleSince ??= began;
        if (!isRetriable(error) || began - troubleSince > settings.patienceMs) return failFor(error);
        logger.warn({ error }, 'the heart missed a beat');
      }
      if (performance.now() > leaseEnd) for (const owned of work.owned) work.lose(owned);
      work.watch();
      const rest = troubleSince === undefined ? settings.leaseMs / 3 : Math.min(500, settings.leaseMs / 10);
      await heart.sleep(Math.min(rest, settings.stallMs / 2));
    }
  };
  const takeSeat = async (): Promise<Seat> => {
    const names = [...new Set(options.topics)];
    const topics = await Promise.all(names.map((name) => parts.topics.get(name)));
    return { group, member, topics, leaseMs: settings.leaseMs, limits: settings };
  };

  const fetchOn = async () => {
    let nextPoll = performance.now() + settings.pollMs;
    while (!stopping) {
      if (performance.now() >= nextPoll) {
        nextPoll = performance.now() + settings.pollMs;
        for (const owned of work.owned) hungry.add(owned);
      }
      const asked = [...hungry].flatMap((owned) => {
        const room = owned.room();
        return room.records > 0 ? [{ owned, ...room }] : [];
      });
      if (asked.length === 0) {
        await fetcher.sleep(nextPoll - performance.now());
        continue;
      }
      // Whoever is told of news from now on is hungry again, whatever this fetch brings.
      for (const { owned } of asked) hungry.delete(owned);
      try {
        await fetchFor(asked);
      } catch (error) {
        for (const { owned } of asked) if (!owned.lost) hungry.add(owned);
        if (!isRetriable(error)) return failFor(error);
        logger.warn({ error }, 'could not fetch');
        await new Promise((resolve) => setTimeout(resolve, Math.min(500, settings.pollMs)));
      }
    }
  };
  const fetchFor = async (asked: readonly { owned: Owned; records: number; bytes: number }[]) => {
    const idOf = (name: string) => seat!.topics.find((t) => t.name === name)!.id;
    const wants = asked.map(({ owned, records, bytes }) => {
      return { topic: idOf(owned.topic), partition: owned.partition, from: owned.fetchFrom, records, bytes };
    });
    const found = await fetchRecords(postgres, wants, (id) => seat!.topics.find((t) => t.id === id)!.name);
    for (const [i, { owned, records, bytes }] of asked.entries()) {
      const want = wants[i]!;
      const list = found.get(`${want.topic}/${want.partition}`) ?? [];
      const first = list[0];
      const topic = seat!.topics.find((t) => t.id === want.topic)!;
      if (first && first.offset > want.from && topic.cleanup === 'delete') {
        const skipped = { topic: topic.name, partition: want.partition, from: want.from, to: first.offset };
        logger.error(skipped, 'records were removed by retention before this group had read them');
      }
      owned.accept(list);
      const size = list.reduce((sum, record) => sum + (record.value?.length ?? 0), 0);
      if ((list.length === records || size >= bytes) && !owned.lost) hungry.add(owned);
    }
  };

  const drain = async () => {
    const late = new EventLogError(`what ran did not end within ${settings.drainMs} ms`, { retriable: true });
    let timer: NodeJS.Timeout | undefined;
    const patience = new Promise<'late'>((resolve) => {
      timer = setTimeout(resolve, settings.drainMs, 'late');
    });
    const settled = Promise.all([...work.owned].map((owned) => work.settle(owned)));
    if ((await Promise.race([settled, patience])) === 'late') {
      failure ??= { error: late };
      for (const owned of work.owned) work.abort(owned, late);
    }
    clearTimeout(timer);
  };
  const sayFarewell = async () => {
    if (!seat) return;
    await work.flush();
    const owned = [...work.owned];
    const entries = owned.map((one) => ({ owned: one, progress: work.farewell(one) }));
    if (entries.length > 0) await writeProgress(postgres, seat, entries, 'leave');
    for (const one of owned) work.forget(one);
    await leave(postgres, seat);
    wake.members(group);
  };

  const live = async () => {
    const tellRecords = (topic: string) => () => {
      for (const owned of work.owned) if (owned.topic === topic) hungry.add(owned);
      fetcher.wake();
    };
    const listening = [
      ...options.topics.map((topic) => wake.onRecords(topic, tellRecords(topic))),
      wake.onMembers(group, heart.wake),
    ];
    if (signal.aborted) stop();
    signal.addEventListener('abort', stop, { once: true });
    const heartbeats = stopping ? Promise.resolve() : liveOn();
    const fetching = fetchOn().catch(failFor);
    await stopped;
    fetcher.wake();
    await fetching;
    await drain();
    over = true;
    heart.wake();
    await heartbeats.catch(failFor);
    try {
      await sayFarewell();
    } catch (error) {
      // Nobody hears of what was done since the last commit: it is read again when the lease has ended.
      failure ??= { error: translated(error) };
      logger.warn({ error }, 'could not say farewell');
      for (const owned of work.owned) work.forget(owned);
    } finally {
      signal.removeEventListener('abort', stop);
      for (const unhear of listening) unhear();
    }
    if (failure) throw failure.error;
  };

  const done = live();
  // The caller may look at it late; it is no less rejected then.
  done.catch(() => undefined);
  return {
    done,
    assignment: () => [...work.owned].map(({ topic, partition }) => ({ topic, partition })),
  };
}

/** Sleeps until woken or until the time is up. A wake-up that comes while nobody sleeps counts for the next sleep. */
function createSleeper() {
  let woken = false;
  let wakeUp: (() => void) | undefined;
  return {
    wake: () => {
      woken = true;
      wakeUp?.();
    },
    sleep: (ms: number) =>
      new Promise<void>((resolve) => {
        wakeUp = () => {
          clearTimeout(timer);
          wakeUp = undefined;
          woken = false;
          resolve();
        };
        const timer = setTimeout(wakeUp, Math.max(0, ms));
        if (woken) wakeUp();
      }),
  };
}
