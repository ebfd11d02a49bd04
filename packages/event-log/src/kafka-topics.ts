import type { TopicSpec } from '@vigil/contracts';
import { MAX_HEADER_BYTES, MAX_KEY } from './check-records.ts';
import { EventLogError } from './event-log.ts';
import type { Admin } from './kafka-client.ts';
import { typeOf } from './kafka-errors.ts';

/** What a record may have beyond its value, and what a batch adds: the broker's bound is on whole batches. */
export const OVERHEAD_BYTES = MAX_HEADER_BYTES + 3 * MAX_KEY + 13 * 1024;
const TOPIC_RESOURCE = 2;

export interface Topic {
  name: string;
  partitions: number;
  cleanup: string;
  /** Largest value, bytes. */
  maxBytes: number;
}

export interface Topics {
  /** @throws EventLogError, not retriable, naming every setting that is not as asked for */
  ensure(specs: readonly TopicSpec[]): Promise<void>;
  /** @throws EventLogError, not retriable, when there is no such topic */
  get(name: string): Promise<Topic>;
  /** What is remembered may be wrong: a topic was deleted. */
  forget(): void;
}

/** What the broker is told, and asked. */
const settingsOf = (spec: TopicSpec): Record<string, string> => ({
  'cleanup.policy': spec.cleanup,
  'retention.ms': String(spec.retentionMs ?? -1),
  'max.message.bytes': String(spec.maxBytes + OVERHEAD_BYTES),
  // When the log took it, not when somebody says that it was sent: offsets are looked up by it.
  'message.timestamp.type': 'LogAppendTime',
});
const SETTINGS = Object.keys(settingsOf({ retentionMs: 0, maxBytes: 0, cleanup: 'delete' } as TopicSpec));

/** Settings are remembered: those of a topic that is in use change by our own hand only. */
export function createTopics(openAdmin: () => Promise<Admin>, replicas: number): Topics {
  const known = new Map<string, Topic>();

  const create = async (admin: Admin, specs: readonly TopicSpec[]) => {
    const topics = specs.map((spec) => ({
      topic: spec.name,
      numPartitions: spec.partitions,
      replicationFactor: replicas,
      configEntries: Object.entries(settingsOf(spec)).map(([name, value]) => ({ name, value })),
    }));
    try {
      await admin.createTopics({ topics, waitForLeaders: true, timeout: 15_000 });
    } catch (error) {
      // Somebody else was quicker; whether they want the same is looked at below.
      const errors = (error as { errors?: unknown[] }).errors ?? [error];
      const others = errors.filter((one) => typeOf(one) !== 'TOPIC_ALREADY_EXISTS');
      if (others.length > 0) throw others[0];
    }
  };
  /** Partitions and settings as they are; undefined where there is no such topic. */
  const look = async (names: readonly string[]) => {
    const admin = await openAdmin();
    const all = new Set(await admin.listTopics());
    const here = names.filter((name) => all.has(name));
    if (here.length === 0) return new Map<string, Map<string, string>>();
    const [{ topics }, { resources }] = await Promise.all([
      admin.fetchTopicMetadata({ topics: here }),
      admin.describeConfigs({
        includeSynonyms: false,
        resources: here.map((name) => ({ type: TOPIC_RESOURCE, name, configNames: SETTINGS })),
      }),
    ]);
    return new Map(
      here.map((name) => {
        const entries = resources.find((one) => one.resourceName === name)?.configEntries ?? [];
        const found = new Map(entries.map(({ configName, configValue }) => [configName, configValue]));
        found.set('partitions', String(topics.find((one) => one.name === name)?.partitions.length ?? 0));
        return [name, found];
      }),
    );
  };
  const learn = (name: string, found: Map<string, string>): Topic => {
    const topic = {
      name,
      partitions: Number(found.get('partitions')),
      cleanup: found.get('cleanup.policy') ?? '',
      maxBytes: Number(found.get('max.message.bytes')) - OVERHEAD_BYTES,
    };
    known.set(name, topic);
    return topic;
  };

  return {
    async ensure(specs) {
      const there = await look(specs.map((spec) => spec.name));
      const missing = specs.filter((spec) => !there.has(spec.name));
      if (missing.length > 0) {
        await create(await openAdmin(), missing);
        // A broker hears of a new topic a moment after the controller has made it.
        for (let pause = 10; pause < 5000; pause *= 2) {
          for (const [name, found] of await look(missing.map((spec) => spec.name))) there.set(name, found);
          if (missing.every((spec) => Number(there.get(spec.name)?.get('partitions') ?? 0) > 0)) break;
          await new Promise((resolve) => setTimeout(resolve, pause));
        }
      }
      const wrong = specs.flatMap((spec) => {
        const found = there.get(spec.name) ?? new Map<string, string>();
        const wanted = { partitions: String(spec.partitions), ...settingsOf(spec) };
        return Object.entries(wanted)
          .filter(([name, value]) => found.get(name) !== value)
          .map(([name, value]) => `${spec.name} has ${name}=${found.get(name)}, where ${value} is asked for`);
      });
      if (wrong.length > 0) throw new EventLogError(`topics: ${wrong.join('; ')}`, { retriable: false });
      for (const spec of specs) learn(spec.name, there.get(spec.name)!);
    },
    forget: () => known.clear(),
    async get(name) {
      const remembered = known.get(name);
      if (remembered) return remembered;
      const found = (await look([name])).get(name);
      if (!found) throw new EventLogError(`there is no topic ${name}`, { retriable: false });
      return learn(name, found);
    },
  };
}
