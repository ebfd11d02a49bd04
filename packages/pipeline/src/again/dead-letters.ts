import { hostname, userInfo } from 'node:os';
import { deadTopic, derivedId, type Headers, TOPICS } from '@vigil/contracts';
import {
  addDeadLetters,
  type Database,
  type DeadCause,
  type DeadLetter,
  type DeadWhich,
  deadCauses,
  deadLetters,
  deadPlaces,
  settleLetter,
} from '@vigil/database';
import type { EventLog, LogRecord } from '@vigil/event-log';
import type { Clock } from '@vigil/runtime';
import { CUT_HEADER, LETTER_HEADERS } from '../dead-letter.ts';
import { sendAlarm } from '../send-output.ts';

/** Events that could not be handled: read off the dead topics, grouped by what they died of, tried again or dropped. */
export interface DeadLetters {
  /** Reads what has died since the last call; a cause that goes on trips one alarm a day. Returns how many were new. */
  catchUp(): Promise<number>;
  causes(which?: DeadWhich): Promise<DeadCause[]>;
  letters(which: DeadWhich, limit?: number, after?: DeadLetter | null): Promise<DeadLetter[]>;
  /** The event itself; null when the log keeps it no longer. */
  read(letter: Pick<DeadLetter, 'topic' | 'partition' | 'offset'>): Promise<LogRecord | null>;
  /** Back to the topics where they came from, each once, if it is whole; what dies again is another letter. */
  retry(which: DeadWhich, by: string): Promise<Settled>;
  drop(which: DeadWhich, by: string, why: string): Promise<Settled>;
}

export interface Settled {
  settled: number;
  /** Whose record is not there any more. */
  gone: number;
  /** Left open, because what lies there is not all of the event: whoever sent that must send it again. Absent where there is none. */
  cut?: number;
}

/** Of one cause within a day: then it is no accident, and somebody is told. */
export const ALARM_AFTER = 5;
const DAY_MS = 24 * 3600 * 1000;
const AT_ONCE = 200;

/** What a retried event carries: the letter that it was. */
export const RETRY_HEADER = 'vigil_retry';
/** What was never the event's own. */
const OURS = [...LETTER_HEADERS, RETRY_HEADER];

/** Whoever sits at this terminal, for the record. */
export const whoAmI = (): string => `${userInfo().username}@${hostname()}`;

export const letterName = ({ topic, partition, offset }: Pick<DeadLetter, 'topic' | 'partition' | 'offset'>): string =>
  `${topic}/${partition}/${offset}`;

/** The same for letters whose reasons differ only in what they are about: ids, numbers, addresses, digests. */
export function causeOf(topic: string, stage: string, reason: string): string {
  const [first = ''] = reason.split('\n');
  const shape = first
    .replace(/\b[a-z]+_[A-Za-z0-9_-]{8,}\b/g, '*')
    .replace(/\b[0-9a-f]{16,}\b/gi, '*')
    .replace(/\b[A-Za-z0-9_-]{20,}\b/g, '*')
    .replace(/\S*\/\S+/g, '*')
    .replace(/\d+/g, '#');
  return derivedId('cause', topic, stage, shape.slice(0, 300));
}

export function createDeadLetters(deps: { database: Database; log: EventLog; clock: Clock }): DeadLetters {
  const { database, log, clock } = deps;
  const db = database.postgres;

  async function readPlace(topic: string, partition: number, from: number, end: number): Promise<number> {
    let read = 0;
    let batch: LogRecord[] = [];
    const save = async () => {
      const letters = batch.map((record) => letterOf(topic, record));
      await database.transaction(async (tx) => {
        await addDeadLetters(tx, { topic, partition, next: batch.at(-1)!.offset + 1 }, letters);
        const now = clock.now();
        for (const cause of new Set(letters.map((l) => l.cause))) {
          const [known] = await deadCauses(tx, { cause, state: 'open' });
          if (!known || known.open < ALARM_AFTER) continue;
          // One a cause and day, whoever counts: the outbox sends no id twice.
          const id = derivedId('ev', 'dead-letters', cause, Math.floor(now / DAY_MS));
          const message = `${known.open} events died in ${known.stage} (${known.topic}): ${known.reason.slice(0, 300)}. \`vigil dead show ${cause}\` shows them`;
          await sendAlarm(tx, id, { kind: 'dead-letters', subject: cause, message, at: now });
        }
      });
      read += batch.length;
      batch = [];
    };
    for await (const record of log.read(topic, partition, from, end)) {
      batch.push(record);
      if (batch.length >= AT_ONCE) await save();
    }
    if (batch.length > 0) await save();
    return read;
  }

  async function read({ topic, partition, offset }: Pick<DeadLetter, 'topic' | 'partition' | 'offset'>) {
    for await (const record of log.read(topic, partition, offset, offset + 1)) {
      if (record.offset === offset) return record;
    }
    return null;
  }

  async function settleAll(
    which: DeadWhich,
    settle: (letter: DeadLetter) => Promise<'settled' | 'gone' | 'cut' | 'not-open'>,
  ): Promise<Settled> {
    const counted: Settled = { settled: 0, gone: 0 };
    let last: DeadLetter | null = null;
    // What dies again meanwhile is not open to this call.
    const until = clock.now();
    for (;;) {
      const letters: DeadLetter[] = await deadLetters(db, { ...which, state: 'open' }, AT_ONCE, last);
      for (const letter of letters) {
        if (letter.diedAt > until) return counted;
        const became = await settle(letter);
        if (became !== 'not-open') counted[became] = (counted[became] ?? 0) + 1;
      }
      if (letters.length < AT_ONCE) return counted;
      last = letters.at(-1)!;
    }
  }

  return {
    async catchUp() {
      const places = new Map((await deadPlaces(db)).map((p) => [`${p.topic}/${p.partition}`, p.next]));
      let read = 0;
      for (const { name } of Object.values(TOPICS)) {
        const topic = deadTopic(name);
        for (const { partition, start, end } of await log.ends(topic)) {
          const from = Math.max(start, places.get(`${topic}/${partition}`) ?? start);
          if (from < end) read += await readPlace(topic, partition, from, end);
        }
      }
      return read;
    },
    causes: (which = {}) => deadCauses(db, which),
    letters: (which, limit, after) => deadLetters(db, which, limit, after),
    read,

    retry: (which, by) =>
      settleAll(which, async (letter) => {
        const record = await read(letter);
        if (!record) return 'gone';
        if (record.headers[CUT_HEADER]) return 'cut';
        const headers: Headers = {};
        for (const [name, value] of Object.entries(record.headers)) {
          if (!OURS.includes(name)) headers[name] = value;
        }
        headers[RETRY_HEADER] = letterName(letter);
        const topic = letter.topic.replace(/\.dead$/, '');
        // Sent before it is written down: who dies in between sends it twice, and whoever reads it knows its id.
        await log.append([{ topic, key: record.key, headers, value: record.value }]);
        const how = { state: 'retried', by, why: null, now: clock.now() } as const;
        return (await settleLetter(db, letter, how)) ? 'settled' : 'not-open';
      }),

    drop: (which, by, why) =>
      settleAll(which, async (letter) => {
        const how = { state: 'dropped', by, why, now: clock.now() } as const;
        return (await settleLetter(db, letter, how)) ? 'settled' : 'not-open';
      }),
  };
}

function letterOf(topic: string, { offset, key, time, headers }: LogRecord) {
  const { vigil_reason: reason = 'not said', vigil_stage: stage = 'not said' } = headers;
  const retryOf = headers[RETRY_HEADER] ?? null;
  return { offset, key, stage, reason, cause: causeOf(topic, stage, reason), diedAt: time, retryOf };
}
