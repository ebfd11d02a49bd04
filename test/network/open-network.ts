import { createReadStream } from 'node:fs';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { Alarm, openEnvelope, TakedownEvent, TOPICS, Verdict } from '@vigil/contracts';
import type { EventLog } from '@vigil/event-log';
import { type Instance, type InstanceOptions, openInstance } from '@vigil/pipeline';
import { createLogger, isRetriable, readConfig } from '@vigil/runtime';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { createTestDatabase } from '../support/postgres.ts';
import { until } from '../support/until.ts';
import type { Fleet } from './open-fleet.ts';

/**
 * Vigil with everything real: in this process, on a database of its own and a folder that goes with it; or, given a fleet,
 * its processes, with only the door in this one.
 */
export interface Network {
  instance: Instance;
  dataFolder: string;
  databaseUrl: string;
  /** Registers files and waits until each is live or refused; reference ids by name. */
  protect(files: readonly { name: string; file: string }[]): Promise<Map<string, string>>;
  /** Sends files; upload ids by name. */
  upload(files: readonly { name: string; file: string }[]): Promise<Map<string, string>>;
  /** Waits until each of the uploads has a verdict, or the time is up. */
  drain(uploads: Iterable<string>, seconds: number): Promise<void>;
  /** All that went out so far, in order of the log. */
  takedowns(): Promise<TakedownEvent[]>;
  verdicts(): Promise<Verdict[]>;
  alarms(): Promise<Alarm[]>;
  /** Waits, a minute unless told otherwise, until there is something. @throws what stopped the pipeline, or that the time is up */
  until<T>(what: string, look: () => Promise<T | null | undefined | false>, seconds?: number): Promise<T>;
  [Symbol.asyncDispose](): Promise<void>;
}

export async function openNetwork({
  settings = {},
  fleet,
  ...options
}: {
  wrapLog?: (log: EventLog) => EventLog;
  statfs?: NonNullable<InstanceOptions['statfs']>;
  settings?: Record<string, string>;
  fleet?: Pick<Fleet, 'env'>;
} = {}): Promise<Network> {
  const stack = new AsyncDisposableStack();
  const dataFolder = await mkdtemp(path.join(tmpdir(), 'vigil-network-'));
  stack.defer(() => rm(dataFolder, { recursive: true, force: true }));
  const url = fleet?.env.DATABASE_URL ?? stack.use(await createTestDatabase()).url;
  const stores = fleet ? { ...fleet.env, VIGIL_ROLES: 'api' } : { DATABASE_URL: url };
  const config = readConfig({ ...process.env, ...stores, ...settings, VIGIL_DATA: dataFolder });
  const logger = createLogger({ level: 'warn' });
  const instance = stack.use(await openInstance({ config, logger, ffmpeg: await ffmpegHere(), ...options }));

  async function all<T>(topic: string, open: (record: Parameters<typeof openEnvelope>[1]) => T): Promise<T[]> {
    const found: T[] = [];
    for (const { partition, start, end } of await instance.log.ends(topic)) {
      for await (const record of instance.log.read(topic, partition, start, end)) found.push(open(record));
    }
    return found;
  }
  const verdicts = () => all(TOPICS.verdicts.name, (r) => openEnvelope(Verdict, r).event.data);
  const takedowns = () => all(TOPICS.takedowns.name, (r) => openEnvelope(TakedownEvent, r).event.data);

  const alarms = () => all(TOPICS.alarms.name, (r) => openEnvelope(Alarm, r).event.data);

  const untilThere: Network['until'] = (what, look, seconds = 60) => {
    // On a machine with much else to do even a question may come too late to be answered.
    const ask = () => look().catch((error: unknown) => (isRetriable(error) ? null : Promise.reject(error)));
    return until(what, ask, { seconds, failed: instance.failed });
  };

  return {
    instance,
    dataFolder,
    databaseUrl: config.databaseUrl!,
    async protect(files) {
      const ids = new Map<string, string>();
      for (const { name, file } of files) {
        const { reference } = await instance.intake.reference(name, createReadStream(file), { title: name });
        ids.set(name, reference.id);
      }
      const wanted = new Set(ids.values());
      const settled = async () => {
        const views = await instance.inspect.references();
        return (
          views.filter((v) => wanted.has(v.id) && (v.state === 'live' || v.state === 'rejected')).length === wanted.size
        );
      };
      await untilThere('references live', settled, 600);
      return ids;
    },
    async upload(files) {
      const ids = new Map<string, string>();
      for (const { name, file } of files) {
        const { upload } = await instance.intake.upload(name, createReadStream(file), { account: 'someone' });
        ids.set(name, upload);
      }
      return ids;
    },
    async drain(uploads, seconds) {
      const wanted = new Set(uploads);
      const allJudged = async () => {
        const judged = new Set((await verdicts()).map((v) => v.upload));
        return [...wanted].every((id) => judged.has(id));
      };
      await untilThere('verdicts', allJudged, seconds);
    },
    takedowns,
    verdicts,
    alarms,
    until: untilThere,
    [Symbol.asyncDispose]: () => stack.disposeAsync(),
  };
}
