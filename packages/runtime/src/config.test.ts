import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';
import { expect, test } from 'vitest';
import { assertConfig, ConfigError, readConfig, readEnvironment } from './config.ts';

test('nothing need be set', () => {
  const config = readConfig({ HOME: '/home/x', PATH: '/bin', VIGIL_BUCKETS: '' });
  expect(config).toMatchObject({
    dataFolder: resolve('.vigil/data'),
    databaseUrl: null,
    host: '127.0.0.1',
    port: 8080,
    buckets: [],
    logLevel: 'info',
    shards: 1,
    acknowledgements: { surfaces: [], deadlineSeconds: 600, resendSeconds: [30, 60, 120, 300, 600] },
    cases: { disputeDays: 30, appealDays: 7, strikeDays: 90, strikes: 3, calendar: 'us-federal' },
    privateWebhooks: false,
    keepDays: 180,
    lookBackSeconds: 60,
    ffmpeg: { ffmpegPath: undefined, ffprobePath: undefined, path: '/bin' },
    unknown: [],
  });
  expect(config.roles).toContain('decide');
  expect(config.concurrency).toBeGreaterThan(0);
  expect(config.limits).toEqual({
    maxImageBytes: 64 * 2 ** 20,
    maxVideoBytes: 64 * 2 ** 30,
    maxPixels: 100_000_000,
    maxDurationSeconds: 48 * 3600,
    probeSeconds: 20,
    sliceSeconds: 120,
    decoderBytes: 3 * 2 ** 30,
  });
});

test('what is set is used', () => {
  const config = readConfig({
    VIGIL_DATA: '/srv/vigil',
    DATABASE_URL: 'postgresql://u:p@h/d',
    VIGIL_PORT: '0',
    VIGIL_BUCKETS: 'one, two.three',
    VIGIL_LOG_LEVEL: 'DEBUG',
    VIGIL_ROLES: 'match,plan',
    VIGIL_CONCURRENCY: '3',
    VIGIL_SURFACES: 'web, mobile,web',
    VIGIL_KEY_PATTERN: '{account}/{file}',
    VIGIL_ACK_SECONDS: '60',
    VIGIL_RESEND_SECONDS: '5,10',
    VIGIL_MAX_IMAGE_MIB: '1',
  });
  expect(config).toMatchObject({
    dataFolder: '/srv/vigil',
    databaseUrl: 'postgresql://u:p@h/d',
    port: 0,
    buckets: ['one', 'two.three'],
    logLevel: 'debug',
    roles: ['plan', 'match'],
    concurrency: 3,
    acknowledgements: { surfaces: ['web', 'mobile'], deadlineSeconds: 60, resendSeconds: [5, 10] },
  });
  expect(config.limits.maxImageBytes).toBe(2 ** 20);
  expect(config.keyPattern?.read('acc/a/b')).toEqual({ account: 'acc' });
});

test('everything that is wrong is said at once, with what it should be', () => {
  const wrong = {
    DATABASE_URL: 'mysql://u:secret@h/d',
    VIGIL_PORT: '80a',
    VIGIL_SHARDS: '0',
    VIGIL_LOG_LEVEL: 'chatty',
    VIGIL_ROLES: 'plan,cook',
    VIGIL_BUCKETS: '../etc',
    VIGIL_SURFACES: 'web,my tv',
    VIGIL_KEY_PATTERN: '{name}/{file}',
    VIGIL_ACK_SECONDS: '0',
    VIGIL_RESEND_SECONDS: '30,1.5',
  };
  const error = (() => {
    try {
      readConfig(wrong);
    } catch (e) {
      return e as ConfigError;
    }
  })();
  expect(error).toBeInstanceOf(ConfigError);
  for (const name of Object.keys(wrong)) expect(error!.message).toContain(name);
  expect(error!.message).toContain('VIGIL_PORT is "80a": give a whole number from 0 to 65535');
  expect(error!.message).toContain('give one of debug, info, warn, error, silent');
  expect(error!.message).not.toContain('secret');
});

test.each(['VIGIL_S3_ENDPOINT', 'VIGIL_OIDC_ISSUER', 'VIGIL_OTLP_ENDPOINT', 'VIGIL_PUBLIC_URL'])(
  '%s without http:// is refused, though a URL can be read into it',
  (name) => {
    for (const given of ['minio:9000', 'localhost:9000/x', 'ftp://minio/'])
      expect(() => readConfig({ VIGIL_OIDC_AUDIENCE: 'a', [name]: given })).toThrow(
        new RegExp(`${name}.* is "${given}"`),
      );
    const fine = { VIGIL_OIDC_AUDIENCE: 'a', VIGIL_OIDC_ISSUER: 'https://id.example.org' };
    expect(() => readConfig({ ...fine, [name]: 'http://minio:9000' })).not.toThrow();
  },
);

test('blanks are nothing: an address of blanks is no address of all', () => {
  expect(readConfig({ VIGIL_HOST: ' ', DATABASE_URL: '\t', VIGIL_PORT: ' ' })).toMatchObject({
    host: '127.0.0.1',
    databaseUrl: null,
    port: 8080,
  });
  expect(readConfig({ VIGIL_HOST: ' ::1 ' }).host).toBe('::1');
});

test('names that are no settings are told, not refused', () => {
  const settings = readEnvironment({ VIGIL_PROT: '1', VIGIL_CORPUS: '/c', OTHER: 'x' });
  expect(settings).toEqual({ VIGIL_PROT: '1', VIGIL_CORPUS: '/c' });
  expect(assertConfig(settings).unknown).toEqual(['VIGIL_PROT']);
});

test('Kafka over TLS: authorities and certificates of our own, with SASL', () => {
  const pem = (what: string) => `-----BEGIN ${what}-----\nAA==\n-----END ${what}-----`;
  const env = {
    VIGIL_KAFKA_BROKERS: 'b1:9093,b2:9093',
    VIGIL_KAFKA_SSL: 'true',
    VIGIL_KAFKA_CA: pem('CERTIFICATE'),
    VIGIL_KAFKA_CERT: pem('CERTIFICATE'),
    VIGIL_KAFKA_KEY: pem('PRIVATE KEY'),
    VIGIL_KAFKA_SASL: 'scram-sha-512',
    VIGIL_KAFKA_USERNAME: 'vigil',
    VIGIL_KAFKA_PASSWORD: 'secret',
  };
  expect(readConfig(env).kafka).toEqual({
    brokers: ['b1:9093', 'b2:9093'],
    ssl: { ca: pem('CERTIFICATE'), cert: pem('CERTIFICATE'), key: pem('PRIVATE KEY') },
    sasl: { mechanism: 'scram-sha-512', username: 'vigil', password: 'secret' },
    replicas: null,
  });
  expect(readConfig({ VIGIL_KAFKA_BROKERS: 'b:1', VIGIL_KAFKA_SSL: 'true' }).kafka!.ssl).toBe(true);
  const half = { VIGIL_KAFKA_BROKERS: 'b:1', VIGIL_KAFKA_CERT: '/etc/cert.pem' };
  for (const words of [
    'VIGIL_KAFKA_CERT is no PEM text: give its file with VIGIL_KAFKA_CERT_FILE',
    'VIGIL_KAFKA_CERT is set: set VIGIL_KAFKA_SSL=true too',
    'give both VIGIL_KAFKA_CERT and VIGIL_KAFKA_KEY',
  ]) {
    expect(() => readConfig(half)).toThrow(words);
  }
});

test('secrets may lie in files, which are read without their line ends', async () => {
  const folder = await mkdtemp(join(tmpdir(), 'vigil-config-'));
  const file = join(folder, 'secret');
  await writeFile(file, 'postgresql://u:p@h:5432/d\n');
  expect(readConfig({ DATABASE_URL_FILE: file })).toMatchObject({
    databaseUrl: 'postgresql://u:p@h:5432/d',
    unknown: [],
  });
  const twice = { VIGIL_S3_SECRET_KEY: 'here', VIGIL_S3_SECRET_KEY_FILE: file };
  expect(() => readConfig(twice)).toThrow('VIGIL_S3_SECRET_KEY and VIGIL_S3_SECRET_KEY_FILE are both set');
  expect(() => readConfig({ VIGIL_KAFKA_PASSWORD_FILE: join(folder, 'none') })).toThrow(/which cannot be read: ENOENT/);
  expect(readConfig({ VIGIL_PORT_FILE: file }).unknown).toEqual(['VIGIL_PORT_FILE']);
  await rm(folder, { recursive: true });
});

test('the README lists every setting, and none that there is not', () => {
  const read = (name: string) => readFileSync(new URL(name, import.meta.url), 'utf8');
  const source = read('./config.ts').replace(/const IN_USE_ELSEWHERE[\s\S]*?\];/, '');
  const named = [...source.matchAll(/'((?:VIGIL|OTEL)_[A-Z0-9_]+)'/g)].map((m) => m[1]!);
  const listed = new Set([...read('../README.md').matchAll(/`((?:VIGIL|OTEL)_[A-Z0-9_]+)`/g)].map((m) => m[1]!));
  expect(named.length).toBeGreaterThan(40);
  expect([...new Set(named)].filter((name) => !listed.has(name))).toEqual([]);
  const isKnown = (name: string) => {
    try {
      return !readConfig({ [name]: 'x' }).unknown.includes(name);
    } catch (error) {
      return error instanceof ConfigError;
    }
  };
  expect([...listed].filter((name) => !isKnown(name))).toEqual([]);
});
