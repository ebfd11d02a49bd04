/**
 * Above 400 lines by a little: everything in here shares the state of one membership, and it reads best in the order of its
 * life. One member of a group, from its first join to its farewell. kafkajs joins, fetches and heartbeats; which record runs when,
 * what is committed, and when all of it has to end is decided here and in partition-work.ts.
 */
import { randomUUID } from 'node:crypto';
import { isRetriable, type Logger } from '@vigil/runtime';
import { type ConsumeOptions, type Consumer, EventLogError } from './event-log.ts';
import type { Gate } from './gate.ts';
import { createAudit } from './kafka-audit.ts';
import type { Admin, Client, ClientNews, EachBatchPayload } from './kafka-client.ts';
import { isEvicted, translated, within } from './kafka-errors.ts';
import { createAssigner, encodeHolder } from './kafka-membership.ts';
import { fromOffset, toOffset, toRecord } from './kafka-records.ts';
import { inherit, nameOf, type Place } from './kafka-take-over.ts';
import type { Topics } from './kafka-topics.ts';
import { createPartitionWork, type Owned, type Progress, type WorkLimits } from './partition-work.ts';

export interface ConsumerSettings extends WorkLimits {
  /** A member that has not been heard of for so long loses its partitions. The broker bounds it (6 s to 30 min). */
  sessionMs: number;
  heartbeatMs: number;
  /** How long a group waits for a member to join again before it goes on without it. */
  rebalanceMs: number;
  /** How long the broker holds a fetch that finds nothing; also how late a resumed partition may be. */
  maxWaitMs: number;
  /** How long records that run are awaited when draining, and then the farewell. */
  drainMs: number;
  /** How long the cluster may stay away before the consumer stops. */
  patienceMs: number;
  /** A partition with records that nobody fetches is noticed after one to two of these. */
  auditMs: number;
}

export interface ConsumerParts {
  clientId: string;
  connect(clientId: string, news: ClientNews): Client;
  admin(): Promise<Admin>;
  /** Runs what asks by `admin`, and sees to another one where that has become unfit. */
  fresh<T>(work: () => Promise<T>): Promise<T>;
  topics: Topics;
  gate: Gate;
  settings: ConsumerSettings;
  logger: Logger;
}

const TICK_MS = 250;
const RESTART_MS = 500;
/** For the group to hear that we leave, where it has not even heard our farewell. */
const LEAVE_UNHEARD_MS = 500;
const FETCH_BYTES = 8 * 1024 * 1024;
const PARTITION_FETCH_BYTES = 1024 * 1024;

export function startConsumer(parts: ConsumerParts, options: ConsumeOptions): Consumer {
  const { settings } = parts;
  const { group, signal } = options;
  /** The name by which other members see that this one lives. */
  const self = `${parts.clientId}.${randomUUID().slice(0, 8)}`;
  const logger = parts.logger.child({ group, member: self });
  /** What the group has given us, and of it what we work at. */
  let assigned = new Map<string, Place>();
  const adopted = new Map<string, Owned>();
  /** Former owners that are held to be dead, by place. */
  const blamed = new Map<string, readonly string[]>();
  const paused = new Set<string>();
  const audit = createAudit();
  let joins = 0;
  let leaseEnd = Number.NEGATIVE_INFINITY;
  let lastContact = performance.now();
  /** Since then: when the first connection was lost. */
  let troubleSince: number | undefined;
  let failure: { error: unknown } | undefined;
  let stopping = false;
  let over = false;
  const leaving = new AbortController();

  const stopped = Promise.withResolvers<void>();
  const stop = () => {
    if (stopping) return;
    stopping = true;
    pause([...assigned.values()]);
    for (const owned of work.owned) void work.settle(owned);
    stopped.resolve();
  };
  const fail = (error: unknown) => {
    failure ??= { error };
    stop();
  };
  const failFor = (error: unknown) => fail(translated(error));
  const give = (text: string) => fail(new EventLogError(text, { retriable: true }));

  const work = createPartitionWork({
    consume: options,
    limits: settings,
    gate: parts.gate,
    mayBegin: () => performance.now() < leaseEnd,
    async write(entries) {
      try {
        await commit(entries);
        return [];
      } catch (error) {
        if (isEvicted(error)) return entries.map(({ owned }) => owned);
        throw error;
      }
    },
    fail,
    onRoom: () => {
      for (const owned of work.owned) if (owned.room().records > 0) resume(owned);
    },
    onLost(owned) {
      adopted.delete(nameOf(owned));
      logger.warn({ topic: owned.topic, partition: owned.partition }, 'lost a partition to another consumer');
    },
  });

  const client = parts.connect(self, {
    onClosed: () => {
      troubleSince ??= performance.now();
    },
    // Offsets that begin anew would be taken for old ones, and passed over. Whoever comes next begins where the log does.
    onOutOfRange: () => give('an offset was out of range: retention has overtaken us, or the log was made anew'),
  });
  const kafka = client.consumer({
    group,
    sessionMs: settings.sessionMs,
    rebalanceMs: settings.rebalanceMs,
    heartbeatMs: settings.heartbeatMs,
    turns: { maxWaitMs: settings.maxWaitMs, over: leaving.signal },
    maxBytes: Math.min(FETCH_BYTES, settings.prefetchBytes),
    maxBytesPerPartition: Math.min(PARTITION_FETCH_BYTES, settings.prefetchBytes),
    assigner: createAssigner(() => {
      const mine = performance.now() < leaseEnd && !stopping ? [...adopted.values()] : [];
      const byTopic = Map.groupBy(mine, ({ topic }) => topic);
      return Object.fromEntries([...byTopic].map(([topic, list]) => [topic, list.map(({ partition }) => partition)]));
    }),
    restart: () => !over,
  });

  const pause = (places: readonly Place[]) => {
    for (const place of places) paused.add(nameOf(place));
    quietly(() => kafka.pause(places.map(({ topic, partition }) => ({ topic, partitions: [partition] }))));
  };
  const resume = (place: Place) => {
    if (stopping || !paused.delete(nameOf(place))) return;
    quietly(() => kafka.resume([{ topic: place.topic, partitions: [place.partition] }]));
  };

  /** One at a time; resolves only when the broker has said that it was written. */
  let line: Promise<unknown> = Promise.resolve();
  let written = 0;
  const commit = (entries: readonly { owned: Place; progress: Progress }[]) => {
    const mine = line.then(async () => {
      const before = written;
      await kafka.commitOffsets(
        entries.map(({ owned, progress: { committed, deaths } }) => ({
          topic: owned.topic,
          partition: owned.partition,
          offset: fromOffset(committed),
          metadata: encodeHolder({ deaths, holder: self, blamed: blamed.get(nameOf(owned)) ?? [] }),
        })),
      );
      // While it is stopped or being restarted, kafkajs resolves without having done anything.
      if (written === before) throw new EventLogError('not a member of the group at the moment', { retriable: true });
    });
    line = mine.catch(() => undefined);
    return mine;
  };

  const onJoin = (assignment: Record<string, number[]>) => {
    joins++;
    assigned = new Map(
      Object.entries(assignment).flatMap(([topic, partitions]) =>
        partitions.map((partition) => [nameOf({ topic, partition }), { topic, partition }]),
      ),
    );
    for (const owned of work.owned) {
      if (!assigned.has(nameOf(owned))) work.lose(owned);
      // Else kafkajs would begin at the committed offset again.
      else seek(owned, owned.fetchFrom);
    }
    for (const name of paused) if (!assigned.has(name)) paused.delete(name);
    pause(
      [...assigned.values()].filter((place) => stopping || paused.has(nameOf(place)) || !adopted.has(nameOf(place))),
    );
    logger.info({ partitions: [...assigned.keys()] }, 'joined the group');
    adopt();
  };
  const seek = ({ topic, partition }: Place, offset: number) =>
    quietly(() => kafka.seek({ topic, partition, offset: fromOffset(offset) }));

  let adopting = false;
  const adopt = () => {
    if (adopting) return;
    adopting = true;
    void adoptOn()
      .catch(failFor)
      .finally(() => {
        adopting = false;
      });
  };
  const missing = () => [...assigned.values()].filter((place) => !adopted.has(nameOf(place)));
  const adoptOn = async () => {
    for (let wait = 20; !stopping && performance.now() < leaseEnd; wait = Math.min(1000, 2 * wait)) {
      const places = missing();
      if (places.length === 0) return;
      const join = joins;
      try {
        await parts.fresh(() => take(places, () => join === joins && !stopping));
      } catch (error) {
        if (!isRetriable(translated(error))) throw error;
        logger.warn({ error }, 'could not take over partitions');
        await new Promise((resolve) => setTimeout(resolve, wait));
      }
    }
  };
  /** Reads where to begin and who died there, writes that they are held, and only then lets them be fetched. */
  const take = async (places: readonly Place[], stillOurs: () => boolean) => {
    const look = async () => inherit(await parts.admin(), { group, self, limits: settings, logger }, places);
    let entries = await look();
    // Whoever was only cut off has joined again within this time, and the group has made its shares anew.
    if (stillOurs() && entries.some(({ plan }) => plan.kind === 'bury')) {
      await new Promise((resolve) => setTimeout(resolve, settings.sessionMs));
      if (stillOurs()) entries = await look();
    }
    if (!stillOurs()) return;
    for (const entry of entries) blamed.set(nameOf(entry.owned), entry.blamed);
    await commit(entries);
    if (!stillOurs()) return;
    for (const { owned: place, progress, plan } of entries) {
      if (adopted.has(nameOf(place))) continue;
      adopted.set(nameOf(place), work.assign({ ...place, generation: joins }, progress, plan));
      seek(place, progress.committed);
      resume(place);
    }
  };

  const eachBatch = async ({ batch, resolveOffset, isRunning, isStale }: EachBatchPayload) => {
    const { topic, partition } = batch;
    // A consumer that was stopped may be handed records all the same (kafkajs#1593).
    if (over || stopping || !isRunning() || isStale()) return;
    const owned = adopted.get(nameOf(batch));
    if (!owned || owned.lost) return pause([batch]);
    const room = owned.room();
    const taken = [];
    let bytes = 0;
    let last: string | undefined;
    for (const message of batch.messages) {
      if (toOffset(message.offset) >= owned.fetchFrom) {
        if (taken.length >= room.records || bytes >= room.bytes) break;
        taken.push(toRecord(topic, partition, message));
        bytes += message.value?.length ?? 0;
      }
      last = message.offset;
    }
    if (last !== undefined) resolveOffset(last);
    audit.taken(nameOf(batch), last === batch.messages.at(-1)?.offset);
    owned.accept(taken);
    if (!owned.lost && owned.room().records === 0) pause([batch]);
  };

  const lookForStandstill = async () => {
    const waiting = [...adopted].filter(([name]) => !paused.has(name));
    await audit.run(await parts.admin(), new Map(waiting));
  };

  const listen = () => {
    const { events } = kafka;
    /** When the requests that prove us a member were sent, by our own clock: what comes late proves nothing. */
    const sent = new Map<string, number>();
    const heard = (request: string) => {
      leaseEnd = (sent.get(request) ?? Number.NEGATIVE_INFINITY) + settings.sessionMs;
      lastContact = performance.now();
      troubleSince = undefined;
    };
    kafka.on(events.REQUEST, ({ payload: { apiName, sentAt } }) => {
      if (apiName === 'Heartbeat' || apiName === 'SyncGroup')
        sent.set(apiName, performance.now() - (Date.now() - sentAt));
    });
    kafka.on(events.HEARTBEAT, () => {
      heard('Heartbeat');
      // Lost for a moment, by a lease that ended, and never given to anybody else.
      if (!stopping && missing().length > 0) adopt();
    });
    kafka.on(events.GROUP_JOIN, ({ payload }) => {
      heard('SyncGroup');
      onJoin(payload.memberAssignment);
    });
    kafka.on(events.COMMIT_OFFSETS, () => {
      written++;
    });
    kafka.on(events.END_BATCH_PROCESS, ({ payload }) =>
      audit.passed(nameOf(payload), Number(payload.lastOffset), payload.batchSize),
    );
    kafka.on(events.CRASH, ({ payload: { error, restart } }) => {
      if (restart || stopping) return;
      if (!isRetriable(translated(error))) return failFor(error);
      // It takes some errors for final that are not: the coordinator of a cluster that is just starting.
      logger.warn({ error }, 'starting again');
      setTimeout(() => void run().catch(failFor), RESTART_MS);
    });
  };

  const watch = () => {
    // kafkajs may fall silent without any error, and everything of it with it.
    const silenceMs = Math.max(settings.patienceMs, 6 * settings.sessionMs);
    let nextAudit = performance.now() + settings.auditMs;
    return setInterval(
      () => {
        const now = performance.now();
        if (now > leaseEnd) for (const owned of work.owned) work.lose(owned);
        work.watch();
        if (stopping) return;
        if (now - (troubleSince ?? now) > settings.patienceMs)
          give(`no way to the group for ${settings.patienceMs} ms`);
        if (now - lastContact > silenceMs) give(`no word from the group for ${silenceMs} ms`);
        if (now < nextAudit) return;
        nextAudit = now + settings.auditMs;
        void parts.fresh(lookForStandstill).catch((error) => {
          if (error instanceof EventLogError) fail(error);
          else logger.warn({ error }, 'could not ask where the log ends');
        });
      },
      Math.min(TICK_MS, settings.stallMs / 2, settings.sessionMs / 4),
    );
  };

  const join = async () => {
    for (const topic of options.topics) await parts.topics.get(topic);
    listen();
    while (!stopping) {
      try {
        await kafka.connect();
        await kafka.subscribe({ topics: [...new Set(options.topics)], fromBeginning: true });
        break;
      } catch (error) {
        const known = translated(error);
        if (!isRetriable(known) || performance.now() - lastContact > settings.patienceMs) throw known;
        logger.warn({ error }, 'could not reach the cluster');
        await new Promise((resolve) => setTimeout(resolve, 500));
      }
    }
    await run();
  };
  const run = async () => {
    if (!stopping) await kafka.run({ autoCommit: false, eachBatchAutoResolve: false, eachBatch });
  };

  const drain = async () => {
    const settled = Promise.all([...work.owned].map((owned) => work.settle(owned)));
    if (await within(settled, settings.drainMs)) return;
    const late = new EventLogError(`what ran did not end within ${settings.drainMs} ms`, { retriable: true });
    failure ??= { error: late };
    for (const owned of work.owned) work.abort(owned, late);
  };
  /** Others come and go while we do: what cannot be written between two assignments can be after the second. */
  const sayFarewell = async () => {
    for (const until = performance.now() + settings.drainMs; ; ) {
      try {
        await work.flush();
        const entries = [...work.owned].map((owned) => ({ owned, progress: work.farewell(owned) }));
        if (entries.length > 0) await commit(entries);
        return;
      } catch (error) {
        // Whatever we had belongs to others already.
        if (isEvicted(error)) return;
        if (performance.now() > until || !isRetriable(translated(error))) throw error;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
    }
  };
  const late = () => {
    throw new EventLogError(`the cluster did not answer within ${settings.drainMs} ms`, { retriable: true });
  };

  const live = async () => {
    if (signal.aborted) return;
    signal.addEventListener('abort', stop, { once: true });
    const ticking = watch();
    const joining = join().catch(failFor);
    await stopped.promise;
    await drain();
    over = true;
    clearInterval(ticking);
    let leaveMs = settings.drainMs;
    try {
      if (work.owned.size > 0 && !(await within(sayFarewell(), settings.drainMs))) late();
    } catch (error) {
      // Nobody hears of what was done since the last commit: it is read again when the session has ended.
      failure ??= { error: translated(error) };
      logger.warn({ error }, 'could not say farewell');
      leaveMs = LEAVE_UNHEARD_MS;
    }
    for (const owned of work.owned) work.forget(owned);
    signal.removeEventListener('abort', stop);
    leaving.abort();
    const left = within(
      joining.then(() => kafka.disconnect()),
      leaveMs,
    );
    if (!(await left.catch(() => false))) logger.warn({}, 'could not leave the group: its session must end');
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

/** Between two lives of kafkajs's consumer there is nothing to pause or seek; the next join sees to it. */
function quietly(work: () => void): void {
  try {
    work();
  } catch (error) {
    if (!/consumer group was not initialized/i.test(String(error))) throw error;
  }
}
