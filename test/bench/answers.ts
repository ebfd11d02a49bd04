import { setTimeout as sleep } from 'node:timers/promises';
import { openEnvelope, TakedownEvent, TOPICS, Verdict } from '@vigil/contracts';
import type { EventLog } from '@vigil/event-log';
import type { Sample } from './latency-media.ts';

/** What became of one upload. Times in milliseconds. */
export interface Answer {
  upload: string;
  sample: Sample;
  /** From the upload event to the takedown event in the log; null where nothing was taken down. */
  latency: number | null;
  /** null: none came while we waited. */
  verdict: Verdict | null;
  /** What is wrong with it, in a word; null when it is as it must be. */
  wrong: 'missing' | 'wrong-reference' | 'innocent' | 'unanswered' | null;
}

/** What Vigil says, as a platform hears it: takedowns and verdicts out of the log. */
export interface Answers {
  /** Waits for the upload's verdict (and the takedown that it speaks of), at most so long. */
  await(upload: string, sample: Sample, patienceMs: number): Promise<Answer>;
  /** How many of the uploads have a verdict. */
  verdicts(uploads: readonly string[]): number;
  /** Rejects when it can hear no more. */
  readonly failed: Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** @param names of references, by id  @param gone rejects when Vigil has ended */
export function hearAnswers(log: EventLog, names: ReadonlyMap<string, string>, gone: Promise<never>): Answers {
  const takedowns = new Map<string, { time: number; event: TakedownEvent }>();
  const verdicts = new Map<string, Verdict>();
  const waiting = new Map<string, () => void>();
  /** Two topics keep no order between them: the verdict may be read before the takedown that it speaks of. */
  const answered = (upload: string) =>
    verdicts.has(upload) && (verdicts.get(upload)!.verdict !== 'taken-down' || takedowns.has(upload));
  const tell = (upload: string) => {
    if (answered(upload)) waiting.get(upload)?.();
  };
  const stop = new AbortController();
  const consumer = log.consume({
    group: 'bench',
    topics: [TOPICS.takedowns.name, TOPICS.verdicts.name],
    concurrency: 1,
    signal: stop.signal,
    async handle(record) {
      if (record.topic === TOPICS.takedowns.name) {
        const event = openEnvelope(TakedownEvent, record).event.data;
        if (!takedowns.has(event.upload)) takedowns.set(event.upload, { time: record.time, event });
        tell(event.upload);
      } else {
        const verdict = openEnvelope(Verdict, record).event.data;
        verdicts.set(verdict.upload, verdict);
        tell(verdict.upload);
      }
    },
    bury: () => Promise.reject(new Error('an event of Vigil cannot be read')),
  });

  function answerOf(upload: string, sample: Sample): Answer {
    const takedown = takedowns.get(upload);
    const verdict = verdicts.get(upload) ?? null;
    const latency = takedown ? takedown.time - takedown.event.latency.receivedAt : null;
    return { upload, sample, latency, verdict, wrong: wrongOf() };

    function wrongOf(): Answer['wrong'] {
      if (takedown && sample.copyOf === null) return 'innocent';
      if (takedown) return names.get(takedown.event.reference?.id ?? '') === sample.copyOf ? null : 'wrong-reference';
      if (!verdict) return 'unanswered';
      return sample.copyOf === null ? null : 'missing';
    }
  }

  const failed = Promise.race([gone, consumer.done]);
  failed.catch(() => undefined);
  return {
    async await(upload, sample, patienceMs) {
      const { promise, resolve } = Promise.withResolvers<void>();
      waiting.set(upload, resolve);
      const late = new AbortController();
      const patience = sleep(patienceMs, undefined, { signal: late.signal }).catch(() => undefined);
      if (!answered(upload)) await Promise.race([promise, patience, failed]);
      late.abort();
      waiting.delete(upload);
      return answerOf(upload, sample);
    },
    verdicts: (uploads) => uploads.filter((u) => verdicts.has(u)).length,
    failed,
    async [Symbol.asyncDispose]() {
      stop.abort();
      await consumer.done;
    },
  };
}
