import { silentLogger } from '@vigil/runtime';
import type { KafkaConfig } from 'kafkajs';
import { expect, test, vi } from 'vitest';
import { createClient } from './kafka-client.ts';

/** Faked: kafkajs. What it is handed is all that counts here. */
const handed = vi.hoisted((): unknown[] => []);
vi.mock('kafkajs', async (original) => {
  const { default: real } = await original<{ default: object }>();
  class Kafka {
    constructor(config: KafkaConfig) {
      handed.push(config);
    }
  }
  return { default: { ...real, Kafka } };
});

test('TLS and SASL settings pass through to kafkajs as they are', () => {
  const ssl = { ca: 'CA', cert: 'CERT', key: 'KEY' };
  const sasl = { mechanism: 'scram-sha-512', username: 'u', password: 'p' } as const;
  createClient({ brokers: ['b:9093'], ssl, sasl }, 'me', silentLogger);
  expect(handed.at(-1)).toMatchObject({ clientId: 'me', brokers: ['b:9093'], ssl, sasl });
  createClient({ brokers: ['b:9093'], ssl: true }, 'me', silentLogger);
  expect(handed.at(-1)).toMatchObject({ ssl: true });
  expect(handed.at(-1)).not.toHaveProperty('sasl');
  createClient({ brokers: ['b:9092'] }, 'me', silentLogger);
  expect(handed.at(-1)).not.toHaveProperty('ssl');
});
