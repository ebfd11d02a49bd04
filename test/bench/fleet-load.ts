import { createReadStream } from 'node:fs';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { jsonEnvelope, TOPICS, type UploadEvent, uploadId } from '@vigil/contracts';
import { openInstance } from '@vigil/pipeline';
import { createLogger, readConfig } from '@vigil/runtime';
import type { Fleet, Members } from '../network/open-fleet.ts';
import { ffmpegHere } from '../support/ffmpeg.ts';
import { byProgram, cpuSecondsOf, processTree, pssOf } from '../support/process-tree.ts';
import { type Answer, hearAnswers } from './answers.ts';
import type { Sample } from './latency-media.ts';

/** A sample that lies in the platform's bucket, not announced yet. */
export interface Stored {
  sample: Sample;
  media: UploadEvent['media'];
}

/** CPU seconds so far, or bytes: of each member of the fleet, and of each server that it stands on. */
export interface Share {
  vigil: Record<string, number>;
  servers: Record<'kafka' | 's3' | 'postgres', number>;
}

/** The fleet as a platform sees it, which stores objects first and announces them when it likes. */
export interface FleetPlatform {
  protect(files: readonly { name: string; path: string }[]): Promise<void>;
  store(samples: readonly Sample[]): Promise<Stored[]>;
  /** Announces an object and waits for its verdict, at most so long. */
  ask(stored: Stored, patienceMs: number): Promise<Answer>;
  cpu(): Promise<Share>;
  /** How often a slice of the uploads was read again to confirm what was found. */
  readAgain(uploads: readonly string[]): Promise<number>;
  /** Proportional set size of each process of Vigil with its decoders, in bytes. */
  memory(): Promise<Record<string, number>>;
  [Symbol.asyncDispose](): Promise<void>;
}

const SERVERS = { kafka: 'java', s3: 'versitygw', postgres: 'postgres' } as const;

/** Slices that are decoded at once by each member that decodes; see `openInstance`. */
export const decodersOf = (members: Members): number[] =>
  Object.values(members)
    .map(({ VIGIL_CONCURRENCY = '0' }) => Number(VIGIL_CONCURRENCY))
    .filter((concurrency) => concurrency > 0);

export async function openFleetPlatform(fleet: Fleet, dataFolder: string): Promise<FleetPlatform> {
  const members = Object.keys(fleet.members);
  const stack = new AsyncDisposableStack();
  const config = readConfig({ ...process.env, ...fleet.env, VIGIL_ROLES: 'api', VIGIL_DATA: dataFolder });
  const logger = createLogger({ level: 'error' });
  const instance = stack.use(await openInstance({ config, logger, ffmpeg: await ffmpegHere() }));
  const names = new Map<string, string>();
  const gone = Promise.race(
    members.map((name) =>
      fleet.member(name).ended.then((end): never => {
        throw new Error(`${name} has ended: ${end.stdout.slice(-2000)}${end.stderr.slice(-2000)}`);
      }),
    ),
  );
  gone.catch(() => undefined);
  const answers = stack.use(hearAnswers(instance.log, names, gone));
  let stored = 0;

  const running = stack.move();
  return {
    async protect(files) {
      for (const { name, path: file } of files) {
        const { reference } = await instance.intake.reference(name, createReadStream(file));
        names.set(reference.id, name);
      }
      for (;;) {
        const views = (await instance.inspect.references()).filter((r) => names.has(r.id));
        const refused = views.find((r) => r.state === 'rejected');
        if (refused) throw new Error(`${refused.title} was refused: ${refused.reason}`);
        if (views.filter((r) => r.state === 'live').length === names.size) return;
        await Promise.race([sleep(100), answers.failed]);
      }
    },

    async store(samples) {
      const list: Stored[] = [];
      for (const sample of samples) {
        const key = `${stored++}${path.extname(sample.file)}`;
        const { version } = await instance.blobs.put('uploads', key, createReadStream(sample.file));
        list.push({ sample, media: { source: 'bench', bucket: 'uploads', key, version } });
      }
      return list;
    },

    async ask({ sample, media }, patienceMs) {
      const upload = uploadId(media);
      const receivedAt = Date.now();
      const data: UploadEvent = { action: 'created', media, visibility: 'public', receivedAt };
      const about = { id: upload, type: 'vigil.upload.created', source: 'bench', subject: upload, time: receivedAt };
      await instance.log.append([{ topic: TOPICS.uploads.name, ...jsonEnvelope(upload, { ...about, data }) }]);
      return answers.await(upload, sample, patienceMs);
    },

    async cpu() {
      const programs = await byProgram(await processTree(process.pid));
      const vigil = await Promise.all(
        members.map(async (name) => [name, await cpuSecondsOf(await processTree(fleet.member(name).pid))] as const),
      );
      const servers = await Promise.all(
        Object.entries(SERVERS).map(
          async ([name, it]) =>
            [
              name,
              await cpuSecondsOf([...programs].flatMap(([program, pids]) => (program.startsWith(it) ? pids : []))),
            ] as const,
        ),
      );
      return { vigil: Object.fromEntries(vigil), servers: Object.fromEntries(servers) } as unknown as Share;
    },

    async readAgain(uploads) {
      const traces = await Promise.all(uploads.map((upload) => instance.inspect.trace(upload)));
      return traces.flatMap((t) => t?.steps ?? []).filter((s) => s.stage === 'confirm').length;
    },

    async memory() {
      const sizes = await Promise.all(
        members.map(async (name) => [name, await pssOf(await processTree(fleet.member(name).pid))] as const),
      );
      return Object.fromEntries(sizes);
    },

    [Symbol.asyncDispose]: () => running.disposeAsync(),
  };
}

/** What was used between two looks. */
export function between(before: Share, after: Share): Share {
  const minus = (a: Record<string, number>, b: Record<string, number>) =>
    Object.fromEntries(Object.entries(b).map(([name, value]) => [name, value - a[name]!]));
  return { vigil: minus(before.vigil, after.vigil), servers: minus(before.servers, after.servers) } as Share;
}

export const sumOf = (shares: Readonly<Record<string, number>> | readonly number[]): number =>
  Object.values(shares).reduce((a, b) => a + b, 0);
