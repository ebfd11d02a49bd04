import { access } from 'node:fs/promises';
import { homedir } from 'node:os';
import { join } from 'node:path';
import type { StartedKafkaContainer } from '@testcontainers/kafka';

/** Apache Kafka 4.0 as Confluent packs it: what the module knows how to start. */
const IMAGE = 'confluentinc/cp-kafka:8.0.0';
const PORT = 9093;
const START_LIMIT_MS = 180_000;

/** A broker in a container, removed with this process by testcontainers. Null, with the reason said, where Docker is not. */
export async function startInDocker(
  say: (line: string) => void,
): Promise<{ address: string; stop(): Promise<void> } | null> {
  if (!(await perhapsDocker())) return null;
  try {
    const { KafkaContainer } = await import('@testcontainers/kafka');
    const container: StartedKafkaContainer = await new KafkaContainer(IMAGE)
      .withKraft()
      .withStartupTimeout(START_LIMIT_MS)
      .withEnvironment({ KAFKA_AUTO_CREATE_TOPICS_ENABLE: 'false', KAFKA_GROUP_MIN_SESSION_TIMEOUT_MS: '200' })
      .start();
    const stop = async () => void (await container.stop());
    return { address: `${container.getHost()}:${container.getMappedPort(PORT)}`, stop };
  } catch (error) {
    say(`no Kafka in Docker: ${error instanceof Error ? error.message : String(error)}`);
    return null;
  }
}

/** Loading testcontainers takes a second; where nothing speaks for Docker nobody waits for it. */
async function perhapsDocker(): Promise<boolean> {
  const { DOCKER_HOST, XDG_RUNTIME_DIR } = process.env;
  if (DOCKER_HOST) return true;
  const sockets = [
    '/var/run/docker.sock',
    join(homedir(), '.docker', 'run', 'docker.sock'),
    ...(XDG_RUNTIME_DIR ? [join(XDG_RUNTIME_DIR, 'docker.sock')] : []),
  ];
  for (const socket of sockets) {
    const here = await access(socket).then(
      () => true,
      () => false,
    );
    if (here) return true;
  }
  return false;
}
