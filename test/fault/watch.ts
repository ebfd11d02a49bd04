import { setTimeout as sleep } from 'node:timers/promises';
import type { BlobStore } from '@vigil/blob-store';
import {
  deadTopic,
  Manifest,
  openEnvelope,
  SliceCodes,
  TakedownEvent,
  TOPICS,
  type TopicName,
  Verdict,
} from '@vigil/contracts';
import type { EventLog, LogRecord } from '@vigil/event-log';
import { unspilled } from '@vigil/pipeline';
import type { Observed } from './oracle.ts';

/** Reads what the fleet says, as anybody could: topics from their first record on, whatever happens to the broker meanwhile. */
export interface Watch {
  /** Reads to the present ends; false when the log is away. */
  look(): Promise<boolean>;
  observed(): Observed;
  /** First verdict's time in the log, by upload. */
  readonly judgedAt: ReadonlyMap<string, number>;
  /** Newest verdict by upload. */
  readonly newest: ReadonlyMap<string, Verdict>;
  /** When slices were cut and when their fingerprints came, `upload/slice`; log time. */
  readonly cut: ReadonlyMap<string, number>;
  readonly fingerprinted: ReadonlyMap<string, number>;
  /** All records of a topic read so far: what is delivered once more. */
  readonly seen: ReadonlyMap<TopicName, readonly LogRecord[]>;
}

const KEPT = 400;
/** What goes from stage to stage, and may be delivered once more. */
export const WORK: readonly TopicName[] = [
  'uploads',
  'manifests',
  'slicesFirst',
  'slicesRest',
  'fingerprints',
  'alignments',
  'proposals',
  'evidence',
];
const READ: readonly TopicName[] = [...WORK, 'takedowns', 'verdicts'];

/** @param blobs where large events lie; nothing goes wrong between it and us */
export function watch(log: EventLog, blobs: BlobStore): Watch {
  const next = new Map<string, number>();
  const verdicts: { id: string; data: Verdict }[] = [];
  const takedowns: { id: string; data: TakedownEvent }[] = [];
  const dead: { topic: string; key: string; group: string; reason: string }[] = [];
  const deadlines = new Map<string, number>();
  const judgedAt = new Map<string, number>();
  const newest = new Map<string, Verdict>();
  const cut = new Map<string, number>();
  const fingerprinted = new Map<string, number>();
  const seen = new Map<TopicName, LogRecord[]>();

  /** What we planted ourselves cannot be opened; whether it was put away is looked at elsewhere. */
  const opened = <T>(open: () => T): T | null => {
    try {
      return open();
    } catch {
      return null;
    }
  };

  async function take(name: TopicName, record: LogRecord): Promise<void> {
    const list = seen.get(name) ?? [];
    seen.set(name, list);
    list.push(record);
    if (list.length > KEPT) list.shift();
    if (name === 'verdicts') {
      const { event } = openEnvelope(Verdict, record);
      verdicts.push({ id: event.id, data: event.data });
      const { upload, revision } = event.data;
      if (revision === 1 && !judgedAt.has(upload)) judgedAt.set(upload, record.time);
      if (revision >= (newest.get(upload)?.revision ?? 0)) newest.set(upload, event.data);
    }
    if (name === 'takedowns') {
      const { event } = openEnvelope(TakedownEvent, record);
      takedowns.push({ id: event.id, data: event.data });
    }
    if (name === 'manifests') {
      const found = opened(() => openEnvelope(Manifest, record).event.data);
      if (found)
        deadlines.set(found.upload, Math.min(found.deadline, deadlines.get(found.upload) ?? Number.POSITIVE_INFINITY));
    }
    if ((name === 'slicesFirst' || name === 'slicesRest') && !cut.has(record.key)) cut.set(record.key, record.time);
    if (name === 'fingerprints') {
      const envelope = await unspilled(record, blobs);
      const found = opened(() => openEnvelope(SliceCodes, envelope).event.data);
      const place = found && `${record.key}/${found.slice}`;
      if (place && !fingerprinted.has(place)) fingerprinted.set(place, record.time);
    }
  }

  async function readOn(topic: string, take: (record: LogRecord) => unknown): Promise<void> {
    for (const { partition, start, end } of await log.ends(topic)) {
      const place = `${topic}/${partition}`;
      const from = next.get(place) ?? start;
      if (from >= end) continue;
      for await (const record of log.read(topic, partition, from, end)) {
        await take(record);
        next.set(place, record.offset + 1);
      }
    }
  }

  async function readAll(): Promise<boolean> {
    try {
      for (const name of READ) await readOn(TOPICS[name].name, (record) => take(name, record));
      for (const { name } of Object.values(TOPICS)) {
        await readOn(deadTopic(name), ({ topic, key, headers }) =>
          dead.push({
            topic,
            key,
            group: headers.vigil_group ?? headers.vigil_stage ?? '',
            reason: headers.vigil_reason ?? '',
          }),
        );
      }
      return true;
    } catch {
      await sleep(200);
      return false;
    }
  }

  /** One look at a time, or records would be taken twice. */
  let line: Promise<boolean> = Promise.resolve(true);

  return {
    look() {
      line = line.then(readAll);
      return line;
    },
    observed: () => ({ verdicts, takedowns, dead, deadlines }),
    judgedAt,
    newest,
    cut,
    fingerprinted,
    seen,
  };
}
