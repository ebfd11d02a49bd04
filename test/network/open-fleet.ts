import { mkdir, mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { openTemporaryPostgres } from '@vigil/database';
import { type LocalKafka, startKafka } from '../../infra/kafka/local-kafka.ts';
import { type S3, startS3 } from '../../infra/s3/start-s3.ts';
import { vigilStore } from '../support/s3.ts';
import { until } from '../support/until.ts';
import { type StartOptions, startVigil, type VigilProcess } from '../support/vigil-process.ts';

/** Which processes there are, and what each of them does. Two that decode: they share the slices by partitions. */
export const FLEET = {
  planner: { VIGIL_ROLES: 'plan,api' },
  'fingerprinter-a': { VIGIL_ROLES: 'fingerprint,confirm', VIGIL_CONCURRENCY: '1' },
  'fingerprinter-b': { VIGIL_ROLES: 'fingerprint,confirm', VIGIL_CONCURRENCY: '1' },
  'matcher-0': { VIGIL_ROLES: 'match', VIGIL_SHARD: '0' },
  'matcher-1': { VIGIL_ROLES: 'match', VIGIL_SHARD: '1' },
  decider: { VIGIL_ROLES: 'decide' },
} as const satisfies Members;

/** As on a small platform: two processes, each of which does everything; they share the work by partitions, too. */
export const TOGETHER = {
  'all-a': { VIGIL_ROLES: 'plan,fingerprint,match,confirm,decide,api', VIGIL_CONCURRENCY: '1' },
  'all-b': { VIGIL_ROLES: 'plan,fingerprint,match,confirm,decide,api', VIGIL_CONCURRENCY: '1' },
} as const satisfies Members;
export type Members = Readonly<Record<string, Readonly<Record<string, string>>>>;

/** Kafka, S3 and PostgreSQL, and Vigil as several processes. */
export interface Fleet {
  /** What a process needs to belong to it: addresses and keys. */
  env: Record<string, string>;
  kafka: LocalKafka;
  s3: S3;
  members: Members;
  /** Running, or the last one of that name. */
  member(name: string): VigilProcess;
  /** Starts a member (again), and waits until it listens. `roles` are those of `members` where it is one of these. */
  spawn(name: string, roles?: Record<string, string>, options?: StartOptions): Promise<VigilProcess>;
  /** The same, and waits until it is ready. */
  start(name: string, roles?: Record<string, string>, options?: StartOptions): Promise<VigilProcess>;
  [Symbol.asyncDispose](): Promise<void>;
}

export interface FleetOptions {
  /** FLEET unless told otherwise. */
  members?: Members;
  log(line: string): void;
  /** A database that is there already; else one is made. */
  databaseUrl?: string;
  /** Where the members reach the store, when something lies between. */
  s3Endpoint?(s3: S3): Promise<string>;
  settings?: Record<string, string>;
  /** Its servers are to be stopped and started: those that are somebody else's will not do. */
  own?: boolean;
}

/** Null where a server is not to be had; `log` says which. */
export async function openFleet({
  members = FLEET,
  log,
  databaseUrl,
  s3Endpoint,
  settings,
  own = false,
}: FleetOptions): Promise<Fleet | null> {
  const stack = new AsyncDisposableStack();
  const folder = await mkdtemp(path.join(tmpdir(), 'vigil-fleet-'));
  stack.defer(() => rm(folder, { recursive: true, force: true }));
  try {
    const kafka = await startKafka({ log, own });
    if (kafka) stack.use(kafka);
    await mkdir(path.join(folder, 's3'), { recursive: true });
    const s3 = kafka && (await startS3({ folder: path.join(folder, 's3'), log }));
    if (!kafka || !s3) {
      await stack.disposeAsync();
      return null;
    }
    stack.use(s3);
    const url = databaseUrl ?? stack.use(await openTemporaryPostgres()).url;
    const endpoint = await s3Endpoint?.(s3);
    const env = {
      DATABASE_URL: url,
      VIGIL_KAFKA_BROKERS: kafka.brokers.join(','),
      VIGIL_KAFKA_REPLICAS: '1',
      ...(await vigilStore(s3)),
      ...(endpoint ? { VIGIL_S3_ENDPOINT: endpoint } : {}),
      VIGIL_SHARDS: String(1 + Math.max(...Object.values(members).map((m) => Number(m.VIGIL_SHARD ?? 0)))),
      VIGIL_LOG_LEVEL: 'warn',
      ...settings,
    };
    const started = new Map<string, VigilProcess>();
    stack.defer(async () => {
      const running = [...started.values()];
      for (const m of running) m.kill('SIGTERM');
      await Promise.race([Promise.all(running.map((m) => m.ended)), sleep(12_000)]);
      await Promise.all(running.map((m) => m[Symbol.asyncDispose]()));
    });

    const spawn: Fleet['spawn'] = async (name, roles, options) => {
      const own = roles ?? members[name];
      if (!own) throw new Error(`no roles are known of ${name}`);
      const settings = { ...process.env, ...env, ...own, VIGIL_REPLICA: name };
      const member = await startVigil(path.join(folder, name), settings, options);
      started.set(name, member);
      return member;
    };

    const start: Fleet['start'] = async (name, roles, options) => {
      const member = await spawn(name, roles, options);
      await until(`${name} is ready`, () => isReady(member.url), { seconds: 120 });
      return member;
    };

    const names = Object.keys(members);
    // The first one makes topics and tables; the others find them.
    await start(names[0]!);
    await Promise.all(names.slice(1).map((name) => start(name)));
    const running = stack.move();
    return {
      env,
      kafka,
      s3,
      members,
      member: (name) => started.get(name)!,
      spawn,
      start,
      [Symbol.asyncDispose]: () => running.disposeAsync(),
    };
  } catch (error) {
    await stack.disposeAsync();
    throw error;
  }
}

export const isReady = (url: string): Promise<boolean> =>
  fetch(`${url}/health/ready`).then(
    (response) => response.ok,
    () => false,
  );
