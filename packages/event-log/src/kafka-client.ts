/** The only file that knows kafkajs. What it hands out is kafkajs's own, as far as others need it. */
import { createRequire } from 'node:module';
import { isIP, connect as openPlain, type Socket } from 'node:net';
import { type ConnectionOptions, connect as openTls } from 'node:tls';
import { promisify } from 'node:util';
import { zstdCompress, zstdDecompress } from 'node:zlib';
import type { Logger } from '@vigil/runtime';
import kafkajs, {
  type Admin,
  type Cluster,
  type EachBatchPayload,
  type Consumer as KafkaConsumer,
  type KafkaMessage,
  type PartitionAssigner,
  type Producer,
  type SASLOptions,
} from 'kafkajs';
import { type FetchTurns, takeTurns } from './kafka-fetch.ts';

// Node finds only some names of this CommonJS module by itself.
const { AssignerProtocol, CompressionCodecs, CompressionTypes, Kafka, logLevel } = kafkajs;

export type { Admin, Cluster, EachBatchPayload, KafkaConsumer, KafkaMessage, Producer };

export interface KafkaConnection {
  /** `host:port`, any of the cluster's. */
  brokers: readonly string[];
  ssl?: boolean | ConnectionOptions;
  /** PLAIN, SCRAM, OAUTHBEARER, AWS: as kafkajs takes them. */
  sasl?: SASLOptions;
  connectionTimeoutMs?: number;
  requestTimeoutMs?: number;
  /** Opens the sockets, in place of node:net and node:tls; `onConnect` is to be called once. */
  openSocket?: (args: { host: string; port: number; onConnect: () => void }) => Socket;
}

export interface Client {
  admin(): Admin;
  producer(): Producer;
  consumer(options: GroupOptions): KafkaConsumer;
  /** For requests that kafkajs offers to its own consumer only. Not connected yet. */
  cluster(): Cluster;
}

export interface GroupOptions {
  group: string;
  sessionMs: number;
  rebalanceMs: number;
  heartbeatMs: number;
  turns: FetchTurns;
  maxBytes: number;
  maxBytesPerPartition: number;
  assigner: GroupAssigner;
  restart(): boolean;
}

/** Who gets which partitions: each member sends a text when it joins, the leader reads them all. */
export interface GroupAssigner {
  name: string;
  /** What this member has to say: its claims. */
  say(): string;
  assign(
    topics: readonly { topic: string; partitions: readonly number[] }[],
    members: readonly { id: string; topics: readonly string[]; said: string }[],
  ): Map<string, Record<string, number[]>>;
}

const ALL_PAUSED_MS = 100;
const RETRY = { initialRetryTime: 100, maxRetryTime: 2000, retries: 6 };

/** kafkajs knows gzip. What snappy and lz4 have packed ends a consumer with an error that says so. */
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: ({ buffer }: { buffer: Buffer }) => promisify(zstdCompress)(buffer),
  decompress: (buffer: Buffer) => promisify(zstdDecompress)(buffer),
});

/** Half-open connections are found by the system after some 30 s, where it is idle; by kafkajs's time-outs where it is not. */
const KEEP_ALIVE_MS = 15_000;

/** What a client has no other way to say. */
export interface ClientNews {
  /** A connection to a broker has ended, for whatever reason. kafkajs tries again for a while before it says anything. */
  onClosed(): void;
  /** It has begun a partition at its oldest record, because the log had no record at the offset that was due. */
  onOutOfRange(): void;
}

export function createClient(connection: KafkaConnection, clientId: string, logger: Logger, news?: ClientNews): Client {
  const open = connection.openSocket ?? plainOrTls(connection.ssl);
  const kafka = new Kafka({
    clientId,
    brokers: [...connection.brokers],
    ...(connection.ssl === undefined ? {} : { ssl: connection.ssl }),
    ...(connection.sasl === undefined ? {} : { sasl: connection.sasl }),
    socketFactory: ({ host, port, onConnect }) => {
      const socket = open({ host, port, onConnect });
      socket.setKeepAlive(true, KEEP_ALIVE_MS);
      if (news) socket.once('close', news.onClosed);
      return socket;
    },
    connectionTimeout: connection.connectionTimeoutMs ?? 5000,
    requestTimeout: connection.requestTimeoutMs ?? 15_000,
    retry: RETRY,
    logLevel: logLevel.WARN,
    logCreator:
      () =>
      ({ namespace, log: { message, timestamp: _, logger: __, stack: ___, ...fields } }) => {
        if (message.startsWith('Offset out of range')) news?.onOutOfRange();
        // What it calls an error it mostly mends by itself; what it does not comes to us as a rejection.
        logger.warn({ ...fields, clientId, part: namespace, said: message }, 'kafka client');
      },
  });
  return {
    admin: () => kafka.admin(),
    producer: () =>
      kafka.producer({
        allowAutoTopicCreation: false,
        createPartitioner:
          () =>
          ({ message }) =>
            message.partition!,
      }),
    consumer: (options) =>
      kafka.consumer({
        groupId: options.group,
        sessionTimeout: options.sessionMs,
        rebalanceTimeout: options.rebalanceMs,
        heartbeatInterval: options.heartbeatMs,
        // Only what it sleeps when all is paused: fetches wait as `turns` says.
        maxWaitTimeInMs: ALL_PAUSED_MS,
        maxBytes: options.maxBytes,
        maxBytesPerPartition: options.maxBytesPerPartition,
        allowAutoTopicCreation: false,
        metadataMaxAge: 60_000,
        partitionAssigners: [
          (config) => {
            takeTurns(config.cluster, options.turns);
            return toKafka(options.assigner)(config);
          },
        ],
        retry: { ...RETRY, restartOnFailure: async () => options.restart() },
      }),
    cluster() {
      // Assigners are handed the cluster when a consumer is made; this one joins no group, and never will.
      const got: { cluster?: Cluster } = {};
      const none: GroupAssigner = { name: 'none', say: () => '', assign: () => new Map() };
      const partitionAssigners: PartitionAssigner[] = [
        (config) => {
          got.cluster = config.cluster;
          return toKafka(none)(config);
        },
      ];
      kafka.consumer({ groupId: 'joins-no-group', allowAutoTopicCreation: false, partitionAssigners });
      return got.cluster!;
    },
  };
}

const plainOrTls =
  (ssl: KafkaConnection['ssl']): NonNullable<KafkaConnection['openSocket']> =>
  ({ host, port, onConnect }) => {
    if (!ssl) return openPlain({ host, port }, onConnect);
    const named = isIP(host) ? {} : { servername: host };
    return openTls({ host, port, ...named, ...(ssl === true ? {} : ssl) }, onConnect);
  };

function toKafka(assigner: GroupAssigner): PartitionAssigner {
  const version = 1;
  return ({ cluster }) => ({
    name: assigner.name,
    version,
    protocol: ({ topics }) => ({
      name: assigner.name,
      metadata: AssignerProtocol.MemberMetadata.encode({ version, topics, userData: Buffer.from(assigner.say()) }),
    }),
    async assign({ members, topics }) {
      const places = topics.map((topic) => ({
        topic,
        partitions: cluster.findTopicPartitionMetadata(topic).map(({ partitionId }) => partitionId),
      }));
      const assigned = assigner.assign(
        places,
        members.map(({ memberId, memberMetadata }) => {
          const decoded = AssignerProtocol.MemberMetadata.decode(memberMetadata);
          return { id: memberId, topics: decoded?.topics ?? [], said: decoded?.userData?.toString() ?? '' };
        }),
      );
      return [...assigned].map(([memberId, assignment]) => ({
        memberId,
        memberAssignment: AssignerProtocol.MemberAssignment.encode({ version, assignment, userData: Buffer.alloc(0) }),
      }));
    },
  });
}

/** As much of kafkajs's queue of requests to a broker as is mended below; there is one a connection. */
interface RequestQueue {
  pending: unknown[];
  inflight: Map<number, { sentAt: number; requestTimeout: number; timeoutRequest(): void }>;
  throttledUntil: number;
  throttleCheckTimeoutId: NodeJS.Timeout | null;
  requestTimeoutIntervalId: NodeJS.Timeout | null;
  requestTimeout: number;
  enforceRequestTimeout: boolean;
  isConnected(): boolean;
  checkPendingRequests(): void;
  destroy(): void;
}

const CHECK_MS = 10;
const TIMEOUT_CHECK_MS = 1000;

/**
 * A queue looks for requests that were put off a thousand times a second, by a timer that asks for the past (kafkajs#1751; a
 * warning since Node 24), whether there are any or not; and ten times a second for those that take too long. Of a process with
 * five consumers that was most of what it used when idle. Ours looks where something waits, and once a second.
 */
function mendRequestQueue(): void {
  const { prototype } = createRequire(import.meta.url)('kafkajs/src/network/requestQueue') as {
    prototype: RequestQueue;
  };
  Object.assign(prototype, {
    scheduleCheckPendingRequests(this: RequestQueue) {
      if (this.throttleCheckTimeoutId || this.pending.length === 0) return;
      const check = () => {
        this.throttleCheckTimeoutId = null;
        this.checkPendingRequests();
      };
      this.throttleCheckTimeoutId = setTimeout(check, Math.max(CHECK_MS, this.throttledUntil - Date.now()));
    },
    scheduleRequestTimeoutCheck(this: RequestQueue) {
      if (!this.enforceRequestTimeout) return;
      this.destroy();
      const check = () => {
        for (const one of this.inflight.values())
          if (Date.now() - one.sentAt > one.requestTimeout) one.timeoutRequest();
        if (!this.isConnected()) this.destroy();
      };
      this.requestTimeoutIntervalId = setInterval(check, Math.min(this.requestTimeout, TIMEOUT_CHECK_MS));
    },
  });
}
mendRequestQueue();
