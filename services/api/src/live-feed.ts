import { randomBytes } from 'node:crypto';
import { type Alarm, type TakedownEvent, TOPICS, type Verdict } from '@vigil/contracts';
import {
  CASES_CHANNEL,
  type Database,
  findReferences,
  happenedInCases,
  OUTBOX_CHANNEL,
  outboxAfter,
  outboxEnd,
  REFERENCES_CHANNEL,
} from '@vigil/database';
import type { Clock, Logger } from '@vigil/runtime';
import type { Principal } from './principal.ts';

/** Something that whoever watches is told. */
export interface Told {
  /** Names it when the watcher comes back; in order of telling. */
  id: string;
  type: 'verdict' | 'takedown' | 'case' | 'reference' | 'alarm' | 'reset';
  data: Record<string, unknown>;
}
interface Kept extends Told {
  n: number;
  /** For this holder as well; null: for no holder. undefined: for all. */
  holder: string | null | undefined;
}

/**
 * What happens, for whoever watches, whichever process it happens in: verdicts and takedowns as they commit to the outbox, steps of
 * cases and states of references as the database tells of them. The newest are kept, so that a connection that was lost is taken up
 * where it was; who was away for longer, or comes from another process, hears `reset` and asks anew for what is shown.
 */
export interface LiveFeed {
  /** `since`: the last id that was heard. Returns what was missed; null when that is not known any more. */
  missed(who: Principal, since: string): Told[] | null;
  /** From now on. Returns how to stop. */
  watch(who: Principal, tell: (told: Told) => void): Promise<() => void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Of the outbox; what else leaves by it is in other forms. */
const SHOWN: readonly string[] = [TOPICS.verdicts.name, TOPICS.takedowns.name, TOPICS.alarms.name];
const KEPT = 2000;
/** Things that happen together are looked up together. */
const GATHER_MS = 50;
const BATCH = 500;
const MOST_PENDING = 5000;
/** Of one look: what was cleared is counted, and only a few are named. */
const MOST_CLEARED = 5;

export function createLiveFeed(deps: { database: Database; clock: Clock; logger: Logger }): LiveFeed {
  const { database, clock, logger } = deps;
  const db = database.postgres;
  const boot = randomBytes(6).toString('base64url');
  const kept: Kept[] = [];
  const watchers = new Set<{ who: Principal; tell: (told: Told) => void }>();
  let next = 1;
  let place = 0;
  let started: Promise<AsyncDisposableStack> | null = null;
  let cases = new Set<string>();
  let references = new Set<string>();
  let lost = false;
  let timer: NodeJS.Timeout | null = null;
  let gathering: Promise<void> | null = null;
  let closed = false;

  const isFor = ({ type, holder }: Kept, who: Principal): boolean => {
    if (type === 'alarm') return who.role === 'operator';
    return who.role !== 'holder' || holder === undefined || holder === who.holder;
  };
  function add(type: Told['type'], holder: Kept['holder'], data: Told['data']): void {
    const n = next++;
    const told: Kept = { n, id: `${boot}.${n}`, type, holder, data };
    kept.push(told);
    if (kept.length > KEPT) kept.splice(0, kept.length - KEPT);
    for (const { who, tell } of watchers) if (isFor(told, who)) tell(told);
  }

  async function readOutbox(): Promise<void> {
    let cleared = 0;
    for (;;) {
      const rows = await outboxAfter(db, place, BATCH);
      for (const { topic, value, createdAt: at } of rows) {
        if (!SHOWN.includes(topic) || !value) continue;
        const data: unknown = JSON.parse(new TextDecoder().decode(value));
        if (topic === TOPICS.verdicts.name) {
          const { upload, verdict, reason, revision, cause } = data as Verdict;
          if (verdict === 'cleared' && ++cleared > MOST_CLEARED) continue;
          add('verdict', null, { at, upload, verdict, reason, revision, cause });
        } else if (topic === TOPICS.takedowns.name) {
          const { upload, action, case: of, work, holder, rule, confidence, latency, attempt } = data as TakedownEvent;
          if (attempt > 1) continue;
          const after = latency.decidedAt - latency.receivedAt;
          add('takedown', holder, { at, upload, action, case: of, work, holder, rule, confidence, after });
        } else if (topic === TOPICS.alarms.name) {
          const { kind, subject, message } = data as Alarm;
          add('alarm', null, { at, kind, subject, message });
        }
      }
      place = rows.at(-1)?.seq ?? place;
      if (rows.length < BATCH) return;
    }
  }

  async function gather(): Promise<void> {
    const [links, changed] = [[...cases], [...references]];
    [cases, references] = [new Set(), new Set()];
    if (lost) {
      lost = false;
      add('reset', undefined, {});
    }
    await readOutbox();
    for (const { case: id, holder, ...rest } of links.length > 0 ? await happenedInCases(db, links) : [])
      add('case', holder, { case: id, holder, ...rest });
    const keys = changed.map((name) => {
      const cut = name.lastIndexOf('/');
      return { id: name.slice(0, cut), version: Number(name.slice(cut + 1)) };
    });
    for (const { id, holder, state } of keys.length > 0 ? await findReferences(db, keys) : [])
      add('reference', holder, { at: clock.now(), reference: id, holder, state });
  }

  /** Soon, and one look after the other. */
  function wake(): void {
    if (timer || closed) return;
    timer = setTimeout(() => {
      timer = null;
      gathering = (gathering ?? Promise.resolve())
        .then(() => (closed ? undefined : gather()))
        .catch((error: unknown) => {
          // The database is away, say: whoever watches asks anew once it is back.
          logger.warn({ error }, 'the live view could not be told of something');
          lost = true;
        });
    }, GATHER_MS);
    timer.unref();
  }
  function note(names: Set<string>, name: string): void {
    // Empty: the connection was lost meanwhile, and nobody knows what was missed.
    if (name === '' || names.size >= MOST_PENDING) lost = true;
    else names.add(name);
    wake();
  }

  async function start(): Promise<AsyncDisposableStack> {
    await using stack = new AsyncDisposableStack();
    stack.use(await db.listen(OUTBOX_CHANNEL, wake));
    stack.use(await db.listen(CASES_CHANNEL, (name) => note(cases, name)));
    stack.use(await db.listen(REFERENCES_CHANNEL, (name) => note(references, name)));
    place = await outboxEnd(db);
    return stack.move();
  }

  return {
    missed(who, since) {
      const [of, n] = since.split('.');
      const first = kept[0]?.n ?? next;
      if (of !== boot || !/^\d+$/.test(n ?? '') || Number(n) + 1 < first || Number(n) >= next) return null;
      return kept.filter((told) => told.n > Number(n) && isFor(told, who));
    },

    async watch(who, tell) {
      started ??= start();
      await started.catch((error: unknown) => {
        started = null;
        throw error;
      });
      const watcher = { who, tell };
      watchers.add(watcher);
      return () => void watchers.delete(watcher);
    },

    async [Symbol.asyncDispose]() {
      closed = true;
      if (timer) clearTimeout(timer);
      await gathering;
      await (await started?.catch(() => null))?.disposeAsync();
    },
  };
}
